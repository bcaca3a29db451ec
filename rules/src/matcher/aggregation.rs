//! What Sigma's first version wrote behind a `|` in a condition (`selection | count() by user > 10`), said
//! as the correlation that has taken its place.

/// For what no single correlation says.
const ELSEWHERE: &str =
    "Sigma counts in a correlation of its own, such as `type: event_count` or `type: temporal_ordered`";

/// What to write instead of a condition that counts; `None` for one that does not.
pub(super) fn remedy(condition: &str) -> Option<String> {
    let (_, counting) = condition.split_once('|')?;
    let counting = counting.trim();
    let (call, rest) = counting.split_once('(')?;
    let (field, rest) = rest.split_once(')')?;
    let (field, rest) = (field.trim(), rest.trim());
    let kind = match (call.trim().to_ascii_lowercase().as_str(), field) {
        ("count", "") => "event_count",
        ("count", _) => "value_count",
        ("sum", _) => "value_sum",
        ("avg", _) => "value_avg",
        _ => return Some(ELSEWHERE.to_owned()),
    };
    let by = rest.strip_prefix("by ").and_then(|rest| rest.split_whitespace().next());
    let bound = bound(rest)?;
    let group = by.map(|field| format!("group-by: [{field}], ")).unwrap_or_default();
    let of = if field.is_empty() { String::new() } else { format!("field: {field}, ") };
    Some(format!(
        "Sigma counts in a correlation of its own: leave the condition before the `|`, give this rule a `name`, and add \
         a document with `correlation: {{type: {kind}, rules: [<name>], {group}timespan: 10m, condition: {{{of}{bound}}}}}`"
    ))
}

/// `> 10` at the end of a condition as `gt: 10`.
fn bound(rest: &str) -> Option<String> {
    const OPS: &[(&str, &str)] =
        &[(">=", "gte"), ("<=", "lte"), (">", "gt"), ("<", "lt"), ("==", "eq"), ("=", "eq")];
    let (written, op) = OPS.iter().find(|(written, _)| rest.contains(written))?;
    let number: f64 = rest.rsplit(written).next()?.trim().parse().ok()?;
    Some(format!("{op}: {number}"))
}
