//! Policies as providers write them into records, and whom they open something to.

use super::*;
use crate::surroundings::Lists;
use crate::testing::{PLACE, event};
use crate::{Scope, Seen};
use serde_json::json;
use std::collections::BTreeMap;

#[track_caller]
fn check(provider: Provider, raw: &Value, want: &[(&str, &str, &str)]) {
    let mut event = event();
    event.provider = provider;
    if provider == Provider::Gcp {
        event.account = Some("acme-prod".into());
        event.principal.id = "alice@example.com".into();
    }
    let own = |name: &str, value: &str| (name.to_owned(), vec![value.to_owned()]);
    let lists =
        Lists::new(BTreeMap::from([own("own_accounts", "444455556666"), own("own_domains", "example.org")]));
    let around = Surroundings { lists, ..Surroundings::default() };
    let (raw, scope) = (raw.to_string(), Scope::default());
    let seen = Seen { event: &event, place: &PLACE, raw: raw.as_bytes() };
    let view = View::new(&seen, &around, &scope);
    let got: Vec<(&str, &str, &str)> =
        view.grantees().iter().map(|g| (g.id.as_str(), g.kind, g.scope)).collect();
    assert_eq!(got, want, "{raw}");
}

fn policy(principal: &Value, more: &Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Principal": principal, "Action": "x:*", "Resource": "*"});
    for (key, value) in more.as_object().into_iter().flatten() {
        statement[key] = value.clone();
    }
    let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    json!({"requestParameters": {"resourcePolicy": text}})
}

const PUBLIC: (&str, &str, &str) = ("*", "public", "public");

#[test]
fn an_aws_resource_policy_names_whom_it_opens_to() {
    let aws = |principal: &Value, want: &[_]| check(Provider::Aws, &policy(principal, &json!({})), want);
    aws(&json!("*"), &[PUBLIC]);
    aws(&json!({"AWS": "*"}), &[PUBLIC]);
    aws(
        &json!({"AWS": ["111122223333", "arn:aws:iam::999988887777:root"]}),
        &[("111122223333", "account", "own"), ("999988887777", "account", "foreign")],
    );
    aws(&json!({"AWS": "444455556666"}), &[("444455556666", "account", "own")]);
    let role = "arn:aws:iam::999988887777:role/reader";
    aws(&json!({"AWS": role}), &[(role, "role", "foreign")]);
    aws(&json!({"Service": "lambda.amazonaws.com"}), &[("lambda.amazonaws.com", "service", "own")]);
    check(Provider::Aws, &policy(&json!("*"), &json!({"Effect": "Deny"})), &[]);
    check(Provider::Aws, &policy(&Value::Null, &json!({"NotPrincipal": {"AWS": "111122223333"}})), &[PUBLIC]);
}

#[test]
fn an_organisation_on_the_list_is_ones_own_with_all_its_parts() {
    let event = event();
    let lists = Lists::new(BTreeMap::from([("own_accounts".to_owned(), vec!["o-a1b2c3d4e5".to_owned()])]));
    let around = Surroundings { lists, ..Surroundings::default() };
    let scope = Scope::default();
    for (condition, want) in [
        (json!({"aws:PrincipalOrgID": "o-a1b2c3d4e5"}), "own"),
        (json!({"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"}), "own"),
        (json!({"aws:PrincipalOrgPaths": "o-zzzzzzzzzz/r-ab12/*"}), "foreign"),
    ] {
        let raw =
            policy(&json!("*"), &json!({"Condition": {"ForAnyValue:StringLike": condition}})).to_string();
        let seen = Seen { event: &event, place: &PLACE, raw: raw.as_bytes() };
        let view = View::new(&seen, &around, &scope);
        let scopes: Vec<&str> = view.grantees().iter().map(|grantee| grantee.scope).collect();
        assert_eq!(scopes, [want], "{raw}");
    }
}

#[test]
fn a_condition_that_names_accounts_leaves_only_those() {
    let bound = |condition: Value, want: &[_]| {
        check(Provider::Aws, &policy(&json!("*"), &json!({"Condition": condition})), want);
    };
    bound(
        json!({"StringEquals": {"kms:CallerAccount": "111122223333"}}),
        &[("111122223333", "account", "own")],
    );
    bound(
        json!({"StringEquals": {"aws:PrincipalAccount": ["999988887777"]}}),
        &[("999988887777", "account", "foreign")],
    );
    bound(
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-example1"}}),
        &[("o-example1", "domain", "foreign")],
    );
    bound(json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}), &[PUBLIC]);
    bound(json!({"StringLike": {"aws:PrincipalAccount": "*"}}), &[PUBLIC]);
    bound(json!({"Bool": {"aws:SecureTransport": "true"}}), &[PUBLIC]);
    bound(json!({"StringEquals": {"aws:SourceVpce": "vpce-1"}}), &[("*", "account", "foreign")]);
    bound(json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), &[PUBLIC]);
}

