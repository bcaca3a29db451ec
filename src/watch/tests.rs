//! The watch over sources, with a clock the test owns.

use super::*;
use keywatch_event::{AlertChange, EventTime};
use keywatch_rules::{builtin, compile};
use keywatch_store::Committed;
use std::sync::LazyLock;

static RULES: LazyLock<RuleSet> = LazyLock::new(|| compile(builtin().iter().copied()).unwrap());
/// 2026-06-01T00:00:00Z, a Monday.
const START: i64 = 1_780_272_000;
const HOUR: i64 = 3600;

struct World {
    watch: Watch,
    health: Health,
    now: i64,
    /// What was said since it was last asked: `opened KW-133s`.
    said: Vec<String>,
    learned: Option<Learned>,
}

impl World {
    fn new() -> Self {
        Self::knowing(&[])
    }

    fn knowing(learned: &[Learned]) -> Self {
        let (mut watch, health) = (Watch::new(&RULES, &[], learned), Health::default());
        let subject = Subject { number: 0, name: "trail".to_owned(), provider: None, health: health.clone() };
        watch.attend(vec![subject], &HashMap::new());
        Self { watch, health, now: START, said: Vec::new(), learned: None }
    }

    /// The service starts again, with what it stored.
    fn restart(&mut self) {
        let learned = self.learned.take();
        *self = Self { now: self.now, ..Self::knowing(learned.as_slice()) };
        self.learned = learned;
    }

    fn hear(&mut self, said: Evaluation) {
        self.learned = said.learned.into_iter().last().or(self.learned.take());
        for change in said.changes {
            self.said.push(match change {
                AlertChange::Opened { alert, .. } => format!("opened {}", alert.rule),
                AlertChange::Updated { alert, news, .. } => {
                    format!("updated {} {} {news}", alert.rule, alert.events)
                }
                AlertChange::Withdrawn { .. } => "withdrawn".to_owned(),
            });
        }
    }

    /// Time passes, with a tick a minute.
    fn pass(&mut self, secs: i64) {
        let end = self.now + secs;
        while self.now < end {
            self.now = (self.now + 60).min(end);
            let said = self.watch.tick(at(self.now));
            self.hear(said);
        }
    }

    /// A batch of so many events, the newest so old, and rejects.
    fn batch(&mut self, events: usize, delay: i64, rejects: usize) {
        let said = self.watch.take(0, at(self.now));
        self.hear(said);
        let committed = Committed { fresh: events, duplicates: 0, rejects, opened: 0 };
        let newest = (events > 0).then(|| EventTime::from_secs(self.now - delay));
        let stepped = Stepped { committed, newest, levels: HashMap::new(), rejects: BTreeMap::new() };
        self.watch.heard(0, &stepped, at(self.now));
    }

    /// Speaks every five minutes, with events three minutes old.
    fn speak_for(&mut self, secs: i64) {
        for _ in 0..secs / 300 {
            self.batch(10, 180, 0);
            self.pass(300);
        }
    }

    #[track_caller]
    fn expect(&mut self, wanted: &[&str]) {
        assert_eq!(std::mem::take(&mut self.said), wanted);
    }
}

fn at(secs: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(secs, 0).unwrap()
}

#[test]
fn a_steady_source_that_stops_is_told_once_and_withdrawn_when_it_speaks_again() {
    let mut world = World::new();
    world.speak_for(26 * HOUR);
    // Six times five minutes is no more than half an hour; the bucket's edge is a little above.
    world.pass(25 * 60);
    world.expect(&[]);
    world.pass(3 * HOUR);
    world.expect(&["opened KW-133s"]);
    assert!(world.health.read().warnings.values().any(|text| text.contains("nothing came from trail")));
    world.batch(1, 60, 0);
    world.pass(60);
    world.expect(&["withdrawn"]);
    assert!(world.health.read().warnings.is_empty());
}

#[test]
fn a_source_that_is_known_for_less_than_a_day_is_not_judged() {
    let mut world = World::new();
    world.speak_for(20 * HOUR);
    world.pass(10 * HOUR);
    world.expect(&[]);
}

