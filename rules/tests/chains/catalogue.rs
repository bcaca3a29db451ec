//! The rules of `rules.yml` as the oracle knows them.
//!
//! Every form that the compiler accepts in a correlation, and the rules that hold the engine to it:
//!
//! | form | inside a chain | raising over a chain |
//! |---|---|---|
//! | `event_count` | `burst` | `twos` |
//! | `value_count`, one field, several, one that has several values | `wide`, `pairs`, `triples` | `one_address`, `each_wide` |
//! | `temporal` | `both` | `few_beside_wide` |
//! | `temporal` with an expression | `mixed` | `never_in`, `any_two`, `either` |
//! | `temporal_ordered` | `up` | `then_in`, `overlapping` |
//! | `value_sum` | `heavy` | `sums` |
//! | `value_avg` | `light` | `averages` |
//! | `value_median` | `middle` | `medians` |
//! | `value_percentile` | `most` | `ranks` |
//! | `gte` `gt` `lte` `lt` `eq` `neq` | `burst`, `middle`, `few`, `two`, `odd` | `sums`, `averages`, `ranks`, `medians` |
//! | counted where it is met, and where it begins to be | `two_bursts`, `three` | `then_in`, `twice_then_in`, `begun` |
//! | `group-by` none, one, several, one of several values | `both`, `wide`, `burst`, `each`, `pairs` | `held`, `by_secret` |
//! | `aliases` in `group-by`, in `field`, through a correlation | `borrowed` | `renamed`, `renamed_within`, and where an event is two of them `renamed_both`, `named_both` |
//! | `generate` | `pairs` | |
//! | two to four correlations, one above the other | `two_bursts`, `three` | `then_in`, `twice_then_in`, `four` |
//! | `steps`: `gte` of events, `gte` of what begins, `distinct` | `up` | `pairs_then`, `twice_in_order` |
//! | `any`: `distinct`, `matching`, with a bound above and below | `tried`, `quietly` | `each_wide`, `either` |
//! | `hold`: `before_too`, `unless_count`, neither | refused | `held`, `held_in_order` |
//! | `escalate`: events, `distinct`, `matching`, with and without `within` | refused | `escalated` |
//! | `incident`: `keep_alive`, `max_duration` | refused | all |
//! | `lagged` | refused | refused |
//!
//! What is elsewhere: `first_seen` below a chain follows the order of commit, as documented; `incident` with keys
//! of its own, `attach`, `lower`, `part_of`, `mention` and `tried` shape what is made of the events that
//! count and know nothing of chains.

use super::form::{Counts, Escalate, Hold, Of, Rule, Step};
use super::happening::Happening;
use super::oracle::{Group, ONE, Op};

const REFUSED: Counts = Counts::Detected(|event| event.denied);
const SUCCESS: Counts = Counts::Detected(|event| !event.denied);
pub(crate) const READ: Counts = Counts::Detected(|_| true);
const CANARY: Counts = Counts::Detected(|event| event.secrets.contains(&0));

const WHO: fn(&Happening, usize) -> Vec<Group> = |event, _| vec![vec![event.who]];
const IP: fn(&Happening, usize) -> Vec<Group> = |event, _| vec![vec![event.ip]];
pub(crate) const SECRETS: fn(&Happening, usize) -> Vec<Group> = |event, _| each(&event.secrets);
const ALL: fn(&Happening, usize) -> Vec<Group> = |_, _| vec![vec![]];
/// The first by who, the others by the secrets.
const KEY: fn(&Happening, usize) -> Vec<Group> =
    |event, at| if at == 0 { vec![vec![event.who]] } else { each(&event.secrets) };

fn each(values: &[u8]) -> Vec<Group> {
    values.iter().map(|value| vec![*value]).collect()
}

const fn from(least: i64) -> (Op, i64) {
    (Op::Gte, least * ONE)
}

const ONCE: &[(Op, i64)] = &[(Op::Gte, ONE)];
pub(crate) const PLAIN: Rule = Rule {
    name: "",
    counts: &[],
    group: WHO,
    span: 120,
    of: Of::Events,
    bounds: ONCE,
    any: &[],
    hold: None,
    escalate: &[],
    level: 1,
};
const IN_ORDER: Of = Of::Ordered(&[ONE_EVENT, ONE_EVENT, ONE_EVENT]);
const IN_TURN: Of = Of::Ordered(&[ONE_EVENT, ONE_EVENT]);
const ONE_EVENT: Step = Step { least: 1, values: None };

