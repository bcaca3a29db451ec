//! Keywatch's login to Vault: had once, kept alive, had anew when it ends or is refused.
//!
//! Whoever needs the token waits for whoever is logging in. A lease is renewed when two thirds of it
//! are over: at the next use, or by [`Login::tend`] when there is none.

use super::wire::{self, Call, Wire};
use crate::backend::file;
use crate::backend::http::Answer;
use crate::backend::own::OwnCredentials;
use crate::failure::Failure;
use crate::settings::{Told, VaultLogin};
use crate::{Clock, SecretValue, Trouble};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// How Keywatch logs in, and the login it has.
pub(super) struct Login {
    method: VaultLogin,
    own: OwnCredentials,
    clock: Clock,
    session: Mutex<Option<Session>>,
    /// How often everything was to be forgotten; a session of before is not used any more.
    forgotten: std::sync::atomic::AtomicU64,
}

/// A login.
struct Session {
    token: SecretValue,
    began: Instant,
    /// How long the token lives from `began`; `None` when it does not end, or Vault does not say.
    lease: Option<Duration>,
    renewable: bool,
    era: u64,
}

impl Session {
    /// Whether it is time to renew: two thirds of the lease are over.
    fn is_due(&self, now: Instant) -> bool {
        self.lease.is_some_and(|lease| now >= self.began + lease * 2 / 3)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.lease.is_some_and(|lease| now >= self.began + lease)
    }
}

