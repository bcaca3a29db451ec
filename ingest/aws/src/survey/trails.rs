//! The trails of an account, as one region shows them.

use super::selectors::{self, Selectors};
use super::untold;
use crate::access::Access;
use crate::failure::Failure;
use keywatch_ingest::survey::Answer;
use keywatch_secrets::SecretManager;

/// Most trails that are looked at. An account may have five in a region
/// (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html>), and
/// thirty regions may have one each that reaches all of them.
const TRAILS_MAX: usize = 64;

/// A trail.
#[derive(Clone, Debug)]
pub struct Trail {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Where it is changed.
    pub home_region: String,
    /// The bucket it writes to.
    pub bucket: String,
    /// Whether it records every region.
    pub is_multi_region: bool,
    /// Whether it records services without a region, such as IAM.
    pub has_global_services: bool,
    /// Whether digests prove its files.
    pub has_digests: bool,
    /// Who changes it.
    pub owner: Owner,
    /// What it does.
    pub status: Answer<Status>,
    /// What it records.
    pub selectors: Answer<Selectors>,
}

/// Who changes a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The account that was asked, or one that shows its own trail here.
    Account,
    /// The organisation, in its management account.
    Organisation,
}

/// What a trail does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether it records at all.
    pub is_logging: bool,
    /// What the bucket last answered when it refused a file.
    pub delivery_error: Option<String>,
}

/// Every trail that records something in `region` and is not `known`: one that reaches several regions
/// is told in each of them, and asked once.
pub(super) async fn all(
    access: &Access,
    secrets: &SecretManager,
    region: &str,
    known: &[Trail],
) -> Answer<Vec<Trail>> {
    let way = access.elsewhere(None, region).open(secrets).await;
    let client = aws_sdk_cloudtrail::Client::new(&way.config);
    let answer = client
        .describe_trails()
        .include_shadow_trails(true)
        .send()
        .await
        .map_err(|error| untold("cloudtrail:DescribeTrails", &Failure::of(&error)))?;
    let mut trails = Vec::new();
    let is_new = |found: &aws_sdk_cloudtrail::types::Trail| {
        !known.iter().any(|trail| Some(trail.arn.as_str()) == found.trail_arn.as_deref())
    };
    let found = answer.trail_list.unwrap_or_default().into_iter();
    for found in found.filter(is_new).take(TRAILS_MAX) {
        let home = found.home_region.clone().unwrap_or_else(|| region.to_owned());
        // A trail is asked where it lives: elsewhere only its shadow is known.
        let client = if home == region {
            client.clone()
        } else {
            aws_sdk_cloudtrail::Client::new(&access.elsewhere(None, &home).open(secrets).await.config)
        };
        trails.push(looked_at(&client, found, home).await);
    }
    Ok(trails)
}

async fn looked_at(
    client: &aws_sdk_cloudtrail::Client,
    found: aws_sdk_cloudtrail::types::Trail,
    home_region: String,
) -> Trail {
    let arn = found.trail_arn.clone().or_else(|| found.name.clone()).unwrap_or_default();
    Trail {
        name: found.name.unwrap_or_default(),
        home_region,
        bucket: found.s3_bucket_name.unwrap_or_default(),
        is_multi_region: found.is_multi_region_trail.unwrap_or(false),
        has_global_services: found.include_global_service_events.unwrap_or(false),
        has_digests: found.log_file_validation_enabled.unwrap_or(false),
        owner: match found.is_organization_trail {
            Some(true) => Owner::Organisation,
            Some(false) | None => Owner::Account,
        },
        status: status(client, &arn).await,
        selectors: selectors::of(client, &arn).await,
        arn,
    }
}

async fn status(client: &aws_sdk_cloudtrail::Client, arn: &str) -> Answer<Status> {
    let asked = client.get_trail_status().name(arn).send().await;
    let answer = asked.map_err(|error| untold("cloudtrail:GetTrailStatus", &Failure::of(&error)))?;
    Ok(Status {
        is_logging: answer.is_logging.unwrap_or(false),
        delivery_error: answer.latest_delivery_error.filter(|error| !error.is_empty()),
    })
}
