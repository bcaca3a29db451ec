//! A secret is rotated while many use it: nobody fails, and the backend is not stormed.

use crate::harness::{reference, settings};
use crate::scripted::{Reply, Server};
use keywatch_secrets::{SecretManager, VaultLogin};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

const ROTATIONS: usize = 20;
const USERS: usize = 16;

/// A receiver that takes the current credential and nothing else, and the vault that holds it.
#[derive(Default)]
struct World {
    current: AtomicUsize,
    delivered: AtomicUsize,
    fetched: AtomicUsize,
    refused: AtomicUsize,
}

impl World {
    fn accepts(&self, credential: &str) -> bool {
        let accepted = credential == format!("v{}", self.current.load(Ordering::SeqCst));
        self.refused.fetch_add(usize::from(!accepted), Ordering::SeqCst);
        accepted
    }
}

/// One user: shows the credential, and when it is refused asks for the one in its place.
async fn deliver(world: &World, manager: &SecretManager) -> bool {
    let reference = reference("vault:secret/app");
    let Ok(mut credential) = manager.get(&reference).await else { return false };
    for _ in 0..3 {
        if world.accepts(credential.expose()) {
            world.delivered.fetch_add(1, Ordering::SeqCst);
            return true;
        }
        let Ok(other) = manager.refused(&reference, &credential).await else { return false };
        credential = other;
    }
    false
}

#[tokio::test]
async fn a_rotation_under_load_fails_nobody_and_costs_one_fetch() {
    let world = Arc::new(World::default());
    let vault = Arc::clone(&world);
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/v1/secret/data/app" => {
            vault.fetched.fetch_add(1, Ordering::SeqCst);
            let token = format!("v{}", vault.current.load(Ordering::SeqCst));
            Reply::Json(
                200,
                json!({"data": {"data": {"token": token}, "metadata": {"version": 1}}}).to_string(),
            )
        }
        "/v1/auth/token/lookup-self" => {
            Reply::Json(200, json!({"data": {"ttl": 0, "renewable": false}}).to_string())
        }
        path if path.starts_with("/v1/sys/internal/ui/mounts") => Reply::Json(
            200,
            json!({"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}}).to_string(),
        ),
        path => panic!("{path}"),
    })
    .await;
    let mut settings = settings(&[("TOKEN", "t")]);
    settings.vault.address = server.url().parse().ok();
    settings.vault.login = VaultLogin::Token(reference("env:TOKEN"));
    let manager = SecretManager::new(settings);
    for rotation in 0..ROTATIONS {
        world.current.store(rotation, Ordering::SeqCst);
        let mut users = JoinSet::new();
        for _ in 0..USERS {
            let (world, manager) = (Arc::clone(&world), manager.clone());
            users.spawn(async move {
                for _ in 0..10 {
                    assert!(deliver(&world, &manager).await, "a delivery failed");
                }
            });
        }
        users.join_all().await;
    }
    assert_eq!(world.delivered.load(Ordering::SeqCst), ROTATIONS * USERS * 10);
    assert_eq!(world.fetched.load(Ordering::SeqCst), ROTATIONS, "one fetch at the start, one per rotation");
    assert!(world.refused.load(Ordering::SeqCst) >= ROTATIONS - 1, "each rotation was noticed by a refusal");
}
