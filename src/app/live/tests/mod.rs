//! Live sources against stand-ins on loopback, through AWS's own clients, into a real store.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "numbers of a test are small"
)]

mod account;
mod accounts;
mod bucket;
mod chance;
mod cloudtrail;
mod container;
mod container_simulation;
mod digest;
mod disorder;
mod google;
mod lookup;
mod organisation;
mod push;
mod server;
mod simulation;
mod speed;
mod stage;
mod topic_simulation;
mod trail;
mod vaults;
