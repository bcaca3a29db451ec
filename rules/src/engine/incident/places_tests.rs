//! What comes from elsewhere while an alert is open is told of, and can be seen in it.

use crate::engine::{Engine, Settings};
use crate::rule::RuleSet;
use crate::{Seen, Signal, builtin, compile, examples, testing};
use keywatch_event::{Alert, AlertChange, AuditEvent, EventTime, Learned, Source};
use std::collections::BTreeMap;
use std::sync::Arc;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const USUAL: &str = "198.51.100.7";
const JOB: &str = "203.0.113.9";
const THIEF: &str = "192.0.2.4";

/// Who reads what is found by name alone.
const RULE: &str = "title: Read\nname: read\nlevel: medium\ndetection: {read: {class: secret.read}, condition: read}\n\
    keywatch: {incident: {key: [principal.id], keep_alive: 12h, max_duration: 12h}}\n";

fn plain(key: &str) -> Arc<RuleSet> {
    let rule = RULE.replace("principal.id", key);
    Arc::new(compile([("a.yml", &*rule)]).unwrap_or_else(|problems| panic!("{problems:?}")))
}

fn shipped(rules: &[&str]) -> Arc<RuleSet> {
    let is_asked = |name: &str| rules.iter().any(|rule| name.contains(rule));
    // The rules it may be part of are not loaded.
    let alone = |text: &str| {
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("  part_of:")).collect();
        lines.join("\n")
    };
    let asked = builtin().iter().filter(|(name, _)| is_asked(name));
    let files: Vec<(&str, String)> = asked.map(|(name, text)| (*name, alone(text))).collect();
    let files = files.iter().map(|(name, text)| (*name, &**text));
    Arc::new(compile(files).unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// So many reads, a minute apart, each of another secret.
fn reads(name: &str, (from, count): (i64, i64), ip: &str) -> Vec<AuditEvent<'static>> {
    let read = |n: i64| AuditEvent {
        id: format!("{name}{n}").into(),
        time: EventTime::from_secs(1_780_045_500 + from + 60 * n),
        source: Source::from_text(ip.to_owned().into()),
        secrets: vec![testing::secret(&format!("{name}/{n}"))],
        ..testing::event()
    };
    (0..count).map(read).collect()
}

fn job() -> Vec<AuditEvent<'static>> {
    reads("job", (10 * DAY, 30), JOB)
}

fn theft() -> Vec<AuditEvent<'static>> {
    reads("theft", (10 * DAY + 10 * HOUR, 5), THIEF)
}

/// An engine, the alerts that stand by what it said, and what a database keeps of it.
struct Watch {
    rules: Arc<RuleSet>,
    engine: Engine,
    alerts: BTreeMap<String, Alert>,
    learned: BTreeMap<String, Vec<u8>>,
    stored: Vec<(AuditEvent<'static>, Vec<String>)>,
}

fn engine(rules: &Arc<RuleSet>) -> Engine {
    Engine::new(Arc::clone(rules), Settings { lateness_secs: 2 * DAY, ..Settings::default() })
}

impl Watch {
    fn over(rules: &Arc<RuleSet>) -> Self {
        Self {
            rules: Arc::clone(rules),
            engine: engine(rules),
            alerts: BTreeMap::new(),
            learned: BTreeMap::new(),
            stored: Vec::new(),
        }
    }

    /// Starts again with what was stored and may still matter.
    fn restart(&mut self) {
        let learned = self.learned.iter().filter(|(_, state)| !state.is_empty());
        let learned: Vec<Learned> =
            learned.map(|(key, state)| Learned { key: key.clone(), state: state.clone() }).collect();
        let mut signals = Vec::new();
        for (event, rules) in &self.stored {
            let seen = Seen { event, place: &testing::PLACE, raw: b"{}" };
            signals.push(Signal { seen, rules: rules.clone() });
        }
        self.engine = engine(&self.rules);
        if let Some(newest) = self.stored.iter().map(|(event, _)| event.time).max() {
            self.engine.reached(newest);
        }
        self.engine.restore(&learned, &signals);
    }

