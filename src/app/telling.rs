//! Who is told, as the parts of the service need it: the plan with the clock for the pipeline, and
//! the silences of the configuration for their page.

use crate::clock;
use crate::config::Config;
use chrono::{DateTime, Utc};
use keywatch_alerting::policy::{Plan, Policy, Span, StandingSilence};
use keywatch_dashboard::{ConfiguredSilence, Silences};
use keywatch_event::Subject;
use keywatch_store::{Routed, Routing, Subscriber};
use std::sync::Arc;

/// What the configuration says about telling people, for the receivers there are.
pub(super) fn policy(config: &Config) -> Policy {
    let mut policy = config.policy.clone();
    let receivers = config.receivers.iter();
    policy.plan.receivers = receivers.map(|one| Subscriber::new(&one.name, one.level_min)).collect();
    policy
}

/// A plan that knows when it is asked, so that the time to alert can be measured.
pub(super) struct Timed(pub(super) Plan);

impl Routing for Timed {
    fn routes(&self, subject: &Subject, at: DateTime<Utc>) -> Vec<Routed> {
        self.0.routes(subject, at)
    }

    fn knows(&self, receiver: &str) -> bool {
        self.0.knows(receiver)
    }

    fn decided_at(&self, _received_at: DateTime<Utc>) -> DateTime<Utc> {
        clock::now()
    }
}

/// Shows the silences of the configuration as they stand at the moment.
pub(super) fn silences(standing: &[StandingSilence]) -> Silences {
    let standing = standing.to_vec();
    Arc::new(move || standing.iter().map(|silence| shown(silence, clock::now())).collect())
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
