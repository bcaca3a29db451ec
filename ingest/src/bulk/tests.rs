use super::*;
use crate::source::testing::gzip;
use crate::source::{Pieces, Reader};
use proptest::prelude::*;
use std::path::PathBuf;

const RECEIVED_AT: EventTime = EventTime::from_secs(1_800_000_000);

/// Everything that comes of some files: events and rejects with their places, in the order given,
/// and the number of records without an event.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    events: Vec<String>,
    rejects: Vec<String>,
    skipped: u64,
}

impl Outcome {
    fn take(&mut self, events: impl Iterator<Item = String>, rejects: &[Reject], skipped: u64) {
        self.events.extend(events);
        let said =
            |one: &Reject| format!("{} {} {:?}", one.place, one.reason, String::from_utf8_lossy(&one.bytes));
        self.rejects.extend(rejects.iter().map(said));
        self.skipped += skipped;
    }
}

fn shown(event: &AuditEvent<'_>, place: &Place, raw: &[u8]) -> String {
    format!("{place} {} {}", serde_json::to_string(event).unwrap(), String::from_utf8_lossy(raw))
}

/// The way of pieces and workers.
fn in_bulk(paths: &[PathBuf], events_max: usize) -> Outcome {
    let normalizer = Normalizer::new();
    let mut worker = Worker::new(&normalizer, events_max);
    let mut pieces = Pieces::new(paths.to_vec());
    let mut outcome = Outcome::default();
    let mut spare = Vec::new();
    while let Some(piece) = pieces.next_piece(spare) {
        worker.open(&piece, RECEIVED_AT, &mut |run| {
            let events = run.events.iter().map(|one| shown(&one.event, &one.place, one.raw));
            outcome.take(events, &run.rejects, run.skipped);
        });
        spare = piece.into_buffer();
    }
    assert!(pieces.failures().is_empty());
    let bytes = paths.iter().map(|path| std::fs::metadata(path).unwrap().len());
    assert_eq!(pieces.progress().bytes_read, bytes.sum::<u64>());
    outcome
}

/// The way of batches, which `serve` goes.
fn one_by_one(paths: &[PathBuf]) -> Outcome {
    let normalizer = Normalizer::new();
    let mut reader = Reader::new(paths.to_vec());
    let mut outcome = Outcome::default();
    while let Some(batch) = reader.next_batch(100, 1 << 20) {
        outcome.take(std::iter::empty(), &batch.rejects, batch.skipped);
        for record in &batch.records {
            let raw = batch.raw(record);
            let (mut events, mut rejects, mut skipped) = (Vec::new(), Vec::new(), 0);
            match normalizer.normalize(raw, RECEIVED_AT) {
                Ok(Some(event)) => events.push(shown(&event, &record.place, raw)),
                Ok(None) => skipped = 1,
                Err(reason) => {
                    rejects.push(Reject { place: record.place.clone(), reason, bytes: raw.to_vec() });
                }
            }
            outcome.take(events.into_iter(), &rejects, skipped);
        }
    }
    outcome
}

/// Both ways must come to the same; rejects may be told in another order.
#[track_caller]
fn check(content: &[u8]) -> Outcome {
    check_all(&[content])
}

#[track_caller]
fn check_all(contents: &[&[u8]]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> =
        (0..contents.len()).map(|number| folder.path().join(number.to_string())).collect();
    for (path, content) in paths.iter().zip(contents) {
        std::fs::write(path, content).unwrap();
    }
    let mut want = one_by_one(&paths);
    want.rejects.sort();
    for events_max in [1, 100] {
        let mut got = in_bulk(&paths, events_max);
        got.rejects.sort();
        assert_eq!(got, want, "{}", String::from_utf8_lossy(&contents.concat()));
    }
    want
}

fn aws(n: usize) -> String {
    format!(
        r#"{{"eventVersion":"1.09","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/a"}},"eventTime":"2026-01-01T00:00:00Z","eventSource":"secretsmanager.amazonaws.com","eventName":"GetSecretValue","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.{n}","requestParameters":{{"secretId":"s-{n}"}},"eventID":"e-{n}"}}"#
    )
}

