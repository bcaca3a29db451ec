//! CloudTrail records.
//!
//! A record always becomes an event: a field of an odd type is absent, a call nobody knows is
//! [`Class::Other`](keywatch_event::Class::Other). Fields as in
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>.

mod arn;
mod class;
mod identity;
mod outcome;
mod secrets;
mod trail;

use super::paths;
use super::text::{fingerprint, joined};
use arn::Home;
use keywatch_event::json::{Fields, as_text};
use keywatch_event::{AuditEvent, Class, EventTime, Outcome, Provider, Source};
use std::borrow::Cow;

/// What CloudTrail writes for a service it does not name.
const INTERNAL: &str = "AWS Internal";

/// Digits of an account id.
const ACCOUNT_DIGITS: usize = 12;

/// Reads one record.
pub(super) fn event<'a>(fields: &Fields<'a>, record: &'a [u8], received_at: EventTime) -> AuditEvent<'a> {
    let call = Call::read(fields);
    let (time, time_raw) = AuditEvent::believable_time(fields.scalar(paths::EVENT_TIME), received_at);
    let mut outcome = outcome::outcome(fields, call.label());
    if outcome == Outcome::Ok && secrets::deleted_nothing(fields, &call) {
        outcome = Outcome::NotFound;
    }
    let secrets = secrets::named(fields, &call);
    let class = class::class(fields, &call, outcome, &secrets);
    AuditEvent {
        id: Cow::Owned(id(fields, &call, record)),
        time,
        time_raw,
        received_at,
        provider: Provider::Aws,
        store: store(&call, class),
        class,
        outcome,
        error: outcome::error(fields),
        principal: identity::principal(fields, &call),
        user_agent: fields.text(paths::USER_AGENT),
        secrets,
        echo_of: echo(fields, &call),
        scrubbed: Vec::new(),
        told: None,
        service: call.service,
        account: call.account,
        region: call.region,
        operation: call.operation,
        source: call.source,
    }
}

/// What several parts of a record's reading need.
struct Call<'a> {
    service: Cow<'a, str>,
    /// Length of the service's short name.
    label_bytes: usize,
    operation: Cow<'a, str>,
    region: Option<Cow<'a, str>>,
    account: Option<Cow<'a, str>>,
    source: Source<'a>,
    /// The service that made the call, for itself or on behalf of somebody.
    invoked_by: Option<Cow<'a, str>>,
    /// Whether the service wrote the record about itself, without a call.
    is_service_event: bool,
}

impl<'a> Call<'a> {
    fn read(fields: &Fields<'a>) -> Self {
        let kind = fields.text(paths::EVENT_TYPE);
        let source = identity::source(fields);
        let is_insight = fields.raw(paths::INSIGHT_DETAILS).is_some();
        let insight = || is_insight.then_some(Cow::Borrowed("cloudtrail.amazonaws.com"));
        let service = fields.text(paths::EVENT_SOURCE).or_else(insight).unwrap_or_default();
        Self {
            label_bytes: memchr::memchr(b'.', service.as_bytes()).unwrap_or(service.len()),
            service,
            is_service_event: is_insight || kind.as_deref() == Some("AwsServiceEvent"),
            operation: fields.text(paths::EVENT_NAME).or(kind).unwrap_or_default(),
            region: fields.text(paths::AWS_REGION),
            account: account(fields, paths::RECIPIENT_ACCOUNT)
                .or_else(|| account(fields, paths::USER_ACCOUNT)),
            invoked_by: identity::invoking_service(fields, &source),
            source,
        }
    }

    /// The service's short name: `kms` of `kms.amazonaws.com`.
    fn label(&self) -> &str {
        self.service.get(..self.label_bytes).unwrap_or_default()
    }

    /// Where a bare name in this record belongs.
    fn home(&self) -> Home<'_> {
        Home {
            region: self.region.as_deref().unwrap_or_default(),
            account: self.account.as_deref().unwrap_or_default(),
        }
    }
}

/// An account id; one that came as a number has lost its leading zeros.
fn account<'a>(fields: &Fields<'a>, slot: usize) -> Option<Cow<'a, str>> {
    let raw = fields.raw(slot)?;
    if let Some(text) = as_text(raw) {
        return Some(text).filter(|text| !text.is_empty());
    }
    let is_number = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
    match raw.len() {
        _ if !is_number => None,
        ACCOUNT_DIGITS.. => Some(Cow::Borrowed(raw)),
        _ => Some(Cow::Owned(format!("{raw:0>ACCOUNT_DIGITS$}"))),
    }
}

