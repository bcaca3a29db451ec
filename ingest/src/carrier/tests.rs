//! Every carrier, alone and within others; what yields nothing; what cannot be opened.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    crate::source::testing::gzip(bytes)
}

/// An invented record of CloudTrail.
fn trail(number: u32) -> Value {
    json!({"eventVersion": "1.08", "eventSource": "secretsmanager.amazonaws.com", "eventName": "GetSecretValue",
        "eventID": format!("00000000-0000-0000-0000-{number:012}"), "recipientAccountId": "111122223333"})
}

fn entry(number: u32) -> Value {
    json!({"insertId": format!("i{number}"), "logName": "projects/p/logs/cloudaudit.googleapis.com%2Fdata_access",
        "protoPayload": {"methodName": "AccessSecretVersion"}})
}

fn through(text: &[u8]) -> Batch {
    let mut batch = Batch::default();
    let mut opener = Opener::new(Arc::from("f"));
    let mut splitter = Splitter::new();
    splitter.feed(text);
    splitter.finish();
    while let Some(cut) = splitter.cut() {
        opener.open(&cut, &mut batch);
    }
    batch
}

/// The records of `text` with their places, and what else came out.
#[track_caller]
fn check(text: &str, want: &[(&str, &Value)]) {
    let batch = through(text.as_bytes());
    assert!(batch.rejects.is_empty() && batch.skipped == 0, "{text}: {:?} {}", batch.rejects, batch.skipped);
    let places: Vec<String> = batch.records.iter().map(|record| record.place.to_string()).collect();
    assert_eq!(places, want.iter().map(|(place, _)| *place).collect::<Vec<_>>(), "{text}");
    for (record, (_, value)) in batch.records.iter().zip(want) {
        let got: Value = serde_json::from_slice(batch.raw(record)).unwrap();
        assert_eq!(&got, *value, "{text}");
    }
}

#[track_caller]
fn check_one(carrier: &Value, record: &Value) {
    check(&carrier.to_string(), &[("f#1", record)]);
    check(&serde_json::to_string_pretty(carrier).unwrap(), &[("f#1", record)]);
}

#[test]
fn a_record_alone_is_its_own_document() {
    check(&trail(1).to_string(), &[("f:1", &trail(1))]);
    check(&format!("{}\n{}", trail(1), entry(2)), &[("f:1", &trail(1)), ("f:2", &entry(2))]);
    let raw = "{ \"eventVersion\" : \"1.08\" , \"eventName\":\"X\" }";
    assert_eq!(through(raw.as_bytes()).bytes, raw.as_bytes(), "byte for byte");
}

#[test]
fn lists_of_every_provider_are_opened() {
    for list in [
        json!({"Records": [trail(1), trail(2)]}),
        json!([trail(1), trail(2)]),
        json!({"records": [trail(1), trail(2)]}),
        json!({"entries": [trail(1), trail(2)], "nextPageToken": "t"}),
        json!({"nextLink": "x", "value": [trail(1), trail(2)]}),
        json!([{"records": [trail(1)]}, {"records": [trail(2)]}]),
        json!([[trail(1)], [trail(2)]]),
        json!([trail(1).to_string(), trail(2).to_string()]),
    ] {
        check(&list.to_string(), &[("f#1", &trail(1)), ("f#2", &trail(2))]);
        check(
            &format!("\n{}", serde_json::to_string_pretty(&list).unwrap()),
            &[("f:2#1", &trail(1)), ("f:2#2", &trail(2))],
        );
    }
}

#[test]
fn lookup_events_hold_the_record_as_a_string() {
    let event = |n| json!({"EventId": "e", "ReadOnly": "true", "EventTime": 1.7e9, "CloudTrailEvent": trail(n).to_string()});
    check(
        &json!({"NextToken": "t", "Events": [event(1), event(2)]}).to_string(),
        &[("f#1", &trail(1)), ("f#2", &trail(2))],
    );
    check_one(&event(3), &trail(3));
}

fn event_bridge(record: &Value) -> Value {
    json!({"version": "0", "id": "x", "detail-type": "AWS API Call via CloudTrail", "source": "aws.secretsmanager",
        "account": 111_122_223_333_u64, "resources": [], "detail": record})
}

