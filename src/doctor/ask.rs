//! Asks about every source, several at once, and changes nothing.

use super::{Checkup, Findings, aws, vault};
use crate::config::Config;
use crate::config::live::{LiveSource, Way};
use keywatch_aws::survey;
use keywatch_event::Provider;
use keywatch_secrets::{Settings, Unanswered, VaultInquiry};
use std::sync::Arc;

/// What was found about every source of the configuration, in its order: files first.
pub(crate) async fn examine(config: &Config) -> Vec<Checkup> {
    let files = config.sources.iter().map(|source| async {
        let paths: Vec<String> = source.paths.iter().map(|path| path.display().to_string()).collect();
        let mut checkup = Checkup {
            source: source.name.clone(),
            kind: format!("files: {}", paths.join(", ")),
            provider: None,
            findings: Findings::default(),
        };
        of_vault(config, &mut checkup).await;
        checkup
    });
    let live = config.live.iter().map(|source| of_live(config, source));
    let mut checkups = Vec::new();
    for file in files {
        checkups.push(file.await);
    }
    for source in live {
        checkups.push(source.await);
    }
    checkups
}

async fn of_live(config: &Config, source: &LiveSource) -> Checkup {
    let mut checkup = Checkup {
        source: source.name.clone(),
        kind: source.kind(),
        provider: Some(source.provider()),
        findings: Findings::default(),
    };
    match &source.way {
        Way::Trail(access, settings) => {
            let survey = survey::of_queue(access, &config.secrets, settings).await;
            checkup.findings = aws::of_queue(&survey, &settings.queue, &settings.buckets, settings.digests);
        }
        Way::Lookup(access, settings) => {
            let survey = survey::of_lookup(access, &config.secrets, settings).await;
            checkup.findings = aws::of_lookup(&survey, settings);
        }
        Way::Logging(..) | Way::PubSub(..) | Way::Kafka(..) | Way::Blob(..) | Way::Push(_) => {}
    }
    of_vault(config, &mut checkup).await;
    checkup
}

/// Where Vault says how its listeners are configured.
const STATE: &str = "sys/config/state/sanitized";

/// Asks the Vault that feeds a source, when one is named.
async fn of_vault(config: &Config, checkup: &mut Checkup) {
    let Some(named) = config.doctor.vault_of(&checkup.source) else {
        if checkup.provider == Some(Provider::Vault) {
            checkup.findings.unknown(
                "which audit devices there are",
                "an entry under `doctor.vaults` in the configuration",
                "no Vault is named that feeds this source",
            );
        }
        return;
    };
    checkup.provider = Some(Provider::Vault);
    let settings = Settings {
        vault: named.settings(),
        timeout: Settings::TIMEOUT,
        ..Settings::new(Arc::new(crate::config::environment))
    };
    let inquiry = VaultInquiry::new(&settings);
    let findings = &mut checkup.findings;
    match inquiry.read("sys/audit").await.map(|answer| vault::devices(&answer)) {
        Ok(Ok(devices)) => vault::judge(&devices, findings),
        Ok(Err(unread)) => findings.unknown("which audit devices there are", "an answer of Vault's", unread),
        Err(unanswered) => refused(findings, "which audit devices there are", "sys/audit", &unanswered),
    }
    match inquiry.read(STATE).await {
        Ok(answer) => match vault::believes_proxies(&answer) {
            Some(true) => findings.sound("listeners take the client's address from proxies they know"),
            Some(false) => findings.unknown(
                "whether clients come through a proxy, whose address would stand for all of theirs",
                "a look at what stands before Vault",
                "its listeners have no x_forwarded_for_authorized_addrs",
            ),
            None => {}
        },
        Err(unanswered) => {
            refused(findings, "whether listeners know the clients behind a proxy", STATE, &unanswered);
        }
    }
}

fn refused(findings: &mut Findings, what: &str, path: &str, unanswered: &Unanswered) {
    let needs = match unanswered.trouble {
        keywatch_secrets::Trouble::Denied => {
            format!("path \"{path}\" {{ capabilities = [\"read\", \"sudo\"] }}")
        }
        keywatch_secrets::Trouble::Missing
        | keywatch_secrets::Trouble::Unavailable
        | keywatch_secrets::Trouble::Unusable => unanswered.remedy.clone(),
    };
    findings.unknown(what, needs, &unanswered.detail);
}
