//! The sections of the configuration, one file each, and the root that holds them all.
//!
//! Reading them touches nothing outside: what they refer to (files, secrets, databases) is looked
//! at later, so that a configuration can be checked anywhere.

mod address_data;
mod aws;
mod azure;
mod cloudwatch;
mod days;
mod doctor;
mod egress;
mod gcp;
mod kafka;
mod lists;
mod log;
mod metrics;
mod planned_access;
mod push;
mod receiver;
mod root;
mod route;
mod secret_manager;
mod silence;
mod source;
mod urging;

pub(crate) use address_data::AddressFiles;
pub(crate) use cloudwatch::CloudWatch;
pub(crate) use doctor::{Doctor, DoctorAzure, DoctorVault};
pub(crate) use egress::Egress;
pub(crate) use kafka::access as kafka_access;
pub(crate) use lists::{Item, ListSource};
pub(crate) use log::{Log, LogFormat};
pub(crate) use metrics::Metrics;
pub(crate) use planned_access::PlannedAccess;
pub(crate) use receiver::{
    Auth, Email, KafkaLayout, KafkaTopic, MailSecurity, Receiver, Sns, SnsKey, Webhook,
};
pub(crate) use root::Root;
pub(crate) use route::{Grouping, Matching, Route};
pub(crate) use secret_manager::SecretManager;
pub(crate) use silence::{Moment, Silence};
pub(crate) use source::Source;
pub(crate) use urging::{Escalation, Heartbeat, RateCap, Reminders};