#[test]
fn event_bridge_holds_the_record_as_its_detail() {
    check_one(&event_bridge(&trail(1)), &trail(1));
    let sorted =
        format!("{{\"time\":\"2026-01-31T12:00:00Z\",\"source\":\"aws.kms\",\"detail\":{}}}", trail(1));
    check(&sorted, &[("f#1", &trail(1))]);
}

fn subscription(messages: &[String]) -> Value {
    let events: Vec<Value> =
        messages.iter().map(|m| json!({"id": "1", "timestamp": 1, "message": m})).collect();
    json!({"messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "g", "logEvents": events})
}

#[test]
fn cloud_watch_logs_are_opened_however_they_travel() {
    let data = subscription(&[trail(1).to_string(), trail(2).to_string()]);
    let want = [("f#1", &trail(1)), ("f#2", &trail(2))];
    let packed = base64(&gzip(data.to_string().as_bytes()));
    check(&data.to_string(), &want);
    check(&json!({"awslogs": {"data": packed}}).to_string(), &want);
    check(&json!({"Records": [{"kinesis": {"data": packed}, "eventSource": "aws:kinesis", "eventVersion": "1.0"}]}).to_string(), &want);
    check(&json!({"invocationId": "i", "records": [{"recordId": "r", "data": packed}]}).to_string(), &want);
    check(&json!({"requestId": "i", "timestamp": 1, "records": [{"data": packed}]}).to_string(), &want);
    check(
        &json!({"Records": [{"SequenceNumber": "1", "Data": packed, "PartitionKey": "p"}]}).to_string(),
        &want,
    );
    let first = subscription(&[trail(1).to_string()]).to_string();
    let second = subscription(&[trail(2).to_string()]).to_string();
    check(&format!("{first}{second}"), &want);
}

fn sns(message: &str) -> Value {
    json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "Message": message})
}

#[test]
fn queues_and_topics_are_opened_in_any_nesting() {
    let bridge = event_bridge(&trail(1)).to_string();
    let body = sns(&bridge).to_string();
    check_one(&sns(&bridge), &trail(1));
    check_one(&json!({"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": body}]}), &trail(1));
    check_one(
        &json!({"Records": [{"messageId": "m", "body": body, "eventSource": "aws:sqs", "awsRegion": "eu-west-1"}]}),
        &trail(1),
    );
    check_one(
        &json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns(&bridge)}]}),
        &trail(1),
    );
    let lines = format!("{}\n{}\n", trail(1), trail(2));
    check(&sns(&lines).to_string(), &[("f#1", &trail(1)), ("f#2", &trail(2))]);
}

#[test]
fn pub_sub_is_opened_pushed_and_pulled() {
    let message = |n| json!({"attributes": {"a": "b"}, "data": base64(entry(n).to_string().as_bytes()), "messageId": "1", "message_id": "1"});
    check_one(&json!({"message": message(1), "subscription": "s", "deliveryAttempt": 2}), &entry(1));
    check_one(&message(1), &entry(1));
    let pulled = json!([{"ackId": "a", "message": message(1)}, {"ackId": "b", "message": message(2)}]);
    let want = [("f#1", &entry(1)), ("f#2", &entry(2))];
    check(&pulled.to_string(), &want);
    check(&json!({"receivedMessages": pulled}).to_string(), &want);
}

#[test]
fn base64_comes_in_both_alphabets_with_padding_or_without() {
    let record = json!({"insertId": "i", "protoPayload": {"text": "~~~???>>>"}});
    let plain = base64(record.to_string().as_bytes());
    for data in
        [plain.clone(), plain.trim_end_matches('=').to_owned(), plain.replace('+', "-").replace('/', "_")]
    {
        check_one(&json!({"message": {"data": data, "messageId": "1"}}), &record);
    }
}

#[test]
fn text_before_the_record_is_passed_over() {
    let record = json!({"time": "2026-01-31T12:00:00Z", "type": "response", "request": {"id": "1"}});
    for head in [
        "@cee: ",
        "@cee:",
        "<86>Jan 31 12:00:00 host vault[712]: ",
        "Jan  1 12:00:00 host vault: ",
        "<86>1 2026-01-31T12:00:00.000Z host vault 712 - - ",
        "<86>1 2026-01-31T12:00:00.000Z host vault 712 ID [meta@32473 a=\"{x\" b=\"{\\\"y\\\"}\"] \u{feff}",
        "118 <86>1 2026-01-31T12:00:00Z host vault 1 - - ",
        "2026-01-31T12:00:00.000000000Z stdout F ",
        "[audit] ",
    ] {
        let text = format!("{head}{record}");
        check(&format!("{text}\r\n{text}"), &[("f:1", &record), ("f:2", &record)]);
    }
    check_one(&json!({"log": format!("{record}\n"), "stream": "stdout", "time": "t"}), &record);
}

