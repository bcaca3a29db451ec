//! Records that are told of, and those that are read, go the same ways.

use super::tests::matcher;
use super::{MatcherId, Plan, Walk};
use crate::matcher::Matcher;
use crate::testing::{self, PLACE};
use crate::{Seen, Surroundings, View};
use keywatch_event::EventTime;
use keywatch_event::json::{Extractor, Fields};

fn rules() -> Vec<Matcher> {
    let asked = [
        "raw.one: a",
        "raw.one|contains: [a, '7']",
        "raw.two|fieldref: raw.three",
        "raw.many: a",
        "raw.deep.er|re: '^x'",
        "raw.deep|exists: true",
        "time.delay|gt: 3600",
        "time.delay|lte: [-1, 60]",
        "time.delay|neq: 90",
        "time.delay: 90",
    ];
    let mut rules: Vec<Matcher> =
        asked.map(|item| matcher(&format!("detection:\n  s: {{{item}}}\n  condition: s\n"))).into();
    let source = "logsource: {product: azure, service: activitylogs}";
    // A field that stands at several paths.
    rules.push(matcher(&format!("{source}\ndetection:\n  s: {{level: a, resultType: a}}\n  condition: s\n")));
    rules.push(matcher(&format!("{source}\ndetection:\n  s: {{caller: a}}\n  condition: not s\n")));
    rules
}

#[test]
fn what_is_told_is_matched_as_what_is_read() {
    let matchers = rules();
    let (plan, mut walk, around) = (Plan::new(&matchers), Walk::default(), Surroundings::default());
    let extractor = Extractor::asking(["eventName"], plan.asked());
    let raws = [
        r#"{"eventName":"x","one":"a","two":"a","three":"a","deep":{"er":"xy"}}"#,
        r#"{"eventName":"x","one":7,"two":"a","three":"b","deep":null}"#,
        r#"{"eventName":"x","one":"b","many":["a","b"],"deep":"er"}"#,
        r#"{"eventName":"x","one":null,"many":"b","deep":{"er":["x"]}}"#,
        r#"{"One":"a","deep":[{"er":"x"}]}"#,
        r#"{"level":"a","resultType":"a","status":{"value":"b"},"caller":"a"}"#,
        r#"{"level":"a","resultType":"a","caller":"b"}"#,
        "{}",
    ];
    let mut told = 0;
    for _ in 0..3 {
        for n in 0..raws.len() * 4 * 3 {
            let raw = raws[n % raws.len()];
            let mut event = testing::event();
            event.provider = keywatch_event::Provider::ALL[n / raws.len() % 4];
            let delay = [90, 3_601, -2][n / raws.len() / 4];
            event.received_at = EventTime::from_secs(event.time.secs() + delay);
            let mut fields = Fields::default();
            // Read and told of by turns, so that each meets what the other left.
            for tells in [n % 2 == 0, n % 2 == 1] {
                extractor.read(raw.as_bytes(), &mut fields).unwrap();
                event.told = fields.told(&extractor).filter(|_| tells);
                told += usize::from(event.told.is_some());
                let seen = Seen { event: &event, place: &PLACE, raw: raw.as_bytes() };
                let view = View::new(&seen, &around, plan.scope(event.provider));
                let alone = View::alone(&seen);
                let holds = |(id, one): (usize, &Matcher)| one.matches(&alone).then_some(MatcherId(id));
                let want: Vec<MatcherId> = matchers.iter().enumerate().filter_map(holds).collect();
                assert_eq!(plan.matching(&view, &mut walk).ids, want, "{tells} {delay} {raw}");
            }
        }
    }
    assert!(told > 100, "{told} were told of");
}
