//! Rules as they are published for Sigma load as they are.
//!
//! The rules here are invented; their shapes are those of the public collection. A checkout of
//! that collection is tried when `KEYWATCH_SIGMA` names its folder.

use keywatch_rules::rule::Kind;
use keywatch_rules::{RuleSet, compile};
use std::fs;
use std::path::{Path, PathBuf};

fn compiled(files: &[(String, String)]) -> Result<RuleSet, String> {
    let set = compile(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    set.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "yml") {
            files.push(path);
        }
    }
    Ok(())
}

#[test]
fn every_rule_of_a_checkout_of_the_public_collection_loads() {
    let named = std::env::vars_os().find(|(key, _)| key == "KEYWATCH_SIGMA");
    let Some((_, folder)) = named else { return };
    let mut paths = Vec::new();
    find(Path::new(&folder), &mut paths).unwrap();
    let read = |path: &PathBuf| (path.display().to_string(), fs::read_to_string(path).unwrap());
    let files: Vec<(String, String)> = paths.iter().map(read).collect();
    let set = compiled(&files).unwrap_or_else(|problems| panic!("{problems}"));
    let blind: Vec<&str> = set.rules.iter().filter_map(|rule| rule.blind.as_deref()).collect();
    let mut reasons = blind.clone();
    reasons.sort_unstable();
    reasons.dedup();
    let counted = reasons.iter().map(|reason| {
        let times = blind.iter().filter(|other| *other == reason).count();
        format!("{times:>5} {reason}")
    });
    let counted: Vec<String> = counted.collect();
    let (all, without) = (set.rules.len(), blind.len());
    // Shown by `--no-capture`, and when something below fails.
    #[expect(clippy::print_stderr, reason = "the count is what somebody runs this for")]
    {
        eprintln!("{all} rules, {without} of them blind:\n{}", counted.join("\n"));
    }
    assert_eq!(set.rules.len(), files.len());
}

const AWS: &str = "\
title: Example Parameter Policy Changed
id: 0b6c1a52-5f0e-4a8f-9a35-0d6b5a1c0001
status: test
description: Detects a change of a parameter policy.
references:
    - https://example.com/parameter-policy
author: An Author
date: 2026-01-02
modified: 2026-02-03
tags:
    - attack.persistence
    - attack.t1098
custom_key: kept by somebody's own tooling
logsource:
    product: aws
    service: cloudtrail
detection:
    selection_source:
        eventSource: 'ssm.amazonaws.com'
        eventName:
            - 'PutParameter'
            - 'LabelParameterVersion'
    selection_attribute:
        requestParameters.attribute|contains|all:
            - 'policy'
            - 'advanced'
    filter_main_service:
        userIdentity.type: 'AWSService'
    filter_optional_empty:
        userIdentity.userName: null
    condition: all of selection_* and not 1 of filter_*
falsepositives:
    - Administrators
level: medium
";

const ELSEWHERE: &str = "\
title: Example Sign-in Without a Device
id: 0b6c1a52-5f0e-4a8f-9a35-0d6b5a1c0002
related:
    - id: 0b6c1a52-5f0e-4a8f-9a35-0d6b5a1c0009
      type: similar
status: deprecated
logsource:
    product: azure
    service: signinlogs
detection:
    selection:
        ResultType: 50011
        DeviceDetail.isCompliant: false
    condition: selection
level: high
";

const KEYWORDS: &str = "\
title: Example Words in a Record
id: 0b6c1a52-5f0e-4a8f-9a35-0d6b5a1c0003
status: unsupported
logsource:
    product: gcp
    service: gcp.audit
detection:
    selection:
        data.protoPayload.methodName|endswith: '.SetIamPolicy'
    keywords:
        - 'allUsers'
        - 'allAuthenticatedUsers'
    condition: selection and keywords
level: low
";

fn invented() -> Result<RuleSet, String> {
    let files = [("aws.yml", AWS), ("azure.yml", ELSEWHERE), ("gcp.yml", KEYWORDS)];
    compiled(&files.map(|(name, text)| (name.to_owned(), text.to_owned())))
}

#[test]
fn a_published_rule_is_known_by_its_id_and_acts_by_its_level() {
    let set = invented().unwrap();
    let said: Vec<(&str, &str)> = set.rules.iter().map(|rule| (&*rule.id, rule.action.as_str())).collect();
    assert_eq!(
        said,
        [
            ("0b6c1a52-5f0e-4a8f-9a35-0d6b5a1c0001", "Investigate"),
            ("0b6c1a52-5f0e-4a8f-9a35-0d6b5a1c0002", "Investigate"),
            ("0b6c1a52-5f0e-4a8f-9a35-0d6b5a1c0003", "Log only"),
        ]
    );
}

#[test]
fn a_published_rule_raises_one_incident_per_principal() {
    let set = invented().unwrap();
    let Kind::Count(count) = &set.rules[0].kind else { panic!("{:?}", set.rules[0].kind) };
    assert_eq!((count.timespan_secs, count.incident.keep_alive_secs), (0, 3600));
    assert_eq!((count.hits.len(), count.incident.keys.len(), count.incident.keys[0].len()), (1, 1, 1));
    assert!(matches!(set.rules[2].kind, Kind::Classify(_)));
}

#[test]
fn a_rule_whose_records_nobody_brings_says_so() {
    let set = invented().unwrap();
    let blind: Vec<Option<&str>> = set.rules.iter().map(|rule| rule.blind.as_deref()).collect();
    assert_eq!(blind, [None, Some("Keywatch does not ingest azure/signinlogs"), None]);
}