/// Every trail, file and carrier repeats the event id; the account guards against the ids of
/// another owner. A record without one is known by its bytes.
fn id(fields: &Fields<'_>, call: &Call<'_>, record: &[u8]) -> String {
    let account = call.account.as_deref().unwrap_or_default();
    let event = fields.scalar(paths::EVENT_ID).filter(|id| !id.is_empty());
    joined(&["aws:", account, ":", &event.unwrap_or_else(|| Cow::Owned(fingerprint([record])))])
}

/// Systems Manager does much besides keeping parameters.
fn store(call: &Call<'_>, class: Class) -> Option<Cow<'static, str>> {
    match call.label() {
        "secretsmanager" => Some(Cow::Borrowed("sm")),
        "ssm" if class != Class::Other => Some(Cow::Borrowed("ssm")),
        "kms" => Some(Cow::Borrowed("kms")),
        _ => None,
    }
}

/// What this record repeats. A service that reads or writes on somebody's behalf uses the key in
/// its own call; that is the same access once more.
fn echo<'a>(fields: &Fields<'a>, call: &Call<'a>) -> Option<Cow<'a, str>> {
    if let Some(original) = class::repeats(call.label(), &call.operation) {
        return Some(Cow::Borrowed(original));
    }
    if call.label() != "kms" || !class::uses_key(&call.operation) {
        return None;
    }
    let invoked_by = call.invoked_by.clone()?;
    if invoked_by != INTERNAL {
        return Some(invoked_by);
    }
    let has = |slot| fields.raw(slot).is_some();
    Some(match (has(paths::CONTEXT_SECRET), has(paths::CONTEXT_PARAMETER)) {
        (true, _) => Cow::Borrowed("secretsmanager.amazonaws.com"),
        (false, true) => Cow::Borrowed("ssm.amazonaws.com"),
        (false, false) => invoked_by,
    })
}

#[cfg(test)]
mod tests {
    use crate::provider::Normalizer;
    use keywatch_event::{AuditEvent, EventTime, SourceKind};
    use serde_json::{Value, json};

    /// 2026-06-01T00:00:00Z.
    const RECEIVED_AT: EventTime = EventTime::from_secs(1_780_272_000);

    /// A record of a call by a user, with `more` added or put in place.
    pub(super) fn record(service: &str, operation: &str, more: &Value) -> Value {
        let mut record = json!({
            "eventTime": "2026-05-31T09:00:00Z",
            "eventSource": format!("{service}.amazonaws.com"),
            "eventName": operation,
            "awsRegion": "eu-west-1",
            "sourceIPAddress": "203.0.113.9",
            "userIdentity": {
                "type": "IAMUser",
                "arn": "arn:aws:iam::111122223333:user/alice",
                "accountId": "111122223333",
                "userName": "alice",
            },
            "eventID": "e-1",
            "eventType": "AwsApiCall",
            "recipientAccountId": "111122223333",
        });
        for (key, value) in more.as_object().expect("additions are an object") {
            record[key] = value.clone();
        }
        record
    }

    pub(super) fn normalized(record: &Value) -> AuditEvent<'static> {
        let bytes = record.to_string();
        let event = Normalizer::new().normalize(bytes.as_bytes(), RECEIVED_AT);
        event.expect("the record is read").expect("the record is an event").into_owned()
    }

    #[test]
    fn one_event_has_one_id_in_every_trail_and_carrier() {
        let base = record("s3", "GetObject", &json!({}));
        let other_trail = record("s3", "GetObject", &json!({"eventCategory": "Data"}));
        assert!(normalized(&base).id.starts_with("aws:111122223333:e-1~"), "{}", normalized(&base).id);
        assert_eq!(normalized(&other_trail).id, normalized(&base).id);
        let other_owner = record("s3", "GetObject", &json!({"recipientAccountId": "444455556666"}));
        assert_ne!(normalized(&other_owner).id, normalized(&base).id);
        let reused = record("s3", "DeleteObject", &json!({}));
        assert_ne!(normalized(&reused).id, normalized(&base).id, "an id that comes with other content");
    }

    #[test]
    fn a_record_without_an_event_id_is_known_by_its_bytes() {
        for missing in [json!(null), json!(""), json!({})] {
            let one = normalized(&record("s3", "GetObject", &json!({"eventID": missing})));
            let two = normalized(&record("s3", "PutObject", &json!({"eventID": missing})));
            assert_eq!(one.id.len(), "aws:111122223333:".len() + 32 + "~01234567".len(), "{}", one.id);
            assert_ne!(one.id, two.id);
        }
    }

    #[test]
    fn an_account_that_came_as_a_number_has_twelve_digits() {
        let account = |value: Value| {
            normalized(&record("s3", "GetObject", &json!({"recipientAccountId": value}))).account
        };
        assert_eq!(account(json!(1_122_223_333)).as_deref(), Some("001122223333"));
        assert_eq!(account(json!(111_122_223_333_u64)).as_deref(), Some("111122223333"));
        assert_eq!(account(json!("444455556666")).as_deref(), Some("444455556666"));
        assert_eq!(account(json!(null)).as_deref(), Some("111122223333"), "the caller's, when it is absent");
        assert_eq!(account(json!(-5)).as_deref(), Some("111122223333"), "the caller's, when it is odd");
    }

    #[test]
    fn the_key_use_behind_a_read_repeats_the_read() {
        let echo = |identity: Value, source: &str, context: Value| {
            let more = json!({
                "userIdentity": identity,
                "sourceIPAddress": source,
                "requestParameters": {"encryptionContext": context},
            });
            normalized(&record("kms", "Decrypt", &more)).echo_of.map(std::borrow::Cow::into_owned)
        };
        let internal = json!({"type": "IAMUser", "userName": "a", "invokedBy": "AWS Internal"});
        let user = json!({"type": "IAMUser", "userName": "a"});
        let secret = json!({"SecretARN": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1B2c3"});
        let parameter = json!({"PARAMETER_ARN": "arn:aws:ssm:eu-west-1:111122223333:parameter/db"});
        let known = |service: &str| Some(format!("{service}.amazonaws.com"));
        assert_eq!(echo(internal.clone(), "203.0.113.9", secret.clone()), known("secretsmanager"));
        assert_eq!(echo(internal.clone(), "AWS Internal", parameter), known("ssm"));
        assert_eq!(echo(internal, "AWS Internal", json!({})), Some("AWS Internal".to_owned()));
        assert_eq!(echo(user.clone(), "s3.amazonaws.com", json!({})), known("s3"));
        assert_eq!(echo(user, "203.0.113.9", secret), None, "a direct use is no echo");
        let console = json!({"type": "IAMUser", "userName": "a", "invokedBy": "signin.amazonaws.com"});
        assert_eq!(echo(console, "203.0.113.9", json!({})), None, "the console is no service");
    }

    #[test]
    fn systems_manager_is_a_store_only_where_parameters_are_concerned() {
        let store = |service, operation| normalized(&record(service, operation, &json!({}))).store;
        assert_eq!(store("ssm", "DescribeParameters").as_deref(), Some("ssm"));
        assert_eq!(store("ssm", "SendCommand"), None);
        assert_eq!(store("secretsmanager", "GetRandomPassword").as_deref(), Some("sm"));
        assert_eq!(store("kms", "Encrypt").as_deref(), Some("kms"));
        assert_eq!(store("s3", "GetObject"), None);
    }

    #[test]
    fn a_record_stays_an_event_whatever_a_field_turns_into() {
        let base =
            record("secretsmanager", "GetSecretValue", &json!({"requestParameters": {"secretId": "db"}}));
        let keys: Vec<String> = base.as_object().expect("an object").keys().cloned().collect();
        for odd in [json!(null), json!(7), json!([]), json!({}), json!(""), json!(true), json!([{"a": 1}])] {
            for key in keys.iter().filter(|key| *key != "eventName") {
                let mut record = base.clone();
                record[key] = odd.clone();
                assert_eq!(normalized(&record).operation, "GetSecretValue", "{key} as {odd}");
            }
        }
    }

    #[test]
    fn a_source_is_an_address_a_service_or_opaque() {
        let source =
            |text: &str| normalized(&record("s3", "GetObject", &json!({"sourceIPAddress": text}))).source;
        for (text, kind, parses) in [
            ("203.0.113.9", SourceKind::Addr, true),
            ("2001:db8::9", SourceKind::Addr, true),
            ("10.0.0.9", SourceKind::Internal, true),
            ("cloudformation.amazonaws.com", SourceKind::Service, false),
            ("workmail.eu-west-1.amazonaws.com", SourceKind::Service, false),
            ("AWS Internal", SourceKind::Service, false),
            ("205.205.123.000", SourceKind::Opaque, false),
            ("redacted", SourceKind::Opaque, false),
            ("amazonaws.com.example.org", SourceKind::Opaque, false),
        ] {
            let got = source(text);
            assert_eq!((got.kind, got.ip.is_some(), got.raw.as_deref()), (kind, parses, Some(text)));
        }
        assert!(source("").is_absent());
    }
}