#[test]
fn a_record_that_looks_like_an_envelope_in_its_depth_is_one_record() {
    let mut record = trail(1);
    record["requestParameters"] = json!({"Records": [trail(2)], "detail": {}, "eventSource": "aws:s3", "tags": {"key": "aws:cloudformation:stack"}});
    check(&record.to_string(), &[("f:1", &record)]);
    let vault = json!({"time": "t", "type": "request", "request": {"data": {"detail": "x", "message": {"data": "y"}}}});
    check(&vault.to_string(), &[("f:1", &vault)]);
}

#[track_caller]
fn check_skipped(text: &str, skipped: u64) {
    let batch = through(text.as_bytes());
    assert_eq!((batch.records.len(), &batch.rejects, batch.skipped), (0, &vec![], skipped), "{text}");
}

#[test]
fn what_carries_no_event_by_design_is_counted() {
    let s3 = json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "t",
        "userIdentity": {"principalId": "p"}, "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}});
    let delivered = json!({"s3Bucket": "b", "s3ObjectKey": ["k"]});
    for control in [
        json!({"Records": [s3]}),
        s3,
        sns(&json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]}).to_string()),
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}),
        delivered.clone(),
        sns(&delivered.to_string()),
        sns("CloudTrail validation message."),
        json!({"Type": "SubscriptionConfirmation", "Message": "You have chosen", "SubscribeURL": "https://sns.example"}),
        json!({"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE"}]}),
        json!({"awsAccountId": "111122223333", "digestStartTime": "t", "digestS3Bucket": "b", "logFiles": []}),
        json!({"version": "0", "detail-type": "Object Created", "source": "aws.s3", "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}}),
        json!({"message": {"attributes": {"a": "b"}, "messageId": "1"}}),
        json!({"Records": []}),
        json!([]),
        json!({"NextToken": "t", "Events": []}),
    ] {
        check_skipped(&control.to_string(), 1);
    }
    let two = json!({"Records": [{"eventSource": "aws:s3", "s3": {}}, {"eventSource": "aws:s3", "s3": {}}]});
    check_skipped(&two.to_string(), 2);
}

#[track_caller]
fn check_rejected(text: &[u8], kind: &str, place: &str) {
    let batch = through(text);
    let shown = String::from_utf8_lossy(text);
    assert_eq!((batch.records.len(), batch.rejects.len(), batch.skipped), (0, 1, 0), "{shown}");
    let reject = &batch.rejects[0];
    assert_eq!(
        (reject.reason.kind(), reject.place.to_string().as_str()),
        (kind, place),
        "{shown}: {}",
        reject.reason
    );
    assert!(!reject.bytes.is_empty(), "{shown}");
}

