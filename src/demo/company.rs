//! The cast of the sample logs: an invented payment company, its services and its people.
//!
//! Addresses come from the ranges RFC 5737 reserves for documentation: 192.0.2.0/24 is the
//! company's cloud egress, 198.51.100.0/24 its office, 203.0.113.0/24 somebody else.

use super::aws::{self, Identity, Secret};
use super::vault::{self, Method};
use super::{azure, gcp};

const OFFICE: &str = "198.51.100.23";
const EGRESS: &str = "192.0.2.24";
const BUILD_EGRESS: &str = "192.0.2.77";
const STRANGER: &str = "203.0.113.66";
/// Where the stranger guesses Vault passwords from.
const STRANGER_PROXY: &str = "203.0.113.107";

const JAVA_SDK: &str = "aws-sdk-java/2.25.60 Linux/6.1.94 OpenJDK_64-Bit_Server_VM/21.0.3 Java/21.0.3";
const PYTHON_SDK: &str = "Boto3/1.34.131 md/Botocore#1.34.131 ua/2.0 os/linux#6.1.94 lang/python#3.12.4";
const GO_SDK: &str = "aws-sdk-go-v2/1.30.1 os/linux lang/go#1.22.4 md/GOARCH#amd64 api/secretsmanager#1.32.1";
const CLI: &str = "aws-cli/2.17.9 md/awscrt#0.20.11 ua/2.0 os/linux#6.8.0 md/arch#x86_64 lang/python#3.11.9";
const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";

/// Secrets in AWS Secrets Manager.
pub(super) const STRIPE_KEY: Secret = Secret::new("prod/payments/stripe-api-key", "a7Kd2Q");
pub(super) const PAYMENTS_DB: Secret = Secret::new("prod/payments/database", "xP3mVe");
pub(super) const LEDGER_DB: Secret = Secret::new("prod/ledger/database", "Jw9sTb");
pub(super) const SIGNING_KEY: Secret = Secret::new("prod/ledger/signing-key", "c4RnYu");
pub(super) const REGISTRY_TOKEN: Secret = Secret::new("ci/registry-token", "mB6hZk");
pub(super) const DEPLOY_KEY: Secret = Secret::new("ci/deploy-key", "Lq8vFs");
pub(super) const BACKUP_KEY: Secret = Secret::new("prod/backup/encryption-key", "tG5dXw");
pub(super) const BANK_SFTP_KEY: Secret = Secret::new("prod/bank/sftp-key", "eN2jCr");
pub(super) const PAGER_TOKEN: Secret = Secret::new("ops/pager-token", "yH7bPa");

/// Parameters in AWS Systems Manager.
pub(super) const FX_TOKEN: &str = "/prod/ledger/fx-rates-token";
/// A parameter that an old feature flag still asks for.
pub(super) const RETIRED_FLAG: &str = "/prod/payments/legacy-gateway-token";

/// Takes card payments; runs in Kubernetes behind a NAT gateway.
pub(super) const PAYMENTS_API: aws::Caller = aws::Caller {
    identity: Identity::Role { name: "payments-api", session: "eks-prod-payments-api-6c9d8f7b5d" },
    ip: EGRESS,
    agent: JAVA_SDK,
    vpc_endpoint: None,
};
/// Keeps the books; reaches AWS through a VPC endpoint.
pub(super) const LEDGER: aws::Caller = aws::Caller {
    identity: Identity::Role { name: "ledger", session: "i-0b7d41c29e8f3a605" },
    ip: "10.20.4.17",
    agent: GO_SDK,
    vpc_endpoint: Some("vpce-0c5a1d9e27b3f8640"),
};
/// Builds; assumes `ci-deployer` to deploy.
pub(super) const CI_RUNNER: aws::Caller = aws::Caller {
    identity: Identity::Role { name: "ci-runner", session: "i-04e9a6c1d83b7f250" },
    ip: BUILD_EGRESS,
    agent: CLI,
    vpc_endpoint: None,
};
/// The role and session deployments run under.
pub(super) const DEPLOYER_ROLE: (&str, &str) = ("ci-deployer", "deploy-main");
/// Deploys.
pub(super) const CI_DEPLOYER: aws::Caller = aws::Caller {
    identity: Identity::Role { name: DEPLOYER_ROLE.0, session: DEPLOYER_ROLE.1 },
    ip: BUILD_EGRESS,
    agent: PYTHON_SDK,
    vpc_endpoint: None,
};
/// Backs up at night.
pub(super) const BACKUP: aws::Caller = aws::Caller {
    identity: Identity::Role { name: "backup", session: "nightly" },
    ip: EGRESS,
    agent: PYTHON_SDK,
    vpc_endpoint: None,
};
/// The role the site reliability engineers work under.
pub(super) const SRE_ROLE: &str = "sre-admin";
/// Tom, a site reliability engineer.
pub(super) const TOM: aws::Caller = sre("tom.hale", OFFICE);
/// Maria, the other one.
pub(super) const MARIA: aws::Caller = sre("maria.lindt", "198.51.100.41");
/// Tom at the console's sign-in page.
pub(super) const TOM_CONSOLE: aws::Caller = person("tom.hale", OFFICE);
/// Maria there.
pub(super) const MARIA_CONSOLE: aws::Caller = person("maria.lindt", "198.51.100.41");
/// Dana, who audits and never reads a value.
pub(super) const DANA: aws::Caller = person("dana.ross", "198.51.100.57");

