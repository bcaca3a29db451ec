//! From what lately came to what does not come.

use super::kinds::{self, Kind};
use super::{Findings, Lost, Spot};
use keywatch_event::{Class, Observed, Provider, SourceKind};
use keywatch_rules::rule::Kind as RuleKind;
use keywatch_rules::{Rule, RuleSet};
use keywatch_store::Picture;

/// Events from which on it says something that one kind never came: a site that does anything at all
/// has so many within a day.
const EVENTS_MIN: u64 = 50;
/// Addresses so few that they are those of proxies rather than of clients.
const PROXIES_MAX: usize = 2;
/// Rejects from which on they are told, and their share of all records in a hundred.
const REJECTS_MIN: u64 = 10;
const REJECTS_PERCENT: u64 = 1;

/// Whether anything came from a provider, and whether reads were among it.
pub(super) fn of_provider(picture: &Picture, provider: Provider, findings: &mut Findings) {
    let of_it = || picture.classes.iter().filter(|(of, _, _)| *of == provider);
    let events: u64 = of_it().map(|(_, _, events)| events).sum();
    let is_read = |class: Class| matches!(class, Class::SecretRead | Class::SecretBatchRead | Class::KeyUse);
    let reads: u64 = of_it().filter(|(_, class, _)| is_read(*class)).map(|(_, _, events)| events).sum();
    let all = kinds::of(provider);
    if events == 0 && picture.events >= EVENTS_MIN {
        return findings.spot(Spot {
            id: "stored.nothing-came",
            what: format!("everything of {provider}"),
            why: format!("none of the newest events is of {provider}, though a source is there for it"),
            mend: vec!["# see why on the sources page of the dashboard; `keywatch config check` asks whether the source answers".to_owned()],
            lost: Lost::wholly(all),
        });
    }
    if events < EVENTS_MIN {
        let said = format!("{events} events of {provider} are stored; {EVENTS_MIN} would say something");
        return findings.unknown(
            format!("whether reads of {provider} arrive"),
            "more events in the database",
            said,
        );
    }
    if reads > 0 {
        return findings
            .sound(format!("reads of {provider} arrive: {reads} among its newest {events} events"));
    }
    findings.spot(Spot {
        id: "stored.no-reads",
        what: "reads of secrets and uses of keys".to_owned(),
        why: format!("none of the newest {events} events of {provider} is one"),
        mend: vec![format!(
            "# what switches them on is told above, and in docs/sources/{}.md",
            page(provider)
        )],
        lost: Lost::wholly(all.iter().filter(|kind| is_kind_of_read(kind))),
    });
}

fn page(provider: Provider) -> &'static str {
    match provider {
        Provider::Aws => "aws",
        Provider::Gcp => "gcp",
        Provider::Azure => "azure",
        Provider::Vault => "vault",
    }
}

fn is_kind_of_read(kind: &Kind) -> bool {
    matches!(kind.class, "secret.read" | "secret.batch_read" | "key.use")
}

/// Whether clients of Vault have addresses of their own. `believes` is what its listeners say.
pub(super) fn of_addresses(picture: Option<&Picture>, believes: Option<bool>, findings: &mut Findings) {
    if believes == Some(true) {
        return findings.sound("listeners take the client's address from proxies they know");
    }
    let addresses = picture.map(|picture| picture.vault_addresses.as_slice()).unwrap_or_default();
    let events: u64 = addresses.iter().map(|address| address.events).sum();
    if events < EVENTS_MIN {
        let said =
            format!("{events} events of Vault with an address are stored; {EVENTS_MIN} would say something");
        return findings.unknown(
            "whether clients come through a proxy that hides them",
            "more events in the database",
            said,
        );
    }
    let is_hidden = addresses.len() <= PROXIES_MAX
        && addresses.iter().all(|address| address.kind == SourceKind::Internal);
    if !is_hidden {
        return findings.sound("clients of Vault have addresses of their own");
    }
    let names: Vec<&str> = addresses.iter().map(|address| address.text.as_str()).collect();
    findings.spot(Spot {
        id: "vault.behind-proxy",
        what: "where clients come from".to_owned(),
        why: format!("the newest {events} events all come from {}: a proxy in front of Vault", names.join(" and ")),
        mend: vec![
            format!("# in the stanza `listener \"tcp\"` of Vault's configuration: x_forwarded_for_authorized_addrs = \"{}\"", names.join(",")),
            "# and let the proxy set X-Forwarded-For; then: pkill -HUP -x vault".to_owned(),
        ],
        lost: Lost::addresses(),
    });
}

/// What the store says of all sources together.
pub(super) fn of_all(picture: &Picture, set: &RuleSet, findings: &mut Findings) {
    let records = picture.events + picture.rejects;
    if picture.rejects >= REJECTS_MIN && picture.rejects * 100 > records * REJECTS_PERCENT {
        findings.spot(Spot {
            id: "stored.rejects",
            what: format!("{} of {records} records", picture.rejects),
            why: "they cannot be read and are kept as rejects".to_owned(),
            mend: vec![
                "# see reason, place and bytes of each on the page /rejects of the dashboard".to_owned(),
            ],
            lost: Lost::nothing(),
        });
    } else {
        findings.sound(format!("{} of {records} records could not be read", picture.rejects));
    }
    for rule in &set.rules {
        let open = picture.open_alerts.iter().find(|(id, _)| **id == *rule.id);
        if let Some((id, alerts)) = open {
            findings.spots.extend(of_loss(rule, id, *alerts));
        }
    }
}

