//! Every carrier, with the same record inside.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const RECORD: &str = r#"{"eventVersion":"1.08","eventName":"GetSecretValue","eventSource":"secretsmanager.amazonaws.com","eventID":"e-1"}"#;
const ENTRY: &str = r#"{"insertId":"i-1","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{}}"#;

fn opened(document: &[u8]) -> Batch {
    let mut batch = Batch::default();
    open(document, &Place { name: "f".into(), line: 1, record: 0 }, &mut batch);
    batch
}

#[track_caller]
fn check(document: impl AsRef<[u8]>, records: &[&str]) {
    let batch = opened(document.as_ref());
    let found: Vec<&str> = batch.records.iter().map(|r| std::str::from_utf8(batch.raw(r)).unwrap()).collect();
    assert_eq!(found, records, "{}", String::from_utf8_lossy(document.as_ref()));
    assert!(batch.rejects.is_empty(), "{:?}", batch.rejects);
}

#[track_caller]
fn check_skipped(document: &str) {
    let batch = opened(document.as_bytes());
    assert_eq!((batch.records.len(), batch.rejects.len(), batch.skipped), (0, 0, 1), "{document}");
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_record_alone_is_itself() {
    check(RECORD, &[RECORD]);
    check(ENTRY, &[ENTRY]);
    for alone in [
        r#"{"time":"t","type":"response","request":{}}"#,
        r#"{"userIdentity":{},"eventSource":"x"}"#,
        r#"{"eventName":"x","Records":[]}"#,
    ] {
        check(alone, &[alone]);
    }
}

#[test]
fn lists_give_their_elements_with_numbers() {
    for (before, after) in [
        ("{\"Records\":[", "]}"),
        ("{\"records\":[", "]}"),
        ("{\"entries\":[", "],\"nextPageToken\":\"x\"}"),
        ("[", "]"),
    ] {
        check(format!("{before}{RECORD},{ENTRY}{after}"), &[RECORD, ENTRY]);
    }
    let batch = opened(format!("[{RECORD},{ENTRY}]").as_bytes());
    let places: Vec<String> = batch.records.iter().map(|record| record.place.to_string()).collect();
    assert_eq!(places, ["f#1", "f#2"]);
    check(format!("[{{\"records\":[{RECORD}]}},{{\"records\":[{ENTRY}]}}]"), &[RECORD, ENTRY]);
}

#[test]
fn lookup_events_carry_the_record_as_a_string() {
    let inner = quoted(RECORD);
    check(
        format!(
            r#"{{"Events":[{{"EventId":"e","ReadOnly":"true","EventTime":1.5,"CloudTrailEvent":{inner}}}],"NextToken":"n"}}"#
        ),
        &[RECORD],
    );
    check(format!(r#"{{"EventId":"e","CloudTrailEvent":{inner}}}"#), &[RECORD]);
}

#[test]
fn event_bridge_carries_it_as_detail() {
    check(
        format!(
            r#"{{"version":"0","id":"i","detail-type":"AWS API Call via CloudTrail","source":"aws.secretsmanager","account":111122223333,"time":"t","resources":[],"detail":{RECORD}}}"#
        ),
        &[RECORD],
    );
    check(format!(r#"{{"time":"t","detail-type":"x","detail":{RECORD}}}"#), &[RECORD]);
}

#[test]
fn cloudwatch_logs_subscriptions_open_in_every_wrapping() {
    let inner = quoted(RECORD);
    let plain = format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logEvents":[{{"id":"1","timestamp":1,"message":{inner}}}]}}"#
    );
    check(&plain, &[RECORD]);
    check(gzip(plain.as_bytes()), &[RECORD]);
    let encoded = STANDARD.encode(gzip(plain.as_bytes()));
    check(format!(r#"{{"awslogs":{{"data":"{encoded}"}}}}"#), &[RECORD]);
    check(
        format!(r#"{{"Records":[{{"eventSource":"aws:kinesis","kinesis":{{"data":"{encoded}"}}}}]}}"#),
        &[RECORD],
    );
    check(format!(r#"{{"records":[{{"recordId":"1","data":"{encoded}"}}]}}"#), &[RECORD]);
    check_skipped(
        r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logEvents":[{"id":"","message":"CWL CONTROL MESSAGE"}]}"#,
    );
}

#[test]
fn sns_and_sqs_wrappings_open_within_each_other() {
    let sns =
        format!(r#"{{"Type":"Notification","MessageId":"m","TopicArn":"t","Message":{}}}"#, quoted(RECORD));
    check(&sns, &[RECORD]);
    check(format!(r#"{{"Messages":[{{"MessageId":"m","Body":{}}}]}}"#, quoted(&sns)), &[RECORD]);
    check(
        format!(r#"{{"Records":[{{"messageId":"m","eventSource":"aws:sqs","body":{}}}]}}"#, quoted(&sns)),
        &[RECORD],
    );
    check(
        format!(r#"{{"Records":[{{"EventSource":"aws:sns","Sns":{{"Message":{}}}}}]}}"#, quoted(RECORD)),
        &[RECORD],
    );
}

#[test]
fn pub_sub_push_and_pull_carry_base64() {
    let data = STANDARD.encode(ENTRY);
    check(
        format!(
            r#"{{"message":{{"attributes":{{}},"data":"{data}","messageId":"1","message_id":"1"}},"subscription":"s"}}"#
        ),
        &[ENTRY],
    );
    check(format!(r#"{{"receivedMessages":[{{"ackId":"a","message":{{"data":"{data}"}}}}]}}"#), &[ENTRY]);
}

#[test]
fn headers_and_prefixes_before_a_vault_line_are_passed_over() {
    let line = r#"{"time":"t","type":"request","request":{"id":"r"}}"#;
    for header in [
        "@cee: ",
        "<86>Jun  1 12:00:00 host vault[7]: ",
        "<86>1 2026-06-01T12:00:00Z host vault 7 - [a b=\"c\"] ",
        "2026-06-01T12:00:00Z host vault: ",
    ] {
        check(format!("{header}{line}"), &[line]);
    }
}

#[test]
fn what_carries_no_event_by_design_is_counted_as_that() {
    check_skipped(
        r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#,
    );
    check_skipped(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#);
    check_skipped(r#"{"s3Bucket":"b","s3ObjectKey":["k"]}"#);
    check_skipped(
        r#"{"Type":"SubscriptionConfirmation","Message":"You have chosen","SubscribeURL":"https://sns.example.com"}"#,
    );
    check_skipped(r#"{"awsAccountId":"1","digestStartTime":"t","digestS3Object":"k","logFiles":[]}"#);
    check_skipped(
        r#"{"version":"0","detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}"#,
    );
    check_skipped(r#"{"Records":[]}"#);
}

#[test]
fn what_cannot_be_opened_is_set_aside_with_its_bytes() {
    let batch = opened(br#"{"awslogs":{"data":"not base64!"}}"#);
    assert_eq!(batch.rejects[0].reason.kind(), "envelope");
    assert_eq!(batch.rejects[0].bytes, b"not base64!");
    let whole = gzip(RECORD.repeat(100).as_bytes());
    let batch = opened(&whole[..whole.len() / 2]);
    assert_eq!(batch.rejects.last().map(|reject| reject.reason.kind()), Some("compression"));
    let mut nested = RECORD.to_owned();
    for _ in 0..20 {
        nested = format!(r#"{{"detail":{nested}}}"#);
    }
    assert_eq!(opened(nested.as_bytes()).rejects[0].reason.kind(), "envelope");
}

#[test]
fn a_document_that_is_broken_goes_on_to_be_refused_with_its_bytes() {
    for broken in ["{\"Records\":[{", "no json", "{\"a\":1,\"a\":2}", "[1,"] {
        let batch = opened(broken.as_bytes());
        let raw: Vec<&[u8]> = batch.records.iter().map(|record| batch.raw(record)).collect();
        assert_eq!(raw, [broken.as_bytes()]);
    }
}
