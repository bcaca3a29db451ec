//! The plan says what the plain evaluator says: of every matcher, for every event.

use super::*;
use crate::log_source::LogSource;
use crate::matcher::Selections;
use crate::surroundings::{Lists, Surroundings};
use crate::testing::{self, PLACE};
use crate::yaml::{Problems, parse};
use crate::{Seen, builtin};
use keywatch_event::{AuditEvent, Class, EventTime, Outcome, PrincipalKind, Provider, Source, SourceKind};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

static AROUND: LazyLock<Surroundings> = LazyLock::new(|| {
    let list = |name: &str, values: &[&str]| {
        (name.to_owned(), values.iter().map(|&value| value.to_owned()).collect())
    };
    let lists = [list("people", &["a*", "role/payments"]), list("nets", &["192.0.2.0/24"])];
    Surroundings { lists: Lists::new(BTreeMap::from(lists)), ..Surroundings::default() }
});

pub(super) fn matcher(rule: &str) -> Matcher {
    let problems = Problems::new("r");
    let document = &parse("r", rule).unwrap_or_else(|problem| panic!("{problem}\n{rule}"))[0];
    let word = |key: &str| document.get("logsource").and_then(|source| source.get(key)?.text());
    let source =
        LogSource::parse(word("product").as_deref(), word("service").as_deref(), word("category").as_deref());
    let detection = document.get("detection").unwrap();
    let selections = Selections::compile(detection, &source, &problems);
    let made = selections.matcher(detection.get("condition").unwrap(), &problems);
    made.unwrap_or_else(|| panic!("{:?}\n{rule}", problems.into_sorted()))
}

/// Every matcher a deployment could make of a rule file: its condition, and each selection alone.
fn matchers_of(text: &str) -> Vec<Matcher> {
    let mut all = Vec::new();
    for document in parse("r", text).unwrap() {
        let Some(detection) = document.get("detection") else { continue };
        let problems = Problems::new("r");
        let selections = Selections::compile(detection, &LogSource::default(), &problems);
        for name in selections.names() {
            let condition = parse("r", name).unwrap();
            all.extend(selections.matcher(&condition[0], &problems));
        }
        all.extend(detection.get("condition").and_then(|node| selections.matcher(node, &problems)));
    }
    all
}

#[track_caller]
fn check((plan, walk): (&Plan, &mut Walk), matchers: &[Matcher], event: &AuditEvent<'_>, raw: &str) {
    let seen = Seen { event, place: &PLACE, raw: raw.as_bytes() };
    let found = plan.matching(&View::new(&seen, &AROUND, plan.scope(event.provider)), walk);
    let view = View::alone(&seen);
    let view = View::new(&seen, &AROUND, view.scope());
    let holds = |(id, one): (usize, &Matcher)| one.matches(&view).then_some(MatcherId(id));
    let want: Vec<MatcherId> = matchers.iter().enumerate().filter_map(holds).collect();
    assert_eq!(found.ids, want, "{event:?}\n{raw}");
    let has: Vec<MatcherId> = (0..matchers.len()).map(MatcherId).filter(|id| found.has(*id)).collect();
    assert_eq!(has, want);
}

fn pick<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

const OPERATIONS: &[&str] = &[
    "",
    "GetSecretValue",
    "getsecretvalue",
    "AssumeRole",
    "AssumeRoleWithSAML",
    "DeleteSecret",
    "ÉTAT",
    "état",
    "\u{212a}ms",
    "CreateGrant",
];
const SERVICES: &[&str] = &["", "kms.amazonaws.com", "KMS.amazonaws.com", "secretsmanager.amazonaws.com"];
const ADDRESSES: &[&str] = &["192.0.2.9", "203.0.113.7", "10.0.0.1", "AWS Internal", "::1"];
const PRINCIPALS: &[&str] = &["role/payments", "user/Alice", "alice", "AWS Internal"];
const RAWS: &[&str] = &[
    "{}",
    "not json",
    r#"{"eventName":"AssumeRole","eventSource":"kms.amazonaws.com"}"#,
    r#"{"eventName":["GetSecretValue","x"],"a":{"b":"one"},"n":7}"#,
    r#"{"EVENTNAME":"DeleteSecret","a":[{"b":"ONE"},{"b":"two"}],"n":"7.5","t":"2026-05-31T09:08:07Z"}"#,
    r#"{"a":{"B":"role/payments"},"n":12,"operationName":"AssumeRole"}"#,
];