    /// Takes the events as one batch; what of that is worth a message.
    fn take(&mut self, events: &[AuditEvent<'static>]) -> Vec<String> {
        let place = &*testing::PLACE;
        let seen: Vec<Seen<'_>> = events.iter().map(|event| Seen { event, place, raw: b"{}" }).collect();
        let said = self.engine.evaluate(&seen);
        for Learned { key, state } in said.learned {
            self.learned.insert(key, state);
        }
        for (event, said) in events.iter().zip(&said.classified).filter(|(_, said)| said.matters_secs > 0) {
            self.stored.push((event.clone(), said.rules.iter().map(ToString::to_string).collect()));
        }
        let news = |change: &AlertChange| match change {
            AlertChange::Opened { alert, .. } => Some(format!("opened: {}", alert.why.text)),
            AlertChange::Updated { alert, news: true, .. } => Some(format!("updated: {}", alert.why.text)),
            AlertChange::Updated { .. } | AlertChange::Withdrawn { .. } => None,
        };
        let news = said.changes.iter().filter_map(news).collect();
        examples::apply(&mut self.alerts, said.changes);
        news
    }

    fn only(&self) -> &Alert {
        assert_eq!(self.alerts.len(), 1, "{:#?}", self.alerts);
        self.alerts.values().next().expect("an alert")
    }

    fn shows(&self, event: &str) -> bool {
        self.only().evidence.iter().any(|row| row.event == event)
    }
}

#[test]
fn a_theft_from_elsewhere_hours_after_a_job_from_a_new_address_is_told_of_and_shown() {
    let mut watch = Watch::over(&shipped(&["kw-002"]));
    for night in 0..10 {
        let usual = reads(&format!("usual{night}-"), (night * DAY, 2), USUAL);
        assert_eq!(watch.take(&usual), Vec::<String>::new());
    }
    assert_eq!(watch.take(&job()).len(), 1, "the job's new address");
    let told = watch.take(&theft());
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("updated: ") && told[0].contains("192.0.2.0/24"), "{told:?}");
    let alert = watch.only();
    assert!(
        alert.title.contains("203.0.113.0/24") && alert.title.contains("192.0.2.0/24"),
        "{}",
        alert.title
    );
    assert!(watch.shows("job0") && watch.shows("theft0") && !watch.shows("job29"), "{alert:#?}");
    assert_eq!(alert.evidence.len(), keywatch_event::EVIDENCE_MAX);
}

#[test]
fn what_is_from_a_known_place_and_what_comes_twice_is_no_news() {
    let mut watch = Watch::over(&plain("principal.id"));
    watch.take(&job());
    let told = watch.take(&theft());
    let why = "updated: 35 events naming 35 secrets; from 203.0.113.0/24 and 192.0.2.0/24";
    assert_eq!(told, [why]);
    let nothing = Vec::<String>::new();
    assert_eq!(watch.take(&theft()), nothing);
    assert_eq!(watch.take(&job()), nothing);
    assert_eq!(watch.take(&reads("more", (10 * DAY + 11 * HOUR, 5), "192.0.2.77")), nothing);
    assert_eq!(watch.take(&reads("again", (10 * DAY + 11 * HOUR, 5), JOB)), nothing);
}

#[test]
fn of_very_many_networks_twelve_are_told_of() {
    let mut watch = Watch::over(&plain("principal.id"));
    let mut told = Vec::new();
    watch.take(&job());
    for n in 0..20 {
        let from = 10 * DAY + (n + 1) * HOUR / 2;
        let news = watch.take(&reads(&format!("proxy{n}-"), (from, 2), &format!("198.18.{n}.4")));
        told.push(news.len());
    }
    assert_eq!(told, [[1; 11].as_slice(), &[0; 9]].concat());
    assert!(watch.shows("job0") && watch.shows("proxy0-0") && watch.shows("proxy10-0"));
    assert!(!watch.shows("proxy11-0"));
}

/// The rule as a grave one, that says what was done.
fn grave() -> Watch {
    let rule = RULE
        .replace("level: medium", "level: critical")
        .replace("keywatch: {", "keywatch: {mention: [operation], ");
    Watch::over(&Arc::new(compile([("a.yml", &*rule)]).unwrap()))
}

/// One read of secret `n`, so many seconds after the job's first.
fn one(n: i64, at: i64) -> AuditEvent<'static> {
    reads(&format!("one{n}-"), (10 * DAY + at, 1), JOB).remove(0)
}

#[test]
fn of_what_is_grave_each_further_session_and_kind_of_act_is_told_of() {
    let mut watch = grave();
    watch.take(&reads("first", (10 * DAY, 4), JOB));
    let mut by_another = one(1, 200);
    by_another.principal.session = Some("mallory".into());
    assert_eq!(watch.take(&[one(2, 190)]), Vec::<String>::new(), "the same again");
    assert_eq!(watch.take(&[by_another.clone()]).len(), 1, "another session");
    by_another.id = "again".into();
    assert_eq!(watch.take(&[by_another]), Vec::<String>::new(), "that session again");
    let other = AuditEvent { operation: "BatchGetSecretValue".into(), ..one(3, 210) };
    assert_eq!(watch.take(&[other]).len(), 1, "another operation");
}

#[test]
fn what_is_grave_and_goes_on_after_a_pause_is_told_of_and_seen() {
    let mut watch = grave();
    watch.take(&reads("deploy", (10 * DAY, 100), JOB));
    let theft = 10 * DAY + 6_000 + 6_000;
    let told = watch.take(&reads("theft", (theft, 80), JOB));
    assert_eq!(told.len(), 1, "fewer than twice as many, from the same place");
    let last = &watch.only().secrets[99];
    assert!(watch.shows("theft79") && watch.shows("deploy0") && last.id.ends_with("theft/79"), "{last:?}");
    assert_eq!((watch.only().evidence.len(), watch.only().secrets.len()), (20, 100));
    // What follows at once is not told of apart.
    assert_eq!(watch.take(&[one(1, 6_000 + 6_000 + 4_900)]), Vec::<String>::new());
}

