//! What the operator supplies beside the events: lists, planned access, address databases.
//!
//! Bytes in, answers out: nothing here opens a file. What is not supplied answers nothing.

use crate::lookup::AddressData;
use crate::pattern::Pattern;
use hashbrown::HashSet;
use ipnet::IpNet;
use keywatch_event::{AuditEvent, EventTime};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// List of account ids that are the operator's own.
const OWN_ACCOUNTS: &str = "own_accounts";
/// List of domains that are the operator's own.
const OWN_DOMAINS: &str = "own_domains";

/// The lists that shipped rules ask for, and those that say what is the operator's own.
pub const USUAL_LISTS: &[&str] = &[
    "audit_buckets",
    "automation",
    "aws_ranges",
    "break_glass",
    "canaries",
    "known_networks",
    "machine_networks",
    OWN_ACCOUNTS,
    OWN_DOMAINS,
    "rotators",
    "threat_networks",
];

/// Everything a rule may ask for that no event tells. The default supplies nothing.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The operator's lists.
    pub lists: Lists,
    /// Access that was announced.
    pub planned: Vec<Planned>,
    /// Autonomous systems by address.
    pub asn: Option<AddressData>,
    /// Countries by address.
    pub country: Option<AddressData>,
}

/// Named lists of values; a value may hold the wildcards `*` and `?`.
#[derive(Clone, Debug, Default)]
pub struct Lists(BTreeMap<String, List>);

/// One list, prepared for every way a rule may ask it.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    values: Vec<String>,
    /// Values without wildcards, in lower case.
    exact: HashSet<Box<str>>,
    /// Values with wildcards.
    globs: Vec<Pattern>,
    /// Disjoint and in order: a provider's list has ten thousand.
    nets: Vec<IpNet>,
}

/// One announced access.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Whose access, by `principal.id` or name; `None`: anybody's.
    pub principal: Option<Pattern>,
    /// To which secret, by id or name; `None`: to any, and events that name no secret too.
    pub secret: Option<Pattern>,
    /// From when, inclusive.
    pub from: EventTime,
    /// Until when, inclusive.
    pub to: EventTime,
    /// Why, in the operator's words.
    pub reason: String,
}

impl Surroundings {
    /// Whether an announced access covers the event: its principal, its time, and every secret
    /// it names.
    #[must_use]
    pub fn plans(&self, event: &AuditEvent<'_>) -> bool {
        self.planned.iter().any(|planned| planned.covers(event))
    }

    /// Whether `account` is among the operator's own accounts.
    #[must_use]
    pub fn owns_account(&self, account: &str) -> bool {
        self.lists.list(OWN_ACCOUNTS).is_some_and(|list| list.has(account))
    }

    /// Whether `domain`, or a domain above it, is among the operator's own.
    #[must_use]
    pub fn owns_domain(&self, domain: &str) -> bool {
        let Some(list) = self.lists.list(OWN_DOMAINS) else { return false };
        let mut rest = Some(domain);
        while let Some(name) = rest {
            if list.has(name) {
                return true;
            }
            rest = name.split_once('.').map(|(_, above)| above);
        }
        false
    }
}

impl Lists {
    /// Prepares the lists.
    #[must_use]
    pub fn new(lists: BTreeMap<String, Vec<String>>) -> Self {
        Self(lists.into_iter().map(|(name, values)| (name, List::new(values))).collect())
    }

    /// The values of a list as they were written; `None` when it is not supplied.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.list(name).map(|list| list.values.as_slice())
    }

    pub(crate) fn list(&self, name: &str) -> Option<&List> {
        self.0.get(name)
    }
}

impl List {
    fn new(values: Vec<String>) -> Self {
        let wild = |value: &&String| value.contains(['*', '?', '\\']);
        Self {
            exact: values.iter().filter(|v| !wild(v)).map(|v| v.to_lowercase().into()).collect(),
            globs: values.iter().filter(wild).filter_map(|v| Pattern::listed(v).ok()).collect(),
            nets: disjoint(&values.iter().filter_map(|value| network(value)).collect()),
            values,
        }
    }

    /// Whether `value` is listed, without regard to case.
    pub(crate) fn has(&self, value: &str) -> bool {
        crate::text::lower(value, |lower| self.exact.contains(lower))
            || self.globs.iter().any(|glob| glob.fits(value))
    }

