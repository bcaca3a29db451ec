//! Variables of the environment.

use super::Backend;
use crate::document::Document;
use crate::failure::Failure;
use crate::settings::Environment;
use crate::{SecretRef, Source};
use async_trait::async_trait;
use std::sync::Arc;

/// Variables, looked up the way the program was told to.
pub(super) struct Variables(Environment);

impl Variables {
    pub(super) fn new(environment: &Environment) -> Self {
        Self(Arc::clone(environment))
    }
}

#[async_trait]
impl Backend for Variables {
    async fn fetch(&self, reference: &SecretRef) -> Result<Document, Failure> {
        no_version(reference)?;
        let name = &reference.path;
        let Some(value) = (self.0)(name) else {
            let remedy = format!("set {name} in the environment Keywatch is started with");
            return Err(Failure::missing("the variable is not set", remedy));
        };
        Document::text(value)
    }
}

/// A version of what has none is a mistake in the reference, not something to pass over.
pub(super) fn no_version(reference: &SecretRef) -> Result<(), Failure> {
    let Some(version) = &reference.version else { return Ok(()) };
    let what = if reference.source == Source::Env { "variables" } else { "files" };
    let detail = format!("version `{version}` is asked for, and {what} have none");
    Err(Failure::unusable(detail, "leave the version out of the reference"))
}
