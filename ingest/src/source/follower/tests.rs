//! Following real files through everything that happens to them.

use super::super::testing::gzip;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

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
fn a_renamed_file_is_read_to_its_end_beside_the_new_one() {
    let mut world = World::new(&["log"]);
    world.append("log", lines(0..3));
    assert_eq!(world.read(), records(0..3));
    world.append("log", line(3));
    world.rename("log", "log.1");
    world.append("log", line(5));
    // The writer has not reopened its file yet.
    world.append("log.1", line(4));
    let mut got = world.read();
    got.sort();
    assert_eq!(got, records(3..6));
    world.append("log.1", line(6));
    assert_eq!(world.read(), records(6..7));
    world.restart();
    assert!(world.read_out().is_empty());
    assert_eq!(world.notices.len(), 0, "{:?}", world.notices);
}

#[test]
fn two_rotations_while_down_lose_nothing() {
    let mut world = World::new(&["log"]);
    world.append("log.2", lines(90..95));
    world.age("log.2", 1_000_000);
    world.append("log", lines(0..3));
    assert_eq!(world.read(), records(0..3), "what was rotated before is not read");
    world.append("log", lines(3..5));
    world.rename("log.2", "log.4");
    world.rename("log", "log.2");
    world.append("log.1", lines(5..8));
    world.append("log", lines(8..10));
    world.restart();
    let mut got = world.read();
    got.sort();
    let mut want = records(3..10);
    want.sort();
    assert_eq!(got, want);
    world.restart();
    assert!(world.read_out().is_empty());
}

#[test]
fn rotation_with_compression_while_down_loses_nothing() {
    let mut world = World::new(&["log"]);
    world.append("log", lines(0..60));
    world.read();
    world.append("log", lines(60..70));
    world.rename("log", "log.2");
    world.compress("log.2");
    world.append("log.1", lines(70..80));
    world.compress("log.1");
    world.append("log", lines(80..90));
    world.restart();
    let got: BTreeSet<String> = world.read().into_iter().collect();
    assert_eq!(got, records(60..90).into_iter().collect());
    assert_eq!(world.got.len(), 90, "and nothing is read twice");
    world.restart();
    assert!(world.read_out().is_empty());
    assert!(world.notices.is_empty(), "{:?}", world.notices);
}

#[test]
fn compression_while_following_reads_nothing_twice() {
    for watched in ["log", "."] {
        let mut world = World::new(&[watched]);
        world.append("log", lines(0..60));
        world.read();
        world.append("log", lines(60..62));
        world.rename("log", "log.1");
        world.compress("log.1");
        world.append("log", lines(62..64));
        let mut got = world.read();
        got.sort();
        assert_eq!(got, records(60..64), "{watched}");
        assert!(world.read_out().is_empty(), "{watched}");
        world.restart();
        assert!(world.read_out().is_empty(), "{watched}");
        assert!(world.notices.is_empty(), "{:?}", world.notices);
    }
}

#[test]
fn a_rotated_file_is_found_by_its_number_and_not_by_its_name() {
    let mut world = World::new(&["audit.log"]);
    world.append("audit.log", lines(0..2));
    world.read();
    world.append("audit.log", line(2));
    world.rename("audit.log", "audit-20260131.log");
    world.restart();
    assert_eq!(world.read(), records(2..3));
    world.append("audit.log", line(3));
    assert_eq!(world.read(), records(3..4));
}

#[test]
fn a_line_torn_by_rotation_is_set_aside_when_nobody_completes_it() {
    let mut world = World::new(&["log"]);
    world.append("log", format!("{}{{\"n\":1,", line(0)));
    assert_eq!(world.read(), records(0..1));
    world.rename("log", "log.1");
    world.append("log", line(2));
    assert_eq!(world.read(), records(2..3));
    world.age("log.1", 1_000_000);
    assert!(world.read().is_empty());
    assert_eq!(world.read(), ["{\"n\":1,"], "its successor was written to long after");
    assert!(world.read_out().is_empty());
}

#[test]
fn a_truncated_file_is_read_again_from_its_beginning_and_told() {
    let mut world = World::new(&["log"]);
    world.append("log", lines(0..50));
    assert_eq!(world.read().len(), 50);
    world.write("log", lines(50..52));
    assert_eq!(world.read(), records(50..52));
    assert!(world.notices[0].contains("was truncated or overwritten"), "{:?}", world.notices);
    // Longer than before at the next look, so that size alone says nothing.
    world.write("log", lines(100..200));
    assert_eq!(world.read(), records(100..200));
    assert_eq!(world.notices.len(), 2);
    assert!(world.read_out().is_empty());
    assert_eq!(world.notices.len(), 2, "{:?}", world.notices);
}

