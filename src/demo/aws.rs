//! CloudTrail records of the sample company, as a trail delivers them to its bucket.
//!
//! Field names and presence follow the CloudTrail record contents reference, version 1.09. Every
//! read of an encrypted secret is followed by the KMS Decrypt that Secrets Manager makes for it.

use super::log::{Carrier, Log};
use super::random::unique_id;
use chrono::{DateTime, Duration, Timelike, Utc};
use serde_json::{Value, json};
use std::borrow::Cow;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/6f1d7c1e-90b5-4f0c-8a55-3f1f7d0c2b9e";

/// A secret in Secrets Manager.
pub(super) struct Secret {
    pub(super) name: Cow<'static, str>,
    /// The six characters Secrets Manager appends to the name in an ARN.
    pub(super) suffix: &'static str,
}

/// Who calls.
pub(super) enum Identity {
    /// An assumed role and its session name.
    Role { name: &'static str, session: &'static str },
    /// An IAM user.
    User(&'static str),
}

/// Who calls, from where, with what.
pub(super) struct Caller {
    pub(super) identity: Identity,
    pub(super) ip: &'static str,
    pub(super) agent: &'static str,
    /// The VPC endpoint the call passes, for a private address.
    pub(super) vpc_endpoint: Option<&'static str>,
}

/// How a call that failed was refused: CloudTrail's error code and message.
pub(super) struct Refusal {
    code: &'static str,
    message: String,
}

/// One call; [`Call::new`] fills what most calls share.
struct Call<'a> {
    caller: &'a Caller,
    at: DateTime<Utc>,
    service: &'static str,
    name: &'static str,
    parameters: Value,
    response: Value,
    read_only: bool,
    refusal: Option<Refusal>,
}

impl<'a> Call<'a> {
    const fn new(caller: &'a Caller, at: DateTime<Utc>, service: &'static str, name: &'static str) -> Self {
        let (parameters, response) = (Value::Null, Value::Null);
        Self { caller, at, service, name, parameters, response, read_only: true, refusal: None }
    }
}

impl Secret {
    pub(super) const fn new(name: &'static str, suffix: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), suffix }
    }

    fn arn(&self) -> String {
        format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{}-{}", self.name, self.suffix)
    }
}

impl Caller {
    /// The caller's ARN, as error messages name it.
    fn arn(&self) -> String {
        match self.identity {
            Identity::Role { name, session } => {
                format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}")
            }
            Identity::User(name) => format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
        }
    }

    /// `userIdentity` of a call at `at`; `purpose` tells apart the temporary keys in use.
    fn user_identity(&self, at: DateTime<Utc>, purpose: &str) -> Value {
        let session_start = at - Duration::seconds(i64::from(at.minute() * 60 + at.second()));
        let mfa = if matches!(self.identity, Identity::User(_)) { "true" } else { "false" };
        let attributes = json!({ "creationDate": seconds(session_start), "mfaAuthenticated": mfa });
        match self.identity {
            Identity::User(name) => json!({
                "type": "IAMUser",
                "principalId": unique_id("AIDA", name, 17),
                "arn": self.arn(),
                "accountId": ACCOUNT,
                "accessKeyId": unique_id("ASIA", &format!("{name} {purpose} {session_start}"), 16),
                "userName": name,
                "sessionContext": { "attributes": attributes },
            }),
            Identity::Role { name, session } => {
                let role_id = unique_id("AROA", name, 17);
                json!({
                    "type": "AssumedRole",
                    "principalId": format!("{role_id}:{session}"),
                    "arn": self.arn(),
                    "accountId": ACCOUNT,
                    "accessKeyId": unique_id("ASIA", &format!("{name} {session} {purpose} {session_start}"), 16),
                    "sessionContext": {
                        "sessionIssuer": {
                            "type": "Role",
                            "principalId": role_id,
                            "arn": format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
                            "accountId": ACCOUNT,
                            "userName": name,
                        },
                        "attributes": attributes,
                    },
                })
            }
        }
    }
}

impl Refusal {
    /// The caller's policy does not allow `action` on `resource`.
    fn access_denied(code: &'static str, caller: &Caller, action: &str, resource: &str) -> Self {
        let message = format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} because no \
             identity-based policy allows the {action} action",
            caller.arn()
        );
        Self { code, message }
    }

    /// Too many calls; CloudTrail then records no parameters.
    fn throttled() -> Self {
        Self { code: "ThrottlingException", message: "Rate exceeded".to_owned() }
    }

    fn parameter_not_found() -> Self {
        Self { code: "ParameterNotFound", message: String::new() }
    }
}

