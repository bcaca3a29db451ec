//! In which order files are read that together are one history.
//!
//! What is usual is learned in the order it is read, and names of files say little about time: the newest
//! of rotated logs comes first by name, and a trail's files are sorted by account and region before their
//! day. So each file is looked into for its first events.

use super::dating::{Dater, LOOK};
use super::reader::{Reader, Waiting};
use keywatch_event::EventTime;
use std::collections::VecDeque;
use std::path::PathBuf;

/// Sorts files by the time of the first events in them; those without one come first. Streams cannot be
/// looked into: where one is among the inputs, everything stays as it was named.
pub(super) fn by_time(waiting: &mut VecDeque<Waiting>, now: EventTime) {
    if waiting.len() < 2 || waiting.iter().any(|one| one.bytes.is_none()) {
        return;
    }
    let dater = Dater::as_of(now);
    waiting.make_contiguous().sort_by_cached_key(|one| begins(one.path.clone(), &dater));
}

/// The time of the earliest of the first events of a file. One that cannot be read has none, and is told of
/// when its turn comes.
fn begins(path: PathBuf, dater: &Dater) -> Option<EventTime> {
    dater.earliest(&Reader::new(vec![path]).next_batch(LOOK.0, LOOK.1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const NOW: EventTime = EventTime::from_secs(1_800_000_000);

    fn line(day: u32) -> String {
        format!(
            "{{\"time\":\"2026-05-{day:02}T09:15:30Z\",\"type\":\"response\",\"request\":{{\"id\":\"r-{day}\",\"operation\":\"read\",\
             \"mount_type\":\"kv\",\"path\":\"secret/data/a\"}}}}\n"
        )
    }

    fn packed(text: &str) -> Vec<u8> {
        use std::io::Write as _;
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        gz.finish().unwrap()
    }

    fn names(inputs: Vec<PathBuf>) -> Vec<String> {
        let mut reader = Reader::new(inputs);
        by_time(&mut reader.waiting, NOW);
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        reader.waiting.iter().map(|one| name(&one.path)).collect()
    }

    #[test]
    fn rotated_logs_are_read_from_the_oldest_on() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        put("audit.log", line(20).as_bytes());
        put("audit.log.1", format!("{}{}", line(12), line(11)).as_bytes());
        put("audit.log.2.gz", &packed(&line(2)));
        put("audit.log.10.gz", &packed(&line(1)));
        put("notes.txt", b"no record");
        let all = vec![folder.path().to_owned()];
        let sorted = ["notes.txt", "audit.log.10.gz", "audit.log.2.gz", "audit.log.1", "audit.log"];
        assert_eq!(names(all), sorted);
        let named = vec![folder.path().join("audit.log"), folder.path().join("audit.log.1")];
        assert_eq!(names(named), ["audit.log.1", "audit.log"]);
    }

    #[test]
    fn a_stream_among_them_leaves_everything_as_it_was_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b"), line(20)).unwrap();
        std::fs::write(folder.path().join("c"), line(1)).unwrap();
        let inputs = vec![folder.path().join("b"), PathBuf::from("-"), folder.path().join("c")];
        assert_eq!(names(inputs), ["b", "-", "c"]);
    }
}
