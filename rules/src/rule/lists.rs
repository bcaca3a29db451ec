//! Which of the operator's lists rules ask for.

use super::{Count, Counted, Hit, Kind, MatcherId, Rule, RuleSet};
use std::collections::{BTreeMap, BTreeSet};

impl RuleSet {
    /// The lists rules ask for, each with the ids of the rules that do.
    #[must_use]
    pub fn lists(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut lists: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for rule in &self.rules {
            let matchers = self.asked(rule).into_iter().filter_map(|id| self.matchers.get(id.0));
            for list in matchers.flat_map(crate::matcher::Matcher::lists) {
                lists.entry(list).or_default().insert(&rule.id);
            }
        }
        lists
    }

    /// Every matcher a rule asks, for whatever purpose.
    fn asked(&self, rule: &Rule) -> Vec<MatcherId> {
        let (hits, mut asked): (Vec<&Hit>, Vec<MatcherId>) = match &rule.kind {
            Kind::Classify(hit) => (vec![hit], Vec::new()),
            Kind::Count(count) => (count.hits.iter().collect(), count.asked()),
            Kind::Silence(silence) => {
                (std::iter::once(&silence.hit).chain(&silence.followed_by).collect(), Vec::new())
            }
            Kind::Risk(_) | Kind::Observed(_) => (Vec::new(), Vec::new()),
        };
        asked.extend(hits.iter().map(|hit| hit.matcher));
        let baselines = hits.iter().filter_map(|hit| self.baselines.get(hit.novel?.0));
        asked.extend(baselines.flat_map(|baseline| baseline.unless.into_iter().chain(baseline.taints)));
        asked
    }
}

impl Count {
    /// The matchers of its extension.
    fn asked(&self) -> Vec<MatcherId> {
        let mut asked: Vec<MatcherId> = self.attach.iter().map(|attach| attach.matcher).collect();
        asked.extend(self.hold.iter().flat_map(|hold| [hold.when, hold.cleared_by]));
        asked.extend(self.lower.iter().flat_map(|lower| [lower.created_by, lower.read_by]));
        let counted = self.measured();
        asked.extend(
            counted.filter_map(|counted| if let Counted::Matching(id) = counted { Some(*id) } else { None }),
        );
        asked
    }
}

#[cfg(test)]
mod tests {
    use crate::compile;
    use crate::surroundings::USUAL_LISTS;
    use std::collections::BTreeSet;

    #[test]
    fn a_list_is_asked_for_wherever_a_rule_names_it() {
        let text = "title: T\nname: t\nlevel: medium\ndetection:\n  \
            read: {class: secret.read, principal.id|expand: '%a%'}\n  \
            known: {source.ip|cidr|expand: ['%b%', '%c%']}\n  \
            held: {secrets.id|expand: '%d%'}\n  \
            many: {user_agent|expand: '%e%'}\n  \
            condition: read\nkeywatch:\n  \
            first_seen: {of: [secrets.id], unless: known}\n  \
            hold: {when: held, cleared_by: read, on: [principal.id]}\n  \
            escalate: {to: high, matching: many, gte: 2}\n";
        let set = compile([("a.yml", text)]).unwrap_or_else(|problems| panic!("{problems:?}"));
        let lists = set.lists();
        assert_eq!(lists.keys().copied().collect::<String>(), "abcde");
        assert!(lists.values().all(|rules| rules.iter().eq(["t"].iter())), "{lists:?}");
    }

    #[test]
    fn the_usual_lists_are_those_of_the_shipped_rules_and_of_what_is_ones_own() {
        let set = compile(crate::builtin().iter().copied()).unwrap_or_else(|problems| panic!("{problems:?}"));
        let mut asked: BTreeSet<&str> = set.lists().into_keys().collect();
        asked.extend(["own_accounts", "own_domains"]);
        assert_eq!(asked, USUAL_LISTS.iter().copied().collect());
    }
}