/// A successful read of a secret, and the Decrypt it causes.
pub(super) fn read_secret(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &Secret) {
    let parameters = json!({ "secretId": secret.arn() });
    push(log, Call { parameters, ..Call::new(caller, at, "secretsmanager", "GetSecretValue") });
    let version = log.random.uuid();
    let context = json!({ "SecretARN": secret.arn(), "SecretVersionId": version });
    decrypt(log, caller, at, ("secretsmanager.amazonaws.com", &context));
}

/// A read of a secret that policy refuses.
pub(super) fn read_secret_denied(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &Secret) {
    let refusal = Refusal::access_denied(
        "AccessDeniedException",
        caller,
        "secretsmanager:GetSecretValue",
        &secret.name,
    );
    let call = Call::new(caller, at, "secretsmanager", "GetSecretValue");
    push(log, Call { parameters: json!({ "secretId": secret.name }), refusal: Some(refusal), ..call });
}

/// A read of an encrypted parameter, and the Decrypt it causes.
pub(super) fn read_parameter(log: &mut Log, caller: &Caller, at: DateTime<Utc>, name: &str) {
    let parameters = json!({ "name": name, "withDecryption": true });
    push(log, Call { parameters, ..Call::new(caller, at, "ssm", "GetParameter") });
    let context = json!({ "PARAMETER_ARN": format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}") });
    decrypt(log, caller, at, ("AWS Internal", &context));
}

/// A read of a parameter that does not exist.
pub(super) fn read_parameter_missing(log: &mut Log, caller: &Caller, at: DateTime<Utc>, name: &str) {
    let parameters = json!({ "name": name, "withDecryption": true });
    let refusal = Some(Refusal::parameter_not_found());
    push(log, Call { parameters, refusal, ..Call::new(caller, at, "ssm", "GetParameter") });
}

/// A read of a parameter refused for its rate.
pub(super) fn read_parameter_throttled(log: &mut Log, caller: &Caller, at: DateTime<Utc>) {
    let refusal = Some(Refusal::throttled());
    push(log, Call { refusal, ..Call::new(caller, at, "ssm", "GetParameter") });
}

/// A list of the names of secrets.
pub(super) fn list_secrets(log: &mut Log, caller: &Caller, at: DateTime<Utc>) {
    let parameters = json!({ "maxResults": 100 });
    push(log, Call { parameters, ..Call::new(caller, at, "secretsmanager", "ListSecrets") });
}

/// A look at the attributes of a secret.
pub(super) fn describe_secret(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &Secret) {
    let parameters = json!({ "secretId": secret.name });
    push(log, Call { parameters, ..Call::new(caller, at, "secretsmanager", "DescribeSecret") });
}

/// The creation of a secret.
pub(super) fn create_secret(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &Secret) {
    let token = log.random.uuid();
    let parameters = json!({ "name": secret.name, "clientRequestToken": token });
    let response = json!({ "arn": secret.arn(), "name": secret.name, "versionId": token });
    let call = Call::new(caller, at, "secretsmanager", "CreateSecret");
    push(log, Call { parameters, response, read_only: false, ..call });
}

/// The deletion of a secret at once, without a recovery window.
pub(super) fn delete_secret(log: &mut Log, caller: &Caller, at: DateTime<Utc>, secret: &Secret) {
    let parameters = json!({ "secretId": secret.name, "forceDeleteWithoutRecovery": true });
    let date = at.format("%b %-d, %Y, %-I:%M:%S\u{202f}%p").to_string();
    let response = json!({ "aRN": secret.arn(), "name": secret.name, "deletionDate": date });
    let call = Call::new(caller, at, "secretsmanager", "DeleteSecret");
    push(log, Call { parameters, response, read_only: false, ..call });
}

/// The assumption of `role`, granted.
pub(super) fn assume_role(log: &mut Log, caller: &Caller, at: DateTime<Utc>, role: (&str, &str)) {
    let (name, session) = role;
    let parameters = json!({
        "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
        "roleSessionName": session,
        "durationSeconds": 3600,
    });
    let response = json!({
        "credentials": {
            "accessKeyId": unique_id("ASIA", &format!("{name} {session} {at}"), 16),
            "expiration": (at + Duration::hours(1)).format("%b %-d, %Y, %-I:%M:%S\u{202f}%p").to_string(),
        },
        "assumedRoleUser": {
            "assumedRoleId": format!("{}:{session}", unique_id("AROA", name, 17)),
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"),
        },
    });
    push(log, Call { parameters, response, ..Call::new(caller, at, "sts", "AssumeRole") });
}

/// The assumption of the role `name`, refused. CloudTrail then records no parameters.
pub(super) fn assume_role_denied(log: &mut Log, caller: &Caller, at: DateTime<Utc>, name: &str) {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
    let message =
        format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role}", caller.arn());
    let refusal = Some(Refusal { code: "AccessDenied", message });
    push(log, Call { refusal, ..Call::new(caller, at, "sts", "AssumeRole") });
}

