//! What a secret's name in AWS tells: its region and account when it is an ARN, and which version.

use crate::failure::Failure;

/// A secret's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) region: Option<String>,
    pub(super) account: Option<String>,
}

impl Name {
    /// Reads a name or an ARN.
    ///
    /// # Errors
    /// When it begins as an ARN and is none of a secret.
    pub(super) fn of(path: &str) -> Result<Self, Failure> {
        if !path.starts_with("arn:") {
            return Ok(Self { region: None, account: None });
        }
        let parts: Vec<_> = path.splitn(7, ':').collect();
        match parts.as_slice() {
            ["arn", _, "secretsmanager", region, account, "secret", name]
                if !region.is_empty() && !account.is_empty() && !name.is_empty() =>
            {
                Ok(Self { region: Some((*region).to_owned()), account: Some((*account).to_owned()) })
            }
            _ => Err(Failure::unusable(
                format!("`{path}` is no ARN of a secret"),
                "write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, or the name alone",
            )),
        }
    }
}

/// Which version is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Version<'a> {
    Current,
    Id(&'a str),
    Stage(&'a str),
}

impl<'a> Version<'a> {
    /// A version's id is a UUID unless somebody chose it; everything else is a stage.
    pub(super) fn of(version: Option<&'a str>) -> Self {
        match version {
            None => Self::Current,
            Some(id) if is_uuid(id) => Self::Id(id),
            Some(stage) => Self::Stage(stage),
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_tells_region_and_account() {
        let check = |path: &str, expected: Option<(Option<&str>, Option<&str>)>| {
            let name = Name::of(path).ok();
            let told = name.as_ref().map(|name| (name.region.as_deref(), name.account.as_deref()));
            assert_eq!(told, expected, "{path}");
        };
        check("shared/ai-keys/openai", Some((None, None)));
        check(
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a:b-1a2B3c",
            Some((Some("eu-west-1"), Some("111122223333"))),
        );
        check(
            "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:a",
            Some((Some("cn-north-1"), Some("111122223333"))),
        );
        check("arn:aws:ssm:eu-west-1:111122223333:parameter/a", None);
        check("arn:aws:secretsmanager:eu-west-1:111122223333:secret:", None);
        check("arn:", None);
    }

    #[test]
    fn a_version_is_an_id_or_a_stage() {
        assert_eq!(Version::of(None), Version::Current);
        assert_eq!(Version::of(Some("AWSPREVIOUS")), Version::Stage("AWSPREVIOUS"));
        let id = "a1b2c3d4-5678-90ab-cdef-1234567890ab";
        assert_eq!(Version::of(Some(id)), Version::Id(id));
        assert_eq!(
            Version::of(Some("g1b2c3d4-5678-90ab-cdef-1234567890ab")),
            Version::Stage("g1b2c3d4-5678-90ab-cdef-1234567890ab")
        );
    }
}
