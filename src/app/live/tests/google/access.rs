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

const READER: &str = "reader@example.iam.gserviceaccount.com";

/// A door for the token of [`READER`], which is to be impersonated.
fn reader() -> Door {
    Door::Account { email: READER.to_owned(), token: "of-the-reader".to_owned() }
}

/// A federation whose token is exchanged at `url`, in a folder with the workload's own.
fn federation(folder: &Path, url: &str) -> serde_json::Value {
    let pod = folder.join("token");
    std::fs::write(&pod, "of-the-pod").unwrap();
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{url}/sts"),
        "credential_source": {"file": pod},
    })
}

#[tokio::test]
async fn a_federation_is_exchanged_for_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("google.json");
    let google = google(2, Door::Token("of-google".to_owned()));
    let server = google.serve();
    std::fs::write(&file, federation(folder.path(), &server.url()).to_string()).unwrap();
    let mut stage = Stage::new(START + 86_400).await;
    let mut running = run(&stage, &with_file(server.url(), &file));
    brings(&mut stage, &mut running, 30).await;
    assert_eq!(google.with(|state| state.impersonated), 0);
}

#[tokio::test]
async fn a_federation_impersonates_the_account_its_file_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("google.json");
    let google = google(4, reader());
    let server = google.serve();
    let mut federation = federation(folder.path(), &server.url());
    let url = format!("{}/v1/projects/-/serviceAccounts/{READER}:generateAccessToken", server.url());
    federation["service_account_impersonation_url"] = json!(url);
    std::fs::write(&file, federation.to_string()).unwrap();
    let mut stage = Stage::new(START + 86_400).await;
    let mut running = run(&stage, &with_file(server.url(), &file));
    brings(&mut stage, &mut running, 30).await;
    assert!(google.with(|state| state.impersonated) > 0);
}

#[tokio::test]
async fn the_account_a_source_names_is_impersonated_and_one_that_may_not_be_is_told_with_the_grant() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("google.json");
    let google =
        google(5, Door::Account { email: "other@example".to_owned(), token: "of-the-reader".to_owned() });
    let server = google.serve();
    std::fs::write(&file, federation(folder.path(), &server.url()).to_string()).unwrap();
    let impersonate = Some(READER.to_owned());
    let access = Access { impersonate, issuer: Some(server.url()), ..with_file(server.url(), &file) };
    let mut stage = Stage::new(START + 86_400).await;
    let mut running = run(&stage, &access);
    let health = stage.health.clone();
    stage.until(&mut running, "it is refused", |_| health.read().state() == State::Failing).await;
    let told = format!("{:?}", health.read());
    let grant = "grant roles/iam.serviceAccountTokenCreator on the account that is impersonated";
    assert!(told.contains(grant), "{told}");
    google.with(|state| state.door = reader());
    brings(&mut stage, &mut running, 30).await;
    stage.until(&mut running, "it is well", |_| health.read().errors.is_empty()).await;
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
