//! How AWS logs what a source brings: trails and their selectors, rules of EventBridge, the queue.
//!
//! Every question is one that changes nothing, asked with the source's own credentials, and asked
//! once: what is refused is told as not known. Nothing is judged here.

mod bridge;
mod queue;
mod selectors;
mod trails;

pub use bridge::{Rule, State};
pub use queue::QueueFacts;
pub use selectors::{Advanced, Basic, Condition, DataResource, Selectors};
pub use trails::{Owner, Status, Trail};

use crate::access::Access;
use crate::failure::{Failure, Trouble};
use crate::lookup;
use crate::trail::{Carries, Settings};
use keywatch_ingest::survey::{Answer, Untold};
use keywatch_secrets::SecretManager;

/// What is known of a queue and of what fills it.
#[derive(Clone, Debug)]
pub struct QueueSurvey {
    /// The region that was asked.
    pub region: String,
    /// The queue itself.
    pub queue: Answer<QueueFacts>,
    /// The trails there are, where the queue tells of their objects.
    pub trails: Option<Answer<Vec<Trail>>>,
    /// The rules that send to the queue, where it carries events.
    pub rules: Option<Answer<Vec<Rule>>>,
}

/// What is known of an account that is asked for its events.
#[derive(Clone, Debug)]
pub struct AccountSurvey {
    /// Its number, or `own` for that of the credentials.
    pub account: String,
    /// The trails there are in the regions that are asked.
    pub trails: Answer<Vec<Trail>>,
}

/// Asks about a queue.
pub async fn of_queue(access: &Access, secrets: &SecretManager, settings: &Settings) -> QueueSurvey {
    let way = access.open(secrets).await;
    let region = way.config.region().map_or_else(String::new, ToString::to_string);
    let queue = queue::facts(&way, &settings.queue).await;
    let (mut trails, mut rules) = (None, None);
    match settings.carries {
        Carries::Objects => trails = Some(trails::all(access, secrets, &region, &[]).await),
        Carries::Events => {
            let arn = queue.as_ref().map(|queue| queue.arn.clone()).map_err(Clone::clone);
            rules = Some(match arn {
                Ok(arn) => bridge::rules_to(&way, &arn).await,
                Err(untold) => Err(untold),
            });
        }
    }
    QueueSurvey { region, queue, trails, rules }
}

/// Asks every account that is looked up for its trails.
pub async fn of_lookup(
    access: &Access,
    secrets: &SecretManager,
    settings: &lookup::Settings,
) -> Vec<AccountSurvey> {
    let mut surveys: Vec<AccountSurvey> = Vec::new();
    for (role, region) in lookup::lanes(settings) {
        let account = lookup::account(access, role).to_owned();
        let there = access.elsewhere(role, region);
        let known = surveys.iter_mut().find(|survey| survey.account == account);
        let Some(survey) = known else {
            let trails = trails::all(&there, secrets, region, &[]).await;
            surveys.push(AccountSurvey { account, trails });
            continue;
        };
        // What one region does not say leaves the whole unknown.
        let Ok(trails) = &mut survey.trails else { continue };
        match trails::all(&there, secrets, region, trails).await {
            Ok(more) => trails.extend(more),
            Err(untold) => survey.trails = Err(untold),
        }
    }
    surveys
}

/// What was not answered, and the permission it takes.
fn untold(needs: &str, failure: &Failure) -> Untold {
    let said = match failure.trouble {
        Trouble::Credentials => {
            let remedy = failure.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            format!("AWS accepts no credentials of this source: {}{remedy}", failure.said)
        }
        Trouble::Denied | Trouble::Throttled | Trouble::Missing | Trouble::Unavailable => {
            failure.said.clone()
        }
    };
    Untold { needs: needs.to_owned(), said }
}
