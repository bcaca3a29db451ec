//! Which rules a blind spot costs: worked out from what the loaded rules look for.

use super::Lost;
use super::kinds;
use keywatch_event::Provider;
use keywatch_rules::rule::Kind as RuleKind;
use keywatch_rules::{EventKind, Leaning, Rule, RuleSet};
use serde::Serialize;

/// Rules by what is left to them at one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Cost {
    /// They find nothing there any more.
    pub(crate) blind: Vec<String>,
    /// They miss some of what they look for.
    pub(crate) see_less: Vec<String>,
}

/// The rules that `lost` costs at `provider`. Rules that can find nothing here anyway, for want of a
/// list, are left out; so are those that raise nothing.
pub(crate) fn cost(set: &RuleSet, provider: Provider, lost: &Lost) -> Cost {
    let all = kinds::of(provider);
    let left: Vec<&EventKind> =
        all.iter().filter(|kind| !kinds::holds(&lost.wholly, kind)).map(|kind| &kind.event).collect();
    let before: Vec<&EventKind> = all.iter().map(|kind| &kind.event).collect();
    let mut cost = Cost::default();
    for rule in set.rules.iter().filter(|rule| rule.blind.is_none()) {
        let id = rule.id.to_string();
        match &rule.kind {
            RuleKind::Observed(observed) if lost.observed == Some(*observed) => cost.blind.push(id),
            RuleKind::Count(_) | RuleKind::Silence(_) if set.can_find(rule, &before) => {
                let leaning = if lost.addresses { set.leans_on_address(rule) } else { Leaning::Not };
                if !set.can_find(rule, &left) || leaning == Leaning::Wholly {
                    cost.blind.push(id);
                } else if leaning == Leaning::Partly || hears_any(set, rule, lost) {
                    cost.see_less.push(id);
                }
            }
            RuleKind::Classify(_)
            | RuleKind::Count(_)
            | RuleKind::Silence(_)
            | RuleKind::Risk(_)
            | RuleKind::Observed(_) => {}
        }
    }
    cost.blind.sort();
    cost.see_less.sort();
    cost
}

fn hears_any(set: &RuleSet, rule: &Rule, lost: &Lost) -> bool {
    lost.wholly.iter().chain(&lost.partly).any(|kind| set.may_hear(rule, &kind.event))
}
