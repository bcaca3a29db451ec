//! Azure's containers as a source.

use super::days::{check_days, day_of};
use super::gcp::is_private;
use crate::config::frame::{At, Origin, Problems, days, default, hours, need, secs, section};
use chrono::TimeDelta;
use keywatch_azure::{Access, Identity};
use keywatch_objects::{Naming, Settings};
use keywatch_secrets::SecretRef;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

section! {
    /// A container that diagnostic settings write to, such as `insights-logs-auditevent` of Key
    /// Vaults. See docs/sources/azure.md.
    pub(crate) struct AzureBlob {
        /// The storage account's name; that of the connection string when there is one.
        account: Option<At<String>>,
        /// The container.
        container: String = default("insights-logs-auditevent"),
        /// What the blobs' names begin with, above the year: everything, or one subscription, group
        /// or vault.
        prefix: Option<String>,
        /// How much history is read on the first start, when `from` is absent.
        backfill: Duration [hours(0)..=days(3660)] = default("7d"),
        /// The first day that is read. A day earlier than before reads on from there.
        from: Option<At<String>>,
        /// The last day that is read. Without it: no end.
        to: Option<At<String>>,
        /// How long after the end of a day something may still be written into it.
        late: Duration [hours(1)..=days(31)] = default("3d"),
        /// How long to rest between two looks.
        poll: Duration [secs(1)..=hours(1)] = default("1m"),
        /// Another address of the Blob service: of another cloud, or of a compatible service.
        endpoint: Option<At<Url>>,
        /// Who Keywatch is to the account. Without it: the managed identity of its machine.
        access: AzureAccess,
    }
    check: check;
}

section! {
    /// Who Keywatch is to a storage account: at most one of the keys.
    pub(crate) struct AzureAccess {
        /// One of the account's keys.
        key: Option<SecretRef>,
        /// A shared access signature with read and list.
        sas: Option<SecretRef>,
        /// A connection string with a key or a signature in it.
        connection_string: Option<SecretRef>,
        /// An application with a secret.
        application: Option<AzureApplication>,
        /// A Kubernetes service account that Entra trusts.
        workload: Option<AzureWorkload>,
        /// Which managed identity, when the machine has several: its client id.
        managed_identity: Option<String>,
    }
    check: check_access;
}

section! {
    /// An application of Entra with a secret.
    pub(crate) struct AzureApplication {
        /// Its tenant.
        tenant: String = need("write the tenant's id"),
        /// Its client id.
        client_id: String = need("write the application's client id"),
        /// Its secret.
        secret: SecretRef = need("write `{source: env, path: NAME}` or `{source: file, path: …}`"),
    }
}

