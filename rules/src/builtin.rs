//! The shipped rules, compiled into the program from `rules/builtin/`.

macro_rules! files {
    ($($name:literal,)+) => {
        &[$((concat!("builtin/", $name), include_str!(concat!("../builtin/", $name))),)+]
    };
}

/// The shipped rule files as `(name, text)`.
#[must_use]
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    files![
        "kw-001-normal-read.yml",
        "kw-002-unusual-address.yml",
        "kw-003-failed-authentication.yml",
        "kw-004-secret-deletion.yml",
        "kw-005-failed-reads.yml",
        "kw-101-audit-changes.yml",
        "kw-101-audit-trail.yml",
        "kw-101b-recorders.yml",
        "kw-102-mass-retrieval.yml",
        "kw-103-list-then-read.yml",
        "kw-104-catch-all-retrieval.yml",
        "kw-105-vault-root-token.yml",
        "kw-106-opened-to-others.yml",
        "kw-106-roles.yml",
        "kw-106-shared-parameter.yml",
        "kw-107-key-destruction.yml",
        "kw-109-changed-then-read.yml",
        "kw-110-denied-then-read.yml",
        "kw-111-authentication-attack.yml",
        "kw-111-guessed-login.yml",
        "kw-112-machine-credential-elsewhere.yml",
        "kw-113-rotating-networks.yml",
        "kw-114-new-secrets.yml",
        "kw-115-user-agent.yml",
        "kw-116-region-hopping.yml",
        "kw-117-canary.yml",
        "kw-118-dormant-secret.yml",
        "kw-119-volume.yml",
        "kw-120-credential-store.yml",
        "kw-121-direct-decrypt.yml",
        "kw-122-wrapping-token.yml",
        "kw-123-seal.yml",
        "kw-124-auth-and-engines.yml",
        "kw-126-root.yml",
        "kw-127-overwritten.yml",
        "kw-128-recovery.yml",
        "kw-129-export.yml",
        "kw-130-threat-network.yml",
        "kw-131-geography.yml",
        "kw-132-perimeter.yml",
        "kw-133-silence.yml",
        "kw-133-sources.yml",
        "kw-134-time.yml",
        "kw-135-hours.yml",
        "kw-136-minted-credential.yml",
        "kw-137-through-service.yml",
        "kw-138-value-in-log.yml",
        "kw-139-quarantine.yml",
        "kw-140-risk.yml",
        "kw-142-parameters-left-out.yml",
        "kw-143-endpoint.yml",
    ]
}
