//! One id per secret, parameter and key, whether a record names it by ARN, partial ARN or name.
//!
//! Never looks at more than the text given and where the call took place. Ids borrow from the
//! record whenever the record already holds them.

use crate::provider::text::joined;
use keywatch_event::SecretRef;
use std::borrow::Cow;
use std::ops::Range;

/// Where a bare name is resolved: the region and account of the call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home<'h> {
    /// `eu-west-1`; empty when the record does not say.
    pub(super) region: &'h str,
    /// Twelve digits; empty when the record does not say.
    pub(super) account: &'h str,
}

/// Parameters that AWS publishes for everybody (image ids, region lists): no secrets.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html>
const PUBLIC_PARAMETERS: &str = "/aws/service/";

/// Parameters that stand for a secret of Secrets Manager.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/integration-ps-secretsmanager.html>
const SECRET_REFERENCES: &str = "/aws/reference/secretsmanager/";

/// Characters Secrets Manager appends to a name to make its ARN: a hyphen and six of these.
const SUFFIX_CHARS: usize = 6;

/// A secret of Secrets Manager, from its ARN, its ARN without the suffix, or its name.
pub(super) fn secret<'a>(given: Cow<'a, str>, home: Home<'_>) -> SecretRef<'a> {
    let Some(start) = resource_start(&given, "secretsmanager", "secret:") else {
        let id = home.arn("secretsmanager", "secret:", &given);
        return SecretRef { id: Cow::Owned(id), name: given, version: None };
    };
    let full = until(&given, start, b':');
    let name = given.get(start..full).map_or(start..full, |name| start..start + without_suffix(name).len());
    SecretRef { id: cut(&given, 0..name.end), name: cut(&given, name), version: None }
}

/// A parameter of Parameter Store, from its ARN, its name, or either with `:version`.
///
/// ARNs drop the leading slash of a name, so `/db` and `db` share one id; hierarchical names are
/// shown with their slash, flat ones without.
pub(super) fn parameter<'a>(given: &Cow<'a, str>, home: Home<'_>) -> SecretRef<'a> {
    let start = resource_start(given, "ssm", "parameter");
    let at = start.unwrap_or(0);
    let end = until(given, at, b':');
    let version = (end + 1 < given.len()).then(|| cut(given, end + 1..given.len()));
    if let Some(name) = given.get(at..end).and_then(|body| body.strip_prefix(SECRET_REFERENCES)) {
        let referred = secret(Cow::Owned(name.to_owned()), home);
        return SecretRef { version, ..referred };
    }
    let body = given.get(at..end).unwrap_or_default();
    let flat = body.strip_prefix('/').is_some_and(|rest| !rest.contains('/'));
    let name = cut(given, at + usize::from(flat)..end);
    if start.is_some() {
        return SecretRef { id: cut(given, 0..end), name, version };
    }
    let public = body.starts_with(PUBLIC_PARAMETERS);
    let home = if public { Home { account: "", ..home } } else { home };
    let slash = if body.starts_with('/') { "parameter" } else { "parameter/" };
    let id = home.arn("ssm", slash, body);
    let slashless = !body.starts_with('/') && body.contains('/');
    let name = if slashless { Cow::Owned(format!("/{body}")) } else { name };
    SecretRef { id: Cow::Owned(id), name, version }
}

/// A KMS key or alias, from its ARN, its id, or `alias/name`.
pub(super) fn key<'a>(given: Cow<'a, str>, home: Home<'_>) -> SecretRef<'a> {
    if let Some(start) = resource_start(&given, "kms", "") {
        let name =
            if given.get(start..).is_some_and(|rest| rest.starts_with("key/")) { start + 4 } else { start };
        let name = cut(&given, name..given.len());
        return SecretRef { id: given, name, version: None };
    }
    let kind = if given.starts_with("alias/") { "" } else { "key/" };
    SecretRef { id: Cow::Owned(home.arn("kms", kind, &given)), name: given, version: None }
}

/// Whether this is a secret's ARN.
pub(super) fn is_secret(arn: &str) -> bool {
    resource_start(arn, "secretsmanager", "secret:").is_some()
}

