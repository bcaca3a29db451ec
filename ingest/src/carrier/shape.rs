//! What an object is: a record, an envelope of which kind, or a message without any event.
//!
//! Decides by keys and marks in the content, never by where the object came from.

use keywatch_event::RejectReason;
use keywatch_event::json::{as_text, elements, members};
use std::borrow::Cow;

/// An object's members, as they stand.
type Members<'a> = [(Cow<'a, str>, &'a str)];

/// What to do with an object.
#[derive(Debug, PartialEq)]
pub(super) enum Shape<'a> {
    /// A record, or something the providers will refuse.
    Record,
    /// Carries no event by design.
    Nothing,
    /// Certainly no audit record, although it may look like one.
    Foreign(String),
    /// Documents in an array.
    List(Vec<&'a str>),
    /// One document.
    Value(&'a str),
    /// Documents in a string.
    Text { carrier: &'static str, raw: &'a str },
    /// Documents in a string of base64.
    Encoded { carrier: &'static str, raw: &'a str },
}

/// Keys whose array holds documents, by the carrier that writes them: CloudTrail, Lambda and
/// Kinesis; Azure and Firehose; `LookupEvents`; `entries.list`; Azure's REST interface;
/// `ReceiveMessage`; Pub/Sub pull; a CloudWatch Logs subscription.
const LISTS: [&str; 8] =
    ["Records", "records", "Events", "entries", "value", "Messages", "receivedMessages", "logEvents"];

/// Recognises an object by its members.
///
/// # Errors
/// [`RejectReason::DuplicateKey`] when a key that decides stands twice.
pub(super) fn of<'a>(members: &Members<'a>) -> Result<Shape<'a>, RejectReason> {
    let look = Look { members };
    if look.is_control()? {
        return Ok(Shape::Nothing);
    }
    if let Some(source) = look.lambda_source()? {
        return look.lambda(&source);
    }
    if let Some(shape) = look.message()? {
        return Ok(shape);
    }
    for key in LISTS {
        if let Some(list) = look.value(key)?.filter(|value| value.starts_with('[')) {
            return Ok(Shape::List(elements(list)));
        }
    }
    Ok(Shape::Record)
}

struct Look<'m, 'a> {
    members: &'m Members<'a>,
}