impl Login {
    pub(super) fn new(method: VaultLogin, own: OwnCredentials, clock: Clock) -> Self {
        Self {
            method,
            own,
            clock,
            session: Mutex::default(),
            forgotten: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// The token to show, from a login that still lasts.
    ///
    /// # Errors
    /// When Vault refuses the login, or cannot be asked.
    pub(super) async fn token(&self, wire: &Wire) -> Result<SecretValue, Failure> {
        let mut session = self.session.lock().await;
        let era = self.era();
        session.take_if(|session| session.era != era);
        if let VaultLogin::Token(reference) = &self.method {
            // Read each time: Vault's agent and systemd replace the file when the token changes.
            let token = self.own.read(reference).await?;
            session.take_if(|session| !session.token.same_as(&token));
            if session.is_none() {
                *session = Some(self.looked_up(token, wire, era).await?);
            }
        }
        if let Some(known) = session.take() {
            *session = Some(self.kept(known, wire).await?);
        }
        if session.is_none() {
            *session = Some(self.logged_in(wire, era).await?);
        }
        session.as_ref().map(|session| session.token.clone()).ok_or_else(nothing_told)
    }

    /// Forgets a token that was refused. Whether another login may bring a better one: it may not
    /// when the token itself was configured and is still the same.
    pub(super) async fn forget_token(&self, token: &SecretValue) -> bool {
        let mut session = self.session.lock().await;
        // The login is new already when somebody else's refusal came first.
        session.take_if(|session| session.token.same_as(token));
        match &self.method {
            VaultLogin::AppRole { .. } | VaultLogin::Kubernetes { .. } => true,
            VaultLogin::Token(reference) => {
                self.own.read(reference).await.is_ok_and(|current| !current.same_as(token))
            }
            VaultLogin::None => false,
        }
    }

    /// Renews the login when that is due. How long until it is due next, when there is one.
    pub(super) async fn tend(&self, wire: &Wire) -> Option<Duration> {
        let due = self.session.lock().await.as_ref().is_some_and(|session| session.is_due(self.clock.now()));
        if due && let Err(failure) = self.token(wire).await {
            tracing::warn!(detail = %failure.detail, remedy = %failure.remedy, "the login to Vault could not be renewed");
        }
        let session = self.session.lock().await;
        let (lease, began) = session.as_ref().and_then(|session| Some((session.lease?, session.began)))?;
        Some((began + lease * 2 / 3).saturating_duration_since(self.clock.now()))
    }

    pub(super) fn forget(&self) {
        self.forgotten.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        // Nobody waits here: who holds the lock now sees the new era at the next use.
        if let Ok(mut session) = self.session.try_lock() {
            *session = None;
        }
    }

    fn era(&self) -> u64 {
        self.forgotten.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The session as it is, renewed, or another in its place.
    async fn kept(&self, mut session: Session, wire: &Wire) -> Result<Session, Failure> {
        if !session.is_due(self.clock.now()) {
            return Ok(session);
        }
        // A configured token has no successor: it is used until Vault itself says that it is over.
        let configured = matches!(self.method, VaultLogin::Token(_));
        let renewed = if session.renewable { Some(self.renewed(&session, wire).await) } else { None };
        let outcome = match renewed {
            Some(Err(failure)) if failure.trouble == Trouble::Unavailable => Err(failure),
            Some(Err(_)) | None if configured => {
                session.renewable = false;
                return Ok(session);
            }
            Some(Err(_)) | None => self.logged_in(wire, session.era).await,
            Some(Ok(renewed)) => Ok(renewed),
        };
        match outcome {
            Err(failure) if failure.trouble == Trouble::Unavailable && !session.is_over(self.clock.now()) => {
                tracing::warn!(detail = %failure.detail, "the login to Vault could not be renewed yet; it still lasts");
                Ok(session)
            }
            settled => settled,
        }
    }

    async fn logged_in(&self, wire: &Wire, era: u64) -> Result<Session, Failure> {
        let (what, mount, body) = match &self.method {
            VaultLogin::None | VaultLogin::Token(_) => return Err(nothing_told()),
            VaultLogin::AppRole { mount, role_id, secret_id } => {
                let role_id = match role_id {
                    Told::Plain(value) => value.clone(),
                    Told::At(reference) => self.own.read(reference).await?,
                };
                let secret_id = match secret_id {
                    Some(reference) => Some(self.own.read(reference).await?),
                    None => None,
                };
                let secret_id = secret_id.as_ref().map(SecretValue::expose);
                ("AppRole", mount, body(&AppRole { role_id: role_id.expose(), secret_id }))
            }
            VaultLogin::Kubernetes { mount, role, token_file } => {
                let failed = |failure: Failure| {
                    failure.during("the service account's token, which is needed to log in")
                };
                let jwt = Zeroizing::new(file::read(token_file).await.map_err(failed)?);
                ("Kubernetes", mount, body(&Kubernetes { role, jwt: &jwt }))
            }
        };
        let call = Call::new(Method::POST, &["auth", mount.trim_matches('/'), "login"])?.with_body(body);
        let answer = wire.send(&call, None).await?;
        match answer.status {
            200 => session_of(&answer, self.clock.now(), era),
            400 | 401 | 403 => Err(refused(what, mount, &answer)),
            404 => Err(unmounted(what, mount)),
            _ => Err(wire::trouble(&answer).during(&format!("logging in with {what}"))),
        }
    }

    async fn renewed(&self, session: &Session, wire: &Wire) -> Result<Session, Failure> {
        let call =
            Call::new(Method::POST, &["auth/token/renew-self"])?.with_body(Zeroizing::new("{}".to_owned()));
        let answer = wire.send(&call, Some(&session.token)).await?;
        match answer.status {
            200 => {
                let renewed = session_of(&answer, self.clock.now(), session.era)?;
                // Near its end of life Vault renews for ever shorter: then a new login is better.
                let grew = renewed.lease.zip(session.lease).is_none_or(|(new, old)| new * 2 >= old);
                if grew { Ok(renewed) } else { Err(wire::forbidden("renew")) }
            }
            403 | 400 => {
                Err(wire::forbidden("path \"auth/token/renew-self\" { capabilities = [\"update\"] }"))
            }
            _ => Err(wire::trouble(&answer)),
        }
    }

    /// A configured token, with what Vault says about how long it lives. A token that may not ask is
    /// used until it is refused.
    async fn looked_up(&self, token: SecretValue, wire: &Wire, era: u64) -> Result<Session, Failure> {
        let answer = wire.send(&Call::new(Method::GET, &["auth/token/lookup-self"])?, Some(&token)).await?;
        let data = match answer.status {
            200 => Some(answer.json::<LookedUp>().ok_or_else(|| wire::unread(&answer))?.data),
            403 => None,
            _ => return Err(wire::trouble(&answer)),
        };
        let (ttl, renewable) = data.map_or((0, false), |data| (data.ttl, data.renewable));
        let lease = Some(Duration::from_secs(ttl)).filter(|lease| !lease.is_zero());
        Ok(Session { token, began: self.clock.now(), lease, renewable, era })
    }
}

#[derive(Serialize)]
struct AppRole<'a> {
    role_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Kubernetes<'a> {
    role: &'a str,
    jwt: &'a str,
}

/// Room for any login: a service account's token has one to two kilobytes, and growing would leave
/// copies behind.
const LOGIN_BYTES: usize = 16 * 1024;

fn body(login: &impl Serialize) -> Zeroizing<String> {
    let mut bytes = Vec::with_capacity(LOGIN_BYTES);
    // Strings alone are written, into memory: neither can fail.
    let written = serde_json::to_writer(&mut bytes, login);
    Zeroizing::new(written.ok().and_then(|()| String::from_utf8(bytes).ok()).unwrap_or_default())
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

fn session_of(answer: &Answer, began: Instant, era: u64) -> Result<Session, Failure> {
    let auth = answer.json::<LoggedIn>().and_then(|body| body.auth).ok_or_else(|| wire::unread(answer))?;
    let lease = Some(Duration::from_secs(auth.lease_duration)).filter(|lease| !lease.is_zero());
    let token = SecretValue::new(auth.client_token);
    Ok(Session { token, began, lease, renewable: auth.renewable, era })
}

#[derive(Deserialize)]
struct LookedUp {
    data: TokenData,
}

#[derive(Deserialize)]
struct TokenData {
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

fn refused(what: &str, mount: &str, answer: &Answer) -> Failure {
    let remedy = match what {
        "AppRole" => format!(
            "see whether the role id is right and the secret id has not run out: `vault write -f auth/{mount}/role/ROLE/secret-id`"
        ),
        _ => format!(
            "see what the role allows: `vault read auth/{mount}/role/ROLE` names accounts, namespaces and audience"
        ),
    };
    Failure::denied(format!("Vault refuses the login with {what} (status {})", answer.status), remedy)
}

fn unmounted(what: &str, mount: &str) -> Failure {
    let remedy =
        "enable it with `vault auth enable`, or set the login's `mount`; `vault auth list` shows the mounts";
    Failure::missing(format!("Vault has no login with {what} at `auth/{mount}`"), remedy)
}

fn nothing_told() -> Failure {
    let remedy = "set secret_manager.vault.token, app_role or kubernetes in the configuration";
    Failure::unusable("it is not said how Keywatch logs in to Vault", remedy)
}
