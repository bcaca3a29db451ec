//! Who Keywatch is in Azure.

use super::transport::as_https;
use crate::backend::own::OwnCredentials;
use crate::failure::Failure;
use crate::settings::{AzureIdentity, AzureSettings};
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::ClientOptions;
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use std::sync::Arc;

/// The credential the settings name.
///
/// # Errors
/// When something it needs is missing or malformed.
pub(super) async fn of(
    settings: &AzureSettings,
    own: &OwnCredentials,
    mut client_options: ClientOptions,
) -> Result<Arc<dyn TokenCredential>, Failure> {
    if let Some(authority) = &settings.authority {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = as_https(authority);
        client_options.cloud = Some(Arc::new(CloudConfiguration::Custom(cloud)));
    }
    match &settings.identity {
        AzureIdentity::Machine => machine(None, client_options),
        AzureIdentity::MachineNamed { client_id } => {
            machine(Some(UserAssignedId::ClientId(client_id.clone())), client_options)
        }
        AzureIdentity::Workload { tenant_id, client_id, token_file } => {
            let options = WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options },
                client_id: client_id.clone(),
                tenant_id: tenant_id.clone(),
                token_file_path: token_file.clone(),
            };
            let made = WorkloadIdentityCredential::new(Some(options));
            made.map(|made| made as Arc<dyn TokenCredential>).map_err(|_unsaid| {
                let remedy = "see whether the pod has the label azure.workload.identity/use and a service account \
                              with a client id, or set tenant_id, client_id and token_file";
                Failure::denied("the pod has no workload identity", remedy)
            })
        }
        AzureIdentity::Client { tenant_id, client_id, secret } => {
            let secret = Secret::new(own.read(secret).await?.expose().to_owned());
            let options = ClientSecretCredentialOptions { client_options };
            let made = ClientSecretCredential::new(tenant_id, client_id.clone(), secret, Some(options));
            made.map(|made| made as Arc<dyn TokenCredential>).map_err(|_unsaid| {
                let remedy = "see tenant_id, client_id and authority in secret_manager.azure";
                Failure::unusable("the application of Azure is not told correctly", remedy)
            })
        }
    }
}

fn machine(
    identity: Option<UserAssignedId>,
    client_options: ClientOptions,
) -> Result<Arc<dyn TokenCredential>, Failure> {
    let options = ManagedIdentityCredentialOptions { user_assigned_id: identity, client_options };
    let made = ManagedIdentityCredential::new(Some(options));
    made.map(|made| made as Arc<dyn TokenCredential>).map_err(|_unsaid| {
        let remedy = "use a client secret or a workload identity on this host";
        Failure::unusable("Microsoft's library knows no managed identity of this kind of host", remedy)
    })
}
