//! Renaming, compressing, copying, truncating, deleting, while following and while down.

use super::super::REMEMBERED_MAX;
use super::{World, line, lines, records};
use crate::source::testing::gzip;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};

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
fn a_renamed_file_that_is_written_to_again_is_not_given_up() {
    let mut world = World::new(&["log"]);
    world.append("log", line(0).split_at(9).0);
    world.read();
    world.rename("log", "log.1");
    world.append("log", line(1));
    world.age("log.1", 1_000_000);
    assert_eq!(world.read(), records(1..2));
    world.append("log.1", line(0).split_at(9).1.split_at(9).0);
    assert!(world.read().is_empty());
    world.append("log.1", line(0).split_at(18).1);
    assert_eq!(world.read(), records(0..1));
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
