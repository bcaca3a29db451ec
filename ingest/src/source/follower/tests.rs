//! Following real files through everything that happens to them.

use super::super::testing::gzip;
use super::*;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

mod order;
mod rotation;
mod simulation;

/// A folder, a follower, and a store that keeps positions by compare-and-set.
struct World {
    folder: TempDir,
    follower: Follower,
    watched: Vec<PathBuf>,
    stored: HashMap<String, String>,
    /// Records and rejects of acknowledged batches, in the order read.
    got: Vec<String>,
    notices: Vec<String>,
}

impl World {
    fn new(watched: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let watched: Vec<PathBuf> = watched.iter().map(|name| folder.path().join(name)).collect();
        let follower = Follower::new("test", watched.clone(), HashMap::new());
        Self { folder, follower, watched, stored: HashMap::new(), got: Vec::new(), notices: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// As gzip does: the compressed file takes the time of the plain one, which goes.
    fn compress(&self, name: &str) {
        let packed = format!("{name}.gz");
        let modified = fs::metadata(self.path(name)).unwrap().modified().unwrap();
        self.write(&packed, gzip(&fs::read(self.path(name)).unwrap()));
        File::options().write(true).open(self.path(&packed)).unwrap().set_modified(modified).unwrap();
        fs::remove_file(self.path(name)).unwrap();
    }

    fn age(&self, name: &str, secs: u64) {
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(secs)).unwrap();
    }

    /// Stores a batch as the store does.
    fn commit(&mut self, batch: &Batch) {
        for advance in &batch.advances {
            assert_eq!(
                self.stored.get(&advance.source),
                advance.from.as_ref(),
                "compare-and-set of {}",
                advance.source
            );
            self.stored.insert(advance.source.clone(), advance.to.clone());
        }
        for record in &batch.records {
            self.got.push(String::from_utf8_lossy(batch.raw(record)).into_owned());
        }
        for reject in &batch.rejects {
            self.got.push(format!("{} {}", reject.reason.kind(), String::from_utf8_lossy(&reject.bytes)));
        }
        self.follower.acknowledge(&batch.advances);
        self.notices.extend(self.follower.notices());
    }

    fn poll(&mut self) -> bool {
        let batch = self.follower.poll(3, 1 << 20);
        let some = !batch.is_empty();
        self.commit(&batch);
        some
    }

    /// Polls until there is nothing new, and says what was new.
    fn read(&mut self) -> Vec<String> {
        let before = self.got.len();
        while self.poll() {}
        self.got[before..].to_vec()
    }

    /// As [`Self::read`], until the follower has let go of what it holds.
    fn read_out(&mut self) -> Vec<String> {
        let before = self.got.len();
        for _ in 0..=HELD_POLLS + 2 {
            self.poll();
        }
        self.read();
        self.got[before..].to_vec()
    }

    /// The process ends and starts again.
    fn restart(&mut self) {
        self.follower = Follower::new("test", self.watched.clone(), self.stored.clone());
    }
}

fn line(number: usize) -> String {
    format!("{{\"n\":{number},\"id\":\"{:032x}\"}}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(line).collect()
}

fn records(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| line(number).trim_end().to_owned()).collect()
}

#[test]
fn what_is_appended_is_read_once_and_in_order() {
    let mut world = World::new(&["log"]);
    assert!(!world.poll());
    assert!(world.notices[0].contains("there is no"), "{:?}", world.notices);
    world.append("log", lines(0..10));
    assert_eq!(world.read(), records(0..10));
    world.append("log", lines(10..12));
    assert_eq!(world.read(), records(10..12));
    world.restart();
    assert!(world.read().is_empty());
    world.append("log", line(12));
    assert_eq!(world.read(), records(12..13));
    assert_eq!(world.notices.len(), 1);
}

#[test]
fn places_name_the_path_and_the_line_over_restarts() {
    let mut world = World::new(&["log"]);
    world.append("log", format!("\u{feff}{}\r\n\n", line(0).trim_end()));
    world.read();
    world.restart();
    world.append("log", line(1));
    let batch = world.follower.poll(10, 1000);
    assert_eq!(batch.records[0].place.to_string(), format!("{}:3", world.path("log").display()));
}

#[test]
fn a_torn_line_waits_for_its_rest_byte_by_byte() {
    let mut world = World::new(&["log"]);
    let text = format!("@cee: {}", line(0));
    for byte in text.as_bytes() {
        assert!(world.read().is_empty());
        world.append("log", [*byte]);
    }
    assert_eq!(world.read(), records(0..1));
    world.append("log", line(1).split_at(9).0);
    assert!(world.read().is_empty());
    world.restart();
    assert!(world.read().is_empty());
    world.append("log", line(1).split_at(9).1);
    assert_eq!(world.read(), records(1..2));
}

#[test]
fn a_record_is_read_before_its_line_ends() {
    let mut world = World::new(&["log"]);
    world.append("log", line(0).trim_end());
    assert_eq!(world.read(), records(0..1));
    world.append("log", format!("\n{}", line(1)));
    assert_eq!(world.read(), records(1..2));
}

#[test]
fn carriage_returns_blank_lines_and_zero_bytes_do_not_matter() {
    let mut world = World::new(&["log"]);
    world.append("log", format!("{}\r\n\r\n\0\0\0{}", line(0).trim_end(), line(1)));
    assert_eq!(world.read(), records(0..2));
}

#[test]
fn files_with_the_same_beginning_are_told_apart() {
    let mut world = World::new(&["."]);
    let head = "x".repeat(3000);
    let trail = |n: usize| format!("{{\"Records\":[{{\"pad\":\"{head}\",\"n\":{n}}}]}}");
    world.write("a", trail(1));
    assert_eq!(world.read().len(), 1);
    fs::remove_file(world.path("a")).unwrap();
    world.restart();
    world.write("b", trail(2));
    assert_eq!(world.read().len(), 1);
}

#[test]
fn new_files_in_a_folder_are_found_at_any_depth() {
    let mut world = World::new(&["."]);
    world.write("a.json", "{\"Records\":[{\"a\":1},{\"a\":2}]}");
    assert_eq!(world.read(), ["{\"a\":1}", "{\"a\":2}"]);
    fs::create_dir_all(world.path("y/m")).unwrap();
    world.write("y/m/PT1H.json", "{\"b\":1}\r\n");
    world.write("y/b.gz", gzip(b"[{\"c\":1},{\"c\":2},{\"c\":3},{\"c\":4}]"));
    let got: BTreeSet<String> = world.read().into_iter().collect();
    let want = ["{\"b\":1}", "{\"c\":1}", "{\"c\":2}", "{\"c\":3}", "{\"c\":4}"];
    assert_eq!(got, want.map(str::to_owned).into());
    world.append("y/m/PT1H.json", "{\"b\":2}\r\n");
    assert_eq!(world.read(), ["{\"b\":2}"]);
    world.restart();
    assert!(world.read_out().is_empty());
    world.rename("a.json", "moved.json");
    assert!(world.read_out().is_empty(), "a name changes nothing");
}

#[test]
fn a_list_is_read_again_until_it_is_complete() {
    let mut world = World::new(&["list"]);
    world.append("list", "[{\"a\":1},{\"a\":2},");
    assert_eq!(world.read(), ["{\"a\":1}", "{\"a\":2}"]);
    world.append("list", "{\"a\":3}");
    assert_eq!(world.read(), ["{\"a\":3}"]);
    world.restart();
    world.append("list", "]\n");
    assert_eq!(world.read(), ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"], "the store knows them by their ids");
    world.restart();
    world.append("list", "{\"b\":1}\n");
    assert_eq!(world.read(), ["{\"b\":1}"]);
}

#[test]
fn damaged_and_foreign_files_are_told_once() {
    let mut world = World::new(&["."]);
    let mut packed = gzip(lines(0..10).as_bytes());
    let at = packed.len() - 5;
    packed[at] ^= 0xff;
    world.write("a.gz", &packed);
    world.write("b.zip", b"PK\x03\x04");
    let got = world.read();
    assert_eq!((got.len(), got[10].as_str()), (11, "compression "));
    world.read_out();
    world.restart();
    assert!(world.read_out().is_empty());
    let zip = world.notices.iter().filter(|text| text.contains("is a zip archive")).count();
    assert_eq!((zip, world.notices.len()), (2, 2), "once per start: {:?}", world.notices);
}

#[test]
fn a_file_that_may_not_be_read_is_told_once_and_read_when_it_may() {
    let mut world = World::new(&["log"]);
    world.append("log", line(0));
    fs::set_permissions(world.path("log"), fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(world.path("log")).is_ok() {
        // The superuser may read everything.
        return;
    }
    world.read_out();
    assert_eq!(world.notices.len(), 1, "{:?}", world.notices);
    assert!(world.notices[0].contains("may not read"), "{:?}", world.notices);
    fs::set_permissions(world.path("log"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(world.read(), records(0..1));
}

#[test]
fn what_was_not_stored_is_read_again() {
    let mut world = World::new(&["."]);
    world.append("a", lines(0..10));
    world.append("b", gzip(lines(10..20).as_bytes()));
    world.read();
    world.append("a", lines(20..30));
    let lost = world.follower.poll(100, 1 << 20);
    assert_eq!(lost.records.len(), 10);
    world.follower.reset();
    assert_eq!(world.read(), records(20..30));
    world.follower.reset();
    assert!(world.read_out().is_empty());
}

#[test]
fn several_batches_may_be_under_way() {
    let mut world = World::new(&["log"]);
    world.append("log", lines(0..9));
    let first = world.follower.poll(3, 1 << 20);
    let second = world.follower.poll(3, 1 << 20);
    assert_eq!(second.advances[0].from.as_ref(), Some(&first.advances[0].to));
    world.commit(&first);
    world.commit(&second);
    world.follower.poll(3, 1 << 20);
    world.follower.reset();
    assert_eq!(world.read(), records(6..9));
}

#[test]
fn a_position_nobody_can_read_is_told_and_the_file_read_anew() {
    let mut world = World::new(&["log"]);
    world.append("log", line(0));
    let source = format!("file:{}", world.path("log").display());
    world.stored.insert(source, "nonsense".to_owned());
    world.restart();
    assert_eq!(world.read(), records(0..1));
    assert!(world.notices[0].contains("cannot be read"), "{:?}", world.notices);
}

#[test]
fn other_sources_are_left_alone() {
    let mut world = World::new(&["log"]);
    world.stored.insert("file:/elsewhere/log".to_owned(), "{\"files\":[{}]}".to_owned());
    world.stored.insert("sqs:queue".to_owned(), "x".to_owned());
    world.restart();
    world.append("log", line(0));
    world.read();
    assert_eq!(world.stored.len(), 3);
    assert_eq!(world.follower.streams.len(), 1);
}

#[test]
fn many_files_are_read_with_few_of_them_open() {
    let mut world = World::new(&["."]);
    for number in 0..2 * OPEN_MAX {
        world.write(&format!("{number}"), line(number));
    }
    while world.poll() {
        let open = world.follower.streams.iter().filter(|stream| stream.is_open()).count();
        assert!(open <= OPEN_MAX + 3, "{open}");
    }
    assert_eq!(world.got.len(), 2 * OPEN_MAX);
    world.append("7", line(9999));
    assert_eq!(world.read(), records(9999..10_000));
}
