//! Silences of steady streams: told, filled late, and over a restart.
#![expect(clippy::indexing_slicing, reason = "a test that indexes out of its own bounds should fail")]

use keywatch_event::{
    AlertChange, AuditEvent, Class, Evaluation, EventTime, Outcome, Place, Principal, PrincipalKind,
    Provider, Source,
};
use keywatch_rules::rule::Kind;
use keywatch_rules::{Engine, RuleSet, Seen, Settings, builtin, compile};
use std::collections::BTreeMap;
use std::sync::Arc;

const START: i64 = 1_800_000_000;
/// The last of the steady events, in minutes.
const LAST: i64 = 200;

fn event(minute: i64) -> AuditEvent<'static> {
    AuditEvent {
        id: format!("e{minute}").into(),
        time: EventTime::from_secs(START + 60 * minute),
        time_raw: None,
        received_at: EventTime::from_secs(START),
        provider: Provider::Vault,
        service: "".into(),
        store: None,
        account: None,
        region: None,
        operation: "read secret/data/db".into(),
        class: Class::SecretRead,
        outcome: Outcome::Ok,
        error: None,
        principal: Principal {
            id: "entity-1".into(),
            kind: PrincipalKind::ServiceAccount,
            name: None,
            session: None,
            access_key: None,
            via: None,
        },
        source: Source::from_text("10.0.0.7".into()),
        user_agent: None,
        secrets: Vec::new(),
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    }
}

/// An engine with the rule about a silent Vault, and what a store has of it.
struct Stage {
    rules: Arc<RuleSet>,
    engine: Engine,
    learned: BTreeMap<String, Vec<u8>>,
    said: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let mut set = compile(builtin().iter().copied()).expect("the shipped rules compile");
        set.rules.retain(|rule| &*rule.id == "KW-133n");
        assert!(matches!(set.rules[0].kind, Kind::Silence(_)));
        let rules = Arc::new(set);
        let engine = Engine::new(Arc::clone(&rules), Settings::default());
        Self { rules, engine, learned: BTreeMap::new(), said: Vec::new() }
    }

    /// An event a minute, up to and including [`LAST`].
    fn steady() -> Self {
        let mut stage = Self::new();
        stage.take(&(0..=LAST).collect::<Vec<i64>>());
        stage
    }

    fn take(&mut self, minutes: &[i64]) {
        let events: Vec<AuditEvent<'static>> = minutes.iter().map(|minute| event(*minute)).collect();
        let place = Place { name: Arc::from("audit.log"), line: 1, record: 0 };
        let seen: Vec<Seen<'_>> =
            events.iter().map(|event| Seen { event, place: &place, raw: b"{}" }).collect();
        let evaluation = self.engine.evaluate(&seen);
        self.commit(evaluation);
    }

    fn tick(&mut self, minute: i64) {
        let evaluation = self.engine.tick(EventTime::from_secs(START + 60 * minute));
        self.commit(evaluation);
    }

    fn commit(&mut self, evaluation: Evaluation) {
        for learned in evaluation.learned {
            if learned.state.is_empty() {
                self.learned.remove(&learned.key);
            } else {
                self.learned.insert(learned.key, learned.state);
            }
        }
        let said = evaluation.changes.into_iter().map(|change| match change {
            AlertChange::Opened { alert, .. } => format!("{}: {}", alert.title, alert.why.text),
            AlertChange::Updated { .. } => "updated".to_owned(),
            AlertChange::Withdrawn { reason, .. } => format!("withdrawn: {reason}"),
        });
        self.said.extend(said);
    }

    fn restart(&mut self) {
        self.engine = Engine::new(Arc::clone(&self.rules), Settings::default());
        let learned: Vec<keywatch_event::Learned> = self
            .learned
            .iter()
            .map(|(key, state)| keywatch_event::Learned { key: key.clone(), state: state.clone() })
            .collect();
        self.engine.restore(&learned, &[]);
    }
}

const TOLD: &str = "Vault silent: vault: no event of vault for 31 min; its own rhythm allows 30 min";
const TAKEN_BACK: &str =
    "withdrawn: records of that time came after all: it was not silent for longer than 30 min";

#[test]
fn a_silence_that_late_records_fill_is_taken_back() {
    let mut stage = Stage::steady();
    stage.tick(LAST + 31);
    assert_eq!(stage.said, [TOLD]);
    stage.take(&[LAST + 90]);
    stage.take(&[LAST + 25, LAST + 60]);
    assert_eq!(stage.said, [TOLD], "from 25 to 60 it was silent for longer than 30 minutes");
    stage.take(&[LAST + 50]);
    assert_eq!(stage.said, [TOLD, TAKEN_BACK]);
    stage.tick(LAST + 91);
    assert_eq!(stage.said.len(), 2);
}

#[test]
fn a_silence_that_was_one_stays_told() {
    let mut stage = Stage::steady();
    stage.tick(LAST + 31);
    stage.take(&(LAST + 90..LAST + 95).collect::<Vec<i64>>());
    stage.tick(LAST + 96);
    assert_eq!(stage.said, [TOLD]);
}

#[test]
fn records_that_only_came_late_and_then_stop_are_a_new_silence() {
    let mut stage = Stage::steady();
    stage.tick(LAST + 31);
    stage.take(&[LAST + 10]);
    assert_eq!(stage.said, [TOLD, TAKEN_BACK]);
    stage.tick(LAST + 41);
    assert_eq!(stage.said, [TOLD, TAKEN_BACK, TOLD]);
}

#[test]
fn a_restart_between_any_two_steps_changes_nothing() {
    let steps: [&dyn Fn(&mut Stage); 4] = [
        &|stage| stage.tick(LAST + 31),
        &|stage| stage.take(&[LAST + 90]),
        &|stage| stage.take(&[LAST + 60, LAST + 25]),
        &|stage| stage.take(&[LAST + 50]),
    ];
    for restart_at in 0..=steps.len() {
        let mut stage = Stage::steady();
        for (at, step) in steps.iter().enumerate() {
            if at == restart_at {
                stage.restart();
            }
            step(&mut stage);
        }
        assert_eq!(stage.said, [TOLD, TAKEN_BACK], "restarted before step {restart_at}");
    }
}
