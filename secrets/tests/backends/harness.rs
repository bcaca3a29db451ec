//! What all tests of backends need: settings, peers, waiting for a condition.

use keywatch_secrets::{Clock, SecretError, SecretManager, SecretRef, Settings, Trouble};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The value that must be seen by nobody.
pub(crate) const CANARY: &str = "sk-canary-7f3a9c";

/// Settings with an environment of the test's own and a clock that stands still.
pub(crate) fn settings(environment: &[(&str, &str)]) -> Settings {
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let lookup = move |wanted: &str| {
        environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    };
    let mut settings = Settings::new(Arc::new(lookup));
    settings.clock = Clock::owned();
    settings
}

pub(crate) fn reference(text: &str) -> SecretRef {
    text.parse().expect("a reference")
}

pub(crate) async fn value(manager: &SecretManager, text: &str) -> String {
    let value = manager.get(&reference(text)).await;
    value.map_err(|error| error.to_string()).expect("a value").expose().to_owned()
}

/// The error a reference leads to, of the kind expected, with all the words expected.
pub(crate) async fn refusal(
    manager: &SecretManager,
    text: &str,
    trouble: Trouble,
    words: &[&str],
) -> SecretError {
    let error = manager.get(&reference(text)).await.expect_err(text);
    let said = error.to_string();
    assert_eq!(error.trouble, trouble, "{said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    assert!(!format!("{error:?}{said}").contains(CANARY), "the canary is in: {error:?}");
    error
}

/// The folder with peers `cargo xtask setup` installs; says so when there is none.
#[expect(clippy::print_stdout, reason = "a test that does nothing must say so")]
pub(crate) fn peers() -> Option<PathBuf> {
    let setup = std::env::var_os("KEYWATCH_SETUP").map(PathBuf::from);
    if setup.is_none() {
        println!("KEYWATCH_SETUP names no folder with peers: nothing was checked; run `cargo xtask test`");
    }
    setup
}

/// A port nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// A peer that ends with the test.
pub(crate) struct Peer(Child);

impl Peer {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the peer starts"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A peer that is gone already needs no end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until something holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
