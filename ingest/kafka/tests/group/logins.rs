//! Logins and encryption, through a door before the mock cluster.

use crate::door::{self, Door, Login};
use crate::stage::{Cluster, Store, broker, record, records, settings, source_of, within};
use keywatch_brokers::{Access, Mechanism, Sasl, Tls, User};
use keywatch_secrets::{SecretManager, Settings};
use std::sync::Arc;

/// Access through a door, with the password that lies in the file `password`.
pub(super) fn access(door: &Door, login: Login, folder: &std::path::Path) -> (Access, SecretManager) {
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

const BEFORE: &str = "the one of before";
const AFTER: &str = "the one after";

/// The cluster has another password, and the secret has it too, before or after the source was refused.
async fn goes_on(mechanism: Mechanism, is_rotated_first: bool) {
    let login = Login { mechanism, password: BEFORE, is_encrypted: false };
    let cluster = Cluster::new(2);
    cluster.fill((0..20).map(|number| (number % 2, record(number))));
    let door = Door::before(broker(&cluster), login).await;
    let folder = tempfile::tempdir().expect("a folder");
    let rotate = |to: &str| std::fs::write(folder.path().join("password"), to).expect("a password");
    rotate(BEFORE);
    let mut store = Store::default();
    let mut reading = source_of(&access(&door, login, folder.path()), settings(), &store);
    store.take_until(&mut reading.group, |store| store.seen.len() == 20).await;
    if is_rotated_first {
        rotate(AFTER);
    }
    door.change_lock(AFTER);
    cluster.fill((20..40).map(|number| (number % 2, record(number))));
    if !is_rotated_first {
        let health = reading.health.clone();
        let told =
            || health.read().errors.get("cluster").map(|failing| failing.text.clone()).unwrap_or_default();
        store.take_while(&mut reading.group, || !told().contains("check the user, the password")).await;
        assert_eq!(store.seen, records(0..=19), "nothing is read without a login");
        rotate(AFTER);
    }
    store.take_until(&mut reading.group, |store| store.seen.len() == 40).await;
    assert_eq!(store.duplicates, 0);
    let tried = door.tried();
    // A client that was given up may still be knocking.
    assert!(tried.windows(2).any(|pair| pair == [false, true]), "{tried:?}");
    let health = reading.health.clone();
    store.take_while(&mut reading.group, || !health.read().errors.is_empty()).await;
    reading.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_rotated_is_fetched_anew_when_it_is_refused() {
    goes_on(Mechanism::Plain, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_refused_before_the_secret_is_rotated_is_asked_for_until_it_is() {
    goes_on(Mechanism::ScramSha256, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_and_not_handed_over_when_a_login_ended_is_neither_lost_nor_read_twice() {
    let login = Login { mechanism: Mechanism::Plain, password: BEFORE, is_encrypted: false };
    let cluster = Cluster::new(1);
    let door = Door::before(broker(&cluster), login).await;
    let folder = tempfile::tempdir().expect("a folder");
    let rotate = |to: &str| std::fs::write(folder.path().join("password"), to).expect("a password");
    rotate(BEFORE);
    let mut store = Store::default();
    let mut reading = source_of(&access(&door, login, folder.path()), settings(), &store);
    // The first batch waits to be taken, so that the next one cannot be handed over.
    cluster.send(0, &record(1));
    within(door.passed()).await;
    for number in 2..=9 {
        cluster.send(0, &record(number));
    }
    within(door.passed()).await;
    rotate(AFTER);
    door.change_lock(AFTER);
    let is_back = || door.tried().windows(2).any(|pair| pair == [false, true]);
    within(async {
        while !is_back() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    cluster.send(0, &record(10));
    store.take_until(&mut reading.group, |store| store.seen.contains(&10)).await;
    assert_eq!((&store.seen, store.duplicates), (&records(1..=10), 0));
    reading.end().await;
}
