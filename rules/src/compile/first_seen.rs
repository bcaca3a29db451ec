//! `keywatch.first_seen`: what is normal, and therefore what is new.

use super::book::Library;
use super::document::Document;
use super::fields::{all_own, own};
use super::sense;
use crate::field::Field;
use crate::rule::{Baseline, BaselineId, MatcherId, Mature, Novel};
use crate::yaml::{Node, Table};
use std::sync::Arc;

const KEYS: &[&str] = &[
    "of",
    "per",
    "taints",
    "unless",
    "learn",
    "mature",
    "seldom",
    "decay",
    "values_max",
    "accept_days",
    "returns_after",
    "mobile",
];
const NETWORK: &str = "source.network";
const DAY: i64 = 86_400;

/// The baseline a detection asks for, when it does.
pub(super) fn read(
    document: &Document<'_>,
    events: MatcherId,
    library: &Library<'_, '_>,
) -> Option<BaselineId> {
    let extension = document.extension()?;
    let node = extension.get("first_seen")?;
    let table = Table::open(node, KEYS, document.problems)?;
    let baseline = Reader { table, library }.baseline(document, events)?;
    sense::check_baseline(document, &baseline, node);
    Some(library.tables.add_baseline(baseline))
}

struct Reader<'r, 'b, 's> {
    table: Table<'r>,
    library: &'r Library<'b, 's>,
}

impl Reader<'_, '_, '_> {
    fn baseline(&self, document: &Document<'_>, events: MatcherId) -> Option<Baseline> {
        let of = self.of();
        let network = matches!(of, Some(Novel::Network { .. }));
        let per = self.per(network);
        let matcher = |key| self.table.get(key).map(|node| self.library.matcher(node));
        let (taints, unless) = (matcher("taints"), matcher("unless"));
        let mature = self.mature(network);
        let seldom = self.table.get("seldom").and_then(|node| self.mature_of(node, Mature::default()));
        let returns_after_secs = self.table.secs("returns_after");
        Some(Baseline {
            rule: Arc::clone(&document.id),
            events,
            per,
            of: of?,
            taints: taints.flatten(),
            unless: unless.flatten(),
            learn_secs: self.table.secs("learn").unwrap_or(7 * DAY),
            mature,
            seldom,
            decay_secs: self.decay(network, returns_after_secs),
            values_max: self.size("values_max", 1..=100_000).unwrap_or(256),
            accept_days: self.size("accept_days", 0..=8).unwrap_or(if network { 3 } else { 0 }),
            returns_after_secs,
        })
    }

    fn of(&self) -> Option<Novel> {
        let problems = self.library.problems;
        let remedy = "name fields, as `of: [secrets.id]`, or source.network";
        let node = self.table.need("of", remedy)?;
        let names = self.table.texts("of");
        let network = names.iter().any(|(name, _)| name == NETWORK);
        let mobile = self.table.get("mobile");
        if names.is_empty() {
            problems.add(node, "`of` names no field", remedy);
            return None;
        }
        if network && names.len() > 1 {
            let remedy = "leave source.network alone in `of`, and write the other fields under `per`";
            problems.add(node, "source.network is judged by itself", remedy);
            return None;
        }
        if network {
            return Some(self.network(mobile));
        }
        if let Some(at) = mobile {
            let message = "only networks have a ladder a principal can climb";
            problems.add(at, message, "remove `mobile`, or write `of: source.network`");
        }
        let fields = all_own(&names, problems);
        (fields.len() == names.len()).then_some(Novel::Values(fields))
    }

    fn network(&self, mobile: Option<&Node>) -> Novel {
        let keys = &["networks", "within", "days", "of_days"];
        let table = mobile.and_then(|node| Table::open(node, keys, self.library.problems));
        let number = |key, range, usual| {
            let number = table.as_ref().and_then(|table| table.int(key, range));
            number.and_then(|number| usize::try_from(number).ok()).unwrap_or(usual)
        };
        Novel::Network {
            mobile_networks: number("networks", 2..=1000, 12),
            mobile_within_secs: table.as_ref().and_then(|table| table.secs("within")).unwrap_or(7 * DAY),
            mobile_days: number("days", 0..=16, 4),
            mobile_of_days: number("of_days", 1..=16, 14),
        }
    }

    fn per(&self, network: bool) -> Vec<Field> {
        let problems = self.library.problems;
        let fields = match self.table.get("per") {
            Some(_) => all_own(&self.table.texts("per"), problems),
            None if network => own("principal.id", self.table.node(), problems).into_iter().collect(),
            None => Vec::new(),
        };
        let of = self.table.texts("of");
        for (name, at) in self.table.texts("per") {
            if of.iter().any(|(other, _)| *other == name) {
                let message = format!("`{name}` is also under `of`, so it is new only once for itself");
                problems.add(at, message, "take it out of one of them");
            }
        }
        fields
    }

    fn mature(&self, network: bool) -> Mature {
        let usual =
            if network { Mature { age_secs: 7 * DAY, events: 10, days: 3 } } else { Mature::default() };
        self.table.get("mature").and_then(|node| self.mature_of(node, usual)).unwrap_or(usual)
    }

    fn mature_of(&self, node: &Node, usual: Mature) -> Option<Mature> {
        let table = Table::open(node, &["age", "events", "days"], self.library.problems)?;
        let events = table.int("events", 0..=1_000_000).and_then(|number| u32::try_from(number).ok());
        let days = table.int("days", 0..=8).and_then(|number| usize::try_from(number).ok());
        Some(Mature {
            age_secs: table.secs("age").unwrap_or(usual.age_secs),
            events: events.unwrap_or(usual.events),
            days: days.unwrap_or(usual.days),
        })
    }

    /// A value must be remembered for longer than the absence that makes its return worth a word.
    fn decay(&self, network: bool, returns_after_secs: Option<i64>) -> i64 {
        let usual = if network { 30 * DAY } else { 90 * DAY };
        let returns = returns_after_secs.unwrap_or(0);
        let decay = self.table.secs("decay");
        if let (Some(decay), Some(node)) = (decay, self.table.get("decay"))
            && decay <= returns
        {
            let message = "a value would be forgotten before it can return";
            self.library.problems.add(node, message, "write `decay` longer than `returns_after`");
        }
        decay.unwrap_or(usual.max(returns.saturating_mul(4)))
    }

    fn size(&self, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<usize> {
        self.table.int(key, range).and_then(|number| usize::try_from(number).ok())
    }
}
