//! Who may send: a bearer token or an API key, one of those that are configured.

use super::answer::Refused;
use crate::intake::Intake;
use axum::http::{HeaderMap, header};
use keywatch_secrets::{SecretManager, SecretRef};
use subtle::{Choice, ConstantTimeEq};

/// The tokens that open the door. The secret manager keeps them for minutes and fetches them again.
pub(super) struct Keys {
    tokens: Vec<SecretRef>,
    secrets: SecretManager,
}

impl Keys {
    pub(super) const fn new(tokens: Vec<SecretRef>, secrets: SecretManager) -> Self {
        Self { tokens, secrets }
    }

    /// Whether the headers show one of the tokens.
    pub(super) async fn check(&self, headers: &HeaderMap, intake: &Intake) -> Result<(), Refused> {
        let shown = shown(headers).ok_or(Refused::Unknown(
            "show a token: `Authorization: Bearer …` or `X-Api-Key: …`, one of the source's `tokens`",
        ))?;
        self.check_text(shown, intake).await
    }

    pub(super) async fn check_text(&self, shown: &str, intake: &Intake) -> Result<(), Refused> {
        let (mut right, mut missing) = (Choice::from(0), false);
        for reference in &self.tokens {
            match self.secrets.get(reference).await {
                Ok(token) => right |= token.expose().as_bytes().ct_eq(shown.as_bytes()),
                Err(error) => {
                    missing = true;
                    intake.health.fails("tokens", error.to_string(), (intake.clock)());
                }
            }
        }
        if !missing {
            intake.health.works("tokens");
        }
        match (bool::from(right), missing) {
            (true, _) => Ok(()),
            (false, true) => Err(Refused::NoKeys),
            (false, false) => Err(Refused::Unknown("this token is none of the source's `tokens`")),
        }
    }
}

/// The token a request shows.
pub(super) fn shown(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get("x-api-key").and_then(|value| value.to_str().ok());
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or(key)
}