#[test]
fn what_goes_on_all_day_is_told_of_ever_more_seldom() {
    let mut watch = grave();
    let told: usize = (0..720)
        .map(|n| watch.take(&[AuditEvent { secrets: one(0, 0).secrets, ..one(n, 60 * n) }]).len())
        .sum();
    assert_eq!(told, 1 + 8, "after 5, 10, 20 minutes and so on for half a day");
    let mut mild = Watch::over(&plain("principal.id"));
    let told: usize = (0..720)
        .map(|n| mild.take(&[AuditEvent { secrets: one(0, 0).secrets, ..one(n, 60 * n) }]).len())
        .sum();
    assert_eq!(told, 1, "of a warning it is no news");
}

#[test]
fn where_the_key_says_from_where_there_is_no_such_news() {
    let rules = plain("principal.id, actor");
    let mut watch = Watch::over(&rules);
    watch.take(&job());
    assert!(watch.take(&theft())[0].starts_with("opened: "));
    assert_eq!(watch.alerts.len(), 2);
    assert!(watch.alerts.values().all(|alert| !alert.why.text.contains("from")));
}

#[test]
fn what_was_from_so_many_places_that_it_takes_any_hides_no_theft_either() {
    let rule = "title: Read\nname: read\ndetection: {read: {class: secret.read}, condition: read}\nlevel: informational\n\
        ---\ntitle: Many reads\nname: many\ncorrelation: {type: event_count, rules: [read], group-by: [principal.id], \
        timespan: 30m, condition: {gte: 3}}\nlevel: medium\n\
        keywatch: {incident: {key: [principal.id, actor], keep_alive: 12h, max_duration: 12h}}\n";
    let mut watch = Watch::over(&Arc::new(compile([("a.yml", rule)]).unwrap()));
    let proxy = |n: i64| reads(&format!("proxy{n}-"), (10 * DAY + n, 1), &format!("198.18.{n}.4"));
    watch.take(&(0..4).flat_map(proxy).collect::<Vec<_>>());
    assert_eq!(watch.take(&theft()[..1]).len(), 1);
    assert!(watch.only().why.text.contains("192.0.2.0/24") && watch.shows("theft0"), "{:#?}", watch.only());
}

#[test]
fn the_alert_is_the_same_in_whatever_order_its_events_come() {
    let rules = plain("principal.id");
    let mut ordered = Watch::over(&rules);
    ordered.take(&job());
    ordered.take(&theft());
    let mut reversed = Watch::over(&rules);
    let all: Vec<AuditEvent<'_>> = job().into_iter().chain(theft()).collect();
    for event in all.iter().rev() {
        reversed.take(std::slice::from_ref(event));
    }
    let mut torn = Watch::over(&rules);
    torn.take(&theft());
    torn.take(&job());
    for late in [reversed, torn] {
        let alert = Alert { late_secs: None, ..late.only().clone() };
        assert_eq!(alert, Alert { late_secs: None, ..ordered.only().clone() });
    }
}

#[test]
fn a_theft_after_a_restart_is_told_of_and_shown_all_the_same() {
    let rules = plain("principal.id");
    let (mut calm, mut restarted) = (Watch::over(&rules), Watch::over(&rules));
    calm.take(&job());
    restarted.take(&job());
    restarted.restart();
    assert_eq!(restarted.take(&job()), Vec::<String>::new());
    let told = restarted.take(&theft());
    assert_eq!((told.len(), told), (1, calm.take(&theft())));
    assert_eq!(restarted.only(), calm.only());
    restarted.restart();
    assert_eq!(restarted.take(&theft()), Vec::<String>::new());
}

#[test]
fn an_alert_names_what_was_new_before_a_restart_too() {
    let rules = shipped(&["kw-002", "kw-113"]);
    let (mut calm, mut restarted) = (Watch::over(&rules), Watch::over(&rules));
    for night in 0..10 {
        let usual = reads(&format!("usual{night}-"), (night * DAY, 2), USUAL);
        calm.take(&usual);
        restarted.take(&usual);
    }
    for (n, ip) in [JOB, THIEF, "198.18.4.4"].into_iter().enumerate() {
        let read = reads(&format!("new{n}-"), (10 * DAY + 3 * HOUR * i64::try_from(n).unwrap(), 2), ip);
        assert_eq!(restarted.take(&read), calm.take(&read));
        restarted.restart();
    }
    assert_eq!(restarted.alerts, calm.alerts);
    let of = |rule: &str| restarted.alerts.values().find(|alert| alert.rule == rule).unwrap();
    for alert in [of("KW-002"), of("KW-113")] {
        let networks = "(new networks 203.0.113.0/24, 192.0.2.0/24 and 198.18.4.0/24)";
        assert!(alert.title.ends_with(networks), "{}", alert.title);
    }
}
