//! Logging in to a real OpenBao with a Kubernetes service account; the cluster's part, which is one
//! answer to a token review, is played here.

use crate::harness::{reference, refusal, value};
use crate::openbao::Bao;
use crate::scripted::{Reply, Server};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywatch_secrets::{SecretManager, Settings, Trouble, VaultLogin};
use serde_json::json;

/// A token as a cluster issues it, with a signature nobody looks at: that is the cluster's to do.
fn token(account: &str) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": "https://kubernetes.default.svc", "sub": format!("system:serviceaccount:watch:{account}"),
        "aud": ["https://kubernetes.default.svc"], "exp": 4_000_000_000_u64, "iat": 1_700_000_000, "nbf": 1_700_000_000,
        "kubernetes.io": {"namespace": "watch", "serviceaccount": {"name": account, "uid": "u-1"}},
    });
    let signature = URL_SAFE_NO_PAD.encode([7; 256]);
    format!("{}.{}.{signature}", part(json!({"alg": "RS256", "kid": "k"})), part(claims))
}

async fn cluster() -> Server {
    Server::start(|asked| {
        assert_eq!(asked.path, "/apis/authentication.k8s.io/v1/tokenreviews");
        let user = json!({"username": "system:serviceaccount:watch:keywatch", "uid": "u-1",
            "groups": ["system:serviceaccounts", "system:authenticated"]});
        let status =
            json!({"authenticated": true, "user": user, "audiences": ["https://kubernetes.default.svc"]});
        Reply::Json(
            201,
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})
                .to_string(),
        )
    })
    .await
}

#[tokio::test]
async fn a_service_account_logs_in() {
    let Some(bao) = Bao::start().await else { return };
    let cluster = cluster().await;
    bao.root("POST", "secret/data/app", json!({"data": {"token": "first"}})).await;
    bao.root("POST", "sys/auth/kubernetes", json!({"type": "kubernetes"})).await;
    let config = json!({"kubernetes_host": cluster.url(), "kubernetes_ca_cert": bao.certificate(), "disable_local_ca_jwt": true, "token_reviewer_jwt": token("reviewer")});
    bao.root("POST", "auth/kubernetes/config", config).await;
    let policy = r#"path "secret/data/app" { capabilities = ["read"] }"#;
    bao.root("PUT", "sys/policies/acl/keywatch", json!({"policy": policy})).await;
    let role = json!({"bound_service_account_names": ["keywatch"], "bound_service_account_namespaces": ["watch"],
        "token_policies": ["keywatch"], "token_ttl": "1h"});
    bao.root("POST", "auth/kubernetes/role/keywatch", role).await;

    let folder = tempfile::tempdir().expect("a folder");
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, token("keywatch")).expect("written");
    let login = |role: &str| VaultLogin::Kubernetes {
        mount: "kubernetes".to_owned(),
        role: role.to_owned(),
        token_file: token_file.clone(),
    };
    let manager = SecretManager::new(bao.settings(&[], login("keywatch")));
    assert_eq!(value(&manager, "vault:secret/app").await, "first");
    assert_eq!(cluster.count("/apis"), 1);
    let stranger = SecretManager::new(bao.settings(&[], login("other")));
    refusal(
        &stranger,
        "vault:secret/app",
        Trouble::Denied,
        &["refuses the login with Kubernetes", "accounts, namespaces"],
    )
    .await;
    std::fs::remove_file(&token_file).expect("removed");
    let settings: Settings = bao.settings(&[], login("keywatch"));
    refusal(
        &SecretManager::new(settings),
        "vault:secret/app",
        Trouble::Missing,
        &["service account's token"],
    )
    .await;
    assert!(reference("vault:secret/app").key.is_none());
}
