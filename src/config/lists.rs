//! The operator's lists: values in the configuration, or one per line in a file of their own.
//!
//! Invariant: a list is read whole or not at all; a value that cannot be what its list holds is
//! named with its place.

use super::frame::{At, Origin, Problems};
use super::section::{Item, ListSource};
use keywatch_rules::Problem;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

/// Largest list file: a million values of 64 bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most values of one list. Each is kept in up to three forms, about 200 bytes.
const VALUES_MAX: usize = 1_000_000;
/// The list that `known_networks` of the configuration feeds.
pub(crate) const KNOWN_NETWORKS: &str = "known_networks";
/// Lists that hold networks and nothing else.
const NETWORKS: &[&str] = &[KNOWN_NETWORKS, "aws_ranges", "threat_networks"];
/// The list of the operator's own accounts.
const OWN_ACCOUNTS: &str = "own_accounts";
/// Problems told of one list file; the rest is counted.
const PROBLEMS_MAX: usize = 5;

/// Lists by name.
pub(crate) type Lists = BTreeMap<String, Vec<String>>;

/// `ip-ranges.json` as AWS publishes it
/// (docs.aws.amazon.com/vpc/latest/userguide/aws-ip-ranges.html).
#[derive(Deserialize)]
struct AwsRanges {
    prefixes: Vec<V4>,
    #[serde(default)]
    ipv6_prefixes: Vec<V6>,
}

#[derive(Deserialize)]
struct V4 {
    ip_prefix: String,
}

#[derive(Deserialize)]
struct V6 {
    ipv6_prefix: String,
}

/// The values of every list.
pub(super) fn collect(sources: &BTreeMap<String, At<ListSource>>, problems: &Problems) -> Lists {
    let values = |(name, source): (&String, &At<ListSource>)| {
        let values = match &source.value {
            ListSource::Inline(items) => {
                items.iter().filter_map(|item| inline(name, item, problems)).collect()
            }
            ListSource::File(file) => from_file(name, &file.file, &source.origin, problems),
        };
        (name.clone(), values)
    };
    sources.iter().map(values).collect()
}

fn inline(name: &str, item: &At<Item>, problems: &Problems) -> Option<String> {
    let Item { text, is_number } = &item.value;
    if name == OWN_ACCOUNTS && *is_number && text.len() != 12 {
        // YAML reads 012345678901 as a number and forgets the zero.
        let message = format!("`{text}` has not the 12 digits of an account");
        problems.add(&item.origin, message, "write it in quotes");
        return None;
    }
    match mistake(name, text) {
        None => Some(text.clone()),
        Some((what, remedy)) => {
            problems.add(&item.origin, what, remedy);
            None
        }
    }
}

fn from_file(name: &str, path: &Path, at: &Origin, problems: &Problems) -> Vec<String> {
    load(name, path).unwrap_or_else(|found| {
        for problem in found {
            problems.add(at, problem.to_string(), "");
        }
        Vec::new()
    })
}

/// What is wrong with a value, and what to write instead.
fn mistake(name: &str, value: &str) -> Option<(String, &'static str)> {
    if value.trim().is_empty() {
        return Some((format!("the list `{name}` holds an empty value"), "remove it"));
    }
    let is_network = || value.parse::<ipnet::IpNet>().is_ok() || value.parse::<IpAddr>().is_ok();
    if NETWORKS.contains(&name) && !is_network() {
        let what = format!("`{value}` in the list `{name}` is no network");
        return Some((what, "write it as 198.51.100.0/24 or 2001:db8::/32"));
    }
    None
}

/// The values of a list file: one per line, `#` begins a comment; or `ip-ranges.json` of AWS.
///
/// # Errors
/// What is wrong with it, with place and remedy.
pub(crate) fn load(name: &str, path: &Path) -> Result<Vec<String>, Vec<Problem>> {
    let problem = |line: usize, message: String, remedy: &str| {
        let (file, remedy) = (path.display().to_string(), remedy.to_owned());
        Problem { file, line, column: 1, message, remedy }
    };
    let text = read_file(path).map_err(|error| {
        let message = format!("the file of the list `{name}` cannot be read: {error}");
        vec![problem(1, message, "name a text file with one value per line")]
    })?;
    if text.trim_start().starts_with('{') {
        return aws_ranges(&text).map_err(|error| {
            let message = format!("begins like JSON and is not AWS's ip-ranges.json: {error}");
            vec![problem(1, message, "write one value per line")]
        });
    }
    let mut values = Vec::new();
    let mut wrong = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    for (line, text) in (1..).zip(text.lines()) {
        let value = without_comment(text);
        if value.is_empty() {
            continue;
        }
        match mistake(name, value) {
            None => values.push(value.to_owned()),
            Some((what, remedy)) => wrong.push(problem(line, what, remedy)),
        }
    }
    if values.len() > VALUES_MAX {
        let message = format!("the list `{name}` has more than {VALUES_MAX} values");
        wrong.push(problem(1, message, "write networks or wildcards instead of single values"));
    }
    let more = wrong.len().saturating_sub(PROBLEMS_MAX);
    wrong.truncate(PROBLEMS_MAX);
    if more > 0 {
        wrong.push(problem(1, format!("{more} more mistake(s) in this file"), ""));
    }
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}

