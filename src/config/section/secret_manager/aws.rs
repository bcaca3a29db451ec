//! How AWS Secrets Manager is reached.

use crate::config::frame::{Origin, Problems, need, section};
use keywatch_secrets::{AccessKey, AssumeRole, AwsSettings, SecretRef};
use std::collections::BTreeMap;
use url::Url;

section! {
    /// How AWS Secrets Manager is reached.
    pub(crate) struct Aws {
        /// Region of secrets that are named without one; an ARN names its own.
        region: Option<String>,
        /// Profile of the shared AWS configuration.
        profile: Option<String>,
        /// The role to take on before secrets are read.
        role_arn: Option<String>,
        /// The external id that role asks for.
        external_id: Option<String>,
        /// Roles for the secrets of other accounts, by account id; the account in a secret's ARN
        /// chooses.
        accounts: BTreeMap<String, Account>,
        /// An access key, instead of what the machine has.
        access_key_id: Option<String>,
        /// The access key's secret, in a variable or a file.
        secret_access_key: Option<SecretRef>,
        /// Another address of Secrets Manager, such as a VPC endpoint.
        endpoint: Option<Url>,
        /// Another address of STS.
        sts_endpoint: Option<Url>,
    }
    check: check;
}

section! {
    /// How the secrets of one other account are read.
    pub(crate) struct Account {
        /// The role to take on there.
        role_arn: String = need("write arn:aws:iam::ACCOUNT:role/NAME"),
        /// The external id it asks for.
        external_id: Option<String>,
    }
}

fn check(aws: &Aws, at: &Origin, problems: &Problems) {
    if aws.access_key_id.is_some() != aws.secret_access_key.is_some() {
        let remedy = "write both, or neither";
        problems.add(at, "one of `access_key_id` and `secret_access_key` is missing", remedy);
    }
    if aws.external_id.is_some() && aws.role_arn.is_none() {
        problems.add(at, "`external_id` stands without `role_arn`", "name the role that asks for it");
    }
}

impl Aws {
    pub(super) fn settings(&self) -> AwsSettings {
        let role = |arn: &String, external_id: &Option<String>| AssumeRole {
            arn: arn.clone(),
            external_id: external_id.clone(),
        };
        let of_account =
            |(id, account): (&String, &Account)| (id.clone(), role(&account.role_arn, &account.external_id));
        let key = self.access_key_id.clone().zip(self.secret_access_key.clone());
        AwsSettings {
            region: self.region.clone(),
            profile: self.profile.clone(),
            endpoint: self.endpoint.clone(),
            sts_endpoint: self.sts_endpoint.clone(),
            access_key: key.map(|(id, secret)| AccessKey { id, secret }),
            role: self.role_arn.as_ref().map(|arn| role(arn, &self.external_id)),
            accounts: self.accounts.iter().map(of_account).collect(),
        }
    }
}
