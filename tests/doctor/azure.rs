//! The doctor against a server that speaks Entra and Azure Resource Manager.

use super::{Patient, ids, needs, of};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

const VAULTS: &str = "/subscriptions/5b/providers/Microsoft.KeyVault/vaults";
const ONE: &str = "/subscriptions/5b/resourceGroups/g/providers/Microsoft.KeyVault/vaults/one";
const TWO: &str = "/subscriptions/5b/resourceGroups/g/providers/Microsoft.KeyVault/vaults/two";

/// Lists by path; what is not there is forbidden.
type Lists = Arc<Mutex<BTreeMap<String, Vec<Value>>>>;

/// The server, ended when dropped.
struct Azure {
    lists: Lists,
    address: std::net::SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Azure {
    fn start() -> Self {
        let lists = Lists::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer).with_state(Arc::clone(&lists));
        drop(runtime.spawn(async move { axum::serve(listener, router).await }));
        Self { lists, address, _runtime: runtime }
    }

    fn set(&self, path: &str, list: Vec<Value>) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), list);
    }

    fn settings(&self, id: &str, list: Vec<Value>) {
        self.set(&format!("{id}/providers/Microsoft.Insights/diagnosticSettings"), list);
    }
}

/// Two entries a page, so that lists go on.
async fn answer(State(lists): State<Lists>, uri: Uri, headers: HeaderMap) -> (StatusCode, String) {
    if uri.path() == "/tenant-1/oauth2/v2.0/token" {
        let token = json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "issued"});
        return (StatusCode::OK, token.to_string());
    }
    let query = uri.query().unwrap_or_default();
    assert!(query.contains("api-version="), "{uri}");
    if headers.get("authorization").is_none_or(|said| said != "Bearer issued") {
        return (StatusCode::UNAUTHORIZED, json!({"error": {"code": "AuthenticationFailed"}}).to_string());
    }
    let lists = lists.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(list) = lists.get(uri.path()) else {
        return (
            StatusCode::FORBIDDEN,
            json!({"error": {"code": "AuthorizationFailed", "message": "no"}}).to_string(),
        );
    };
    let skip = query.split("skip=").nth(1).and_then(|skip| skip.parse().ok()).unwrap_or(0_usize);
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let next = (list.len() > skip + 1)
        .then(|| format!("http://{host}{}?api-version=x&skip={}", uri.path(), skip + 1));
    let page: Vec<&Value> = list.iter().skip(skip).take(1).collect();
    (StatusCode::OK, json!({"value": page, "nextLink": next}).to_string())
}

fn setting(category: &str, namespace: &str) -> Value {
    let rule = format!(
        "/subscriptions/5b/resourceGroups/g/providers/Microsoft.EventHub/namespaces/{namespace}/authorizationRules/r"
    );
    let logs = json!([{"category": category, "enabled": true}]);
    json!({"name": "keywatch", "properties": {"eventHubAuthorizationRuleId": rule, "logs": logs}})
}

fn patient(azure: &Azure) -> Patient {
    let patient = Patient::of("");
    let secret = patient.file("secret", "right");
    let url = format!("http://{}", azure.address);
    patient.configure(&format!(
        "sources:\n  - name: hub\n    event_hubs: {{namespace: audit.servicebus.windows.net, hubs: [h], connection_string: \"file:{secret}\"}}\n\
         doctor:\n  azure:\n    - source: hub\n      subscriptions: [5b]\n      resource_manager: {url}\n      \
         identity: {{identity: client, tenant_id: tenant-1, client_id: client-1, client_secret: \"file:{secret}\", authority: \"{url}\"}}\n"
    ));
    patient
}

#[test]
fn doctor_finds_the_vaults_of_azure_that_log_nowhere_or_elsewhere() {
    let azure = Azure::start();
    let patient = patient(&azure);
    azure.set(VAULTS, vec![json!({"id": ONE}), json!({"id": TWO})]);
    azure.set("/subscriptions/5b/providers/Microsoft.KeyVault/managedHSMs", Vec::new());
    azure.settings(ONE, Vec::new());
    azure.settings(TWO, vec![setting("AuditEvent", "elsewhere")]);
    azure.settings("/subscriptions/5b", vec![setting("Administrative", "audit")]);
    let (report, code) = patient.report();
    let want = ["azure.no-diagnostic-setting", "azure.sent-elsewhere"];
    assert_eq!((ids(&report, "hub"), code), (want.map(str::to_owned).to_vec(), Some(1)), "{report:#}");

    azure.settings(TWO, vec![setting("AuditEvent", "elsewhere"), setting("AuditEvent", "audit")]);
    azure.settings(ONE, vec![setting("AuditEvent", "AUDIT")]);
    let (report, code) = patient.report();
    assert_eq!((ids(&report, "hub"), code), (Vec::new(), Some(0)), "{report:#}");

    azure.settings(ONE, Vec::new());
    azure.settings(TWO, Vec::new());
    azure.settings("/subscriptions/5b", Vec::new());
    let (report, _) = patient.report();
    assert_eq!(
        ids(&report, "hub"),
        ["azure.no-diagnostic-setting", "azure.activity-not-exported"],
        "{report:#}"
    );
    let blind = &of(&report, "hub")["blind_spots"][0]["rules"]["blind"];
    assert!(blind.as_array().expect("rules").contains(&"KW-102".into()), "{blind}");
}

#[test]
fn doctor_says_which_action_azure_wants() {
    let azure = Azure::start();
    let patient = patient(&azure);
    let (report, code) = patient.report();
    assert_eq!((report["blind_spots"].as_u64(), code), (Some(0), Some(0)), "{report:#}");
    assert_eq!(
        needs(&report, "hub"),
        [
            "Microsoft.KeyVault/vaults/read on subscription 5b",
            "Microsoft.KeyVault/managedHSMs/read on subscription 5b",
            "Microsoft.Insights/diagnosticSettings/read on /subscriptions/5b"
        ],
        "{report:#}"
    );
    assert!(of(&report, "hub")["sound"].as_array().expect("a list").is_empty(), "{report:#}");
}