#[test]
fn what_cannot_be_opened_is_rejected_with_its_bytes() {
    check_rejected(b"INFO core: security barrier not initialized", "syntax", "f:1");
    check_rejected(b"\xff\xfe\n", "encoding", "f:1");
    check_rejected(br#"{"message":{"data":"&&&","messageId":"1"}}"#, "envelope", "f#1");
    check_rejected(br#"{"message":{"data":"","messageId":"1"}}"#, "envelope", "f#1");
    check_rejected(br#"{"CloudTrailEvent":"","EventId":"x"}"#, "envelope", "f#1");
    check_rejected(
        br#"{"Records":[{"eventSource":"aws:dynamodb","eventID":"1","eventName":"INSERT"}]}"#,
        "unknown_shape",
        "f#1",
    );
    check_rejected(br#"{"Records":[{"eventSource":"aws:sqs"}]}"#, "unknown_shape", "f#1");
    check_rejected(br#"{"detail":{},"source":"a","detail":{}}"#, "duplicate_key", "f#1");
    check_rejected(sns("plain words").to_string().as_bytes(), "syntax", "f#1");
}

#[test]
fn what_is_unknown_goes_on_to_the_providers_as_it_stands() {
    for text in ["{\"a\":1}", "{\"eventVersion\":\"1.08\",", "{\"cut\":\"", "{\"a\":\"\u{e9}\"}", "{}"] {
        let batch = through(text.as_bytes());
        assert_eq!((batch.records.len(), batch.bytes.as_slice()), (1, text.as_bytes()), "{text}");
        assert_eq!(batch.records[0].place.to_string(), "f:1");
    }
}

#[test]
fn records_rejects_and_control_messages_of_one_document_are_numbered_together() {
    let bad = json!({"message": {"data": "&", "messageId": "1"}});
    let list = json!({"Records": [trail(1), {"eventSource": "aws:s3", "s3": {}}, bad, trail(4)]});
    let batch = through(list.to_string().as_bytes());
    let places: Vec<u32> = batch.records.iter().map(|record| record.place.record).collect();
    assert_eq!((places, batch.rejects[0].place.record, batch.skipped), (vec![1, 4], 3, 1));
}

#[test]
fn envelopes_are_opened_eight_deep_and_no_deeper() {
    let wrap = |depth: usize| (0..depth).fold(trail(1), |inner, _| sns(&inner.to_string()));
    // Escapes double with each layer of strings.
    let shallow = (0..3).fold(wrap(4), |inner, _| json!({"detail": inner, "source": "x"}));
    check(&shallow.to_string(), &[("f#1", &trail(1))]);
    let deep = (0..9).fold(trail(1), |inner, _| json!({"detail": inner, "source": "x"}));
    check_rejected(deep.to_string().as_bytes(), "envelope", "f#1");
    let arrays = format!("{}{}{}", "[".repeat(30), trail(1), "]".repeat(30));
    let batch = through(arrays.as_bytes());
    assert_eq!(batch.records.len(), 1, "handed on as it is, for the provider to refuse");
}

#[test]
fn damaged_gzip_in_an_envelope_keeps_what_came_before() {
    let lines: Vec<String> = (0..2000).map(|n| trail(n).to_string()).collect();
    let mut packed = gzip(lines.join("\n").as_bytes());
    packed.truncate(packed.len() / 2);
    let batch = through(json!({"awslogs": {"data": base64(&packed)}}).to_string().as_bytes());
    assert!(batch.records.len() > 500, "{}", batch.records.len());
    let kinds: Vec<&str> = batch.rejects.iter().map(|reject| reject.reason.kind()).collect();
    assert_eq!(kinds.last(), Some(&"compression"));
}

#[test]
fn a_bomb_in_an_envelope_is_not_expanded() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let bomb = base64(&gzip(&bomb));
    let batch = through(json!({"awslogs": {"data": bomb}}).to_string().as_bytes());
    assert!(batch.records.is_empty() && !batch.rejects.is_empty());
    let mut opener = Opener::new(Arc::from("f"));
    opener.begin(1);
    opener.budget = 1 << 20;
    let mut batch = Batch::default();
    let two = base64(&gzip(&vec![b'\n'; 900 << 10]));
    for kinds in [vec!["envelope"], vec!["envelope", "bomb"]] {
        let document = json!({"awslogs": {"data": two}}).to_string();
        opener.document(document.as_bytes(), true, 0, &mut batch);
        let got: Vec<&str> = batch.rejects.iter().map(|reject| reject.reason.kind()).collect();
        assert_eq!(got, kinds, "the second finds the budget of the document spent");
    }
}

#[test]
fn a_message_is_opened_as_one_document() {
    let place = Place { name: Arc::from("queue"), line: 7, record: 0 };
    let places = |message: &str| {
        let mut batch = Batch::default();
        open(message.as_bytes(), &place, &mut batch);
        let places: Vec<String> = batch.records.iter().map(|record| record.place.to_string()).collect();
        (places.join(" "), batch.rejects.len(), batch.skipped)
    };
    assert_eq!(places(&trail(1).to_string()), ("queue:7".to_owned(), 0, 0));
    assert_eq!(places(&format!("{}\n{}\n", trail(1), trail(2))), ("queue:7#1 queue:7#2".to_owned(), 0, 0));
    assert_eq!(
        places(&json!({"Records": [trail(1), trail(2)]}).to_string()),
        ("queue:7#1 queue:7#2".to_owned(), 0, 0)
    );
    assert_eq!(places("{\"s3Bucket\":\"b\",\"s3ObjectKey\":[]}"), (String::new(), 0, 1));
    assert_eq!(places("  "), (String::new(), 0, 1));
    assert_eq!(places("no json"), (String::new(), 1, 0));
}
