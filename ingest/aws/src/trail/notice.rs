//! What a message of the queue is: a notice of objects, events, or neither.
//!
//! A bucket reaches a queue by four ways, each with its own wrapping: CloudTrail → SNS → SQS,
//! S3 → SQS, S3 → SNS → SQS, S3 → EventBridge → SQS. Told apart by content alone, so that one
//! queue may be fed by several. S3 writes keys URL-encoded with `+` for a space in its own notices
//! (docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html), and as they
//! are in those through EventBridge; CloudTrail writes them as they are.

use keywatch_event::json::{as_text, elements, members};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// SNS within SNS is nobody's intention, once more is harmless.
const NESTING_MAX: usize = 3;
/// Objects one message may name: CloudTrail and S3 name one, seldom several.
const OBJECTS_MAX: usize = 1000;

/// An object in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectName {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "s3://{}/{}", self.bucket, self.key)
    }
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice<'m> {
    /// Objects were written.
    Objects(Vec<ObjectName>),
    /// Nothing to read follows: a test, a subscription, a deletion.
    Nothing,
    /// Whatever it is, it announces no object: perhaps an event itself.
    Other(Cow<'m, str>),
}

/// Reads the body of a message.
pub(crate) fn read(body: &str) -> Notice<'_> {
    let mut text = Cow::Borrowed(body);
    for _ in 0..NESTING_MAX {
        match look(&text) {
            Look::Found(objects) if objects.is_empty() => return Notice::Nothing,
            Look::Found(objects) => return Notice::Objects(objects),
            Look::Nothing => return Notice::Nothing,
            Look::Other => break,
            Look::Inside(inner) => text = Cow::Owned(inner),
        }
    }
    Notice::Other(text)
}

enum Look {
    Found(Vec<ObjectName>),
    Nothing,
    Inside(String),
    Other,
}

fn look(text: &str) -> Look {
    let all = members(text.trim());
    let value = |key: &str| all.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
    let string = |key: &str| value(key).and_then(as_text);
    if matches!(string("Type").as_deref(), Some("SubscriptionConfirmation" | "UnsubscribeConfirmation")) {
        return Look::Nothing;
    }
    if let Some(message) = string("Message").filter(|_| value("TopicArn").is_some()) {
        return Look::Inside(message.into_owned());
    }
    if string("Event").as_deref() == Some("s3:TestEvent") {
        return Look::Nothing;
    }
    if let (Some(bucket), Some(keys)) = (string("s3Bucket"), value("s3ObjectKey")) {
        return of_trail(&bucket, keys);
    }
    if let Some(records) = value("Records") {
        return of_bucket(records);
    }
    if string("source").as_deref() == Some("aws.s3")
        && let Some(detail) = value("detail")
    {
        return of_bridge(string("detail-type").as_deref(), detail);
    }
    Look::Other
}

/// CloudTrail's own notice. One that names no object is its greeting to a new topic.
fn of_trail(bucket: &str, keys: &str) -> Look {
    let named =
        |key: &str| as_text(key).map(|key| ObjectName { bucket: bucket.to_owned(), key: key.into_owned() });
    Look::Found(elements(keys).into_iter().filter_map(named).take(OBJECTS_MAX).collect())
}

/// S3's notice: `Records` of which each is an event of the bucket.
fn of_bucket(records: &str) -> Look {
    let records = elements(records);
    let source = |record: &str| member(record, &["eventSource"]).as_deref() == Some("aws:s3");
    if records.is_empty() || !records.iter().all(|record| source(record)) {
        return Look::Other;
    }
    let written = |record: &&&str| {
        member(record, &["eventName"])
            .is_some_and(|name| name.contains("ObjectCreated") || name.contains("ObjectRestore:Completed"))
    };
    let named = |record: &&str| {
        let key = member(record, &["s3", "object", "key"])?.replace('+', " ");
        let key = percent_decode_str(&key).decode_utf8().ok()?.into_owned();
        Some(ObjectName { bucket: member(record, &["s3", "bucket", "name"])?.into_owned(), key })
    };
    Look::Found(records.iter().filter(written).filter_map(named).take(OBJECTS_MAX).collect())
}

/// S3's notice through EventBridge. A CloudTrail record about S3 has an event name instead.
fn of_bridge(kind: Option<&str>, detail: &str) -> Look {
    let (bucket, key) = (member(detail, &["bucket", "name"]), member(detail, &["object", "key"]));
    match (bucket, key) {
        (Some(bucket), Some(key)) if kind == Some("Object Created") => {
            Look::Found(vec![ObjectName { bucket: bucket.into_owned(), key: key.into_owned() }])
        }
        (Some(_), Some(_)) => Look::Nothing,
        _ => Look::Other,
    }
}

/// The string at a path.
fn member<'a>(raw: &'a str, path: &[&str]) -> Option<Cow<'a, str>> {
    let mut raw = raw;
    for key in path {
        raw = members(raw).into_iter().find(|(name, _)| name == key)?.1;
    }
    as_text(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, want: &[(&str, &str)]) {
        let want =
            want.iter().map(|(bucket, key)| ObjectName { bucket: (*bucket).into(), key: (*key).into() });
        assert_eq!(read(body), Notice::Objects(want.collect()), "{body}");
    }

    fn through_sns(message: &str) -> String {
        serde_json::json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-central-1:1:t",
            "Message": message, "Signature": "x"})
        .to_string()
    }

    const S3: &str = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put",
        "s3":{"bucket":{"name":"b"},"object":{"key":"AWSLogs/a+b%2Bc%C3%A9.json.gz"}}}]}"#;

    #[test]
    fn every_way_from_a_bucket_to_a_queue_names_the_object() {
        let trail = r#"{"s3Bucket":"b","s3ObjectKey":["k+1","k%202"]}"#;
        check(trail, &[("b", "k+1"), ("b", "k%202")]);
        check(&through_sns(trail), &[("b", "k+1"), ("b", "k%202")]);
        check(S3, &[("b", "AWSLogs/a b+cé.json.gz")]);
        check(&through_sns(S3), &[("b", "AWSLogs/a b+cé.json.gz")]);
        let bridge = r#"{"version":"0","detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"b"},
            "object":{"key":"k+%20"},"reason":"PutObject"}}"#;
        check(bridge, &[("b", "k+%20")]);
    }

    #[test]
    fn greetings_tests_and_deletions_announce_nothing() {
        for body in [
            r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#,
            r#"{"Type":"SubscriptionConfirmation","Message":"…","TopicArn":"t","SubscribeURL":"https://x"}"#,
            r#"{"s3Bucket":"b","s3ObjectKey":[]}"#,
            &S3.replace("ObjectCreated:Put", "ObjectRemoved:Delete"),
            r#"{"detail-type":"Object Deleted","source":"aws.s3","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}"#,
        ] {
            assert_eq!(read(body), Notice::Nothing, "{body}");
        }
    }

    #[test]
    fn what_announces_no_object_is_handed_on() {
        for body in [
            r#"{"version":"0","detail-type":"AWS API Call via CloudTrail","source":"aws.s3","detail":{"eventName":"GetObject"}}"#,
            r#"{"Records":[{"eventSource":"secretsmanager.amazonaws.com","eventName":"GetSecretValue"}]}"#,
            "no JSON",
            "",
        ] {
            assert_eq!(read(body), Notice::Other(body.into()), "{body}");
        }
        assert_eq!(read(&through_sns("{\"a\":1}")), Notice::Other("{\"a\":1}".into()));
    }
}
