//! Entries of the operator's lists that fit nobody: a name where ids are compared, an ARN as the
//! console shows it, a network with bits behind its mask. Such an entry is no mistake a list could be
//! refused for, and whoever wrote it believes it works.
//!
//! Invariant: what may fit some record is let through. Only the lists of the shipped rules are looked
//! at; what a list of another name holds, its own rule says.

mod principal;
mod secret;

use std::fmt;
use std::net::IpAddr;

/// An entry that fits nothing, or not what it seems to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// What is odd about it.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}; {}", self.what, self.remedy)
    }
}

impl Misfit {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// What is odd about an entry of a list, and what to write instead; `None` when it may fit.
#[must_use]
pub fn misfit(list: &str, entry: &str) -> Option<Misfit> {
    match list {
        "automation" | "rotators" => principal::misfit(entry, principal::Named::ById),
        "break_glass" => principal::misfit(entry, principal::Named::ByIdOrName),
        "canaries" => secret::misfit(entry),
        "own_accounts" => account(entry),
        "own_domains" => domain(entry),
        "audit_buckets" => bucket(entry),
        "known_networks" | "machine_networks" | "threat_networks" | "aws_ranges" => network(entry),
        _ => None,
    }
}

/// The part before the first wildcard, and whether there is none.
fn literal(entry: &str) -> (&str, bool) {
    match entry.find(['*', '?', '\\']) {
        Some(at) => (entry.get(..at).unwrap_or_default(), false),
        None => (entry, true),
    }
}

/// Partitions of AWS
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
const PARTITIONS: &[&str] =
    &["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"];

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, as far as an entry has it before a wildcard.
#[derive(Clone, Copy)]
struct Arn<'e> {
    service: &'e str,
    region: &'e str,
    account: &'e str,
    resource: &'e str,
}

impl<'e> Arn<'e> {
    /// The ARN an entry is, with what stands before its first wildcard; `None` when a wildcard stands
    /// before the resource, so that it may be anything.
    ///
    /// # Errors
    /// What no ARN looks like.
    fn of(entry: &'e str) -> Result<Option<Self>, Misfit> {
        let (before, whole) = literal(entry);
        let parts: Vec<&str> = before.splitn(6, ':').collect();
        let partition = parts.get(1).copied().unwrap_or_default();
        if parts.len() > 2 && !PARTITIONS.contains(&partition) {
            let what = format!("`{entry}` names the partition `{partition}`, which AWS does not have");
            return Err(Misfit::new(what, "an ARN begins with arn:aws:, arn:aws-cn: or arn:aws-us-gov:"));
        }
        let [_, _, service, region, account, resource] = parts[..] else {
            let broken = || {
                let what = format!("`{entry}` has not the six parts of an ARN");
                Misfit::new(what, "write arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE; REGION is empty for iam")
            };
            return if whole { Err(broken()) } else { Ok(None) };
        };
        let is_account = account.len() == 12 && is_number(account);
        // Service-owned resources have `aws` there.
        if !is_account && !account.is_empty() && account != "aws" {
            let what = format!("`{entry}` names the account `{account}`, which has not 12 digits");
            return Err(Misfit::new(what, "write the account's 12 digits, or * for any"));
        }
        Ok(Some(Self { service, region, account, resource }))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `8-4-4-4-12` hexadecimal digits.
fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(is_hex)
}

fn network(entry: &str) -> Option<Misfit> {
    if let Ok(net) = entry.parse::<ipnet::IpNet>() {
        if net.prefix_len() == 0 {
            let what = format!("`{entry}` is every address");
            return Some(Misfit::new(what, "write the networks that are meant"));
        }
        let trunc = net.trunc();
        return (net.addr() != trunc.addr()).then(|| {
            let what = format!("`{entry}` stands for the whole of {trunc}");
            Misfit::new(what, format!("write {trunc}, or {} for that one address", net.addr()))
        });
    }
    entry.parse::<IpAddr>().is_err().then(|| {
        let what = format!("`{entry}` is no network");
        Misfit::new(what, "write it as 198.51.100.0/24 or 2001:db8::/32")
    })
}

/// What is asked is an account, a project, a tenant, or an organisation of AWS.
fn account(entry: &str) -> Option<Misfit> {
    let (before, whole) = literal(entry);
    let wrong = |what: &str, remedy: String| Some(Misfit::new(format!("`{entry}` {what}"), remedy));
    if before.starts_with("arn:") {
        let own = before.split(':').nth(4).filter(|account| is_number(account));
        let remedy =
            own.map_or_else(|| "write the account's 12 digits".to_owned(), |own| format!("write {own}"));
        return wrong("is an ARN, and accounts are compared by their digits", remedy);
    }
    if before.starts_with("r-") || before.starts_with("ou-") {
        let remedy = "write the organisation, o-…: its units are in it".to_owned();
        return wrong("is a part of an organisation", remedy);
    }
    if let Some((organisation, _)) = before.split_once('/') {
        return wrong("is a path", format!("write {organisation}, without what follows the slash"));
    }
    if before.contains('@') || before.contains('.') && !before.contains(':') {
        let remedy = "put domains on the list own_domains".to_owned();
        return wrong("is no account, project, tenant or organisation", remedy);
    }
    let digits = before.len();
    if whole && is_number(before) && digits != 12 && !(6..=10).contains(&digits) {
        let remedy = "an account has 12; only a project's number of Google Cloud may have others".to_owned();
        return wrong(&format!("has {digits} digits"), remedy);
    }
    None
}

/// Records name a bucket by its name alone.
fn bucket(entry: &str) -> Option<Misfit> {
    let start = ["arn:aws:s3:::", "arn:aws-cn:s3:::", "arn:aws-us-gov:s3:::", "s3://"];
    let rest = start.iter().find_map(|start| entry.strip_prefix(start));
    let name = rest.unwrap_or(entry).split('/').next().unwrap_or_default();
    let wrong =
        || Misfit::new(format!("`{entry}` is more than the name of a bucket"), format!("write {name}"));
    (name != entry).then(wrong)
}

fn domain(entry: &str) -> Option<Misfit> {
    let (before, whole) = literal(entry);
    let wrong = |what: &str, remedy: String| Some(Misfit::new(format!("`{entry}` {what}"), remedy));
    if let Some((_, rest)) = entry.split_once("://").or_else(|| entry.split_once('@')) {
        let domain = rest.split('/').next().unwrap_or_default();
        return wrong("is more than a domain", format!("write {domain}"));
    }
    if before.ends_with("gserviceaccount.com") {
        let remedy = "put the project on the list own_accounts".to_owned();
        return wrong("is not compared: a service account belongs to its project", remedy);
    }
    let suffix = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.'));
    if let Some(domain) = suffix.filter(|rest| !rest.is_empty()) {
        return wrong("leaves out the domain itself", format!("write {domain}: those below it are in it"));
    }
    let is_alone = whole && !before.contains('.');
    is_alone.then(|| Misfit::new(format!("`{entry}` is no domain"), "write it as example.com"))
}

#[cfg(test)]
mod tests;