#[test]
fn quiet_nights_and_weekends_are_no_silence_and_a_quiet_morning_is() {
    let mut world = World::new();
    for day in 0..14 {
        let is_weekday = day % 7 < 5;
        world.pass(8 * HOUR);
        if is_weekday {
            world.speak_for(10 * HOUR);
            world.pass(6 * HOUR);
        } else {
            world.pass(16 * HOUR);
        }
    }
    world.expect(&[]);
    world.pass(8 * HOUR);
    world.expect(&[]);
    world.pass(2 * HOUR);
    world.expect(&["opened KW-133s"]);
}

#[test]
fn the_absence_of_keywatch_and_a_clock_that_is_set_are_no_silence() {
    let mut world = World::new();
    world.speak_for(26 * HOUR);
    world.pass(60);
    world.now += 5 * HOUR;
    world.restart();
    world.pass(10 * 60);
    world.expect(&[]);
    for step in [365 * 24 * HOUR, -365 * 24 * HOUR, -HOUR, HOUR] {
        world.now += step;
        world.pass(120);
        world.speak_for(HOUR);
    }
    world.expect(&[]);
    world.pass(3 * HOUR);
    world.expect(&["opened KW-133s"]);
}

#[test]
fn what_was_learned_survives_a_restart() {
    let mut world = World::new();
    world.speak_for(26 * HOUR);
    world.restart();
    world.pass(3 * HOUR);
    world.expect(&["opened KW-133s"]);
}

#[test]
fn a_delay_that_grows_is_told_and_one_that_shrinks_is_not() {
    let mut world = World::new();
    world.speak_for(26 * HOUR);
    for minute in 0..10 {
        world.batch(10, 2 * HOUR - minute * 300, 0);
        world.pass(60);
    }
    world.expect(&[]);
    world.batch(10, 60, 0);
    world.pass(60);
    for minute in 0..10 {
        world.batch(10, 2 * HOUR + minute * 60, 0);
        world.pass(60);
    }
    world.expect(&["opened KW-133l"]);
    world.batch(10, 180, 0);
    world.pass(60);
    world.expect(&["withdrawn"]);
}

#[test]
fn old_records_that_are_read_first_are_no_delay() {
    let mut world = World::new();
    for _ in 0..500 {
        world.batch(1000, 90 * 24 * HOUR, 0);
        world.pass(60);
    }
    world.expect(&[]);
}

#[test]
fn a_burst_of_rejects_is_told_and_withdrawn_and_a_usual_share_is_not() {
    let mut world = World::new();
    for _ in 0..100 {
        world.batch(100, 60, 4);
        world.pass(60);
    }
    world.expect(&[]);
    world.batch(100, 60, 200);
    world.pass(60);
    world.expect(&["opened KW-133r"]);
    world.pass(10 * 60);
    world.expect(&["withdrawn"]);
}

#[test]
fn what_happens_again_grows_one_alert_and_is_told_again_after_an_hour() {
    let mut world = World::new();
    world.health.happened(Observed::GivenUp, "", "first".to_owned());
    world.batch(1, 60, 0);
    world.expect(&["opened KW-133m"]);
    world.health.happened(Observed::GivenUp, "", "second".to_owned());
    world.pass(60);
    world.expect(&["updated KW-133m 2 false"]);
    world.pass(HOUR);
    world.health.happened(Observed::GivenUp, "", "third".to_owned());
    world.health.happened(Observed::Gap, "", "a gap".to_owned());
    world.pass(60);
    world.expect(&["updated KW-133m 3 true", "opened KW-133g"]);
    world.pass(25 * HOUR);
    world.health.happened(Observed::GivenUp, "", "next day".to_owned());
    world.pass(60);
    world.expect(&["opened KW-133m"]);
}

#[test]
fn without_a_rule_nothing_is_raised_and_the_page_still_tells() {
    let mut world = World::new();
    world.watch.reload(&RuleSet::default());
    world.health.happened(Observed::Gap, "", "a gap".to_owned());
    world.pass(60);
    world.expect(&[]);
    assert_eq!(world.health.read().gaps, ["a gap"]);
}
