//! How alerts of rules that listen to what is new say what that was.

use crate::field::{Field, Normal, joint};
use crate::rule::{Baseline, Count, Kind, Mention, News, Novel, Rule};
use crate::wording::{listed, spoken};

/// Fields whose values a title has already, or that say nothing to a reader who does not know the rule.
const UNSAID: &[Normal] = &[
    Normal::SecretsId,
    Normal::SecretsName,
    Normal::PrincipalId,
    Normal::PrincipalName,
    Normal::Provider,
    Normal::Class,
    Normal::SourceKind,
    Normal::Outcome,
];
/// Of these not even the reasons give the values.
const WORDLESS: &[Normal] = &[Normal::Provider, Normal::SourceKind, Normal::Outcome, Normal::Class];

/// Gives every rule that is about what is new, and names nothing else of its events, the words for it.
pub(super) fn tell(rules: &mut [Rule], baselines: &[Baseline]) {
    for rule in rules {
        let Kind::Count(count) = &mut rule.kind else { continue };
        if count.mention.is_none() {
            count.mention = news(count, baselines).map(Mention::News);
        }
    }
}

fn news(count: &Count, baselines: &[Baseline]) -> Option<News> {
    let novel = count.hits.iter().filter_map(|hit| hit.novel).find_map(|id| baselines.get(id.0))?;
    let network = [Field::Normal(Normal::SourceNetwork)];
    let of = match &novel.of {
        Novel::Values(fields) => fields.as_slice(),
        Novel::Network { .. } => &network,
    };
    let is_in = |normals: &[Normal]| of.iter().any(|field| normals.iter().any(|normal| field.is(*normal)));
    let is_raw = of.iter().any(|field| matches!(field, Field::Raw(_)));
    let is_wordless = |field: &Field| WORDLESS.iter().any(|normal| field.is(*normal));
    let has_values = !of.iter().all(is_wordless);
    let lead = match novel.returns_after_secs {
        Some(secs) => format!("not seen for {} before", spoken(secs)),
        None if has_values => format!("never seen before ({})", joint(of).0),
        None => of_whom(&novel.per),
    };
    let noun = (!is_in(UNSAID) && !is_raw).then(|| joint(of));
    Some(News { lead, noun, has_values: has_values && novel.returns_after_secs.is_none() })
}

/// For whom it is the first.
fn of_whom(per: &[Field]) -> String {
    let each: Vec<String> = per.iter().map(|field| field.noun().0).collect();
    if each.is_empty() {
        "the first ever seen".to_owned()
    } else {
        format!("the first of this {}", listed(&each))
    }
}
