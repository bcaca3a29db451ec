//! Logins and encryption, through a door before the mock cluster.

use crate::door::{self, Door, Login};
use crate::stage::{Cluster, Store, broker, record, settings, source_of};
use keywatch_brokers::{Access, Mechanism, Sasl, Tls, User};
use keywatch_secrets::{SecretManager, Settings};
use std::sync::Arc;

/// Access through a door, with the password that lies in the file `password`.
fn access(door: &Door, login: Login, folder: &std::path::Path) -> (Access, SecretManager) {
    let password = format!("file:{}", folder.join("password").display()).parse().expect("a reference");
    let tls = login.is_encrypted.then(|| Tls { ca_file: Some(door::certificate()), client: None });
    let sasl = Sasl { mechanism: login.mechanism, user: User::Plain("keywatch".to_owned()), password };
    let access = Access { brokers: vec![door.address()], tls, sasl: Some(sasl) };
    (access, SecretManager::new(Settings::new(Arc::new(|_| None))))
}

/// A record is read through a door of this kind.
async fn gets_in(mechanism: Mechanism) {
    let login = Login { mechanism, password: "s3cret, =word", is_encrypted: true };
    let cluster = Cluster::new(1);
    cluster.send(0, &record(1));
    let door = Door::before(broker(&cluster), login).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("password"), login.password).expect("a password");
    let mut store = Store::default();
    let mut reading = source_of(&access(&door, login, folder.path()), settings(), &store);
    store.take_until(&mut reading.group, |store| store.seen.len() == 1).await;
    assert!(door.tried().iter().all(|is_in| *is_in), "{:?}", door.tried());
    reading.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_shown_over_tls() {
    gets_in(Mechanism::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_proven_with_sha_256_over_tls() {
    gets_in(Mechanism::ScramSha256).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_proven_with_sha_512_over_tls() {
    gets_in(Mechanism::ScramSha512).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_trusted_signed_is_not_shown_the_password() {
    let login = Login { mechanism: Mechanism::Plain, password: "s3cret", is_encrypted: true };
    let cluster = Cluster::new(1);
    let door = Door::before(broker(&cluster), login).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("password"), login.password).expect("a password");
    let (mut access, secrets) = access(&door, login, folder.path());
    access.tls = Some(Tls::default());
    let mut store = Store::default();
    let mut reading = source_of(&(access, secrets), settings(), &store);
    let health = reading.health.clone();
    let told = || format!("{:?}", health.read().errors);
    store.take_while(&mut reading.group, || !told().contains("certificate")).await;
    assert!(door.tried().is_empty(), "{:?}", door.tried());
    reading.end().await;
}