/// Whether this is a parameter's ARN.
pub(super) fn is_parameter(arn: &str) -> bool {
    resource_start(arn, "ssm", "parameter").is_some()
}

/// Whether this is a key's ARN; an alias is none.
pub(super) fn is_key(arn: &str) -> bool {
    resource_start(arn, "kms", "key/").is_some()
}

/// Whether everybody may read this parameter, because AWS publishes it.
pub(super) fn is_public(parameter: &SecretRef<'_>) -> bool {
    parameter.name.starts_with(PUBLIC_PARAMETERS)
}

/// Whether this parameter is the path itself, as a record names it beside a search by path.
pub(super) fn is_path(parameter: &SecretRef<'_>, path: &str) -> bool {
    parameter.name.trim_matches('/') == path.trim_matches('/')
}

impl Home<'_> {
    fn arn(self, service: &str, kind: &str, name: &str) -> String {
        let Self { region, account } = self;
        joined(&["arn:", partition(region), ":", service, ":", region, ":", account, ":", kind, name])
    }
}

/// The partition a region belongs to.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
pub(super) fn partition(region: &str) -> &'static str {
    let known = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-iso-", "aws-iso"),
        ("eusc-", "aws-eusc"),
    ];
    known.into_iter().find(|(start, _)| region.starts_with(start)).map_or("aws", |(_, name)| name)
}

/// The part of a text, borrowed when the text is.
pub(super) fn cut<'a>(text: &Cow<'a, str>, part: Range<usize>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(part).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(part).unwrap_or_default().to_owned()),
    }
}

/// Where the name begins in `arn:P:service:R:A:kind…`; `None` for any other text.
fn resource_start(text: &str, service: &str, kind: &str) -> Option<usize> {
    let mut rest = text.strip_prefix("arn:")?;
    let mut part = || {
        let colon = memchr::memchr(b':', rest.as_bytes())?;
        let head = rest.get(..colon)?;
        rest = rest.get(colon + 1..)?;
        Some(head)
    };
    let (_partition, named, _region, _account) = (part()?, part()?, part()?, part()?);
    let name = rest.strip_prefix(kind).filter(|name| named == service && !name.is_empty())?;
    Some(text.len() - name.len())
}

/// Where the first `stop` at or after `from` stands, else the end.
fn until(text: &str, from: usize, stop: u8) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    memchr::memchr(stop, rest).map_or(text.len(), |at| from + at)
}

/// Whether six characters look like the random suffix: letters and digits, and not a word. One
/// real suffix in two hundred is all lower-case letters and is then taken for a part of the name:
/// such a secret has two ids. Taking every word for a suffix would give different secrets one id.
fn is_random(suffix: &str) -> bool {
    suffix.bytes().all(|b| b.is_ascii_alphanumeric()) && !suffix.bytes().all(|b| b.is_ascii_lowercase())
}

