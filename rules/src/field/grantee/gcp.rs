//! Google Cloud: members added by a policy delta, else every member of the policy in a request.
//! Members as in <https://cloud.google.com/iam/docs/principal-identifiers>.

use super::{Found, at, documents, items, member};
use crate::record::Scope;
use serde_json::Value;
use std::sync::LazyLock;

const PAYLOAD: &str = "protoPayload";
static SCOPE: LazyLock<Scope> = LazyLock::new(|| Scope::of([PAYLOAD]));

/// Where deltas stand: older services write `serviceData`, newer ones `metadata`.
const DELTAS: &[&[&str]] =
    &[&["serviceData", "policyDelta", "bindingDeltas"], &["metadata", "policyDelta", "bindingDeltas"]];
/// Where whole policies stand.
const BINDINGS: &[&[&str]] = &[&["request", "policy", "bindings"], &["request", "bindings"]];

pub(super) fn read(raw: &[u8], found: &mut Found<'_>) {
    for payload in documents(&SCOPE, PAYLOAD, raw) {
        let deltas: Vec<&Value> =
            DELTAS.iter().filter_map(|path| at(&payload, path)).flat_map(items).collect();
        if !deltas.is_empty() {
            let added = |delta: &&Value| member(delta, "action").and_then(Value::as_str) == Some("ADD");
            let members =
                deltas.into_iter().filter(added).filter_map(|delta| member(delta, "member")?.as_str());
            members.for_each(|id| granted(id, found));
            continue;
        }
        let bindings = BINDINGS.iter().filter_map(|path| at(&payload, path)).flat_map(items);
        let members = bindings.filter_map(|binding| member(binding, "members")).flat_map(super::texts);
        members.for_each(|id| granted(id, found));
    }
}

fn granted(id: &str, found: &mut Found<'_>) {
    if matches!(id, "allUsers" | "allAuthenticatedUsers") {
        return found.public();
    }
    let Some((kind, name)) = id.split_once(':') else { return };
    match kind {
        "user" => {
            let scope = by_domain(name, found);
            found.add(name, "user", scope);
        }
        "group" => {
            let scope = by_domain(name, found);
            found.add(name, "group", scope);
        }
        "domain" => {
            let scope = by_domain(name, found);
            found.add(name, "domain", scope);
        }
        "serviceAccount" => {
            let scope = by_project(name, found);
            found.add(name, "service", scope);
        }
        "projectOwner" | "projectEditor" | "projectViewer" => {
            let scope = found.by_account(name);
            found.add(name, "account", scope);
        }
        "principal" | "principalSet" => federated(name, found),
        // What was deleted can use nothing.
        _ => {}
    }
}

/// The domain of an address belongs to the operator, or is the caller's own.
fn by_domain(address: &str, found: &Found<'_>) -> &'static str {
    let domain = |address: &str| address.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let theirs = domain(address);
    let caller = found.event.principal.id.contains('@').then(|| domain(&found.event.principal.id));
    if found.around.owns_domain(&theirs) || caller.as_deref() == Some(&*theirs) { "own" } else { "foreign" }
}

/// Google's own service agents act for the project that is granting; any other service account
/// belongs to the project in its name.
fn by_project(address: &str, found: &Found<'_>) -> &'static str {
    let domain = address.rsplit('@').next().unwrap_or_default();
    let Some(project) = domain.strip_suffix(".iam.gserviceaccount.com") else { return "own" };
    if project.starts_with("gcp-sa-") { "own" } else { found.by_account(project) }
}

/// `//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/…`, and the
/// workforce pools of an organisation.
fn federated(path: &str, found: &mut Found<'_>) {
    let project = path.split("/projects/").nth(1).and_then(|rest| rest.split('/').next());
    let scope = project.map_or("foreign", |project| found.by_account(project));
    let kind = if path.contains("/group/") || path.contains("/attribute") { "group" } else { "user" };
    found.add(path, kind, scope);
}
