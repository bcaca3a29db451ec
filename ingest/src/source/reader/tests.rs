//! One-shot reading of real files.

use super::super::testing::gzip;
use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// The places below `folder` and the records of everything, read in batches of `records`.
fn read_all(reader: &mut Reader, folder: &TempDir, records: usize) -> Vec<(String, String)> {
    let mut all = Vec::new();
    while let Some(batch) = reader.next_batch(records, 1 << 20) {
        let prefix = format!("{}/", folder.path().display());
        let name = |place: &keywatch_event::Place| place.to_string().replace(&prefix, "");
        for record in &batch.records {
            all.push((name(&record.place), String::from_utf8_lossy(batch.raw(record)).into_owned()));
        }
        for reject in &batch.rejects {
            all.push((name(&reject.place), reject.reason.kind().to_owned()));
        }
        assert!(batch.advances.is_empty());
    }
    all
}

#[track_caller]
fn check(files: &[(&str, &[u8])], want: &[(&str, &str)]) {
    let folder = folder(files);
    for records in [1, 2, 1000] {
        let mut reader = Reader::new(vec![folder.path().to_owned()]);
        let mut got = read_all(&mut reader, &folder, records);
        // A batch lists its rejects apart.
        got.sort_by(|a, b| a.0.cmp(&b.0));
        let got: Vec<(&str, &str)> =
            got.iter().map(|(place, text)| (place.as_str(), text.as_str())).collect();
        assert_eq!(got, want, "in batches of {records}");
        assert!(reader.failures().is_empty(), "{:?}", reader.failures());
        let progress = reader.progress();
        assert_eq!(
            (Some(progress.bytes_read), progress.files_done),
            (progress.bytes_total, files.len() as u64)
        );
    }
}

#[test]
fn a_folder_is_searched_and_its_files_are_known_by_content() {
    let packed = gzip(b"{\"Records\":[{\"a\":3},{\"a\":4}]}");
    check(
        &[
            ("b/x.txt", b"{\"a\":1}\n{\"a\":2}\n"),
            ("c.log", &packed),
            ("a.gz", b"\xef\xbb\xbf{\"a\":0}\r\n"),
            ("d/e/f", b""),
        ],
        &[
            ("a.gz:1", "{\"a\":0}"),
            ("b/x.txt:1", "{\"a\":1}"),
            ("b/x.txt:2", "{\"a\":2}"),
            ("c.log#1", "{\"a\":3}"),
            ("c.log#2", "{\"a\":4}"),
        ],
    );
}

#[test]
fn compressed_members_are_one_stream_and_records_may_span_them() {
    let mut packed = gzip(b"{\"a\":1}\n{\"a\"");
    packed.extend(gzip(b":2}\n"));
    check(&[("x", &packed)], &[("x:1", "{\"a\":1}"), ("x:2", "{\"a\":2}")]);
    check(&[("x", &gzip(&packed))], &[("x:1", "{\"a\":1}"), ("x:2", "{\"a\":2}")]);
}

#[test]
fn damaged_compression_gives_what_came_before_and_a_reject() {
    let lines: Vec<String> =
        (0..5000).map(|n| format!("{{\"n\":{n},\"s\":\"{}\"}}", n * 7919 % 4999)).collect();
    let mut packed = gzip(lines.join("\n").as_bytes());
    packed.truncate(packed.len() / 2);
    let folder = folder(&[("x", &packed)]);
    let got = read_all(&mut Reader::new(vec![folder.path().join("x")]), &folder, 700);
    let whole = got.iter().zip(&lines).take_while(|(got, line)| got.1 == **line).count();
    assert!(whole > 1000, "{whole}");
    let rest: Vec<&str> = got[whole..].iter().map(|(_, text)| text.as_str()).collect();
    // The record that is cut goes to the provider, which will refuse it.
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(lines[whole].starts_with(rest[0]) && rest[1] == "compression", "{rest:?}");
    assert_eq!(got.last().unwrap().0, format!("x:{}", whole + 1));
}

#[test]
fn a_bomb_is_left_and_the_next_file_is_read() {
    let bomb = gzip(&gzip(&vec![b' '; 72 << 20]));
    check(&[("a", &bomb), ("b", b"{\"a\":1}")], &[("a:1", "bomb"), ("b:1", "{\"a\":1}")]);
}

#[test]
fn what_cannot_be_read_is_told_and_stops_nothing() {
    let folder = folder(&[("a", b"{\"a\":1}"), ("z.zip", b"PK\x03\x04..."), ("secret", b"{\"a\":2}")]);
    let secret = folder.path().join("secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let as_root = File::open(&secret).is_ok();
    let paths = ["missing", "secret", "z.zip", "a"].map(|name| folder.path().join(name));
    let mut reader = Reader::new(paths.to_vec());
    let got = read_all(&mut reader, &folder, 10);
    assert_eq!(got.last().unwrap().1, "{\"a\":1}");
    let told: Vec<String> = reader.failures().iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|text| text.starts_with("there is no ") && text.ends_with("check the path")),
        "{told:?}"
    );
    assert!(
        told.iter().any(|text| text.contains("z.zip is a zip archive, which is not read; unpack")),
        "{told:?}"
    );
    if !as_root {
        assert!(
            told.iter().any(|text| text.starts_with("may not read ") && text.contains("read access")),
            "{told:?}"
        );
    }
    assert_eq!(reader.progress().files_done, 3);
}

#[test]
fn links_in_circles_end_and_one_file_is_read_once() {
    let folder = folder(&[("d/a", b"{\"a\":1}")]);
    symlink(folder.path(), folder.path().join("d/up")).unwrap();
    symlink(folder.path().join("d/a"), folder.path().join("again")).unwrap();
    symlink(folder.path().join("nowhere"), folder.path().join("dangling")).unwrap();
    let mut reader = Reader::new(vec![folder.path().to_owned(), folder.path().join("d/a")]);
    assert_eq!(read_all(&mut reader, &folder, 10).len(), 1);
    assert!(reader.failures().is_empty(), "{:?}", reader.failures());
}

#[test]
fn batches_stay_near_their_limits() {
    let lines: Vec<String> = (0..1000).map(|n| format!("{{\"n\":{n:90}}}\n")).collect();
    let lines = lines.concat();
    let folder = folder(&[("x", lines.as_bytes()), ("y", lines.replace('{', "no ").as_bytes())]);
    let mut reader = Reader::new(vec![folder.path().to_owned()]);
    let (mut records, mut rejects) = (0, 0);
    while let Some(batch) = reader.next_batch(50, 2000) {
        let held = batch.bytes.len() + batch.rejects.iter().map(|reject| reject.bytes.len()).sum::<usize>();
        assert!(held <= 2100, "{held}");
        records += batch.records.len();
        rejects += batch.rejects.len();
    }
    assert_eq!((records, rejects), (1000, 1000));
}