/// A name out of an ARN without the suffix. Secrets Manager itself takes every such ending for
/// the suffix and advises against names that look like it.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html>
fn without_suffix(name: &str) -> &str {
    let stem = name
        .rsplit_once('-')
        .filter(|(stem, suffix)| !stem.is_empty() && suffix.len() == SUFFIX_CHARS && is_random(suffix));
    stem.map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Home<'_> = Home { region: "eu-west-1", account: "111122223333" };

    #[track_caller]
    fn check(got: &SecretRef<'_>, id: &str, name: &str, version: Option<&str>) {
        assert_eq!((&*got.id, &*got.name, got.version.as_deref()), (id, name, version));
    }

    #[test]
    fn a_secret_has_one_id_by_arn_partial_arn_and_name() {
        let id = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db";
        for given in [
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-a1B2c3",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-a1B2c3:password:AWSCURRENT:",
            "prod/db",
        ] {
            check(&secret(Cow::Borrowed(given), HOME), id, "prod/db", None);
            check(&secret(Cow::Owned(given.to_owned()), HOME), id, "prod/db", None);
        }
    }

    #[test]
    fn only_six_alphanumeric_characters_after_a_hyphen_are_a_suffix() {
        for name in ["db-long-tail", "db-a1B2c", "db-a1B2c3d", "db-a1_2c3", "-a1B2c3", "db"] {
            let given = format!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}");
            check(&secret(Cow::Borrowed(&given), HOME), &given, name, None);
        }
        let named = secret(Cow::Borrowed("prod-a1B2c3"), HOME);
        assert_eq!(named.name, "prod-a1B2c3", "a name has no suffix");
    }

    #[test]
    fn a_secret_of_another_account_keeps_its_account() {
        let given = "arn:aws:secretsmanager:us-east-1:444455556666:secret:shared-Zz9Yy8";
        let id = "arn:aws:secretsmanager:us-east-1:444455556666:secret:shared";
        check(&secret(Cow::Borrowed(given), HOME), id, "shared", None);
    }

    #[test]
    fn a_name_is_placed_in_the_partition_of_its_region() {
        for (region, start) in [
            ("cn-north-1", "arn:aws-cn:"),
            ("us-gov-west-1", "arn:aws-us-gov:"),
            ("us-isob-east-1", "arn:aws-iso-b:"),
            ("us-east-1", "arn:aws:"),
            ("", "arn:aws:"),
        ] {
            let named = secret(Cow::Borrowed("db"), Home { region, ..HOME });
            assert!(named.id.starts_with(start), "{}", named.id);
        }
    }

    #[test]
    fn a_parameter_has_one_id_by_arn_name_and_version() {
        let id = "arn:aws:ssm:eu-west-1:111122223333:parameter/prod/db";
        let by = |given: &'static str| parameter(&Cow::Borrowed(given), HOME);
        check(&by("arn:aws:ssm:eu-west-1:111122223333:parameter/prod/db"), id, "/prod/db", None);
        check(&by("arn:aws:ssm:eu-west-1:111122223333:parameter/prod/db:4"), id, "/prod/db", Some("4"));
        check(&by("/prod/db"), id, "/prod/db", None);
        check(&by("/prod/db:live"), id, "/prod/db", Some("live"));
        check(&by("prod/db"), id, "/prod/db", None);
        let flat = "arn:aws:ssm:eu-west-1:111122223333:parameter/token";
        check(&by(flat), flat, "token", None);
        check(&by("token"), flat, "token", None);
        check(&by("/token"), flat, "token", None);
    }

    #[test]
    fn a_parameter_that_refers_to_a_secret_is_that_secret() {
        let id = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db";
        let by = |given: &'static str| parameter(&Cow::Borrowed(given), HOME);
        check(&by("/aws/reference/secretsmanager/prod/db"), id, "prod/db", None);
        let arn = "arn:aws:ssm:eu-west-1:111122223333:parameter/aws/reference/secretsmanager/prod/db";
        check(&by(arn), id, "prod/db", None);
    }

    #[test]
    fn a_public_parameter_belongs_to_no_account() {
        let id = "arn:aws:ssm:eu-west-1::parameter/aws/service/ami/latest";
        let named = parameter(&Cow::Borrowed("/aws/service/ami/latest"), HOME);
        check(&named, id, "/aws/service/ami/latest", None);
        assert!(is_public(&named) && is_public(&parameter(&Cow::Borrowed(id), HOME)));
    }

    #[test]
    fn a_key_has_one_id_by_arn_and_id_and_an_alias_stays_an_alias() {
        let id = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1";
        check(&key(Cow::Borrowed(id), HOME), id, "mrk-1", None);
        check(&key(Cow::Borrowed("mrk-1"), HOME), id, "mrk-1", None);
        let alias = "arn:aws:kms:eu-west-1:111122223333:alias/app";
        check(&key(Cow::Borrowed(alias), HOME), alias, "alias/app", None);
        check(&key(Cow::Borrowed("alias/app"), HOME), alias, "alias/app", None);
    }

    #[test]
    fn a_text_that_only_looks_like_an_arn_is_a_name() {
        for given in ["arn:", "arn:aws:secretsmanager", "arn:aws:s3:::bucket", "é:é", ""] {
            let named = secret(Cow::Borrowed(given), HOME);
            assert_eq!(named.name, given);
        }
    }
}
