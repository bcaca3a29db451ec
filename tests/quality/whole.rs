//! The four weeks of a company with every plain attack in them, scored.

use crate::attacks::{Attack, all, begins};
use crate::benign;
use crate::scan::{is, scan};
use crate::scenario::Log;
use crate::score::Score;
use std::io::Write;

/// What detection must reach on these scenarios. A change that lowers one of them has to say why.
const PRECISION_MIN: f64 = 0.9;
const FALSE_ALARMS_PER_10_000_MAX: f64 = 6.0;
const ALERTS_PER_ATTACK_MAX: f64 = 1.2;
const HIGH_RECALL_MIN: f64 = 0.8;

/// Prints past the test runner's capture; `cargo xtask score` is how a person sees it.
pub(crate) fn show(title: &str, text: &dyn std::fmt::Display) {
    let text = text.to_string();
    let _closed = writeln!(std::io::stderr(), "{title}{}{text}", if text.is_empty() { "" } else { "\n" });
}

/// One line of the table per attack: what was said, and what should have been.
fn shortcomings(attacks: &[Attack], score: &Score) -> Vec<String> {
    let wrong = |attack: &Attack| {
        let found = score.attacks.get(&attack.name)?;
        let meant = found.alerts.iter().any(|(rule, _)| attack.rules.iter().any(|wanted| is(rule, wanted)));
        let enough = found.level() >= attack.level;
        let said: Vec<&str> = found.alerts.iter().map(|(rule, _)| rule.as_str()).collect();
        (!meant || !enough).then(|| {
            format!(
                "{}: expected {:?} at level {}, got {said:?} at {}",
                attack.name,
                attack.rules,
                attack.level,
                found.level()
            )
        })
    };
    attacks.iter().filter_map(wrong).collect()
}

#[test]
fn attacks_are_found_by_the_rules_made_for_them_and_everyday_work_is_left_alone() {
    let mut log = Log::new();
    benign::company(&mut log);
    let attacks = all();
    for (n, attack) in attacks.iter().enumerate() {
        attack.stage(&mut log, begins(n));
    }
    let log = log.in_order();
    let replay = scan(&log);
    let score = Score::of(&log, &replay);
    show("a company under attack", &score);
    let wrong = shortcomings(&attacks, &score);
    assert!(wrong.is_empty(), "{} of {} attacks:\n  {}", wrong.len(), attacks.len(), wrong.join("\n  "));
    assert_eq!(score.missed(), Vec::<&str>::new());
    assert!(score.precision() >= PRECISION_MIN, "precision {:.3}", score.precision());
    assert!(score.recall(3) >= HIGH_RECALL_MIN, "recall at high {:.3}", score.recall(3));
    let false_alarms = score.false_alarms_per_10_000();
    assert!(false_alarms <= FALSE_ALARMS_PER_10_000_MAX, "{false_alarms:.2} false alarms in 10,000 events");
    assert!(
        score.alerts_per_attack() <= ALERTS_PER_ATTACK_MAX,
        "{:.2} alerts per attack",
        score.alerts_per_attack()
    );
    assert_eq!(score.approved, 4, "each planned deletion is told of once");
}

/// Kinds of everyday work that raise something by design: a person at a new place.
const TOLD_OF: &[(&str, &[&str])] = &[("traveller", &["KW-002", "KW-113"])];

#[test]
fn each_kind_of_everyday_work_alone_raises_nothing_that_is_not_meant() {
    for (name, habit) in benign::HABITS {
        let mut log = Log::new();
        habit(&mut log);
        let log = log.in_order();
        let score = Score::of(&log, &scan(&log));
        let meant = TOLD_OF.iter().find(|(habit, _)| habit == name).map_or(&[][..], |(_, rules)| *rules);
        let wrong: Vec<String> = score
            .false_alarms
            .iter()
            .filter(|alert| !meant.iter().any(|rule| is(&alert.rule, rule)))
            .map(|alert| format!("{} {} {} {}", alert.rule, alert.level, alert.opened_at, alert.why))
            .collect();
        show(&format!("  {name}: {} false alarm(s)", wrong.len()), &wrong.join("\n    "));
        let serious = score.false_alarms.iter().filter(|alert| alert.rank() >= 3).count();
        assert_eq!(serious, 0, "{name}: everyday work at high or critical:\n  {}", wrong.join("\n  "));
        assert!(wrong.len() <= 2, "{name}:\n  {}", wrong.join("\n  "));
    }
}
