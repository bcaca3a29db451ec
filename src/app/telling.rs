//! The silences of the configuration, for their page.

use chrono::{DateTime, Utc};
use keywatch_alerting::policy::{Span, StandingSilence};
use keywatch_dashboard::ConfiguredSilence;

/// The silences as they stand at `now`.
pub(super) fn silences(standing: &[StandingSilence], now: DateTime<Utc>) -> Vec<ConfiguredSilence> {
    standing.iter().map(|silence| shown(silence, now)).collect()
}

fn shown(silence: &StandingSilence, now: DateTime<Utc>) -> ConfiguredSilence {
    let (starts_at, ends_at, window) = match &silence.span {
        Span::Once { from, to } => (Some(*from), Some(*to), String::new()),
        Span::Weekly(hours) => {
            let hours: Vec<String> = hours.iter().map(ToString::to_string).collect();
            (None, None, hours.join("; "))
        }
    };
    ConfiguredSilence {
        name: silence.name.clone(),
        matchers: silence.matchers.clone(),
        starts_at,
        ends_at,
        window,
        author: silence.author.clone(),
        reason: silence.reason.clone(),
        active: silence.span.until(now).is_some(),
    }
}