prop_compose! {
    fn event()(
        (operation, service, address) in (pick(OPERATIONS), pick(SERVICES), pick(ADDRESSES)),
        (class, outcome, provider) in (pick(Class::ALL), pick(Outcome::ALL), pick(Provider::ALL)),
        (kind, principal, source) in (pick(PrincipalKind::ALL), pick(PRINCIPALS), pick(SourceKind::ALL)),
        echo in pick(&[None, None, None, Some(""), Some("ssm.amazonaws.com")]),
        (secrets, secs) in (0_usize..3, 0_i64..200_000),
    ) -> AuditEvent<'static> {
        let mut event = testing::event();
        (event.operation, event.service) = (operation.into(), service.into());
        (event.class, event.outcome, event.provider) = (class, outcome, provider);
        (event.principal.kind, event.principal.id) = (kind, principal.into());
        event.source = Source { kind: source, ..Source::from_text(address.into()) };
        event.echo_of = echo.map(Into::into);
        event.secrets = (0..secrets).map(|n| testing::secret(PRINCIPALS[n])).collect();
        event.time = EventTime::from_secs(1_780_000_000 + secs);
        event
    }
}

const SOURCES: &[&str] = &[
    "{product: keywatch, category: audit}",
    "{product: aws, service: cloudtrail}",
    "{product: azure, service: activitylogs}",
    "{product: azure, service: signinlogs}",
];

/// An item bits can say.
fn closed() -> impl Strategy<Value = String> {
    prop_oneof![
        pick(Class::NAMES).prop_map(|word| format!("class: {word}")),
        pick(Outcome::NAMES).prop_map(|word| format!("outcome: [{word}, ok]")),
        pick(&["class|startswith: secret.", "class|neq: other", "class|re: 'read$'", "outcome|contains: n"])
            .prop_map(str::to_owned),
        pick(&["principal.kind: [role, user]", "source.kind: addr", "echo_of|exists: true", "echo_of: null"])
            .prop_map(str::to_owned),
        pick(&["echo_of: ssm.amazonaws.com", "echo_of|exists: false", "outcome|exists: true", "class|gt: 3"])
            .prop_map(str::to_owned),
    ]
}

/// An item as a rule for Keywatch's events, or for a provider's log, may hold it.
fn item(of_provider: bool) -> impl Strategy<Value = String> {
    let texts: &[&str] = if of_provider {
        &["eventName", "eventSource", "operationName", "a.b"]
    } else {
        &["operation", "service", "principal.id", "secrets.id", "raw.a.b", "raw.eventName"]
    };
    let modifiers = [
        "",
        "|contains",
        "|startswith",
        "|endswith",
        "|cased",
        "|neq",
        "|contains|all",
        "|contains|neq",
        "|re",
        "|re|i",
    ];
    let values = [
        "GetSecretValue",
        "AssumeRole",
        "assumerole",
        "[AssumeRole, kms.amazonaws.com]",
        "[one, two, Role, pay, ms]",
        "role/payments",
        "'*Role*'",
        "'a?ice'",
        "''",
        "état",
        "kms",
        "[DeleteSecret, GetSecretValue, CreateGrant]",
        "'[a-g]s'",
        "alice",
    ];
    let text = (
        pick_from(texts),
        proptest::sample::select(modifiers.to_vec()).prop_map(str::to_owned),
        proptest::sample::select(values.to_vec()),
    )
        .prop_map(|(field, modifier, value)| format!("\"{field}{modifier}\": {value}"));
    let other = pick_from(if of_provider {
        &[
            "n: 7",
            "n|gte: 7",
            "t|hour: 9",
            "a.b|fieldref: principal.id",
            "n|exists: true",
            "a.b: null",
            "a.b|expand: '%people%'",
        ]
    } else {
        &[
            "source.ip|cidr: [192.0.2.0/24, 10.0.0.0/8]",
            "source.ip|cidr|expand: '%nets%'",
            "source.ip|cidr|neq: 192.0.2.0/24",
            "principal.id|expand: '%people%'",
            "raw.n: 7",
            "raw.n|lt: 8",
            "time.hour|gte: 12",
            "time.weekday: [fri, sat]",
            "secrets.count: 2",
            "principal.id|fieldref: secrets.id",
            "secrets.id|exists: false",
            "actor|contains: aws-cli",
            "user_agent.family: aws-cli",
            "grantee.scope: public",
            "planned: true",
        ]
    });
    prop_oneof![3 => closed(), 5 => text, 2 => other]
}

fn pick_from(all: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(all).prop_map(str::to_owned)
}