fn read_file(path: &Path) -> Result<String, std::io::Error> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| std::io::Error::other(format!("it is not UTF-8: {error}")))
}

/// The line up to a `#` that begins it or follows a blank.
fn without_comment(line: &str) -> &str {
    let begins =
        |at: &usize| line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']));
    let end = line.match_indices('#').map(|(at, _)| at).find(begins);
    line.get(..end.unwrap_or(line.len())).unwrap_or(line).trim()
}

fn aws_ranges(text: &str) -> Result<Vec<String>, serde_json::Error> {
    let ranges: AwsRanges = serde_json::from_str(text)?;
    let four = ranges.prefixes.into_iter().map(|range| range.ip_prefix);
    let mut all: Vec<String> =
        four.chain(ranges.ipv6_prefixes.into_iter().map(|range| range.ipv6_prefix)).collect();
    // AWS names a range once per service that uses it.
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::read_root;

    fn check(text: &str) -> (Lists, Vec<String>) {
        let (root, mut found) = read_root(text);
        let problems = Problems::default();
        let lists = collect(&root.unwrap().lists, &problems);
        found.extend(problems.into_sorted().iter().map(ToString::to_string));
        (lists, found)
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_list_stands_in_the_configuration_or_in_a_file() {
        let breakers = file("\u{feff}# who may\nrole/break-glass\n\n  role/b#2 # in the safe\n");
        let path = breakers.path().display();
        let (lists, found) = check(&format!(
            "lists:\n  canaries: [\"prod/canary-*\", prod/old]\n  break_glass: {{file: {path}}}\n  empty:\n"
        ));
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(lists["canaries"], ["prod/canary-*", "prod/old"]);
        assert_eq!(lists["break_glass"], ["role/break-glass", "role/b#2"]);
        assert_eq!(lists["empty"], Vec::<String>::new());
    }

    #[test]
    fn the_published_ranges_of_aws_are_read_each_once() {
        let ranges = file(
            "{\"syncToken\":\"1\",\"prefixes\":[{\"ip_prefix\":\"198.51.100.0/24\",\"service\":\"AMAZON\"},\
             {\"ip_prefix\":\"198.51.100.0/24\",\"service\":\"EC2\"}],\"ipv6_prefixes\":[{\"ipv6_prefix\":\"2001:db8::/32\"}]}",
        );
        assert_eq!(load("aws_ranges", ranges.path()).unwrap(), ["198.51.100.0/24", "2001:db8::/32"]);
        let other = file("{\"ranges\":[]}");
        let wrong = load("aws_ranges", other.path()).unwrap_err();
        assert!(wrong[0].remedy.contains("one value per line"), "{wrong:?}");
    }

    #[test]
    fn every_mistake_of_every_list_is_named_at_once() {
        let networks = file("192.0.2.0/24\noffice\nnowhere\n");
        let path = networks.path().display();
        let (_, found) = check(&format!(
            "lists:\n  own_accounts: [012345678901]\n  threat_networks: {{file: {path}}}\n  gone: {{file: /nowhere/x}}\n  a b: [x]\n  deep: [[x]]\n"
        ));
        assert_eq!(found.len(), 6, "{found:#?}");
        for part in [
            "c.yaml:2:18: `12345678901` has not the 12 digits of an account; write it in quotes",
            ":2:1: `office` in the list `threat_networks` is no network; write it as",
            ":3:1: `nowhere`",
            "/nowhere/x:1:1: the file of the list `gone` cannot be read",
            "c.yaml:5:3: `a b` under `lists` is no name",
            "c.yaml:6:10: `lists` holds texts, not a list",
        ] {
            assert!(found.iter().any(|found| found.contains(part)), "{part} in {found:#?}");
        }
    }
}
