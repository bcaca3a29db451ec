//! What `keywatch doctor` asks besides what the sources name themselves.

use super::secret_manager::{Azure, Vault};
use crate::config::frame::{At, Origin, Problems, default, need, section};
use keywatch_secrets::{AzureSettings, VaultSettings};
use url::Url;

section! {
    /// Whom `keywatch doctor` asks about a source that names nobody itself. See docs/doctor.md.
    pub(crate) struct Doctor {
        /// The Vaults and OpenBaos whose audit devices feed sources.
        vaults: Vec<DoctorVault>,
        /// The subscriptions of Azure whose vaults' diagnostic settings feed sources.
        azure: Vec<DoctorAzure>,
        /// Where in Google Cloud the entries of a subscription come from.
        google: Vec<DoctorGoogle>,
    }
}

section! {
    /// A Vault or OpenBao whose audit devices feed a source.
    pub(crate) struct DoctorVault {
        /// The source's name.
        source: At<String> = need("name the source its audit devices feed"),
        /// How it is reached, and how Keywatch logs in to it.
        vault: Vault = need("write `{address: https://host:8200, token: …}`"),
    }
}

section! {
    /// Subscriptions of Azure whose vaults' diagnostic settings feed a source.
    pub(crate) struct DoctorAzure {
        /// The source's name.
        source: At<String> = need("name the source their diagnostic settings feed"),
        /// The subscriptions, by their ids.
        subscriptions: Vec<At<String>> = need("list the ids of the subscriptions"),
        /// Who Keywatch is there; `vault_url` means nothing here.
        identity: Azure,
        /// The address of Azure Resource Manager, for a sovereign cloud.
        resource_manager: Url = default("https://management.azure.com"),
    }
    check: check_azure;
}

section! {
    /// Projects, folders and organisations of Google Cloud whose sinks feed a source.
    pub(crate) struct DoctorGoogle {
        /// The source's name.
        source: At<String> = need("name the source their sinks feed"),
        /// They: projects/P, folders/F, organizations/O. What is above them is looked at as well.
        resources: Vec<At<String>> = need("list them, such as [organizations/123456789012]"),
    }
    check: check_google;
}

/// An id becomes part of an address.
fn check_azure(azure: &DoctorAzure, at: &Origin, problems: &Problems) {
    if azure.subscriptions.is_empty() {
        problems.add(at, "`subscriptions` is empty", "list the ids of the subscriptions");
    }
    let is_id = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    for id in azure.subscriptions.iter().filter(|id| !is_id(&id.value)) {
        let message = format!("`{}` is no id of a subscription", id.value);
        problems.add(&id.origin, message, "write it as `az account show --query id` does");
    }
}

fn check_google(google: &DoctorGoogle, at: &Origin, problems: &Problems) {
    if google.resources.is_empty() {
        problems.add(at, "`resources` is empty", "list them, such as [organizations/123456789012]");
    }
    let is_resource = |text: &str| {
        let id = text
            .split_once('/')
            .filter(|(kind, _)| matches!(*kind, "projects" | "folders" | "organizations"));
        id.is_some_and(|(_, id)| {
            !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':'))
        })
    };
    for resource in google.resources.iter().filter(|resource| !is_resource(&resource.value)) {
        let message = format!("`{}` is no project, folder or organisation", resource.value);
        problems.add(&resource.origin, message, "write projects/ID, folders/NUMBER or organizations/NUMBER");
    }
}

impl Doctor {
    /// Nobody is named.
    pub(crate) const fn nobody() -> Self {
        Self { vaults: Vec::new(), azure: Vec::new(), google: Vec::new() }
    }

    /// The Vault whose audit devices feed a source.
    pub(crate) fn vault_of(&self, source: &str) -> Option<&DoctorVault> {
        self.vaults.iter().find(|vault| vault.source.value == source)
    }

    /// The subscriptions whose diagnostic settings feed a source.
    pub(crate) fn azure_of(&self, source: &str) -> Option<&DoctorAzure> {
        self.azure.iter().find(|azure| azure.source.value == source)
    }

    /// The resources whose sinks feed a source.
    pub(crate) fn google_of(&self, source: &str) -> Option<Vec<String>> {
        let found = self.google.iter().find(|google| google.source.value == source)?;
        Some(found.resources.iter().map(|resource| resource.value.clone()).collect())
    }

    /// The names of the sources that are asked about.
    pub(super) fn sources(&self) -> impl Iterator<Item = &At<String>> {
        let vaults = self.vaults.iter().map(|vault| &vault.source);
        let azure = self.azure.iter().map(|azure| &azure.source);
        vaults.chain(azure).chain(self.google.iter().map(|google| &google.source))
    }
}

impl DoctorVault {
    /// How it is reached.
    pub(crate) fn settings(&self) -> VaultSettings {
        self.vault.settings()
    }
}

impl DoctorAzure {
    /// Who Keywatch is there.
    pub(crate) fn settings(&self) -> AzureSettings {
        self.identity.settings()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::check_problems;
    use crate::config::{self, Layers};

    #[track_caller]
    fn check(yaml: &str, wanted: &[&str]) {
        check_problems(&format!("sources:\n  - name: a\n    files: [/a]\ndoctor:\n  {yaml}\n"), wanted);
    }

    #[test]
    fn what_only_the_doctor_shows_is_not_needed_to_run() {
        let text = "sources:\n  - name: a\n    files: [/a]\ndoctor:\n  vaults:\n    - {source: a, vault: {address: \"https://v.example.com\", token: \"env:NOT_SET\"}}\n";
        let config = config::load(&Layers::of_text("keywatch.yaml", text)).expect("a configuration");
        assert_eq!((config.named.len(), config.secrets_needed().len()), (1, 0));
    }

    #[test]
    fn whom_the_doctor_asks_is_checked_before_he_does() {
        check("azure: [{source: a, subscriptions: [1c2d-3e]}]", &[]);
        check("google: [{source: a, resources: [organizations/1, projects/example.com:p]}]", &[]);
        check(
            "azure: [{source: a, subscriptions: [\"../x\"]}]",
            &["`../x` is no id of a subscription; write it as `az account show --query id` does"],
        );
        check(
            "google: [{source: a, resources: [projects/p/x]}]",
            &[
                "`projects/p/x` is no project, folder or organisation; write projects/ID, folders/NUMBER or organizations/NUMBER",
            ],
        );
        check("vaults: [{source: b, vault: {}}]", &["no source is called `b`; did you mean `a`?"]);
    }
}