fn selection(of_provider: bool) -> impl Strategy<Value = String> {
    let map = || {
        proptest::collection::btree_map(
            item(of_provider).prop_map(|item| {
                let (key, value) = item.split_once(": ").unwrap();
                (key.trim_matches('"').to_owned(), value.to_owned())
            }),
            Just(()),
            1..4,
        )
        .prop_map(|items| {
            let items: BTreeMap<String, String> = items.into_keys().collect();
            let items: Vec<String> = items.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
            format!("{{{}}}", items.join(", "))
        })
    };
    let keywords = pick_from(&["one", "[nothing, ASSUME]", "{'|all': [one, two]}"]);
    prop_oneof![
        6 => map(),
        2 => proptest::collection::vec(map(), 2..4).prop_map(|maps| format!("[{}]", maps.join(", "))),
        1 => keywords,
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let conditions = pick_from(&[
        "a",
        "a and b",
        "a or b",
        "a and not b",
        "not a",
        "not (a or b)",
        "not (a and b)",
        "1 of x_*",
        "2 of x_*",
        "all of x_*",
        "not all of x_*",
        "not 2 of x_*",
        "all of them",
        "1 of them and not a",
        "[a and b, x_1]",
        "(a or x_1) and (b or not x_2)",
        "3 of them",
        "not 3 of them",
    ]);
    (pick_from(SOURCES), conditions).prop_flat_map(|(source, condition)| {
        let of_provider = !source.contains("keywatch");
        proptest::collection::vec(selection(of_provider), 4).prop_map(move |selections| {
            let mut rule = format!("logsource: {source}\ndetection:\n");
            for (name, selection) in ["a", "b", "x_1", "x_2"].iter().zip(selections) {
                writeln!(rule, "  {name}: {selection}").unwrap();
            }
            format!("{rule}  condition: {condition}\n")
        })
    })
}

static BUILTIN: LazyLock<Vec<Matcher>> =
    LazyLock::new(|| builtin().iter().flat_map(|(_, text)| matchers_of(text)).collect());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_plan_of_any_rules_says_what_each_rule_says(
        rules in proptest::collection::vec(rule(), 1..40),
        events in proptest::collection::vec((event(), pick(RAWS)), 1..30),
    ) {
        let matchers: Vec<Matcher> = rules.iter().map(|rule| matcher(rule)).collect();
        for plan in [Plan::new(&matchers), Plan::arranged(&matchers, [], 1)] {
            let mut walk = Walk::default();
            // What is remembered of the first round answers in the second.
            for (event, raw) in events.iter().chain(&events) {
                check((&plan, &mut walk), &matchers, event, raw);
            }
        }
    }

    #[test]
    fn a_plan_of_the_shipped_rules_says_what_each_rule_says(
        events in proptest::collection::vec((event(), pick(RAWS)), 1..30),
    ) {
        let (plan, mut walk) = (Plan::new(&BUILTIN), Walk::default());
        for (event, raw) in events.iter().chain(&events) {
            check((&plan, &mut walk), &BUILTIN, event, raw);
        }
    }
}

/// Puts something else into one field.
fn change(event: &mut AuditEvent<'static>, raw: &mut &'static str, (field, lot): (usize, u8)) {
    fn of<T: Copy>(all: &[T], lot: u8) -> T {
        all[usize::from(lot) % all.len()]
    }
    match field {
        0 => event.operation = of(OPERATIONS, lot).into(),
        1 => event.service = of(SERVICES, lot).into(),
        2 => {
            event.source = Source { kind: event.source.kind, ..Source::from_text(of(ADDRESSES, lot).into()) }
        }
        3 => event.source.kind = of(SourceKind::ALL, lot),
        4 => event.class = of(Class::ALL, lot),
        5 => event.outcome = of(Outcome::ALL, lot),
        6 => event.provider = of(Provider::ALL, lot),
        7 => event.principal.kind = of(PrincipalKind::ALL, lot),
        8 => event.principal.id = of(PRINCIPALS, lot).into(),
        9 => event.echo_of = of(&[None, Some(""), Some("ssm.amazonaws.com")], lot).map(Into::into),
        10 => event.secrets = (0..lot % 4).map(|n| testing::secret(of(PRINCIPALS, n + lot / 8))).collect(),
        11 => event.time = EventTime::from_secs(1_780_000_000 + 3_000 * i64::from(lot)),
        12 => {
            let agent = of(&[None, Some(""), Some("aws-cli/2.15"), Some("Boto3/1 x")], lot);
            event.user_agent = agent.map(Into::into);
        }
        _ => *raw = of(RAWS, lot),
    }
}

