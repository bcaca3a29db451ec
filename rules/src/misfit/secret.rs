//! Secrets and keys: the forms of `secrets.id`, one for each secret however a record names it, and of
//! `secrets.name`.

use super::{Arn, Misfit, is_number, literal};

/// What Secrets Manager appends to a name to make its ARN: a hyphen and six of these, as `ingest` takes
/// them off.
const SUFFIX_CHARS: usize = 6;
/// Where ids begin.
const STARTS: &str = "ids begin with arn:aws:, projects/, https:// or vault:";

pub(super) fn misfit(entry: &str) -> Option<Misfit> {
    let (before, whole) = literal(entry);
    if before.is_empty() {
        return None;
    }
    if before.starts_with("arn:") {
        return arn(entry, whole).err();
    }
    let wrong = |what: &str, remedy: String| Some(Misfit::new(format!("`{entry}` {what}"), remedy));
    if before.starts_with("projects/") {
        return google(entry, whole);
    }
    if before.starts_with("https://") || before.starts_with("http://") {
        return azure(entry, before, whole);
    }
    if let Some(path) = before.strip_prefix("vault:") {
        return vault(entry, path);
    }
    let head = before.split('/').next().unwrap_or_default();
    if let Some((start, _)) = head.split_once(':') {
        return wrong(
            &format!("begins with `{start}:`, as no id or name of a secret does"),
            STARTS.to_owned(),
        );
    }
    let is_flat = |rest: &&str| whole && !rest.is_empty() && !rest.contains('/');
    if let Some(name) = before.strip_prefix('/').filter(is_flat) {
        return wrong(
            "has a slash that the name of a parameter without a path has not",
            format!("write {name}"),
        );
    }
    None
}

fn arn(entry: &str, whole: bool) -> Result<(), Misfit> {
    let Some(Arn { service, region, account, resource }) = Arn::of(entry)? else { return Ok(()) };
    let wrong = |what: &str, remedy: String| Err(Misfit::new(format!("`{entry}` {what}"), remedy));
    if region.is_empty() || account.is_empty() {
        return wrong("names no region or no account", "write both, or * for any".to_owned());
    }
    match service {
        "secretsmanager" => match resource.strip_prefix("secret:") {
            Some(name) => secret(entry, name, whole),
            None if !whole && "secret:".starts_with(resource) => Ok(()),
            None => {
                wrong("is no secret", format!("write arn:aws:secretsmanager:{region}:{account}:secret:NAME"))
            }
        },
        "ssm" => match resource.split_once(':') {
            Some((name, _)) => {
                wrong("names one version", format!("write arn:aws:ssm:{region}:{account}:{name}"))
            }
            None if resource.starts_with("parameter/") || (!whole && "parameter/".starts_with(resource)) => {
                Ok(())
            }
            None => wrong("is no parameter", format!("write arn:aws:ssm:{region}:{account}:parameter/NAME")),
        },
        "kms" => Ok(()),
        _ => wrong("is no secret, parameter or key", "write the ARN of one, or its name".to_owned()),
    }
}

/// The id of a secret has no suffix and no version.
fn secret(entry: &str, name: &str, whole: bool) -> Result<(), Misfit> {
    let is_random = |suffix: &str| {
        suffix.len() == SUFFIX_CHARS
            && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && !suffix.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let bare = name.split(':').next().unwrap_or_default();
    let stem = bare.rsplit_once('-').filter(|(stem, suffix)| !stem.is_empty() && is_random(suffix));
    let stem = stem.map_or(bare, |(stem, _)| stem);
    if !whole || stem == name {
        return Ok(());
    }
    let start = entry.strip_suffix(name).unwrap_or_default();
    let what =
        format!("`{entry}` has what an id has not: the six characters AWS puts behind a name, or a version");
    Err(Misfit::new(what, format!("write {start}{stem}")))
}

fn google(entry: &str, whole: bool) -> Option<Misfit> {
    let wrong = |what: &str, remedy: String| Some(Misfit::new(format!("`{entry}` {what}"), remedy));
    if let Some((id, _)) = entry.split_once("/versions/").or_else(|| entry.split_once("/cryptoKeyVersions/"))
    {
        return wrong("names one version, and an id has none", format!("write {id}"));
    }
    if !whole {
        return None;
    }
    let project = entry.split('/').nth(1).unwrap_or_default();
    if is_number(project) {
        let remedy = "write projects/ID/…, with the project's id as alerts show it".to_owned();
        return wrong("names the project by its number", remedy);
    }
    let is_named = |collection: &str| entry.split(collection).nth(1).is_some_and(|name| !name.is_empty());
    let fits = is_named("/secrets/") || is_named("/cryptoKeys/");
    if fits {
        None
    } else {
        wrong("names no secret and no key", "write projects/PROJECT/secrets/NAME".to_owned())
    }
}

fn azure(entry: &str, before: &str, whole: bool) -> Option<Misfit> {
    let wrong = |what: &str, remedy: String| Some(Misfit::new(format!("`{entry}` {what}"), remedy));
    let parts: Vec<&str> = before.split("://").nth(1).unwrap_or_default().split('/').collect();
    let host = parts.first().copied().unwrap_or_default();
    let is_vault = host.contains(".vault.") || host.contains(".managedhsm.");
    let remedy = || "write https://VAULT.vault.azure.net/secrets/NAME".to_owned();
    if before.starts_with("http://") || (!is_vault && (whole || parts.len() > 1)) {
        return wrong("is no address of a vault", remedy());
    }
    match parts[..] {
        [_, kind @ ("secrets" | "keys" | "certificates"), name, version] if !version.is_empty() => {
            wrong("names one version, and an id has none", format!("write https://{host}/{kind}/{name}"))
        }
        [_] | [_, "secrets" | "keys" | "certificates", ..] => None,
        [_, _] if !whole => None,
        _ => wrong("names no secret, key or certificate", remedy()),
    }
}

/// Paths without what the second version of the engine has between mount and name.
fn vault(entry: &str, path: &str) -> Option<Misfit> {
    let (mount, rest) = path.split_once('/')?;
    let (kind, name) = rest.split_once('/')?;
    matches!(kind, "data" | "metadata").then(|| {
        let what = format!("`{entry}` has `{kind}`, which is in calls and not in ids");
        Misfit::new(what, format!("write vault:{mount}/{name}"))
    })
}
