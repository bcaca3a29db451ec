//! The connection to CloudWatch.

use crate::count::Datum;
use crate::error::CloudWatchError;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use std::time::Duration;

/// Longest one call may take.
const CALL_MAX: Duration = Duration::from_secs(15);

/// Where to, under what name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The namespace of the metrics.
    pub namespace: String,
    /// The region; what the environment says when absent.
    pub region: Option<String>,
    /// Another address than AWS's own: an interface endpoint.
    pub endpoint: Option<String>,
}

/// A client for one namespace.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) sdk: aws_sdk_cloudwatch::Client,
    pub(crate) namespace: String,
}

impl Client {
    /// A client with the credentials the AWS SDK finds: environment, profile, web identity,
    /// container or instance role.
    ///
    /// It never repeats a call by itself: the SDK would repeat one that was perhaps taken.
    pub async fn new(settings: &Settings) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        Self::from_shared(&loader.load().await, settings)
    }

    /// The same with the region and credentials of `shared`.
    #[must_use]
    pub fn from_shared(shared: &SdkConfig, settings: &Settings) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(CALL_MAX).build();
        let mut config = aws_sdk_cloudwatch::config::Builder::from(shared)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(endpoint) = &settings.endpoint {
            config = config.endpoint_url(endpoint);
        }
        let sdk = aws_sdk_cloudwatch::Client::from_conf(config.build());
        Self { sdk, namespace: settings.namespace.clone() }
    }

    /// The SDK's own client, for what this one does not do.
    #[must_use]
    pub const fn sdk(&self) -> &aws_sdk_cloudwatch::Client {
        &self.sdk
    }

    /// Sends data points, at most [`crate::count::DATA_MAX`].
    ///
    /// # Errors
    /// [`CloudWatchError`]; whether anything was counted is in its variant.
    pub async fn put(&self, data: &[Datum]) -> Result<(), CloudWatchError> {
        let call = self.sdk.put_metric_data().namespace(&self.namespace);
        let call = call.set_metric_data(Some(data.iter().map(datum).collect()));
        call.send().await.map(drop).map_err(|error| CloudWatchError::of("take metrics", &error))
    }
}

#[expect(clippy::cast_precision_loss, reason = "CloudWatch has no other number; exact up to 2^53")]
fn datum(datum: &Datum) -> MetricDatum {
    let dimension = |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
    MetricDatum::builder()
        .metric_name(&datum.metric)
        .set_dimensions(datum.dimension.as_ref().map(|named| vec![dimension(named)]))
        .timestamp(DateTime::from_secs(datum.at_secs))
        .value(datum.value as f64)
        .unit(if datum.is_seconds { StandardUnit::Seconds } else { StandardUnit::Count })
        .build()
}