/// Items of which each asks for one part of an event, whatever the rest is.
const ASKING: &[&str] = &[
    "operation: AssumeRole",
    "service|contains: kms",
    "source.ip|cidr: 192.0.2.0/24",
    "source.network|startswith: 203",
    "class: secret.read",
    "provider: gcp",
    "principal.id|expand: '%people%'",
    "echo_of|exists: true",
    "secrets.id|contains: alice",
    "secrets.id: AWS Internal",
    "secrets.count: 2",
    "time.hour: ['09', 10, 11]",
    "time.weekday: [fri, sat]",
    "user_agent|contains: boto",
    "user_agent.family: aws-cli",
    "actor|contains: boto",
    "raw.n|gte: 8",
    "raw.eventName|contains: Get",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn what_is_remembered_of_an_event_is_not_said_of_one_that_differs_in_a_field(
        rules in proptest::collection::vec(rule(), 1..20),
        (first, raw) in (event(), pick(RAWS)),
        changes in proptest::collection::vec((0_usize..14, 0_u8..60), 1..40),
        size_max in pick(&[0_usize, 500, 200_000]),
    ) {
        let asking = ASKING.iter().map(|item| {
            let source = SOURCES[0];
            matcher(&format!("logsource: {source}\ndetection:\n  s: {{{item}}}\n  condition: s\n"))
        });
        let matchers: Vec<Matcher> = rules.iter().map(|rule| matcher(rule)).chain(asking).collect();
        let (plan, mut walk) = (Plan::new(&matchers), Walk::of_size(size_max));
        check((&plan, &mut walk), &matchers, &first, raw);
        for one in changes {
            let (mut event, mut raw_now) = (first.clone(), raw);
            change(&mut event, &mut raw_now, one);
            check((&plan, &mut walk), &matchers, &event, raw_now);
            check((&plan, &mut walk), &matchers, &first, raw);
        }
    }
}

#[test]
fn what_a_walk_remembers_is_bounded_however_much_events_differ() {
    let mut matchers = public_shapes();
    matchers.extend(BUILTIN.iter().cloned());
    let (plan, mut walk) = (Plan::new(&matchers), Walk::default());
    let (mut event, mut most) = (testing::event(), 0);
    for n in 0..40_000 {
        event.operation = format!("Operation{n}").into();
        event.service = format!("service-{}", n % 3_000).into();
        event.principal.id = format!("role/{n}").into();
        if n % 1_000 == 0 {
            event.operation = "GetSecretValue".into();
            check((&plan, &mut walk), &matchers, &event, "{}");
        } else {
            let seen = Seen { event: &event, place: &PLACE, raw: b"{}" };
            plan.matching(&View::new(&seen, &AROUND, plan.scope(event.provider)), &mut walk);
        }
        most = most.max(walk.held().1);
    }
    assert!((1..=32_768).contains(&most), "{most} values remembered");
    assert!(walk.held().0 < 1_000, "{} states", walk.held().0);
}

/// Rules in the shapes SigmaHQ's are written in.
fn public_shapes() -> Vec<Matcher> {
    let aws = [
        "GetSecretValue",
        "DeleteSecret",
        "PutResourcePolicy",
        "Decrypt",
        "AssumeRole",
        "ConsoleLogin",
        "StopLogging",
    ];
    let mut rules: Vec<String> = aws
        .iter()
        .flat_map(|name| {
            ["secretsmanager", "kms", "sts", "signin"].map(|service| {
                format!(
                    "logsource: {{product: aws, service: cloudtrail}}\ndetection:\n  selection:\n    \
                     eventSource: {service}.amazonaws.com\n    eventName: {name}\n  filter:\n    \
                     errorCode|contains: Denied\n  condition: selection and not filter\n"
                )
            })
        })
        .collect();
    rules.extend(
        [
            "logsource: {product: aws, service: cloudtrail}\ndetection:\n  a: {userIdentity.type: Root}\n  b: {eventType: AwsServiceEvent}\n  condition: a and not b\n",
            "logsource: {product: aws, service: cloudtrail}\ndetection:\n  a: {requestParameters|contains: prod, userAgent|contains: [boto3, aws-cli]}\n  condition: a\n",
            "logsource: {product: aws, service: cloudtrail}\ndetection:\n  a: {userIdentity.arn|contains: alice, sourceIPAddress|cidr: 203.0.113.0/24}\n  condition: a\n",
            "logsource: {product: gcp, service: gcp.audit}\ndetection:\n  a: {gcp.audit.method_name|endswith: [SetIamPolicy, AccessSecretVersion]}\n  condition: a\n",
            "logsource: {product: gcp, service: gcp.audit}\ndetection:\n  a: {data.protoPayload.authorizationInfo.granted: true, data.protoPayload.resource.type: project}\n  condition: a\n",
            "logsource: {product: azure, service: activitylogs}\ndetection:\n  k: [MICROSOFT.KEYVAULT, Microsoft.Authorization]\n  condition: k\n",
            "logsource: {product: azure, service: activitylogs}\ndetection:\n  a: {operationName|startswith: MICROSOFT.KEYVAULT/VAULTS, operationName|endswith: [WRITE, DELETE]}\n  condition: a\n",
            "logsource: {product: azure, service: activitylogs}\ndetection:\n  a: {CategoryValue: Administrative, ResourceProviderValue: Microsoft.KeyVault}\n  condition: a\n",
            "logsource: {product: hashicorp, service: audit}\ndetection:\n  a: {request.path|startswith: sys/, request.operation: [update, delete]}\n  condition: a\n",
            "detection:\n  a: {grantee.scope: [public, foreign]}\n  b: {raw.requestParameters.secretId|exists: true}\n  condition: 1 of them\n",
        ]
        .map(str::to_owned),
    );
    rules.iter().map(|rule| matcher(rule)).collect()
}