impl<'a> Look<'_, 'a> {
    fn value(&self, key: &str) -> Result<Option<&'a str>, RejectReason> {
        let mut found = self.members.iter().filter(|(name, _)| name == key).map(|(_, value)| *value);
        let first = found.next();
        match found.next() {
            Some(_) => Err(RejectReason::DuplicateKey(key.to_owned())),
            None => Ok(first),
        }
    }

    fn text(&self, key: &str) -> Result<Option<Cow<'a, str>>, RejectReason> {
        Ok(self.value(key)?.and_then(as_text))
    }

    fn string(&self, key: &str) -> Result<Option<&'a str>, RejectReason> {
        Ok(self.value(key)?.filter(|value| value.starts_with('"')))
    }

    fn has(&self, key: &str) -> bool {
        self.members.iter().any(|(name, _)| name == key)
    }

    fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.has(key))
    }

    /// Messages and files that speak of records and hold none.
    fn is_control(&self) -> Result<bool, RejectReason> {
        // CloudTrail's digest files and its notification of a delivered file.
        if self.has_any(&["digestStartTime", "digestS3Bucket"])
            || (self.has("s3Bucket") && self.has("s3ObjectKey"))
        {
            return Ok(true);
        }
        let is = |key, want: &[&str]| Ok(self.text(key)?.is_some_and(|text| want.contains(&&*text)));
        Ok(is("messageType", &["CONTROL_MESSAGE"])?
            || is("Event", &["s3:TestEvent"])?
            || is("Type", &["SubscriptionConfirmation", "UnsubscribeConfirmation"])?
            || is("kind", &["storage#object"])?
            || is(
                "eventType",
                &["Microsoft.EventGrid.SubscriptionValidationEvent", "Microsoft.Storage.BlobCreated"],
            )?)
    }

    /// The service that a member of a Lambda event or S3 notification names: `aws:sqs`.
    fn lambda_source(&self) -> Result<Option<Cow<'a, str>>, RejectReason> {
        let source = match self.text("eventSource")? {
            Some(source) => Some(source),
            None => self.text("EventSource")?,
        };
        Ok(source.filter(|source| source.starts_with("aws:")))
    }

    fn lambda(&self, source: &str) -> Result<Shape<'a>, RejectReason> {
        let inner = |key| self.value(key).map(|value| value.map(members).unwrap_or_default());
        let shape = match source {
            "aws:s3" => Some(Shape::Nothing),
            "aws:sqs" => self.string("body")?.map(|raw| Shape::Text { carrier: "SQS", raw }),
            "aws:sns" => {
                let sns = inner("Sns")?;
                Some(of(&sns)?).filter(|shape| *shape != Shape::Record)
            }
            "aws:kinesis" => {
                let kinesis = inner("kinesis")?;
                let raw = Look { members: &kinesis }.string("data")?;
                raw.map(|raw| Shape::Encoded { carrier: "Kinesis", raw })
            }
            _ => None,
        };
        Ok(shape.unwrap_or_else(|| {
            let source: String = source.chars().take(40).collect();
            Shape::Foreign(format!("a Lambda event of {source} without a message"))
        }))
    }

    /// One message of a queue, a topic, a log or a stream.
    fn message(&self) -> Result<Option<Shape<'a>>, RejectReason> {
        if let Some(raw) = self.string("CloudTrailEvent")? {
            return Ok(Some(Shape::Text { carrier: "LookupEvents", raw }));
        }
        if let Some(raw) =
            self.string("Message")?.filter(|_| self.has_any(&["TopicArn", "MessageId"]) || self.has("Type"))
        {
            return Ok(Some(Shape::Text { carrier: "SNS", raw }));
        }
        for key in ["Body", "body"] {
            let ids = ["MessageId", "ReceiptHandle", "messageId", "receiptHandle"];
            if let Some(raw) = self.string(key)?.filter(|_| self.has_any(&ids)) {
                return Ok(Some(Shape::Text { carrier: "SQS", raw }));
            }
        }
        match self.event_bridge()? {
            Some(shape) => Ok(Some(shape)),
            None => self.stream(),
        }
    }

    fn event_bridge(&self) -> Result<Option<Shape<'a>>, RejectReason> {
        let Some(detail) = self.value("detail")?.filter(|detail| detail.starts_with('{')) else {
            return Ok(None);
        };
        if !self.has_any(&["detail-type", "source"]) {
            return Ok(None);
        }
        let is_s3 = self.text("source")?.is_some_and(|source| source == "aws.s3");
        // S3's own notice of an object; a CloudTrail record about S3 has an event name.
        if is_s3 && !members(detail).iter().any(|(key, _)| key == "eventName") {
            return Ok(Some(Shape::Nothing));
        }
        Ok(Some(Shape::Value(detail)))
    }

    /// Messages that carry base64, and those of a log.
    fn stream(&self) -> Result<Option<Shape<'a>>, RejectReason> {
        if let Some(logs) = self.value("awslogs")? {
            let logs = members(logs);
            let raw = Look { members: &logs }.string("data")?;
            return Ok(raw.map(|raw| Shape::Encoded { carrier: "CloudWatch Logs", raw }));
        }
        if let Some(message) = self.value("message")?.filter(|message| message.starts_with('{')) {
            return Look { members: &members(message) }.pub_sub().map(Some);
        }
        if let Some(raw) = self.string("message")?.filter(|_| self.has("id") && self.has("timestamp")) {
            return Ok(Some(Shape::Text { carrier: "CloudWatch Logs", raw }));
        }
        if let Some(raw) = self.string("log")?.filter(|_| self.has("stream")) {
            return Ok(Some(Shape::Text { carrier: "container log", raw }));
        }
        let ids = ["messageId", "message_id", "publishTime", "publish_time"];
        if self.has("data") && (self.has_any(&ids) || self.has("attributes"))
            || self.has("attributes") && self.has_any(&ids)
        {
            return self.pub_sub().map(Some);
        }
        let raw = match self.string("data")? {
            Some(raw) if self.has("recordId") || self.members.len() == 1 => Some(raw),
            _ => self.string("Data")?.filter(|_| self.has_any(&["SequenceNumber", "PartitionKey"])),
        };
        Ok(raw.map(|raw| Shape::Encoded { carrier: "Firehose or Kinesis", raw }))
    }

    /// A Pub/Sub message; one of attributes alone carries no record.
    fn pub_sub(&self) -> Result<Shape<'a>, RejectReason> {
        let raw = self.string("data")?;
        Ok(raw.map_or(Shape::Nothing, |raw| Shape::Encoded { carrier: "Pub/Sub", raw }))
    }
}
