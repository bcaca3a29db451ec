//! Tells most records from envelopes by a look at the first key.
//!
//! Says yes only when it is certain; everything else is looked at in full. That keeps the cost
//! of a plain record far below that of parsing it once.

use memchr::memmem::Finder;

/// What the look needs, prepared once.
#[derive(Debug)]
pub(crate) struct Quick {
    /// Begins the value of `eventSource` in what Lambda is handed: `"aws:sqs"`.
    lambda: Finder<'static>,
    /// The key of an EventBridge envelope that holds the record.
    detail: Finder<'static>,
}

/// What the first key tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// No envelope begins with it.
    Record,
    /// A record, unless its `eventSource` or `EventSource` is one of Lambda's.
    UnlessLambda,
    /// Whatever; a closer look will tell.
    Unsure,
}

enum First {
    /// No envelope begins with it.
    Record,
    /// A record, or a member of a Lambda event or S3 notification, which look alike.
    Aws,
    /// A record, or an EventBridge envelope whose keys were sorted.
    Time,
    Other,
}

impl Quick {
    pub(crate) fn new() -> Self {
        Self { lambda: Finder::new("\"aws:"), detail: Finder::new("\"detail\"") }
    }

    /// What a glance tells of a document that is to be parsed anyway.
    pub(crate) fn look(&self, document: &[u8]) -> Look {
        match first(document) {
            First::Record => Look::Record,
            First::Aws => Look::UnlessLambda,
            First::Time if self.detail.find(document).is_none() => Look::Record,
            First::Time | First::Other => Look::Unsure,
        }
    }

    /// What the first key of the document that `text` begins with tells, whatever follows it.
    pub(crate) fn look_at_key(text: &[u8]) -> Look {
        match first(text) {
            First::Record => Look::Record,
            First::Aws => Look::UnlessLambda,
            First::Time | First::Other => Look::Unsure,
        }
    }

    /// Whether the document is certainly an object of its own and no envelope.
    pub(super) fn is_record(&self, document: &[u8]) -> bool {
        match first(document) {
            First::Record => true,
            First::Aws => !self.is_lambda(document),
            First::Time => self.detail.find(document).is_none(),
            First::Other => false,
        }
    }

    /// Whether some `eventSource` or `EventSource` is one of Lambda's. Tags and policies hold
    /// `"aws:…"` too, but behind other keys.
    fn is_lambda(&self, document: &[u8]) -> bool {
        self.lambda.find_iter(document).any(|at| {
            let before = document.get(..at).unwrap_or_default().trim_ascii_end();
            let key = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end);
            key.is_some_and(|key| key.ends_with(b"ventSource\""))
        })
    }
}

fn first(document: &[u8]) -> First {
    let inner = document.strip_prefix(b"{").unwrap_or_default().trim_ascii_start();
    let Some(rest) = inner.strip_prefix(b"\"") else { return First::Other };
    let end = rest.iter().take(32).position(|byte| *byte == b'"');
    match rest.get(..end.unwrap_or(0)).unwrap_or_default() {
        b"eventVersion"
        | b"userIdentity"
        | b"eventTime"
        | b"eventSource"
        | b"eventName"
        | b"awsRegion"
        | b"additionalEventData"
        | b"apiVersion"
        | b"errorCode"
        | b"eventCategory"
        | b"eventID"
        | b"eventType" => First::Aws,
        b"protoPayload" | b"insertId" | b"logName" | b"category" | b"operationName" | b"resourceId"
        | b"callerIpAddress" | b"resource" | b"severity" | b"receiveTimestamp" | b"labels" | b"auth"
        | b"request" | b"response" => First::Record,
        b"time" => First::Time,
        _ => First::Other,
    }
}
