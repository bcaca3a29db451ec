//! CloudTrail records: AWS CloudTrail record contents, version 1.09.

use super::random::spread;
use super::{ACCOUNT, Failure, Log, Who, set, time};
use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/6f1d7c1e-90b5-4f0c-8a55-3f1f7d0c2b9e";

impl Who {
    fn user_identity(&self) -> Value {
        let (account, name) = (self.account, &self.name);
        let unique = format!("{:017X}", spread(name));
        if name == "root" {
            return json!({"type": "Root", "principalId": account, "arn": format!("arn:aws:iam::{account}:root"), "accountId": account, "accessKeyId": ""});
        }
        if account != ACCOUNT {
            return json!({"type": "AWSAccount", "principalId": format!("AROA{unique}:{}", self.session), "accountId": account});
        }
        if self.person || self.key.is_some() {
            let key = self.key.clone().unwrap_or_else(|| format!("AKIA{:016X}", spread(name)));
            return json!({"type": "IAMUser", "principalId": format!("AIDA{unique}"), "arn": format!("arn:aws:iam::{account}:user/{name}"), "accountId": account, "accessKeyId": key, "userName": name});
        }
        let session = &self.session;
        json!({
            "type": "AssumedRole",
            "principalId": format!("AROA{unique}:{session}"),
            "arn": format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
            "accountId": account,
            "accessKeyId": format!("ASIA{:016X}", spread(session)),
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "principalId": format!("AROA{unique}"), "arn": format!("arn:aws:iam::{account}:role/{name}"), "accountId": account, "userName": name},
                "attributes": {"creationDate": "2025-03-01T00:00:00Z", "mfaAuthenticated": "false"},
            },
        })
    }

    fn arn(&self) -> String {
        let identity = self.user_identity();
        identity.get("arn").and_then(Value::as_str).unwrap_or("arn:aws:iam::999988887777:root").to_owned()
    }
}

/// The full ARN of a secret, with the six characters the service appends.
pub(crate) fn secret_arn(who: &Who, secret: &str) -> String {
    format!(
        "arn:aws:secretsmanager:{}:{ACCOUNT}:secret:{secret}-{:06x}",
        who.region,
        spread(secret) & 0xff_ffff
    )
}

/// What the call asks for.
pub(super) fn asked(record: &mut Value, parameters: Value) {
    set(record, "requestParameters", parameters);
}

impl Log {
    /// A call that succeeds: `service Name`.
    pub(crate) fn aws(&mut self, who: &Who, at: i64, call: &str) -> &mut Value {
        let (service, name) = call.split_once(' ').expect("a service and a call");
        let reads = ["Get", "List", "Describe", "Batch", "Decrypt"].iter().any(|verb| name.starts_with(verb));
        let (event, request) = (self.id(), self.id());
        let record = json!({
            "eventVersion": "1.09",
            "userIdentity": who.user_identity(),
            "eventTime": time(at, "%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": format!("{service}.amazonaws.com"),
            "eventName": name,
            "awsRegion": who.region,
            "sourceIPAddress": who.ip,
            "userAgent": who.agent,
            "requestParameters": null,
            "responseElements": null,
            "requestID": request,
            "eventID": event,
            "readOnly": reads,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
        });
        self.push(at, record)
    }

    /// A call with parameters that succeeds.
    pub(crate) fn aws_with(&mut self, who: &Who, at: i64, call: &str, parameters: Value) {
        asked(self.aws(who, at, call), parameters);
    }

    /// A call that fails with this error code.
    pub(crate) fn aws_error(&mut self, who: &Who, at: i64, call: &str, (code, parameters): (&str, Value)) {
        let message = format!("User: {} is not authorized to perform this", who.arn());
        let record = self.aws(who, at, call);
        asked(record, parameters);
        set(record, "errorCode", json!(code));
        set(record, "errorMessage", json!(message));
    }

    /// A read of a secret, and the Decrypt it causes: same identity, another temporary key.
    pub(super) fn aws_read(&mut self, who: &Who, at: i64, secret: &str) {
        let arn = secret_arn(who, secret);
        self.aws_with(who, at, "secretsmanager GetSecretValue", json!({"secretId": arn}));
        let context = json!({"encryptionContext": {"SecretARN": arn, "SecretVersionId": "a"}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"});
        let echo = self.aws(who, at, "kms Decrypt");
        asked(echo, context);
        via(echo, "secretsmanager.amazonaws.com");
        set(echo, "userIdentity.accessKeyId", json!("ASIAEXAMPLEOFSERVICE"));
        set(echo, "resources", json!([{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": KEY}]));
    }

    pub(super) fn aws_fail(&mut self, who: &Who, at: i64, secret: &str, failure: Failure) {
        let (code, parameters) = match failure {
            Failure::Denied => ("AccessDeniedException", json!({"secretId": secret})),
            Failure::Missing => ("ResourceNotFoundException", json!({"secretId": secret})),
            Failure::Throttled => ("ThrottlingException", Value::Null),
        };
        self.aws_error(who, at, "secretsmanager GetSecretValue", (code, parameters));
    }

    /// A direct call to KMS with somebody's key, without a service in between.
    pub(crate) fn aws_decrypt(&mut self, who: &Who, at: i64, context: &Value) {
        let record = self.aws(who, at, "kms Decrypt");
        asked(record, json!({"encryptionContext": context, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}));
        set(record, "resources", json!([{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": KEY}]));
    }

    /// A sign-in to the console.
    pub(crate) fn console_login(&mut self, who: &Who, at: i64, (success, mfa): (bool, bool)) {
        let record = self.aws(who, at, "signin ConsoleLogin");
        set(record, "responseElements", json!({"ConsoleLogin": if success { "Success" } else { "Failure" }}));
        set(record, "eventType", json!("AwsConsoleSignIn"));
        set(
            record,
            "additionalEventData",
            json!({"MobileVersion": "No", "MFAUsed": if mfa { "Yes" } else { "No" }}),
        );
        if !success {
            set(record, "errorMessage", json!("Failed authentication"));
        }
    }
}

/// A service made the call for the caller.
pub(crate) fn via(record: &mut Value, service: &str) {
    set(record, "userIdentity.invokedBy", json!(service));
    set(record, "sourceIPAddress", json!(service));
    set(record, "userAgent", json!(service));
}
