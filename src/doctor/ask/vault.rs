//! Asks a Vault or OpenBao about its audit devices and listeners.

use super::refused;
use crate::config::section::DoctorVault;
use crate::doctor::vault::Reads;
use crate::doctor::{Findings, stored, vault};
use keywatch_secrets::{Settings, VaultInquiry};
use keywatch_store::Picture;
use std::sync::Arc;

const DEVICES: &str = "sys/audit";
/// Where Vault says how its listeners are configured.
const STATE: &str = "sys/config/state/sanitized";

/// Asks the Vault that feeds a source, when one is named; else looks at what came.
pub(super) async fn ask(
    named: Option<&DoctorVault>,
    reads: Reads<'_>,
    picture: Option<&Picture>,
    findings: &mut Findings,
) {
    let Some(named) = named else {
        findings.unknown(
            "which audit devices there are",
            "an entry under `doctor.vaults` in the configuration",
            "no Vault is named that feeds this source",
        );
        return stored::of_addresses(picture, None, findings);
    };
    let settings =
        Settings { vault: named.settings(), ..Settings::new(Arc::new(crate::config::environment)) };
    let inquiry = VaultInquiry::new(&settings);
    let right = |path: &str, extra: &str| format!("path \"{path}\" {{ capabilities = [\"read\"{extra}] }}");
    match inquiry.read(DEVICES).await.map(|answer| vault::devices(&answer)) {
        Ok(Ok(devices)) => vault::judge(&devices, reads, findings),
        Ok(Err(unread)) => findings.unknown("which audit devices there are", "an answer of Vault's", unread),
        Err(unanswered) => {
            refused(findings, "which audit devices there are", &right(DEVICES, ", \"sudo\""), &unanswered);
        }
    }
    let believes = match inquiry.read(STATE).await {
        Ok(answer) => vault::believes_proxies(&answer),
        Err(unanswered) => {
            refused(
                findings,
                "whether listeners know the clients behind a proxy",
                &right(STATE, ""),
                &unanswered,
            );
            None
        }
    };
    stored::of_addresses(picture, believes, findings);
}
