//! One correlation of each type with each comparison, each of its own rule: the same oracle, without a chain.

use super::catalogue::{PLAIN, READ, SECRETS};
use super::form::{Of, Rule};
use super::oracle::{ONE, Op};

const OPS: [(&str, Op); 6] =
    [("gte", Op::Gte), ("gt", Op::Gt), ("lte", Op::Lte), ("lt", Op::Lt), ("eq", Op::Eq), ("neq", Op::Neq)];

/// Type, what its condition says beside the bound, what that is, and bounds in tenths.
const TYPES: [(&str, &str, Of, [i64; 2]); 10] = [
    ("event_count", "", Of::Events, [20, 30]),
    ("value_count", "field: secrets.id, ", Of::Values(SECRETS), [20, 30]),
    ("value_sum", "field: raw.amount, ", Of::Sum, [6, 70]),
    ("value_avg", "field: raw.amount, ", Of::Average, [6, 20]),
    ("value_median", "field: raw.amount, ", Of::Median, [6, 20]),
    ("value_percentile", "field: raw.amount, percentile: 0, ", Of::Percentile(0), [-35, 1]),
    ("value_percentile", "field: raw.amount, percentile: 7, ", Of::Percentile(7), [-35, 1]),
    ("value_percentile", "field: raw.amount, percentile: 50, ", Of::Percentile(50), [1, 2]),
    ("value_percentile", "field: raw.amount, percentile: 75, ", Of::Percentile(75), [20, 50]),
    ("value_percentile", "field: raw.amount, percentile: 100, ", Of::Percentile(100), [50, 70]),
];

/// The rules as they are written, and as the oracle knows them.
pub(crate) fn singles() -> (String, &'static [Rule]) {
    let read = "title: Read\nname: read\ndetection: {sel: {class: secret.read}, condition: sel}\n";
    let mut documents = vec![read.to_owned()];
    let mut rules = Vec::new();
    for (at, (kind, says, of, bounds)) in TYPES.iter().enumerate() {
        for (written, op) in OPS {
            for tenths in bounds {
                let name = format!("{kind}_{at}_{written}_{tenths}");
                let (whole, tenth) = (tenths / 10, (tenths % 10).abs());
                let correlation = format!(
                    "{{type: {kind}, rules: [read], group-by: [principal.id], timespan: 2m, \
                     condition: {{{says}{written}: {whole}.{tenth}}}}}"
                );
                documents.push(format!(
                    "title: {name}\nname: {name}\nlevel: high\ncorrelation: {correlation}\n\
                     keywatch: {{incident: {{keep_alive: 3m, max_duration: 40m}}}}\n"
                ));
                let bound: &'static [(Op, i64)] = Box::leak(Box::new([(op, tenths * ONE / 10)]));
                rules.push(Rule { name: name.leak(), counts: &[READ], of: *of, bounds: bound, ..PLAIN });
            }
        }
    }
    (documents.join("---\n"), rules.leak())
}