/// What an open alert says is lost.
fn of_loss(rule: &Rule, id: &str, alerts: u64) -> Option<Spot> {
    let page = format!("# see /alerts?rule={id} on the dashboard");
    let (spot, why, mend) = match &rule.kind {
        RuleKind::Observed(
            Observed::Gap | Observed::GivenUp | Observed::Silence | Observed::Integrity | Observed::Defect,
        ) => ("stored.source-alerts", "nobody has resolved them", vec![page]),
        RuleKind::Silence(silence) if silence.followed_by.is_some() => (
            "stored.unanswered",
            "what must follow did not come: a device that loses entries, a record that was cut, a node that died, \
             or a log that was edited",
            vec![
                page,
                "vault audit list -detailed".to_owned(),
                "# and the free space of each device: df".to_owned(),
            ],
        ),
        RuleKind::Observed(_)
        | RuleKind::Silence(_)
        | RuleKind::Classify(_)
        | RuleKind::Count(_)
        | RuleKind::Risk(_) => return None,
    };
    Some(Spot {
        id: spot,
        what: format!("what {alerts} open alert(s) of {id} tell of: {}", rule.title),
        why: why.to_owned(),
        mend,
        lost: Lost::nothing(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::{blind_rules, ids};
    use keywatch_store::Address;

    fn picture(classes: &[(Provider, Class, u64)]) -> Picture {
        let events = classes.iter().map(|(_, _, events)| events).sum();
        Picture { classes: classes.to_vec(), events, ..Picture::default() }
    }

    #[track_caller]
    fn check(classes: &[(Provider, Class, u64)], want: &[&str], unknown: usize) -> Findings {
        let mut findings = Findings::default();
        of_provider(&picture(classes), Provider::Gcp, &mut findings);
        assert_eq!((ids(&findings), findings.unknown.len()), (want.to_vec(), unknown), "{classes:?}");
        findings
    }

    #[test]
    fn reads_that_never_came_are_told_once_enough_else_came() {
        check(&[], &[], 1);
        check(&[(Provider::Gcp, Class::SecretWrite, 49)], &[], 1);
        check(&[(Provider::Gcp, Class::SecretWrite, 49), (Provider::Gcp, Class::KeyUse, 1)], &[], 0);
        check(&[(Provider::Aws, Class::SecretRead, 60)], &["stored.nothing-came"], 0);
        let findings = check(&[(Provider::Gcp, Class::SecretWrite, 50)], &["stored.no-reads"], 0);
        let blind = blind_rules(Provider::Gcp, &findings, "stored.no-reads");
        assert!(blind.contains(&"KW-102".to_owned()) && !blind.contains(&"KW-004".to_owned()), "{blind:?}");
    }

    fn address(text: &str, kind: SourceKind, events: u64) -> Address {
        Address { text: text.to_owned(), kind, events }
    }

    #[track_caller]
    fn proxied(addresses: &[Address], believes: Option<bool>, want: &[&str], unknown: usize) -> Findings {
        let picture = Picture { vault_addresses: addresses.to_vec(), ..Picture::default() };
        let mut findings = Findings::default();
        of_addresses(Some(&picture), believes, &mut findings);
        assert_eq!((ids(&findings), findings.unknown.len()), (want.to_vec(), unknown), "{addresses:?}");
        findings
    }

    #[test]
    fn clients_that_all_come_from_one_private_address_are_behind_a_proxy() {
        let internal = |text, events| address(text, SourceKind::Internal, events);
        let one = [internal("10.0.0.5", 60)];
        let findings = proxied(&one, Some(false), &["vault.behind-proxy"], 0);
        let blind = blind_rules(Provider::Vault, &findings, "vault.behind-proxy");
        assert!(blind.contains(&"KW-002".to_owned()) && !blind.contains(&"KW-102".to_owned()), "{blind:?}");
        proxied(&one, None, &["vault.behind-proxy"], 0);
        proxied(&one, Some(true), &[], 0);
        proxied(&[internal("10.0.0.5", 10)], None, &[], 1);
        proxied(&[internal("10.0.0.5", 60), internal("10.0.0.6", 1), internal("10.0.0.7", 1)], None, &[], 0);
        proxied(&[address("198.51.100.1", SourceKind::Addr, 60)], None, &[], 0);
    }

    #[test]
    fn rejects_and_open_alerts_about_sources_are_told() {
        let book = crate::rulebook::load(&[]).expect("the shipped rules");
        let told = |rejects: u64, open: &[(&str, u64)]| {
            let open_alerts = open.iter().map(|(rule, alerts)| ((*rule).to_owned(), *alerts)).collect();
            let mut findings = Findings::default();
            of_all(
                &Picture { events: 1000, rejects, open_alerts, ..Picture::default() },
                &book.set,
                &mut findings,
            );
            ids(&findings)
        };
        assert!(told(9, &[]).is_empty());
        assert!(told(10, &[]).is_empty());
        assert_eq!(told(20, &[]), ["stored.rejects"]);
        assert_eq!(told(0, &[("KW-133g", 1), ("KW-004", 3)]), ["stored.source-alerts"]);
        assert_eq!(told(0, &[("KW-133v", 1), ("KW-133", 1)]), ["stored.unanswered"]);
    }
}