/// The stranger with the credentials of a payments-api pod.
pub(super) const STOLEN_PAYMENTS_API: aws::Caller = aws::Caller { ip: STRANGER, agent: CLI, ..PAYMENTS_API };
/// The stranger guessing Tom's password.
pub(super) const GUESSED_TOM: aws::Caller = person("tom.hale", STRANGER);
/// The stranger in Tom's session.
pub(super) const STOLEN_TOM: aws::Caller = sre("tom.hale", STRANGER);

const fn sre(session: &'static str, ip: &'static str) -> aws::Caller {
    aws::Caller { identity: Identity::Role { name: SRE_ROLE, session }, ip, agent: CLI, vpc_endpoint: None }
}

const fn person(name: &'static str, ip: &'static str) -> aws::Caller {
    aws::Caller { identity: Identity::User(name), ip, agent: BROWSER, vpc_endpoint: None }
}

/// Secrets in Google Secret Manager.
pub(super) const CARD_KEY: &str = "card-tokeniser-key";
pub(super) const FRAUD_TOKEN: &str = "fraud-model-token";
pub(super) const BUCKET_KEY: &str = "backup-bucket-key";

/// Turns card numbers into tokens; runs in GKE behind Cloud NAT.
pub(super) const CHECKOUT: gcp::Caller = gcp::Caller {
    email: "checkout@harbourpay-prod.iam.gserviceaccount.com",
    ip: "192.0.2.130",
    agent: "grpc-java-netty/1.64.0,gzip(gfe)",
};
/// Backs up at night.
pub(super) const GCP_BACKUP: gcp::Caller = gcp::Caller {
    email: "backup@harbourpay-prod.iam.gserviceaccount.com",
    ip: "192.0.2.130",
    agent: "google-api-python-client gcloud/482.0.0,gzip(gfe)",
};
/// Tom in Google Cloud.
pub(super) const GCP_TOM: gcp::Caller = gcp_person("tom.hale@harbourpay.example", OFFICE);
/// Dana in Google Cloud.
pub(super) const GCP_DANA: gcp::Caller = gcp_person("dana.ross@harbourpay.example", "198.51.100.57");
/// The stranger in Tom's session.
pub(super) const GCP_STOLEN_TOM: gcp::Caller = gcp_person("tom.hale@harbourpay.example", STRANGER);

const fn gcp_person(email: &'static str, ip: &'static str) -> gcp::Caller {
    gcp::Caller { email, ip, agent: "gcloud/482.0.0 command/gcloud.secrets.versions.access,gzip(gfe)" }
}

/// Secrets in Azure Key Vault.
pub(super) const INVOICES_SQL: &str = "invoices-sql-password";
pub(super) const BANK_API_KEY: &str = "bank-api-key";
/// A secret that was renamed and is still asked for now and then.
pub(super) const RENAMED_SECRET: &str = "invoices-smtp";