section! {
    /// A Kubernetes service account that Entra trusts (workload identity). The cluster sets
    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_FEDERATED_TOKEN_FILE`: write
    /// `${AZURE_TENANT_ID}` and so on.
    pub(crate) struct AzureWorkload {
        /// The tenant.
        tenant: String = need("write ${AZURE_TENANT_ID}"),
        /// The application's client id.
        client_id: String = need("write ${AZURE_CLIENT_ID}"),
        /// Where the token lies.
        token_file: PathBuf = need("write ${AZURE_FEDERATED_TOKEN_FILE}"),
    }
}

fn check(blob: &AzureBlob, at: &Origin, problems: &Problems) {
    match &blob.account {
        None if blob.access.connection_string.is_none() => {
            problems.add(at, "`account` is missing", "write the storage account's name");
        }
        Some(account) if !is_account(&account.value) => {
            let message = format!("`{}` is no storage account", account.value);
            problems.add(&account.origin, message, "write its name alone: 3 to 24 small letters and digits");
        }
        Some(_) | None => {}
    }
    check_days(blob.from.as_ref(), blob.to.as_ref(), problems);
    if let Some(endpoint) = blob.endpoint.as_ref().filter(|endpoint| !is_private(&endpoint.value)) {
        let message = format!("`{}` would send credentials and records in clear", endpoint.value);
        problems.add(&endpoint.origin, message, "write https://…");
    }
}

/// <https://learn.microsoft.com/en-us/azure/storage/common/storage-account-overview#storage-account-name>
fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn check_access(access: &AzureAccess, at: &Origin, problems: &Problems) {
    let given = [
        access.key.is_some(),
        access.sas.is_some(),
        access.connection_string.is_some(),
        access.application.is_some(),
        access.workload.is_some(),
        access.managed_identity.is_some(),
    ];
    if given.iter().filter(|given| **given).count() > 1 {
        problems.add(at, "`access` names several identities", "keep one of them");
    }
}

impl AzureAccess {
    fn meaning(&self) -> Identity {
        let application = self.application.as_ref().map(|one| Identity::Application {
            tenant: one.tenant.clone(),
            client: one.client_id.clone(),
            secret: one.secret.clone(),
        });
        let workload = self.workload.as_ref().map(|one| Identity::Workload {
            tenant: one.tenant.clone(),
            client: one.client_id.clone(),
            token_file: one.token_file.clone(),
        });
        let key = self.key.clone().map(Identity::Key);
        let sas = self.sas.clone().map(Identity::Sas);
        let connection = self.connection_string.clone().map(Identity::ConnectionString);
        let written = key.or(sas).or(connection).or(application).or(workload);
        written.unwrap_or_else(|| Identity::Managed { client: self.managed_identity.clone() })
    }
}

impl AzureBlob {
    /// What was written, as the source takes it.
    pub(crate) fn meaning(&self) -> (Access, Settings) {
        let endpoint = self.endpoint.as_ref().map(|url| url.value.as_str().trim_end_matches('/').to_owned());
        let access = Access {
            account: self.account.as_ref().map(|account| account.value.clone()),
            container: self.container.clone(),
            endpoint,
            identity: self.access.meaning(),
        };
        let usual = Settings::new(Naming::DiagnosticSetting);
        let settings = Settings {
            prefix: self.prefix.clone().unwrap_or_default(),
            backfill: TimeDelta::from_std(self.backfill).unwrap_or(usual.backfill),
            from: self.from.as_ref().and_then(day_of),
            to: self.to.as_ref().and_then(day_of),
            late: TimeDelta::from_std(self.late).unwrap_or(usual.late),
            poll: self.poll,
            ..usual
        };
        (access, settings)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::live::{LiveSource, Way};
    use crate::config::testing::{check_source as check, read_root};
    use keywatch_azure::Identity;

    #[test]
    fn containers_are_read_and_their_mistakes_named() {
        check("azure_blob: {account: examplelogs}", &[]);
        check("azure_blob: {access: {connection_string: \"env:C\"}}", &[]);
        check("azure_blob: {account: examplelogs, from: \"2026-01-01\", to: \"2026-01-31\", late: 2d}", &[]);
        check(
            "azure_blob: {account: examplelogs, from: \"2026-02-01\", to: \"2026-01-31\"}",
            &["`from` is after `to`; exchange them"],
        );
        check(
            "azure_blob: {account: examplelogs, endpoint: \"http://10.0.0.1/\"}",
            &["`http://10.0.0.1/` would send credentials and records in clear; write https://…"],
        );
        check("azure_blob: {poll: 1m}", &["`account` is missing; write the storage account's name"]);
        check(
            "azure_blob: {account: \"https://x\"}",
            &["`https://x` is no storage account; write its name alone: 3 to 24 small letters and digits"],
        );
        check(
            "azure_blob: {account: logs, access: {key: \"env:K\", sas: \"env:S\"}}",
            &["`access` names several identities; keep one of them"],
        );
    }

    #[test]
    fn without_an_identity_it_is_the_machines_own() {
        let text = "sources:\n  - name: vaults\n    azure_blob: {account: examplelogs}\n";
        let root = read_root(text).0.expect("a configuration");
        let source = LiveSource::of(&root.sources[0], std::path::Path::new("k.db")).expect("a live source");
        let Way::Blob(access, settings) = &source.way else { panic!("another way") };
        assert_eq!(access.identity, Identity::Managed { client: None });
        assert_eq!(settings.backfill.num_days(), 7);
        assert_eq!(source.kind(), "blobs of insights-logs-auditevent in examplelogs");
    }
}