#[test]
fn copy_and_truncate_loses_nothing_that_the_copy_holds() {
    for restart in [false, true] {
        let mut world = World::new(&["log"]);
        world.append("log", lines(0..50));
        world.read();
        world.append("log", lines(50..53));
        fs::copy(world.path("log"), world.path("log.1")).unwrap();
        world.write("log", "");
        world.append("log", lines(53..55));
        if restart {
            world.restart();
        }
        let mut got = world.read();
        got.sort();
        assert_eq!(got, records(50..55));
        assert!(world.read_out().is_empty());
    }
}

#[test]
fn a_copy_is_read_on_when_the_truncated_file_goes_too() {
    let mut world = World::new(&["log"]);
    world.append("log", lines(0..7));
    world.poll();
    fs::copy(world.path("log"), world.path("log.1")).unwrap();
    world.write("log", "");
    world.rename("log", "log.2");
    world.compress("log.2");
    world.append("log", "");
    world.poll();
    world.restart();
    world.read();
    assert_eq!(world.got, records(0..7));
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_dropped() {
    let mut world = World::new(&["log"]);
    world.append("log", lines(0..10));
    assert_eq!(world.follower.poll(3, 1000).records.len(), 3);
    world.follower.reset();
    world.poll();
    let held = OpenOptions::new().append(true).open(world.path("log")).unwrap();
    fs::remove_file(world.path("log")).unwrap();
    world.read();
    (&held).write_all(line(10).as_bytes()).unwrap();
    world.read_out();
    assert_eq!(world.got, records(0..11));
    assert!(world.follower.streams.iter().all(|stream| !stream.is_open()));
    world.append("log", lines(20..22));
    assert_eq!(world.read(), records(20..22));
}

#[test]
fn a_file_deleted_while_down_is_told() {
    let mut world = World::new(&["log"]);
    world.append("log", line(0));
    world.read();
    fs::remove_file(world.path("log")).unwrap();
    world.restart();
    world.read_out();
    assert!(
        world.notices.iter().any(|text| text.contains("went away before its end was seen")),
        "{:?}",
        world.notices
    );
    let told = world.notices.len();
    world.read_out();
    assert_eq!(world.notices.len(), told);
}

#[test]
fn a_number_used_again_is_another_file() {
    let mut world = World::new(&["."]);
    world.write("log", lines(0..40));
    world.read();
    world.read_out();
    // The same device and inode with other content, as after deletion and creation.
    let inode = fs::metadata(world.path("log")).unwrap().ino();
    world.write("log", lines(100..190));
    assert_eq!(fs::metadata(world.path("log")).unwrap().ino(), inode);
    world.rename("log", "other");
    world.restart();
    assert_eq!(world.read(), records(100..190));
}

#[test]
fn the_number_of_a_deleted_file_may_be_that_of_the_next() {
    let mut world = World::new(&["log"]);
    for round in 0..6 {
        // Many file systems give the number of the file just deleted.
        world.append("log", "");
        world.read();
        world.append("log", line(round).split_at(20).0);
        world.read();
        world.append("log", line(round).split_at(20).1);
        assert_eq!(world.read(), records(round..round + 1));
        fs::remove_file(world.path("log")).unwrap();
        world.read_out();
    }
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
fn a_compressed_file_still_being_written_is_waited_for() {
    let mut world = World::new(&["."]);
    let packed = gzip(lines(0..3000).as_bytes());
    world.append("a.gz", &packed[..packed.len() / 2]);
    let first = world.read().len();
    assert!(first > 500 && first < 3000, "{first}");
    world.append("a.gz", &packed[packed.len() / 2..]);
    world.read();
    assert_eq!(world.got, records(0..3000));
    world.append("a.gz", gzip(lines(3000..3010).as_bytes()));
    assert_eq!(world.read(), records(3000..3010), "and may have a member appended");
    world.restart();
    assert!(world.read_out().is_empty());
}

#[test]
fn compression_that_stays_cut_is_rejected_once() {
    let mut world = World::new(&["."]);
    let packed = gzip(lines(0..3000).as_bytes());
    world.append("a.gz", &packed[..packed.len() / 2]);
    let whole = world.read().len();
    let rest = world.read_out();
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(line(whole).starts_with(&rest[0]) && rest[1] == "compression ", "{rest:?}");
    world.restart();
    assert!(world.read_out().is_empty());
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
fn holes_left_by_truncation_under_an_open_writer_are_passed_over() {
    let mut world = World::new(&["log"]);
    let writer = OpenOptions::new().write(true).create(true).truncate(true).open(world.path("log")).unwrap();
    let text = lines(0..50);
    writer.write_all_at(text.as_bytes(), 0).unwrap();
    world.read();
    writer.set_len(0).unwrap();
    writer.write_all_at(line(50).as_bytes(), text.len() as u64).unwrap();
    assert_eq!(world.read(), records(50..51));
}

#[test]
fn files_that_have_gone_are_forgotten_in_the_end() {
    let mut world = World::new(&["log"]);
    for round in 0..REMEMBERED_MAX + 10 {
        world.append("log", line(round));
        world.read();
        world.rename("log", "log.1");
        world.append("log", line(1000 + round));
        world.age("log.1", 1_000_000);
        world.read();
        fs::remove_file(world.path("log.1")).unwrap();
        fs::remove_file(world.path("log")).unwrap();
        world.read_out();
    }
    assert_eq!(world.got.len(), 2 * (REMEMBERED_MAX + 10));
    assert!(world.follower.streams.len() <= REMEMBERED_MAX + 2, "{}", world.follower.streams.len());
    let position = world.stored.values().next().unwrap();
    assert!(position.len() < 64 * 1024, "{}", position.len());
}

#[derive(Clone, Debug)]
enum Op {
    Append(usize),
    Half,
    Rotate,
    RotateAndCompress,
    CopyAndTruncate,
    Restart,
    Poll,
    PollAndFail,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1_usize..6).prop_map(Op::Append),
        1 => Just(Op::Half),
        2 => Just(Op::Rotate),
        1 => Just(Op::RotateAndCompress),
        1 => Just(Op::CopyAndTruncate),
        2 => Just(Op::Restart),
        4 => Just(Op::Poll),
        1 => Just(Op::PollAndFail),
    ]
}

/// A writer with a line begun, in a world.
struct Simulation {
    world: World,
    written: usize,
    half: Option<String>,
    rotations: usize,
}

impl Simulation {
    fn complete(&mut self) {
        if let Some(rest) = self.half.take() {
            self.world.append("log", rest);
            self.written += 1;
        }
    }

    fn rotate(&mut self) -> String {
        self.complete();
        self.rotations += 1;
        let name = format!("log.{}", self.rotations);
        if self.world.path("log").exists() {
            self.world.rename("log", &name);
        }
        self.world.append("log", "");
        name
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Append(count) => {
                self.complete();
                self.world.append("log", lines(self.written..self.written + count));
                self.written += count;
            }
            Op::Half if self.half.is_none() => {
                let text = line(self.written);
                let (half, rest) = text.split_at(20);
                self.world.append("log", half);
                self.half = Some(rest.to_owned());
            }
            Op::Half => {}
            Op::Rotate => drop(self.rotate()),
            Op::RotateAndCompress => {
                let name = self.rotate();
                if self.world.path(&name).exists() {
                    self.world.compress(&name);
                }
            }
            Op::CopyAndTruncate => {
                self.complete();
                self.rotations += 1;
                let copy = self.world.path(&format!("log.{}", self.rotations));
                fs::copy(self.world.path("log"), copy).unwrap();
                self.world.write("log", "");
            }
            Op::Restart => self.world.restart(),
            Op::Poll => drop(self.world.poll()),
            Op::PollAndFail => {
                self.world.follower.poll(3, 1 << 20);
                self.world.follower.reset();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn whatever_happens_what_is_read_is_what_was_written(
        ops in prop::collection::vec(op(), 1..40),
        watches_folder in any::<bool>(),
    ) {
        let world = World::new(&[if watches_folder { "." } else { "log" }]);
        let mut simulation = Simulation { world, written: 0, half: None, rotations: 0 };
        // What was rotated before the first look is none of a followed file's business.
        simulation.world.append("log", "");
        simulation.world.poll();
        for op in &ops {
            simulation.step(op);
        }
        simulation.complete();
        simulation.world.read_out();
        let got: BTreeSet<&String> = simulation.world.got.iter().collect();
        let written = records(0..simulation.written);
        prop_assert_eq!(got, written.iter().collect::<BTreeSet<_>>(), "{:?}", ops);
    }
}
