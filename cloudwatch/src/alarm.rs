//! The alarm over the metrics: made, compared, changed and removed, if it is Keywatch's own.
//!
//! Whose an alarm is says its tag [`TAG`]. Invariant: an alarm without it is never changed.

use crate::client::Client;
use crate::error::CloudWatchError;
use aws_sdk_cloudwatch::types::{ComparisonOperator, MetricAlarm, Statistic, Tag};

/// The tag of what Keywatch made; its value is `true`.
pub const TAG: &str = "keywatch:managed";

/// The alarm as it shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// The metric it looks at, without dimensions.
    pub metric: String,
    /// Seconds over which the metric is added up.
    pub period_secs: i32,
    /// The sum above which it is raised.
    pub threshold: f64,
    /// The SNS topics that are told.
    pub topics: Vec<String>,
}

/// What stands in the way of being as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// There is no such alarm.
    Missing,
    /// These settings are others: name, what is, what shall be.
    Settings(Vec<(&'static str, String, String)>),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was as it shall be.
    Unchanged,
    /// It was removed.
    Removed,
    /// There was none.
    Absent,
}

impl Client {
    /// How the alarm differs from `wanted`; `None` when it does not.
    ///
    /// # Errors
    /// [`CloudWatchError::Foreign`] when Keywatch did not make it; otherwise what CloudWatch says.
    pub async fn difference(&self, wanted: &Alarm) -> Result<Option<Difference>, CloudWatchError> {
        let Some(found) = self.own(&wanted.name).await? else { return Ok(Some(Difference::Missing)) };
        let differences = self.compare(&found, wanted);
        Ok((!differences.is_empty()).then_some(Difference::Settings(differences)))
    }

    /// Makes the alarm as `wanted`; changes nothing when it is.
    ///
    /// # Errors
    /// As [`Self::difference`].
    pub async fn apply(&self, wanted: &Alarm) -> Result<Done, CloudWatchError> {
        let done = match self.difference(wanted).await? {
            None => return Ok(Done::Unchanged),
            Some(Difference::Missing) => Done::Created,
            Some(Difference::Settings(_)) => Done::Updated,
        };
        let mut call = self
            .sdk
            .put_metric_alarm()
            .alarm_name(&wanted.name)
            .alarm_description("Made by Keywatch: `keywatch cloudwatch apply`")
            .namespace(&self.namespace)
            .metric_name(&wanted.metric)
            .statistic(Statistic::Sum)
            .period(wanted.period_secs)
            .evaluation_periods(1)
            .threshold(wanted.threshold)
            .comparison_operator(ComparisonOperator::GreaterThanThreshold)
            .actions_enabled(true)
            .set_alarm_actions(Some(wanted.topics.clone()));
        if done == Done::Created {
            // CloudWatch takes tags with a new alarm only.
            call = call.tags(Tag::builder().key(TAG).value("true").build());
        }
        call.send().await.map_err(|error| CloudWatchError::of("put the alarm", &error))?;
        Ok(done)
    }

    /// Removes the alarm.
    ///
    /// # Errors
    /// As [`Self::difference`].
    pub async fn remove(&self, name: &str) -> Result<Done, CloudWatchError> {
        if self.own(name).await?.is_none() {
            return Ok(Done::Absent);
        }
        let call = self.sdk.delete_alarms().alarm_names(name).send();
        call.await.map_err(|error| CloudWatchError::of("delete the alarm", &error))?;
        Ok(Done::Removed)
    }

    /// The alarm of that name, which must be Keywatch's own.
    async fn own(&self, name: &str) -> Result<Option<MetricAlarm>, CloudWatchError> {
        let described = self.sdk.describe_alarms().alarm_names(name).send().await;
        let described = described.map_err(|error| CloudWatchError::of("describe the alarm", &error))?;
        let is_foreign = !described.composite_alarms().is_empty();
        let found = described.metric_alarms.unwrap_or_default().into_iter().next();
        let Some(found) = found else {
            return if is_foreign { Err(CloudWatchError::Foreign(name.to_owned())) } else { Ok(None) };
        };
        let arn = found.alarm_arn().unwrap_or_default();
        let tags = self.sdk.list_tags_for_resource().resource_arn(arn).send().await;
        let tags = tags.map_err(|error| CloudWatchError::of("list the alarm's tags", &error))?;
        let is_ours = tags.tags().iter().any(|tag| tag.key() == Some(TAG) && tag.value() == Some("true"));
        if is_ours { Ok(Some(found)) } else { Err(CloudWatchError::Foreign(name.to_owned())) }
    }

    fn compare(&self, found: &MetricAlarm, wanted: &Alarm) -> Vec<(&'static str, String, String)> {
        let word = |word: Option<&str>| word.unwrap_or("(none)").to_owned();
        let number =
            |number: Option<i32>| number.map_or_else(|| "(none)".to_owned(), |number| number.to_string());
        let actions = found.alarm_actions().join(", ");
        let all = [
            ("Namespace", word(found.namespace()), self.namespace.clone()),
            ("MetricName", word(found.metric_name()), wanted.metric.clone()),
            ("Dimensions", found.dimensions().len().to_string(), "0".to_owned()),
            ("Statistic", word(found.statistic().map(Statistic::as_str)), "Sum".to_owned()),
            ("Period", number(found.period()), wanted.period_secs.to_string()),
            ("EvaluationPeriods", number(found.evaluation_periods()), "1".to_owned()),
            ("Threshold", found.threshold().unwrap_or(f64::NAN).to_string(), wanted.threshold.to_string()),
            (
                "ComparisonOperator",
                word(found.comparison_operator().map(ComparisonOperator::as_str)),
                "GreaterThanThreshold".to_owned(),
            ),
            ("ActionsEnabled", found.actions_enabled().unwrap_or(false).to_string(), "true".to_owned()),
            ("AlarmActions", actions, wanted.topics.join(", ")),
        ];
        all.into_iter().filter(|(_, is, shall)| is != shall).collect()
    }
}