    /// Whether `ip` lies in a listed network.
    pub(crate) fn spans(&self, ip: IpAddr) -> bool {
        let after = self.nets.partition_point(|net| net.network() <= ip);
        after.checked_sub(1).and_then(|at| self.nets.get(at)).is_some_and(|net| net.contains(&ip))
    }

    pub(crate) fn values(&self) -> &[String] {
        &self.values
    }
}

fn disjoint(nets: &Vec<IpNet>) -> Vec<IpNet> {
    let mut nets = IpNet::aggregate(nets);
    nets.sort_unstable_by_key(IpNet::network);
    nets
}

/// Reads `192.0.2.0/24`, or an address as a network of one.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

impl Planned {
    fn covers(&self, event: &AuditEvent<'_>) -> bool {
        let fits = |pattern: &Pattern, id: &str, name: Option<&str>| {
            pattern.fits(id) || name.is_some_and(|name| pattern.fits(name))
        };
        let principal = &event.principal;
        let by = |pattern: &Pattern| fits(pattern, &principal.id, principal.name.as_deref());
        let to = |pattern: &Pattern| {
            let secrets = &event.secrets;
            !secrets.is_empty() && secrets.iter().all(|s| fits(pattern, &s.id, Some(&s.name)))
        };
        (self.from..=self.to).contains(&event.time)
            && self.principal.as_ref().is_none_or(by)
            && self.secret.as_ref().is_none_or(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn lists(name: &str, values: &[&str]) -> Lists {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Lists::new(BTreeMap::from([(name.to_owned(), values)]))
    }

    #[test]
    fn a_domain_belongs_to_the_one_above_it() {
        let around = Surroundings { lists: lists(OWN_DOMAINS, &["example.com"]), ..Surroundings::default() };
        assert!(around.owns_domain("Example.com"));
        assert!(around.owns_domain("mail.example.com"));
        assert!(!around.owns_domain("badexample.com"));
        assert!(!around.owns_domain("com"));
    }

    #[test]
    fn a_list_holds_names_wildcards_and_networks() {
        let lists = lists("mixed", &["Alice", "role/ci-*", "192.0.2.0/24", "198.51.100.7"]);
        let list = lists.list("mixed").unwrap();
        assert!(list.has("alice") && list.has("ROLE/ci-7") && !list.has("bob"));
        assert!(list.spans("192.0.2.9".parse().unwrap()) && list.spans("198.51.100.7".parse().unwrap()));
        assert!(!list.spans("198.51.100.8".parse().unwrap()));
        assert_eq!(lists.get("other"), None);
    }

    #[test]
    fn networks_inside_and_beside_one_another_are_all_found() {
        let values =
            ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.128/25", "192.0.2.0/25", "2001:db8::/32", "0.0.0.1"];
        let lists = lists("nets", &values);
        let spans = |ip: &str| lists.list("nets").unwrap().spans(ip.parse().unwrap());
        for ip in
            ["10.0.0.0", "10.1.2.3", "10.255.255.255", "192.0.2.200", "192.0.2.1", "2001:db8::9", "0.0.0.1"]
        {
            assert!(spans(ip), "{ip}");
        }
        for ip in ["9.255.255.255", "11.0.0.0", "192.0.3.0", "2001:db9::", "::1", "255.255.255.255"] {
            assert!(!spans(ip), "{ip}");
        }
    }

    #[test]
    fn planned_access_covers_principal_secret_and_time() {
        let mut event = testing::event();
        let planned = |secret: Option<&str>| Planned {
            principal: Some(Pattern::listed("role/pay*").unwrap()),
            secret: secret.map(|text| Pattern::listed(text).unwrap()),
            from: event.time,
            to: event.time.plus_secs(60),
            reason: "drill".to_owned(),
        };
        let around = |planned| Surroundings { planned: vec![planned], ..Surroundings::default() };
        let (any, one) = (around(planned(None)), around(planned(Some("prod/*"))));
        assert!(any.plans(&event) && one.plans(&event));
        event.secrets.push(testing::secret("stage/db"));
        assert!(any.plans(&event) && !one.plans(&event), "one of two secrets was not announced");
        event.secrets.clear();
        assert!(any.plans(&event) && !one.plans(&event));
        event.time = event.time.plus_secs(61);
        assert!(!any.plans(&event));
    }
}
