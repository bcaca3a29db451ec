//! Names of lists that do not fit together: a list no rule asks for, and one that a rule of the
//! operator's own asks for and nothing supplies. Both are slips more often than not, and silent.

use super::Rulebook;
use crate::config::Lists;
use keywatch_rules::USUAL_LISTS;
use keywatch_rules::problem::nearest;
use std::collections::{BTreeMap, BTreeSet};

/// Begins the names of the shipped files.
const SHIPPED: &str = "builtin/";

impl Rulebook {
    /// What is odd about the names of lists, with what `supplied` holds. One sentence each.
    pub(crate) fn list_notices(&self, supplied: &Lists) -> Vec<String> {
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
