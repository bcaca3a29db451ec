//! What is odd about the operator's lists: a list no rule asks for, one that a rule of the operator's own
//! asks for and nothing supplies, and entries that fit nobody. All are slips more often than not, and
//! silent.

use super::Rulebook;
use crate::config::Lists;
use keywatch_rules::problem::nearest;
use keywatch_rules::{USUAL_LISTS, misfit};
use std::collections::{BTreeMap, BTreeSet};

/// Begins the names of the shipped files.
const SHIPPED: &str = "builtin/";
/// Entries of one list told one by one; the rest is counted.
const ENTRIES_SHOWN: usize = 5;

impl Rulebook {
    /// What is odd about the lists, with what `supplied` holds. One sentence each.
    pub(super) fn list_notices(&self, supplied: &Lists) -> Vec<String> {
        let asked = self.set.lists();
        let known = || USUAL_LISTS.iter().copied();
        let unasked = supplied
            .keys()
            .map(String::as_str)
            .filter(|name| !asked.contains_key(name) && !USUAL_LISTS.contains(name));
        let mut notices: Vec<String> = unasked
            .map(|name| {
                let remedy = did_you_mean(name, known().chain(asked.keys().copied()));
                format!(
                    "no rule asks for the list `{name}`; {}",
                    remedy.unwrap_or_else(|| "remove it, or name it in a rule".to_owned())
                )
            })
            .collect();
        for (list, rules) in
            asked.iter().filter(|(list, _)| !supplied.contains_key(**list) && !USUAL_LISTS.contains(list))
        {
            let remedy = did_you_mean(list, known().chain(supplied.keys().map(String::as_str)));
            let remedy =
                remedy.unwrap_or_else(|| format!("supply it under `lists:`, or with --list {list}=FILE"));
            let own = self.places(rules);
            notices.extend(own.into_iter().map(|place| {
                format!("{place} asks for the list `{list}`, which nothing supplies; {remedy}")
            }));
        }
        notices.extend(supplied.iter().flat_map(|(name, entries)| misfits(name, entries)));
        notices
    }

    /// Where those of the rules stand that are not shipped.
    fn places(&self, ids: &BTreeSet<&str>) -> Vec<String> {
        let named =
            self.set.rules.iter().filter(|rule| ids.contains(&*rule.id) && !rule.file.starts_with(SHIPPED));
        // A detection and what counts it ask for the same lists, and both are worth naming once.
        let places: BTreeMap<(&str, usize), &str> =
            named.map(|rule| ((rule.file.as_str(), rule.line), &*rule.id)).collect();
        places.into_iter().map(|((file, line), id)| format!("{file}:{line}: `{id}`")).collect()
    }
}

/// The entries of a list that fit nobody, each with what to write instead.
fn misfits(list: &str, entries: &[String]) -> Vec<String> {
    let mut found = entries.iter().filter_map(|entry| misfit(list, entry));
    let told = |odd| format!("in the list `{list}`, {odd}");
    let mut notices: Vec<String> = found.by_ref().take(ENTRIES_SHOWN).map(told).collect();
    match found.count() {
        0 => {}
        more => notices.push(format!("in the list `{list}`, {more} more like these")),
    }
    notices
}

fn did_you_mean<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use crate::config::Lists;
    use crate::rulebook::load;

    /// The notices about a rule that asks for the list `asked`, with these lists supplied.
    fn notices(asked: &str, supplied: &[&str]) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rule = format!(
            "title: T\nname: MY-1\nlevel: high\ndetection:\n  s: {{secrets.name|expand: '%{asked}%'}}\n  condition: s\n"
        );
        std::fs::write(file.path(), rule).unwrap();
        let book = load(&[file.path().to_owned()]).unwrap();
        let supplied: Lists =
            supplied.iter().map(|name| ((*name).to_owned(), vec!["x".to_owned()])).collect();
        let path = file.path().display().to_string();
        book.list_notices(&supplied).into_iter().map(|notice| notice.replace(&path, "my.yml")).collect()
    }

    #[test]
    fn entries_that_fit_nobody_are_told_with_what_to_write_and_the_rest_is_counted() {
        let book = load(&[]).unwrap();
        let names =
            ["deploy", "arn:aws:iam::111122223333:role/ci", "arn:aws:sts::111122223333:assumed-role/ci/1"];
        let automation = names.map(str::to_owned).to_vec();
        let canaries = (0..8).map(|n| format!("valut:kv/{n}")).collect();
        let supplied =
            Lists::from([("automation".to_owned(), automation), ("canaries".to_owned(), canaries)]);
        let notices = book.list_notices(&supplied);
        assert_eq!(notices.len(), 2 + 5 + 1, "{notices:#?}");
        assert!(
            notices[0].starts_with("in the list `automation`, `deploy` reads like a name"),
            "{notices:#?}"
        );
        assert!(notices[1].contains("write arn:aws:iam::111122223333:role/ci"), "{notices:#?}");
        assert_eq!(notices[7], "in the list `canaries`, 3 more like these");
    }

    #[test]
    fn a_list_that_is_asked_for_and_one_that_is_supplied_under_another_name_are_told() {
        assert_eq!(notices("canaries", &["canaries", "own_accounts"]), [""; 0]);
        assert_eq!(notices("canaries", &[]), [""; 0], "a usual list may be left empty");
        assert_eq!(
            notices("canaries", &["canarys"]),
            ["no rule asks for the list `canarys`; did you mean `canaries`?"]
        );
        assert_eq!(
            notices("cannaries", &["canaries"]),
            [
                "my.yml:1: `MY-1` asks for the list `cannaries`, which nothing supplies; did you mean `canaries`?"
            ]
        );
        assert_eq!(
            notices("paymasters", &["elevators"]),
            [
                "no rule asks for the list `elevators`; remove it, or name it in a rule",
                "my.yml:1: `MY-1` asks for the list `paymasters`, which nothing supplies; supply it under `lists:`, or with --list paymasters=FILE",
            ]
        );
        assert_eq!(notices("paymasters", &["paymasters"]), [""; 0]);
    }
}