#[test]
fn aws_grants_replicas_and_shares_are_read_too() {
    let aws = |parameters: Value, want: &[_]| {
        check(Provider::Aws, &json!({"requestParameters": parameters}), want);
    };
    let role = "arn:aws:iam::999988887777:role/x";
    aws(json!({"granteePrincipal": role}), &[(role, "role", "foreign")]);
    let key = "arn:aws:kms:eu-west-1:999988887777:key/1";
    aws(
        json!({"addReplicaRegions": [{"region": "eu-west-1", "kmsKeyId": key}, {"kmsKeyId": "alias/x"}]}),
        &[("999988887777", "account", "foreign")],
    );
    aws(json!({"bucketPolicy": {"Statement": {"Effect": "Allow", "Principal": "*"}}}), &[PUBLIC]);
    aws(
        json!({"attributes": {"Policy": "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\"}]}"}}),
        &[PUBLIC],
    );
    aws(json!({"accountIdsToAdd": ["all"]}), &[PUBLIC]);
    aws(json!({"policy": "{ not a policy", "name": "*"}), &[]);
}

#[test]
fn google_deltas_go_before_whole_policies() {
    let delta = |action: &str, member: &str| json!({"action": action, "role": "roles/x", "member": member});
    let payload = |deltas: Value| {
        json!({"protoPayload": {"serviceData": {"policyDelta": {"bindingDeltas": deltas}},
            "request": {"policy": {"bindings": [{"members": ["user:other@example.net"]}]}}}})
    };
    let gcp = |member: &str, want: &[_]| check(Provider::Gcp, &payload(json!([delta("ADD", member)])), want);
    gcp("allUsers", &[PUBLIC]);
    gcp("allAuthenticatedUsers", &[PUBLIC]);
    gcp("user:bob@example.com", &[("bob@example.com", "user", "own")]);
    gcp("user:bob@mail.example.org", &[("bob@mail.example.org", "user", "own")]);
    gcp("group:g@example.net", &[("g@example.net", "group", "foreign")]);
    gcp("domain:example.net", &[("example.net", "domain", "foreign")]);
    let account = "x@acme-prod.iam.gserviceaccount.com";
    gcp(&format!("serviceAccount:{account}"), &[(account, "service", "own")]);
    let account = "x@elsewhere.iam.gserviceaccount.com";
    gcp(&format!("serviceAccount:{account}"), &[(account, "service", "foreign")]);
    gcp("deleted:user:bob@example.net?uid=1", &[]);
    check(Provider::Gcp, &payload(json!([delta("REMOVE", "allUsers")])), &[]);
    check(Provider::Gcp, &payload(json!([])), &[("other@example.net", "user", "foreign")]);
}

#[test]
fn an_azure_vault_opens_by_policy_network_or_role() {
    let vault = |body: Value, want: &[_]| {
        let body = json!({"properties": body}).to_string();
        let record = json!({"tenantId": "t-1", "properties": {"requestbody": body, "responseBody": "{}"}});
        check(Provider::Azure, &record, want);
    };
    let policy = |tenant: &str| json!({"accessPolicies": [{"tenantId": tenant, "objectId": "o-1"}]});
    vault(policy("T-1"), &[("o-1", "user", "own")]);
    vault(policy("t-2"), &[("o-1", "user", "foreign")]);
    vault(json!({"networkAcls": {"defaultAction": "allow"}}), &[PUBLIC]);
    vault(json!({"networkAcls": {"defaultAction": "Deny"}}), &[]);
    vault(json!({"publicNetworkAccess": "Enabled"}), &[PUBLIC]);
    vault(json!({"networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "0.0.0.0/0"}]}}), &[PUBLIC]);
    vault(json!({"principalId": "p-1", "principalType": "Group"}), &[("p-1", "group", "own")]);
    let own_log = json!({"properties": {"networkAcls": {"defaultAction": "Allow"}, "httpStatusCode": 200}});
    check(Provider::Azure, &own_log, &[PUBLIC]);
}

#[test]
fn a_vault_policy_in_clear_says_whether_it_is_one_for_everything() {
    let vault = |policy: &str, want: &str| {
        let request =
            json!({"operation": "update", "path": "sys/policies/acl/ops", "data": {"policy": policy}});
        let expected = ("ops", "policy", want);
        let expected = if want.is_empty() { &[][..] } else { std::slice::from_ref(&expected) };
        check(Provider::Vault, &json!({"request": request}), expected);
    };
    vault(r#"path "secret/data/app/*" { capabilities = ["read"] }"#, "own");
    vault(r#"path "*" { capabilities = ["read", "list"] }"#, "public");
    vault(r#"path "*" { capabilities = ["deny"] }"#, "own");
    vault(r#"path "sys/mounts" { capabilities = ["sudo"] }"#, "public");
    vault("# path \"*\" { capabilities = [\"read\"] }\npath \"a\" { capabilities = [\"read\"] }", "own");
    vault(r#"{"path":{"a/*":{"capabilities":["read"]},"*":{"capabilities":["read"]}}}"#, "public");
    vault("cGF0aCAiKiIgeyBjYXBhYmlsaXRpZXMgPSBbInJlYWQiXSB9", "public");
    vault("hmac-sha256:ae1cd33015b06703", "");
    let read =
        json!({"request": {"operation": "read", "path": "sys/policies/acl/ops", "data": {"policy": "x"}}});
    check(Provider::Vault, &read, &[]);
}
