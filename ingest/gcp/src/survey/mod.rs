//! How Google Cloud logs what a source brings: audit configurations, sinks, log buckets.
//!
//! Every question is one that changes nothing, asked with the source's own credentials, and asked
//! once: what is refused is told as not known. Nothing is judged here.

mod client;
mod policy;
mod routes;

pub use policy::{AuditConfig, Level, LogConfig};
pub use routes::{Exclusion, Sink, SubscriptionFacts};

use crate::access::Access;
use client::Client;
use keywatch_ingest::survey::{Answer, Untold};
use keywatch_secrets::SecretManager;

/// Where what a source brings comes from.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The projects, folders and organisations to look at; what else they are named after (views of
    /// log buckets) is passed over.
    pub resources: &'a [String],
    /// The subscription that is pulled, if one is.
    pub subscription: Option<&'a str>,
}

/// What is known of one project, folder or organisation.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Its name: `projects/P`.
    pub resource: String,
    /// The audit configurations that hold for it: its own first, then those of what is above it. A
    /// level that would not be read is told in its place.
    pub levels: Vec<Answer<Level>>,
    /// Its own sinks.
    pub sinks: Answer<Vec<Sink>>,
    /// Days its log bucket `_Default` keeps entries.
    pub retention_days: Answer<u32>,
}

/// What is known of everything a source brings.
#[derive(Clone, Debug)]
pub struct Surveys {
    /// The resources, in their order.
    pub resources: Vec<Survey>,
    /// The subscription, if one is pulled.
    pub subscription: Option<Answer<SubscriptionFacts>>,
    /// Sinks above the resources, by what they belong to.
    pub above: Vec<(String, Answer<Vec<Sink>>)>,
}

/// Asks about everything a source brings.
pub async fn of(access: &Access, secrets: &SecretManager, asked: &Asked<'_>) -> Surveys {
    let client = match Client::new(access, access.open(secrets)) {
        Ok(client) => client,
        Err(failure) => {
            let untold = Untold { needs: "an HTTPS client".to_owned(), said: failure.said };
            return unasked(asked, &untold);
        }
    };
    let mut resources: Vec<Survey> = Vec::new();
    let mut above: Vec<(String, Answer<Vec<Sink>>)> = Vec::new();
    for resource in named(asked.resources) {
        let levels = policy::levels(&client, &resource).await;
        for level in levels.iter().skip(1).filter_map(|level| level.as_ref().ok()) {
            if asked.subscription.is_some() && !above.iter().any(|(known, _)| *known == level.resource) {
                above.push((level.resource.clone(), routes::sinks(&client, &level.resource).await));
            }
        }
        let sinks = routes::sinks(&client, &resource).await;
        let retention_days = routes::retention(&client, &resource).await;
        resources.push(Survey { resource, levels, sinks, retention_days });
    }
    let subscription = match asked.subscription {
        Some(name) => Some(routes::subscription(&client, name).await),
        None => None,
    };
    Surveys { resources, subscription, above }
}

/// The resources that have a policy, each once: the first two parts of a name.
fn named(resources: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for resource in resources {
        let mut parts = resource.split('/');
        let (Some(kind), Some(id)) = (parts.next(), parts.next()) else { continue };
        let name = format!("{kind}/{id}");
        if matches!(kind, "projects" | "folders" | "organizations") && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What is known when nobody could be asked.
fn unasked(asked: &Asked<'_>, untold: &Untold) -> Surveys {
    let survey = |resource: String| Survey {
        resource,
        levels: vec![Err(untold.clone())],
        sinks: Err(untold.clone()),
        retention_days: Err(untold.clone()),
    };
    Surveys {
        resources: named(asked.resources).into_iter().map(survey).collect(),
        subscription: asked.subscription.map(|_| Err(untold.clone())),
        above: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn every_resource_with_a_policy_is_asked_once() {
        let names =
            ["projects/p/locations/l/buckets/b/views/v", "projects/p", "folders/1", "billingAccounts/b"];
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(named(&names), ["projects/p", "folders/1"]);
    }
}