/// Sends invoices; a function app with a managed identity.
pub(super) const INVOICES: azure::Caller = azure::Caller {
    oid: "6d0e7b54-2c1f-4f0a-b8d3-91c7e5a2f460",
    app_id: "c0a4f3b1-7e58-4b61-9d24-5fe8a1b7c302",
    upn: None,
    ip: "192.0.2.201",
    agent: "azsdk-net-Security.KeyVault.Secrets/4.6.0 (.NET 8.0.6; Linux)",
};
/// Compares the books with the bank's; reaches the vault through a private endpoint.
pub(super) const RECONCILER: azure::Caller = azure::Caller {
    oid: "f21b8c90-53de-4a17-8e6c-0d9b4a7163e5",
    app_id: "3e97d2a8-b60c-4f15-a1d7-82c4e6f0b593",
    upn: None,
    ip: "10.30.0.8",
    agent: "azsdk-python-keyvault-secrets/4.8.0 Python/3.12.4 (Linux)",
};
/// Tom in Azure.
pub(super) const AZURE_TOM: azure::Caller = azure_tom(OFFICE);
/// The stranger in Tom's session.
pub(super) const AZURE_STOLEN_TOM: azure::Caller = azure_tom(STRANGER);

const fn azure_tom(ip: &'static str) -> azure::Caller {
    azure::Caller {
        oid: "0c7f5e2d-9b46-4d83-a05e-7b1c3d9f8a64",
        app_id: "5b1d9f37-c280-4e6a-93f4-d06a7e8c21b5",
        upn: Some("tom.hale@harbourpay.example"),
        ip,
        agent: "azsdk-js-keyvault-secrets/4.8.0 Node/20.15.0",
    }
}

/// Secrets in Vault's key-value store.
pub(super) const VAULT_LEDGER_DB: &str = "ledger/database";
pub(super) const VAULT_LEDGER_TLS: &str = "ledger/tls";
pub(super) const VAULT_STRIPE: &str = "payments/stripe";
pub(super) const VAULT_DEPLOY: &str = "ci/deploy";
pub(super) const VAULT_PAGER: &str = "ops/pager";
/// Secrets the ledger has no business with.
pub(super) const VAULT_OTHERS: [&str; 6] =
    [VAULT_STRIPE, VAULT_DEPLOY, VAULT_PAGER, "payments/database", "bank/sftp", "ops/break-glass"];

/// The ledger, by AppRole. Vault stands in another cloud and sees its callers' public addresses.
pub(super) const VAULT_LEDGER: vault::Caller = vault_ledger(EGRESS);
/// The stranger with the ledger's token.
pub(super) const VAULT_STOLEN_LEDGER: vault::Caller = vault_ledger(STRANGER);
/// Deployments, by AppRole.
pub(super) const VAULT_CI: vault::Caller = vault::Caller {
    name: "ci-deployer",
    method: Method::AppRole,
    entity: "b41d7e90-26fa-4c38-95e1-a8d0c7f3521b",
    policies: &["default", "ci-read"],
    ip: BUILD_EGRESS,
};
/// Tom in Vault.
pub(super) const VAULT_TOM: vault::Caller = vault_tom(OFFICE);
/// The stranger in Tom's session.
pub(super) const VAULT_STOLEN_TOM: vault::Caller = vault_tom(STRANGER);
/// The stranger guessing Maria's password.
pub(super) const VAULT_GUESSED_MARIA: vault::Caller = guessed("maria.lindt");
/// The stranger trying a name nobody has.
pub(super) const VAULT_GUESSED_ADMIN: vault::Caller = guessed("admin");

const fn vault_ledger(ip: &'static str) -> vault::Caller {
    vault::Caller {
        name: "ledger",
        method: Method::AppRole,
        entity: "7a3c9f15-e82d-4b60-8f47-1d5e0b9c6a28",
        policies: &["default", "ledger-read"],
        ip,
    }
}

const fn vault_tom(ip: &'static str) -> vault::Caller {
    vault::Caller {
        name: "tom.hale",
        method: Method::Userpass,
        entity: "e5920d6b-4f71-4a8c-b3d6-c07f8e1a9d34",
        policies: &["default", "sre"],
        ip,
    }
}

const fn guessed(name: &'static str) -> vault::Caller {
    vault::Caller { name, method: Method::Userpass, entity: "", policies: &["default"], ip: STRANGER_PROXY }
}
