//! One request: its turn, its answer, and what to do about an answer that is none.

use crate::access::Way;
use crate::failure::{Failure, Trouble};
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsError;
use aws_sdk_cloudtrail::primitives::DateTime as Moment;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use chrono::{DateTime, Utc};

/// Events of one answer, the most there can be.
pub(super) const PAGE: i32 = 50;

/// What is asked for. Both ends are within.
#[derive(Clone, Debug)]
pub(super) struct Question<'q> {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) event_source: Option<&'q str>,
    pub(super) token: Option<String>,
}

/// A page of events, newest first.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) events: Vec<Event>,
    pub(super) token: Option<String>,
}

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The token has expired: the window begins again.
    Token,
    /// The time asked for is no longer kept.
    TooOld,
    Failed(Failure),
}

pub(super) async fn ask(
    client: &aws_sdk_cloudtrail::Client,
    question: &Question<'_>,
) -> Result<Page, Unanswered> {
    let mut request = client
        .lookup_events()
        .start_time(Moment::from_secs(question.from.timestamp()))
        .end_time(Moment::from_secs(question.to.timestamp()))
        .max_results(PAGE)
        .set_next_token(question.token.clone());
    if let Some(source) = question.event_source {
        let attribute = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::EventSource)
            .attribute_value(source)
            .build();
        let unbuilt = |error: aws_sdk_cloudtrail::error::BuildError| {
            Unanswered::Failed(Failure::new(Trouble::Unavailable, error.to_string()))
        };
        request = request.lookup_attributes(attribute.map_err(unbuilt)?);
    }
    let answer = request.send().await.map_err(|error| sort(&error))?;
    Ok(Page {
        events: answer.events.unwrap_or_default(),
        token: answer.next_token.filter(|token| !token.is_empty()),
    })
}

fn sort<R: std::fmt::Debug + Send + Sync + 'static>(error: &SdkError<LookupEventsError, R>) -> Unanswered {
    match error.code() {
        Some("InvalidNextTokenException") => Unanswered::Token,
        Some("InvalidTimeRangeException") => Unanswered::TooOld,
        _ => Unanswered::Failed(Failure::of(error)),
    }
}

/// What failed and how to mend it.
pub(super) fn explain(lane: &str, failure: &Failure) -> String {
    let remedy = match failure.trouble {
        Trouble::Credentials => {
            "give Keywatch credentials that AWS accepts, check the role's trust policy and external id, and that the \
             region is enabled for the account"
        }
        Trouble::Denied => "grant cloudtrail:LookupEvents to the identity or role Keywatch has there",
        Trouble::Throttled => "somebody else asks as well; it is tried again, more slowly",
        Trouble::Missing | Trouble::Unavailable => "it is tried again; check the network and the endpoint",
    };
    format!("cloudtrail:LookupEvents failed for {lane}: {}; {}", failure.said, failure.remedy_or(remedy))
}

/// A client for one account and region.
pub(super) fn client(way: &Way) -> aws_sdk_cloudtrail::Client {
    aws_sdk_cloudtrail::Client::new(&way.config)
}