static BURST: Rule = Rule {
    name: "burst",
    counts: &[REFUSED],
    group: |event, _| vec![vec![event.who, event.ip]],
    bounds: &[from(3)],
    ..PLAIN
};
static FEW: Rule = Rule { name: "few", counts: &[REFUSED], bounds: &[from(1), (Op::Lt, 3 * ONE)], ..PLAIN };
static WIDE: Rule = Rule {
    name: "wide",
    counts: &[REFUSED],
    group: IP,
    of: Of::Values(SECRETS),
    bounds: &[from(3)],
    ..PLAIN
};
static TWO_BURSTS: Rule =
    Rule { name: "two_bursts", counts: &[Counts::Begins(&BURST)], span: 900, bounds: &[from(2)], ..PLAIN };
static THREE: Rule = Rule {
    name: "three",
    counts: &[Counts::Begins(&TWO_BURSTS), Counts::Begins(&FEW)],
    span: 1200,
    bounds: &[from(1), (Op::Lte, 3 * ONE)],
    ..PLAIN
};
static HEAVY: Rule = Rule { name: "heavy", counts: &[READ], of: Of::Sum, bounds: &[from(6)], ..PLAIN };
static LIGHT: Rule =
    Rule { name: "light", counts: &[READ], of: Of::Average, bounds: &[(Op::Lt, ONE)], ..PLAIN };
static MIDDLE: Rule = Rule {
    name: "middle",
    counts: &[REFUSED],
    group: IP,
    of: Of::Median,
    bounds: &[(Op::Gt, 2 * ONE), (Op::Lte, 5 * ONE)],
    ..PLAIN
};
static MOST: Rule =
    Rule { name: "most", counts: &[READ], of: Of::Percentile(75), bounds: &[from(5)], ..PLAIN };
static TRIED: Rule = Rule {
    name: "tried",
    counts: &[REFUSED],
    bounds: &[from(2)],
    any: &[
        (Of::Values(SECRETS), &[from(3)]),
        (Of::Matching(|event| event.secrets.contains(&0)), &[(Op::Gt, 0)]),
    ],
    ..PLAIN
};
static QUIETLY: Rule = Rule {
    name: "quietly",
    counts: &[REFUSED],
    bounds: &[from(2)],
    any: &[(Of::Matching(|event| event.secrets.contains(&0)), &[(Op::Lt, ONE)])],
    ..PLAIN
};
static EACH: Rule =
    Rule { name: "each", counts: &[REFUSED], group: SECRETS, span: 180, bounds: &[from(2)], ..PLAIN };
static PAIRS: Rule = PAIRS_RAISING;
static TRIPLES: Rule = Rule {
    name: "triples",
    counts: &[READ],
    group: ALL,
    of: Of::Values(|event, _| event.secrets.iter().map(|secret| vec![event.who, *secret]).collect()),
    bounds: &[from(4)],
    ..PLAIN
};
static TWO: Rule = Rule { name: "two", counts: &[REFUSED], bounds: &[(Op::Eq, 2 * ONE)], ..PLAIN };
static ODD: Rule =
    Rule { name: "odd", counts: &[SUCCESS], group: IP, bounds: &[(Op::Neq, 2 * ONE)], ..PLAIN };
static BOTH: Rule = Rule {
    name: "both",
    counts: &[REFUSED, SUCCESS],
    group: ALL,
    span: 30,
    of: Of::Present { holds: |occurred| occurred[0] && occurred[1], ends: false },
    ..PLAIN
};
static MIXED: Rule = Rule {
    name: "mixed",
    counts: &[Counts::Met(&BURST), Counts::Met(&WIDE), SUCCESS],
    of: Of::Present { holds: |occurred| (occurred[0] || occurred[1]) && !occurred[2], ends: true },
    ..PLAIN
};
static BORROWED: Rule = Rule {
    name: "borrowed",
    counts: &[REFUSED, SUCCESS],
    group: IP,
    of: Of::Values(KEY),
    bounds: &[from(3)],
    ..PLAIN
};
static UP: Rule = Rule {
    name: "up",
    counts: &[Counts::Begins(&EACH), SUCCESS],
    span: 300,
    of: Of::Ordered(&[Step { least: 2, values: None }, ONE_EVENT]),
    ..PLAIN
};

