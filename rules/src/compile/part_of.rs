//! `keywatch.part_of`: the rules whose alerts may hold those of this one.

use super::scope::Scope;
use super::sense;
use crate::rule::{Kind, Rule};
use std::collections::HashMap;
use std::sync::Arc;

/// Fills [`Rule::part_of`]. A name that is wrong is reported, and so is a circle: of two alerts
/// that may hold each other neither would be told.
pub(super) fn read(scope: &Scope<'_>, rules: &mut [Rule]) {
    let mut named: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
    for document in scope.documents {
        let listed = document.extension().map(|extension| extension.texts("part_of")).unwrap_or_default();
        for (name, at) in listed {
            let Some(place) = scope.find_related(&name, at, document) else { continue };
            let Some(whole) = scope.documents.get(place) else { continue };
            if reaches(&named, &whole.id, &document.id) {
                let message = format!("`{name}` is itself part of `{}`", document.id);
                document.problems.add(at, message, "let the rule that says more be part of nothing");
            } else {
                sense::check_parts(rules, (&document.id, &whole.id), document, at);
                named.entry(Arc::clone(&document.id)).or_default().push(Arc::clone(&whole.id));
            }
        }
    }
    for rule in rules.iter_mut().filter(|rule| matches!(rule.kind, Kind::Count(_))) {
        rule.part_of = named.remove(&rule.id).unwrap_or_default();
    }
}

/// Whether following `part_of` from one rule comes to another.
fn reaches(named: &HashMap<Arc<str>, Vec<Arc<str>>>, from: &Arc<str>, to: &Arc<str>) -> bool {
    let (mut open, mut seen) = (vec![from], Vec::new());
    while let Some(here) = open.pop() {
        if here == to {
            return true;
        }
        if !seen.contains(&here) {
            seen.push(here);
            open.extend(named.get(here).into_iter().flatten());
        }
    }
    false
}