fn lambda(n: usize) -> String {
    let body = serde_json::Value::from(aws(n)).to_string();
    format!(r#"{{"eventSource":"aws:sqs","messageId":"m","body":{body}}}"#)
}

#[test]
fn plain_lines_and_lists_go_straight() {
    let lines: String = (0..400).map(|n| aws(n) + "\n").collect();
    assert_eq!(check(lines.as_bytes()).events.len(), 400);
    assert_eq!(check(lines.replace('\n', "\r\n").trim_end().as_bytes()).events.len(), 400);
    assert_eq!(check(&gzip(lines.as_bytes())).events.len(), 400);
    let list = format!("{{\"Records\":[{}]}}", (0..300).map(aws).collect::<Vec<_>>().join(","));
    assert_eq!(check(list.as_bytes()).events.len(), 300);
    assert_eq!(check(&gzip(list.as_bytes())).events.len(), 300);
    let twice = [gzip(list.as_bytes()), gzip(lines.as_bytes())].concat();
    assert_eq!(check(&twice).events.len(), 700);
}

#[test]
fn what_is_not_plain_comes_to_the_same_as_one_by_one() {
    let vault = r#"{"time":"2026-01-01T00:00:00Z","type":"request","auth":{"display_name":"a"},"request":{"id":"1","operation":"read","path":"secret/data/a"}}"#;
    let bridge = format!(
        r#"{{"time":"2026-01-01T00:00:00Z","source":"aws.kms","detail-type":"x","detail":{}}}"#,
        aws(1)
    );
    for odd in [
        String::new(),
        "not json".to_owned(),
        "{\"eventVersion\":1,".to_owned(),
        "{\"eventVersion\":\"1\",\"eventName\":\"a\",\"eventName\":\"b\"}".to_owned(),
        "{\"eventVersion\":\"\\u00\"}".to_owned(),
        format!("{}{}", aws(1), aws(2)),
        format!("{} trailing", aws(1)),
        format!("{{\"Records\":[{},{}]}}", aws(1), aws(2)),
        "{\"Records\":[]}".to_owned(),
        format!("[{},{}]", aws(1), lambda(2)),
        lambda(7),
        format!("<13>host app: {}", aws(3)),
        aws(4).replace("{\"eventVersion", "{\"eventid\":\"x\",\"EVENTVERSION"),
        aws(5).replace(',', ",\n  "),
        vault.to_owned(),
        bridge,
        "\u{feff}".to_owned() + &aws(6),
    ] {
        let between = format!("{}\n{odd}\n{}\n{odd}\n{odd}\n{}", aws(10), aws(11), aws(12));
        check(between.as_bytes());
        check(&gzip(between.as_bytes()));
        check(odd.as_bytes());
        check(&gzip(odd.as_bytes()));
        check(&gzip(format!("{{\"Records\":[{},{odd},{}]}}\n{}", aws(1), aws(2), aws(3)).as_bytes()));
    }
    check(b"{\"a\":\"\xff\"}\n{\"eventName\":\"\xff\"}\n{\"b\":1}");
    check(&gzip(b"{\"Records\":[{\"eventVersion\":\"\xff\"}]}"));
}

#[test]
fn damaged_compression_gives_what_was_before_the_damage() {
    let lines: String = (0..4000).map(|n| aws(n) + "\n").collect();
    let whole = gzip(lines.as_bytes());
    for cut in [whole.len() / 2, whole.len() - 4, 30] {
        let outcome = check(&whole[..cut]);
        assert!(outcome.rejects.iter().any(|reject| reject.contains("compressed data is damaged")));
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    check(&flipped);
}

#[test]
fn files_in_a_row_show_nothing_of_those_before() {
    let many: String = (0..900).map(|n| aws(n) + "\n").collect();
    let (long, short, cut) = (gzip(many.as_bytes()), gzip(aws(901).as_bytes()), aws(902) + "\n{");
    let half = &long[..long.len() / 2];
    let outcome = check_all(&[&long, &short, cut.as_bytes(), &short, half, many.as_bytes(), &short, b""]);
    assert!(outcome.events.len() > 1803);
}

#[test]
fn a_record_longer_than_a_piece_is_read() {
    let long = aws(1).replace("s-1", &"s".repeat(3 << 20));
    let outcome = check(format!("{}\n{long}\n{}\n{long}", aws(2), aws(3)).as_bytes());
    assert_eq!(outcome.events.len(), 4);
}

/// Whether a list begins further back on the line: when it goes on over lines it is no JSON, and
/// the two ways cut it differently, as `source::lines` says.
fn opens_a_list_late(line: &str) -> bool {
    line.match_indices('[').any(|(at, _)| at > 0 && line.get(..at) != Some("{\"Records\":"))
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..9_usize).prop_map(|n| aws(n) + "\n"),
        1 => (0..9_usize).prop_map(aws),
        1 => (0..9_usize).prop_map(|n| lambda(n) + "\n"),
        2 => prop::sample::select(vec!["\n", "{", "}", "\"", "{}\n", "text\n", ",", "[", "]", "{\"Records\":[", "]}", "\\"])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn lines_in_disorder_come_to_the_same_as_one_by_one(parts in prop::collection::vec(part(), 0..12)) {
        let content = parts.concat();
        prop_assume!(!content.lines().any(opens_a_list_late));
        check(content.as_bytes());
    }

    #[test]
    fn lists_in_disorder_come_to_the_same_as_one_by_one(parts in prop::collection::vec(part(), 0..12)) {
        let list = format!("{{\"Records\":[{}", parts.concat().replace('\n', ","));
        check(&gzip(list.as_bytes()));
        check(&gzip(format!("{list}{{}}]}}").as_bytes()));
    }
}
