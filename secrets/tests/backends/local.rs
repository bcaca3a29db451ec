//! The environment and files.

use crate::harness::{refusal, settings, value};
use keywatch_secrets::{SecretManager, Trouble};
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn variables_are_secrets() {
    let manager = SecretManager::new(settings(&[("TOKEN", "t0k"), ("JSON", r#"{"a":"b"}"#), ("EMPTY", "")]));
    assert_eq!(value(&manager, "env:TOKEN").await, "t0k");
    assert_eq!(value(&manager, "env:JSON#a").await, "b");
    refusal(&manager, "env:NONE", Trouble::Missing, &["env:NONE", "not set", "set NONE in the environment"])
        .await;
    refusal(&manager, "env:EMPTY", Trouble::Unusable, &["is empty"]).await;
    refusal(&manager, "env:TOKEN#a", Trouble::Unusable, &["holds no JSON object"]).await;
}

#[tokio::test]
async fn files_are_secrets_and_replacing_one_is_a_rotation() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let named = format!("file:{}", path.display());
    let chosen = settings(&[]);
    let manager = SecretManager::new(chosen.clone());
    refusal(&manager, &named, Trouble::Missing, &["no such file", "create /"]).await;
    std::fs::write(&path, "t0k\r\n\n").expect("written");
    chosen.clock.advance(keywatch_secrets::Settings::TTL);
    assert_eq!(value(&manager, &named).await, "t0k");
    std::fs::write(&path, "t1k").expect("written");
    chosen.clock.advance(keywatch_secrets::Settings::TTL);
    assert_eq!(value(&manager, &named).await, "t1k");
}

#[tokio::test]
async fn files_that_hold_no_credential_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let manager = SecretManager::new(settings(&[]));
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        format!("file:{}", path.display())
    };
    refusal(&manager, &write("binary", b"\xff\xfe"), Trouble::Unusable, &["no UTF-8 text"]).await;
    refusal(
        &manager,
        &write("large", &vec![b'x'; 65_537]),
        Trouble::Unusable,
        &["larger than the 65536 bytes"],
    )
    .await;
    refusal(&manager, &write("empty", b"\n"), Trouble::Unusable, &["is empty"]).await;
    assert_eq!(value(&manager, &write("full", &vec![b'x'; 65_536])).await.len(), 65_536);
    let here = format!("file:{}", folder.path().display());
    refusal(&manager, &here, Trouble::Unusable, &["is a directory"]).await;
}

#[tokio::test]
async fn a_file_that_may_not_be_read_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, "t0k").expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).expect("taken away");
    if std::fs::read(&path).is_ok() {
        // Root reads everything.
        return;
    }
    let manager = SecretManager::new(settings(&[]));
    let words = ["may not be read", "let the user Keywatch runs as read"];
    refusal(&manager, &format!("file:{}", path.display()), Trouble::Denied, &words).await;
}
