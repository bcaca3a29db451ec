//! Which events a trail records: its event selectors, basic or advanced.
//!
//! Serialised they are what `aws cloudtrail put-event-selectors` takes.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetEventSelectors.html>

use super::untold;
use crate::failure::Failure;
use keywatch_ingest::survey::Answer;
use serde::Serialize;

/// What a trail records. A trail has selectors of one sort; an event that any of them takes is
/// recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// The basic ones.
    pub basic: Vec<Basic>,
    /// The advanced ones.
    pub advanced: Vec<Advanced>,
}

/// A basic selector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Basic {
    /// `All`, `ReadOnly` or `WriteOnly`.
    pub read_write_type: String,
    /// Whether it takes management events.
    pub include_management_events: bool,
    /// The objects and functions whose data events it takes.
    pub data_resources: Vec<DataResource>,
    /// Services whose management events it does not take: `kms.amazonaws.com`, say.
    pub exclude_management_event_sources: Vec<String>,
}

/// Objects and functions of a basic selector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DataResource {
    /// `AWS::S3::Object`, say.
    pub r#type: String,
    /// ARNs, or their beginnings.
    pub values: Vec<String>,
}

/// An advanced selector: it takes an event for which all conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Advanced {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The conditions.
    pub field_selectors: Vec<Condition>,
}

/// A condition on one field. Of the positive lists one value must fit, of the negative none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Condition {
    /// `eventCategory`, `readOnly`, `eventSource`, …
    pub field: String,
    /// One of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub equals: Vec<String>,
    /// Begins with one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub starts_with: Vec<String>,
    /// Ends with one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ends_with: Vec<String>,
    /// None of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_equals: Vec<String>,
    /// Begins with none of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_starts_with: Vec<String>,
    /// Ends with none of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ends_with: Vec<String>,
}

impl Condition {
    /// Whether a value fulfils it.
    #[must_use]
    pub fn takes(&self, value: &str) -> bool {
        let is_wanted = self.equals.iter().any(|one| one == value)
            || self.starts_with.iter().any(|one| value.starts_with(one.as_str()))
            || self.ends_with.iter().any(|one| value.ends_with(one.as_str()));
        let wants_any = self.equals.is_empty() && self.starts_with.is_empty() && self.ends_with.is_empty();
        let is_refused = self.not_equals.iter().any(|one| one == value)
            || self.not_starts_with.iter().any(|one| value.starts_with(one.as_str()))
            || self.not_ends_with.iter().any(|one| value.ends_with(one.as_str()));
        (is_wanted || wants_any) && !is_refused
    }
}

pub(super) async fn of(client: &aws_sdk_cloudtrail::Client, arn: &str) -> Answer<Selectors> {
    let asked = client.get_event_selectors().trail_name(arn).send().await;
    let answer = asked.map_err(|error| untold("cloudtrail:GetEventSelectors", &Failure::of(&error)))?;
    let basic = answer.event_selectors.unwrap_or_default().into_iter().map(|one| Basic {
        read_write_type: one
            .read_write_type
            .map_or_else(|| "All".to_owned(), |kind| kind.as_str().to_owned()),
        include_management_events: one.include_management_events.unwrap_or(true),
        data_resources: one.data_resources.unwrap_or_default().into_iter().map(data_resource).collect(),
        exclude_management_event_sources: one.exclude_management_event_sources.unwrap_or_default(),
    });
    let advanced = answer.advanced_event_selectors.unwrap_or_default().into_iter().map(|one| Advanced {
        name: one.name,
        field_selectors: one.field_selectors.into_iter().map(condition).collect(),
    });
    Ok(Selectors { basic: basic.collect(), advanced: advanced.collect() })
}

fn data_resource(one: aws_sdk_cloudtrail::types::DataResource) -> DataResource {
    DataResource { r#type: one.r#type.unwrap_or_default(), values: one.values.unwrap_or_default() }
}

fn condition(one: aws_sdk_cloudtrail::types::AdvancedFieldSelector) -> Condition {
    Condition {
        field: one.field,
        equals: one.equals.unwrap_or_default(),
        starts_with: one.starts_with.unwrap_or_default(),
        ends_with: one.ends_with.unwrap_or_default(),
        not_equals: one.not_equals.unwrap_or_default(),
        not_starts_with: one.not_starts_with.unwrap_or_default(),
        not_ends_with: one.not_ends_with.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_wants_one_of_its_values_and_none_of_the_refused() {
        let of = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<String>>();
        let not_keys = Condition { not_equals: of(&["kms.amazonaws.com"]), ..Condition::default() };
        assert!(not_keys.takes("iam.amazonaws.com") && !not_keys.takes("kms.amazonaws.com"));
        let some = Condition { starts_with: of(&["s"]), not_ends_with: of(&["ts"]), ..Condition::default() };
        assert!(some.takes("sns") && !some.takes("sts") && !some.takes("iam"));
        let ends = Condition { ends_with: of(&["m"]), not_starts_with: of(&["k"]), ..Condition::default() };
        assert!(ends.takes("ssm") && !ends.takes("kmm"));
    }
}