/// A sign-in of the IAM user `name` to the console.
pub(super) fn console_login(log: &mut Log, caller: &Caller, at: DateTime<Utc>, success: bool) {
    let response = json!({ "ConsoleLogin": if success { "Success" } else { "Failure" } });
    let mut record =
        record(log, Call { response, read_only: false, ..Call::new(caller, at, "signin", "ConsoleLogin") });
    let mut identity = caller.user_identity(at, "console");
    if let Some(identity) = identity.as_object_mut() {
        identity.remove("sessionContext");
        identity.remove("accessKeyId");
        if !success {
            identity.remove("arn");
            identity.insert("accessKeyId".to_owned(), json!(""));
        }
    }
    if !success {
        insert(&mut record, "errorMessage", json!("Failed authentication"));
    }
    insert(&mut record, "userIdentity", identity);
    insert(&mut record, "eventType", json!("AwsConsoleSignIn"));
    insert(
        &mut record,
        "additionalEventData",
        json!({
            "LoginTo": "https://console.aws.amazon.com/console/home?state=hashArgs%23&isauthcode=true",
            "MobileVersion": "No",
            "MFAUsed": if success { "Yes" } else { "No" },
        }),
    );
    log.push(at, Carrier::Aws, record);
}

/// The Decrypt a service makes for the caller: same identity, other temporary key.
fn decrypt(log: &mut Log, caller: &Caller, at: DateTime<Utc>, (via, context): (&str, &Value)) {
    let parameters = json!({ "encryptionContext": context, "encryptionAlgorithm": "SYMMETRIC_DEFAULT" });
    let mut record = record(log, Call { parameters, ..Call::new(caller, at, "kms", "Decrypt") });
    let mut identity = caller.user_identity(at, via);
    insert(&mut identity, "invokedBy", json!(via));
    insert(&mut record, "userIdentity", identity);
    insert(&mut record, "sourceIPAddress", json!(via));
    insert(&mut record, "userAgent", json!(via));
    let key = json!([{ "accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": KEY }]);
    insert(&mut record, "resources", key);
    if let Some(fields) = record.as_object_mut() {
        fields.remove("tlsDetails");
        fields.remove("vpcEndpointId");
    }
    log.push(at, Carrier::Aws, record);
}

fn push(log: &mut Log, call: Call<'_>) {
    let at = call.at;
    let record = record(log, call);
    log.push(at, Carrier::Aws, record);
}

fn record(log: &mut Log, call: Call<'_>) -> Value {
    let host = match call.service {
        "signin" => "signin.aws.amazon.com".to_owned(),
        service => format!("{service}.{REGION}.amazonaws.com"),
    };
    let mut record = json!({
        "eventVersion": "1.09",
        "userIdentity": call.caller.user_identity(call.at, ""),
        "eventTime": seconds(call.at),
        "eventSource": format!("{}.amazonaws.com", call.service),
        "eventName": call.name,
        "awsRegion": REGION,
        "sourceIPAddress": call.caller.ip,
        "userAgent": call.caller.agent,
        "requestParameters": call.parameters,
        "responseElements": call.response,
        "requestID": log.random.uuid(),
        "eventID": log.random.uuid(),
        "readOnly": call.read_only,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": host,
        },
    });
    if let Some(endpoint) = call.caller.vpc_endpoint {
        insert(&mut record, "vpcEndpointId", json!(endpoint));
    }
    if let Some(refusal) = call.refusal {
        insert(&mut record, "errorCode", json!(refusal.code));
        if !refusal.message.is_empty() {
            insert(&mut record, "errorMessage", json!(refusal.message));
        }
    }
    record
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

/// CloudTrail gives whole seconds.
fn seconds(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Where a trail puts the file it delivers at `at`.
pub(super) fn path(at: DateTime<Utc>, unique: &str) -> String {
    format!(
        "aws/AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{}/{ACCOUNT}_CloudTrail_{REGION}_{}_{unique}.json.gz",
        at.format("%Y/%m/%d"),
        at.format("%Y%m%dT%H%MZ"),
    )
}
