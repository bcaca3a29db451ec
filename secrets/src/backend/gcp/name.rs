//! Names of secrets in Google Cloud, in full or within the default project.

use crate::SecretRef;
use crate::failure::Failure;
use std::fmt;

/// A version of a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) project: String,
    /// For secrets that are kept in one place.
    pub(super) location: Option<String>,
    pub(super) secret: String,
    pub(super) version: String,
}

impl Name {
    /// Reads a reference: `S`, `projects/P/secrets/S`, with `/locations/L` between, and with
    /// `/versions/V` at the end.
    ///
    /// # Errors
    /// When it is none of these, lacks a project, or names two versions.
    pub(super) fn of(reference: &SecretRef, project: Option<&str>) -> Result<Self, Failure> {
        let parts: Vec<_> = reference.path.split('/').collect();
        let (project, location, secret, version) = match parts.as_slice() {
            [secret] => (project, None, secret, None),
            [secret, "versions", version] => (project, None, secret, Some(*version)),
            ["projects", project, "secrets", secret] => (Some(*project), None, secret, None),
            ["projects", project, "secrets", secret, "versions", version] => {
                (Some(*project), None, secret, Some(*version))
            }
            ["projects", project, "locations", location, "secrets", secret] => {
                (Some(*project), Some(*location), secret, None)
            }
            ["projects", project, "locations", location, "secrets", secret, "versions", version] => {
                (Some(*project), Some(*location), secret, Some(*version))
            }
            _ => return Err(unnamed(&reference.path)),
        };
        let Some(project) = project else {
            let remedy = "write projects/P/secrets/S, or set secret_manager.gcp.project";
            return Err(Failure::unusable("it is not said in which project it is", remedy));
        };
        let version = match (version, reference.version.as_deref()) {
            (Some(one), Some(other)) if one != other => {
                let detail = format!("it names two versions, `{one}` and `{other}`");
                return Err(Failure::unusable(detail, "leave one of them out"));
            }
            (one, other) => one.or(other).unwrap_or("latest"),
        };
        if ![Some(project), location, Some(secret), Some(version)].into_iter().flatten().all(is_plain) {
            return Err(unnamed(&reference.path));
        }
        let location = location.map(ToOwned::to_owned);
        Ok(Self {
            project: project.to_owned(),
            location,
            secret: (*secret).to_owned(),
            version: version.to_owned(),
        })
    }
}

/// What names of projects, places, secrets and versions are made of; `:` and `.` for projects of a
/// domain.
fn is_plain(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain)
}

fn unnamed(path: &str) -> Failure {
    Failure::unusable(
        format!("`{path}` is no name of a secret"),
        "write projects/P/secrets/S, or S in the default project",
    )
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "projects/{}", self.project)?;
        if let Some(location) = &self.location {
            write!(out, "/locations/{location}")?;
        }
        write!(out, "/secrets/{}/versions/{}", self.secret, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reference: &str, project: Option<&str>, expected: Result<&str, &str>) {
        let reference: SecretRef = format!("gcp-secret-manager:{reference}").parse().expect("a reference");
        match (Name::of(&reference, project), expected) {
            (Ok(name), Ok(text)) => assert_eq!(name.to_string(), text),
            (Err(failure), Err(words)) => assert!(failure.detail.contains(words), "{}", failure.detail),
            (found, expected) => panic!("{reference}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn names_are_read_in_full_or_within_the_default_project() {
        check("app", Some("p"), Ok("projects/p/secrets/app/versions/latest"));
        check("app@3", Some("p"), Ok("projects/p/secrets/app/versions/3"));
        check("app/versions/3", Some("p"), Ok("projects/p/secrets/app/versions/3"));
        check("projects/q/secrets/app", Some("p"), Ok("projects/q/secrets/app/versions/latest"));
        check("projects/q/secrets/app/versions/2@2", None, Ok("projects/q/secrets/app/versions/2"));
        let regional = "projects/q/locations/europe-west1/secrets/app";
        check(regional, None, Ok("projects/q/locations/europe-west1/secrets/app/versions/latest"));
        check("app", None, Err("in which project"));
        check("projects/q/secrets/app/versions/2@3", None, Err("two versions"));
        check("projects/q/app", None, Err("is no name of a secret"));
        check("projects/q/secrets/..", None, Err("is no name of a secret"));
        check("projects/q/secrets/a b", None, Err("is no name of a secret"));
    }
}