#[test]
fn a_plan_of_public_rule_shapes_says_what_each_rule_says_of_real_records() {
    let mut matchers = public_shapes();
    matchers.extend(BUILTIN.iter().cloned());
    let (plan, mut walk) = (Plan::arranged(&matchers, [], 1), Walk::default());
    let normalizer = keywatch_ingest::provider::Normalizer::new();
    let mut matched = vec![0_usize; matchers.len()];
    let mut records = 0;
    for provider in ["aws", "azure", "gcp", "vault"] {
        let folder = format!("{}/../tests/fixtures/{provider}", env!("CARGO_MANIFEST_DIR"));
        for case in std::fs::read_dir(folder).unwrap() {
            let raw = std::fs::read_to_string(case.unwrap().path().join("record.json")).unwrap();
            let received_at = EventTime::from_secs(1_790_000_000);
            let Ok(Some(event)) = normalizer.normalize(raw.as_bytes(), received_at) else { continue };
            check((&plan, &mut walk), &matchers, &event, &raw);
            records += 1;
            let seen = Seen { event: &event, place: &PLACE, raw: raw.as_bytes() };
            let view = View::new(&seen, &AROUND, plan.scope(event.provider));
            for id in &plan.matching(&view, &mut walk).ids {
                matched[id.0] += 1;
            }
        }
    }
    assert!(records > 100, "{records}");
    let kinds = matched.iter().filter(|count| **count > 0).count();
    assert!(kinds > 15, "only {kinds} matchers ever match: {matched:?}");
}

#[test]
fn matchers_keep_their_number_whatever_table_names_them() {
    let rule = |operation: &str| format!("detection:\n  s: {{operation: {operation}}}\n  condition: s\n");
    let names = ["One", "Two", "Three", "Four", "Five", "one"];
    let mut matchers: Vec<Matcher> = names.iter().map(|name| matcher(&rule(name))).collect();
    matchers.insert(2, matcher("detection:\n  s: {class: secret.read}\n  condition: s\n"));
    let plan = Plan::new(&matchers);
    let mut event = testing::event();
    event.operation = "ONE".into();
    let seen = Seen { event: &event, place: &PLACE, raw: b"{}" };
    let found = plan.matching(&View::alone(&seen), &mut Walk::default());
    assert_eq!(found.ids, [MatcherId(0), MatcherId(2), MatcherId(6)]);
}

#[test]
fn patterns_that_differ_in_their_flags_alone_are_different_tests() {
    let rule =
        |flags: &str| format!("detection: {{s: {{'operation|re{flags}': 'get.value'}}, condition: s}}\n");
    let matchers: Vec<Matcher> = ["", "|i", "|s", "|i|s"].iter().map(|flags| matcher(&rule(flags))).collect();
    let (plan, mut walk) = (Plan::new(&matchers), Walk::default());
    for operation in ["get value", "GET VALUE", "get\nvalue", "GET\nVALUE"] {
        let event = AuditEvent { operation: operation.into(), ..testing::event() };
        check((&plan, &mut walk), &matchers, &event, "{}");
    }
}

#[test]
fn a_plan_of_nothing_finds_nothing() {
    let event = testing::event();
    let seen = Seen { event: &event, place: &PLACE, raw: b"{}" };
    for plan in [Plan::default(), Plan::new(&[])] {
        assert_eq!(plan.matching(&View::alone(&seen), &mut Walk::default()).ids, []);
    }
}
