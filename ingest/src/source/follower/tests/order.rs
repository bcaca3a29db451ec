//! Old files are read in the order of time, whatever they are called.

use super::{World, gzip};
use crate::source::{APART_SECS, Dater};
use keywatch_event::EventTime;

/// 2026-06-01T00:00:00Z.
const START: i64 = 1_780_272_000;

/// A record of so many minutes after the start.
fn record(minutes: i64) -> String {
    let time = EventTime::from_secs(START + minutes * 60).to_chrono().format("%Y-%m-%dT%H:%M:%SZ");
    format!(
        "{{\"time\":\"{time}\",\"type\":\"response\",\"request\":{{\"id\":\"{minutes}\",\"operation\":\"read\",\
         \"mount_type\":\"kv\",\"path\":\"secret/data/a\"}}}}\n"
    )
}

fn records(minutes: impl IntoIterator<Item = i64>) -> String {
    minutes.into_iter().map(record).collect()
}

/// When records happened, in minutes.
fn minutes(records: &[String]) -> Vec<i64> {
    let request = |record: &String| -> Option<i64> {
        let record: serde_json::Value = serde_json::from_str(record).ok()?;
        record["request"]["id"].as_str()?.parse().ok()
    };
    records.iter().filter_map(request).collect()
}

/// Like a trail with two regions, ten days of three files each.
fn trail(world: &World) {
    for (number, region) in [(0, "eu-central-1"), (1, "us-east-1")] {
        for day in 0..10 {
            let folder = world.path(&format!("{region}/{day:02}"));
            std::fs::create_dir_all(&folder).unwrap();
            for part in 0..3 {
                let begin = day * 1440 + part * 480 + number;
                let content = gzip(records([begin, begin + 2, begin + 4]).as_bytes());
                std::fs::write(folder.join(format!("{part}.json.gz")), content).unwrap();
            }
        }
    }
}

#[test]
fn the_regions_of_a_trail_are_read_side_by_side() {
    let mut world = World::new(&["."]);
    trail(&world);
    let read = world.read();
    let read = minutes(&read);
    assert_eq!(read.len(), 180);
    assert_eq!(read[..8], [0, 2, 4, 1, 3, 5, 480, 482], "a file is read as a whole");
    assert!(read.windows(2).all(|pair| pair[1] + 60 >= pair[0]), "{read:?}");
}

#[test]
fn a_restart_in_the_midst_of_it_changes_no_order() {
    let mut world = World::new(&["."]);
    trail(&world);
    let whole = minutes(&world.read());
    let mut world = World::new(&["."]);
    trail(&world);
    while world.poll() {
        world.restart();
    }
    assert_eq!(minutes(&world.got), whole);
}

#[test]
fn long_logs_are_read_in_turns_of_an_hour() {
    let mut world = World::new(&["."]);
    world.append("a", records((0..100).map(|n| n * 30)));
    world.append("b", gzip(records((0..100).map(|n| n * 30 + 1)).as_bytes()));
    let read = world.read();
    let read = minutes(&read);
    assert_eq!(read.len(), 200);
    let apart = APART_SECS / 60 + 30;
    assert!(read.windows(2).all(|pair| pair[1] + apart >= pair[0]), "{read:?}");
}

#[test]
fn a_batch_ends_where_an_hour_is_over_if_others_wait() {
    for (keeps_apart, batches) in [(false, 1), (true, 6)] {
        let mut world = World::new(&["log"]);
        world.append("log", records((0..10).map(|day| day * 1440).chain([9 * 1440 + 1])));
        world.follower.keep_apart(keeps_apart);
        let mut count = 0;
        loop {
            let batch = world.follower.poll(4096, 1 << 20);
            if batch.is_empty() {
                break;
            }
            assert!(Dater::default().earliest(&batch).is_some());
            count += 1;
        }
        // A batch holds the record that shows that it is over.
        assert_eq!(count, batches);
    }
}

#[test]
fn old_files_that_are_put_in_later_keep_nothing_new_waiting() {
    let mut world = World::new(&["."]);
    world.append("z.log", records([90_000]));
    world.read();
    world.append("a.log", records(0..1000));
    let mut waits = 0;
    for minute in 90_001..90_020 {
        world.append("z.log", records([minute]));
        world.got.clear();
        while !minutes(&world.got).contains(&minute) {
            world.poll();
            waits += 1;
        }
    }
    assert!(waits <= 2 * 19, "{waits}");
    world.got.clear();
    assert!(minutes(&world.read()).len() > 900, "and the old are read when there is time");
}

#[test]
fn a_file_without_times_that_grows_for_ever_keeps_no_other_waiting() {
    let mut world = World::new(&["."]);
    world.append("b.log", records([1]));
    for _ in 0..20 {
        world.append("a.log", super::lines(0..10));
        world.poll();
        if minutes(&world.got) == [1] {
            return;
        }
    }
    panic!("{:?}", world.got);
}