pub(crate) static RAISING: [Rule; 34] = [
    Rule { name: "then_in", counts: &[Counts::Met(&BURST), SUCCESS], span: 300, of: IN_TURN, ..PLAIN },
    Rule {
        name: "twice_then_in",
        counts: &[Counts::Met(&TWO_BURSTS), SUCCESS],
        span: 600,
        of: IN_TURN,
        ..PLAIN
    },
    Rule {
        name: "never_in",
        counts: &[Counts::Met(&BURST), SUCCESS],
        span: 180,
        of: Of::Present { holds: |occurred| occurred[0] && !occurred[1], ends: true },
        ..PLAIN
    },
    Rule {
        name: "one_address",
        counts: &[Counts::Met(&BURST)],
        group: IP,
        span: 300,
        of: Of::Values(WHO),
        bounds: &[from(2)],
        ..PLAIN
    },
    Rule {
        name: "few_beside_wide",
        counts: &[Counts::Met(&FEW), Counts::Met(&WIDE)],
        group: IP,
        span: 240,
        of: Of::Present { holds: |occurred| occurred[0] && occurred[1], ends: false },
        ..PLAIN
    },
    Rule { name: "wide_then_in", counts: &[Counts::Met(&WIDE), SUCCESS], span: 300, of: IN_TURN, ..PLAIN },
    Rule { name: "heavy_then_in", counts: &[Counts::Met(&HEAVY), SUCCESS], span: 300, of: IN_TURN, ..PLAIN },
    Rule {
        name: "light_beside_few",
        counts: &[Counts::Met(&LIGHT), Counts::Met(&FEW)],
        span: 180,
        of: Of::Present { holds: |occurred| occurred[0] && occurred[1], ends: false },
        ..PLAIN
    },
    Rule {
        name: "begun",
        counts: &[Counts::Begins(&MIDDLE), Counts::Begins(&LIGHT)],
        group: IP,
        span: 900,
        bounds: &[from(3)],
        ..PLAIN
    },
    Rule {
        name: "most_by_many",
        counts: &[Counts::Met(&MOST)],
        group: IP,
        span: 300,
        of: Of::Values(WHO),
        bounds: &[from(2)],
        ..PLAIN
    },
    Rule {
        name: "any_two",
        counts: &[Counts::Met(&TRIED), Counts::Met(&QUIETLY), CANARY],
        span: 240,
        of: Of::Present {
            holds: |occurred| occurred.iter().filter(|occurred| **occurred).count() >= 2,
            ends: false,
        },
        ..PLAIN
    },
    Rule {
        name: "each_wide",
        counts: &[Counts::Met(&EACH)],
        span: 300,
        of: Of::Values(SECRETS),
        bounds: &[from(2)],
        any: &[
            (Of::Values(IP), &[from(2)]),
            (Of::Matching(|event| event.secrets.contains(&3)), &[(Op::Eq, 2 * ONE)]),
        ],
        ..PLAIN
    },
    Rule {
        name: "by_secret",
        counts: &[Counts::Met(&EACH), SUCCESS],
        group: SECRETS,
        span: 240,
        of: IN_TURN,
        ..PLAIN
    },
    Rule {
        name: "pairs_then",
        counts: &[Counts::Met(&PAIRS), REFUSED, SUCCESS],
        group: IP,
        span: 400,
        of: Of::Ordered(&[
            ONE_EVENT,
            Step { least: 2, values: Some(|event| each(&event.secrets)) },
            ONE_EVENT,
        ]),
        ..PLAIN
    },
    PAIRS_RAISING,
    Rule {
        name: "twos",
        counts: &[Counts::Begins(&TWO), Counts::Begins(&ODD)],
        span: 600,
        bounds: &[from(2), (Op::Neq, 3 * ONE)],
        ..PLAIN
    },
    Rule {
        name: "held",
        counts: &[Counts::Met(&EACH), Counts::Met(&TRIPLES)],
        group: ALL,
        span: 200,
        of: Of::Values(WHO),
        bounds: &[from(2)],
        hold: Some(Hold {
            when: |event| event.denied,
            cleared_by: |event| !event.denied,
            on: |event| event.who,
            secs: 60,
            before_too: true,
            unless_count: 4,
        }),
        ..PLAIN
    },
    Rule {
        name: "held_in_order",
        counts: &[Counts::Met(&BURST), CANARY],
        span: 300,
        of: IN_TURN,
        hold: Some(Hold {
            when: |event| event.denied,
            cleared_by: |event| !event.denied,
            on: |event| event.ip,
            secs: 40,
            before_too: false,
            unless_count: usize::MAX,
        }),
        ..PLAIN
    },
    Rule {
        name: "renamed",
        counts: &[Counts::Met(&EACH), SUCCESS],
        group: KEY,
        span: 240,
        of: IN_TURN,
        ..PLAIN
    },
    Rule {
        name: "renamed_within",
        counts: &[Counts::Met(&BORROWED), REFUSED],
        // What the alias of `borrowed` means in each of the detections, and then in `refused`.
        group: |event, at| {
            if at == 0 && !event.denied { each(&event.secrets) } else { vec![vec![event.who]] }
        },
        span: 240,
        of: Of::Present { holds: |occurred| occurred[0] && occurred[1], ends: false },
        ..PLAIN
    },
    Rule { name: "four", counts: &[Counts::Met(&THREE), SUCCESS], span: 300, of: IN_TURN, ..PLAIN },
    Rule {
        name: "renamed_both",
        counts: &[Counts::Met(&EACH), CANARY],
        group: KEY,
        span: 200,
        of: Of::Present { holds: |occurred| occurred[0] && occurred[1], ends: false },
        ..PLAIN
    },
    Rule {
        name: "named_both",
        counts: &[Counts::Met(&EACH), CANARY],
        group: IP,
        span: 200,
        of: Of::Values(KEY),
        bounds: &[from(3)],
        ..PLAIN
    },
    Rule {
        name: "mixed_up",
        counts: &[Counts::Begins(&MIXED), Counts::Begins(&BOTH)],
        span: 900,
        bounds: &[from(2)],
        ..PLAIN
    },
    Rule {
        name: "either",
        counts: &[Counts::Met(&UP), Counts::Met(&WIDE), CANARY],
        span: 200,
        of: Of::Present { holds: |occurred| (occurred[0] || !occurred[1]) && occurred[2], ends: true },
        any: &[(Of::Values(SECRETS), &[from(1), (Op::Lte, 2 * ONE)])],
        ..PLAIN
    },
    Rule {
        name: "escalated",
        counts: &[Counts::Begins(&BURST), SUCCESS],
        span: 300,
        bounds: &[from(2)],
        level: 0,
        escalate: &[
            Escalate { to: 1, of: Of::Events, least: 3, within: Some(60) },
            Escalate { to: 2, of: Of::Values(SECRETS), least: 3, within: None },
            Escalate {
                to: 1,
                of: Of::Matching(|event| event.secrets.contains(&0)),
                least: 2,
                within: Some(120),
            },
        ],
        ..PLAIN
    },
    Rule {
        name: "overlapping",
        counts: &[REFUSED, Counts::Met(&BURST), CANARY],
        span: 100,
        of: IN_ORDER,
        ..PLAIN
    },
    Rule {
        name: "twice_in_order",
        counts: &[Counts::Begins(&BURST), SUCCESS],
        span: 900,
        of: Of::Ordered(&[Step { least: 2, values: None }, ONE_EVENT]),
        ..PLAIN
    },
    Rule { name: "up_then", counts: &[Counts::Met(&UP), REFUSED], span: 300, of: IN_TURN, ..PLAIN },
    Rule {
        name: "sums",
        counts: &[Counts::Met(&BURST)],
        group: IP,
        span: 300,
        of: Of::Sum,
        bounds: &[(Op::Gt, 3 * ONE)],
        ..PLAIN
    },
    Rule {
        name: "averages",
        counts: &[Counts::Met(&EACH), CANARY],
        span: 300,
        of: Of::Average,
        bounds: &[(Op::Lte, 2 * ONE), (Op::Gte, -ONE)],
        ..PLAIN
    },
    Rule {
        name: "ranks",
        counts: &[Counts::Met(&WIDE)],
        group: ALL,
        span: 300,
        of: Of::Percentile(40),
        bounds: &[(Op::Eq, 2 * ONE)],
        ..PLAIN
    },
    Rule {
        name: "medians",
        counts: &[Counts::Met(&FEW), SUCCESS],
        span: 300,
        of: Of::Median,
        bounds: &[(Op::Neq, 2 * ONE), (Op::Gt, 0)],
        ..PLAIN
    },
    Rule {
        name: "lowest",
        counts: &[Counts::Met(&TRIED)],
        span: 300,
        of: Of::Percentile(0),
        bounds: &[(Op::Lt, 0)],
        ..PLAIN
    },
];

/// `pairs` as it raises by itself, since who counts it says `generate: true`.
const PAIRS_RAISING: Rule = Rule {
    name: "pairs",
    counts: &[REFUSED],
    group: |event, _| event.secrets.iter().map(|secret| vec![event.ip, *secret]).collect(),
    span: 240,
    of: Of::Values(WHO),
    bounds: &[from(2)],
    level: 0,
    ..PLAIN
};
