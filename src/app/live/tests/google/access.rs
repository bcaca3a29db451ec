//! Who Keywatch is: a service account's key, a federation, and impersonation.

use super::super::stage::{START, Stage};
use super::logging::{brings, settings};
use super::{entries, secrets};
use chrono::TimeDelta;
use keywatch_gcp::Access;
use keywatch_gcp::logging::{Logging, Settings};
use keywatch_google_stand_in::{Chance, Door, Google, Key};
use keywatch_ingest::source::State;
use serde_json::json;
use std::path::Path;

fn google(seed: u64, door: Door) -> Google {
    let google = Google::new(START + 86_400, seed);
    google.with(|state| {
        state.entries = entries(&mut Chance::new(seed), 30, 20);
        state.door = door;
    });
    google
}

fn with_file(endpoint: String, path: &Path) -> Access {
    let credentials = format!("file:{}", path.display()).parse().ok();
    Access { endpoint: Some(endpoint), credentials, ..Access::default() }
}

fn run(stage: &Stage, access: &Access) -> super::super::stage::Running {
    let settings = Settings { backfill: TimeDelta::days(2), ..settings() };
    let told = (stage.hand.clock(), stage.health.clone());
    Stage::run(Logging::start("t", (access, &secrets()), settings, &std::collections::HashMap::new(), told))
}

#[tokio::test]
async fn a_service_accounts_key_signs_and_a_rotated_one_takes_over_when_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    let (old, new) = (Key::new("old"), Key::new("new"));
    std::fs::write(&file, old.json()).unwrap();
    let google = google(1, Door::Key(old));
    let server = google.serve();
    let mut stage = Stage::new(START + 86_400).await;
    let mut running = run(&stage, &with_file(server.url(), &file));
    brings(&mut stage, &mut running, 30).await;
    let json = new.json();
    google.with(|state| state.door = Door::Key(new));
    let health = stage.health.clone();
    stage.until(&mut running, "it is refused", |_| health.read().state() == State::Failing).await;
    std::fs::write(&file, json).unwrap();
    stage.until(&mut running, "it is well", |_| health.read().errors.is_empty()).await;
}

#[tokio::test]
async fn a_federation_and_an_impersonated_account_are_exchanged_for_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let (file, pod) = (folder.path().join("google.json"), folder.path().join("token"));
    std::fs::write(&pod, "of-the-pod").unwrap();
    let google = google(2, Door::Token("of-google".to_owned()));
    let server = google.serve();
    let federation = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/sts", server.url()),
        "credential_source": {"file": pod},
    });
    std::fs::write(&file, federation.to_string()).unwrap();
    let mut stage = Stage::new(START + 86_400).await;
    let mut running = run(&stage, &with_file(server.url(), &file));
    brings(&mut stage, &mut running, 30).await;
}

#[tokio::test]
async fn what_is_no_credential_is_told_of_without_showing_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    std::fs::write(&file, r#"{"type":"service_account","private_key":"sk-canary"}"#).unwrap();
    let google = google(3, Door::Open);
    let server = google.serve();
    let mut stage = Stage::new(START).await;
    let mut running = run(&stage, &with_file(server.url(), &file));
    let health = stage.health.clone();
    stage.until(&mut running, "it tells", |_| health.read().state() == State::Failing).await;
    let told = format!("{:?}", health.read());
    assert!(told.contains("holds no credentials") && !told.contains("canary"), "{told}");
    assert_eq!(google.with(|state| state.lists), 0, "nothing is sent without credentials");
}
