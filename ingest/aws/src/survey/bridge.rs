//! Rules of EventBridge that send to a queue.

use super::untold;
use crate::access::Way;
use crate::failure::Failure;
use aws_sdk_eventbridge::types::RuleState;
use keywatch_ingest::survey::Answer;

/// Most rules that are looked at: a target has five rules as a rule, and a bus 300 of them.
const RULES_MAX: usize = 300;

/// A rule of the default bus, which is the one CloudTrail sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it passes on.
    pub state: State,
    /// The events it is for, as JSON; empty when it is for none (a schedule).
    pub pattern: String,
}

/// What a rule passes on.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Disabled,
    /// Events that change something: no reads.
    Writes,
    /// Every management event.
    All,
    /// What a later version of EventBridge calls a state.
    Unknown,
}

/// Every rule of the default bus that sends to `arn`.
pub(super) async fn rules_to(way: &Way, arn: &str) -> Answer<Vec<Rule>> {
    let client = aws_sdk_eventbridge::Client::new(&way.config);
    let mut rules = Vec::new();
    let mut token = None;
    loop {
        let page = client
            .list_rule_names_by_target()
            .target_arn(arn)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| untold("events:ListRuleNamesByTarget", &Failure::of(&error)))?;
        for name in page.rule_names() {
            rules.push(rule(&client, name).await?);
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() || rules.len() >= RULES_MAX {
            return Ok(rules);
        }
    }
}

async fn rule(client: &aws_sdk_eventbridge::Client, name: &str) -> Answer<Rule> {
    let answer = client
        .describe_rule()
        .name(name)
        .send()
        .await
        .map_err(|error| untold("events:DescribeRule", &Failure::of(&error)))?;
    let state = match answer.state() {
        Some(RuleState::Disabled) => State::Disabled,
        Some(RuleState::Enabled) => State::Writes,
        Some(RuleState::EnabledWithAllCloudtrailManagementEvents) => State::All,
        _ => State::Unknown,
    };
    let pattern = answer.event_pattern().unwrap_or_default().to_owned();
    Ok(Rule { name: name.to_owned(), state, pattern })
}
