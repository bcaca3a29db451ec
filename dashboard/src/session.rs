//! Who may look: one-time login links and the sessions they open.
//!
//! Lives in memory only, so a restart signs everybody out. Tokens leave this file once, when they
//! are made; what is kept is their SHA-256, compared in constant time. No clock: `now` is an
//! argument.

use crate::text::push_hex;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use subtle::ConstantTimeEq;

/// How long a login link may be used, once.
pub const LINK_MINUTES: i64 = 15;
/// How long a session lives without being used.
pub const IDLE_MINUTES: i64 = 30;
/// How long a session lives at most.
pub const SESSION_HOURS: i64 = 12;
/// Wrong logins a minute after which further ones are refused with 429.
const WRONG_PER_MINUTE: usize = 5;
/// Login links that may wait at once; the oldest gives way. People open one.
const LINKS_MAX: usize = 16;
/// Sessions at once; the least recently used gives way. 64 × 550 bytes.
const SESSIONS_MAX: usize = 64;

/// The system's random source failed, so no unguessable token could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw random bytes for a login ({0}); check that the system's random source works")]
pub struct RandomError(getrandom::Error);

type Hash = [u8; 32];

#[derive(Debug)]
struct Link {
    hash: Hash,
    expires_at: DateTime<Utc>,
}

#[derive(Debug)]
struct Session {
    hash: Hash,
    csrf: String,
    name: String,
    started_at: DateTime<Utc>,
    used_at: DateTime<Utc>,
}

/// A session somebody has just shown to have.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    /// The token every changing form must carry.
    pub(crate) csrf: String,
    /// The name the person last gave; empty until they gave one.
    pub(crate) name: String,
}

/// Why a login was refused. The page says the same for a wrong, a used and an expired token.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No such token, or used, or expired.
    Wrong,
    /// Wrong, and too many wrong ones lately.
    TooMany,
    /// No token could be made.
    Random(RandomError),
}

/// Every open link and session.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    links: VecDeque<Link>,
    live: Vec<Session>,
    wrong: VecDeque<DateTime<Utc>>,
}

impl Sessions {
    /// Makes a login token, valid once within [`LINK_MINUTES`].
    pub(crate) fn mint(&mut self, now: DateTime<Utc>) -> Result<String, RandomError> {
        let token = token()?;
        if self.links.len() >= LINKS_MAX {
            self.links.pop_front();
        }
        let expires_at = now + TimeDelta::minutes(LINK_MINUTES);
        self.links.push_back(Link { hash: hash(&token), expires_at });
        Ok(token)
    }

    /// Uses up a login token; the answer is the new session's token, for the cookie.
    ///
    /// A right token is accepted even while wrong ones are being refused, so nobody can lock the
    /// owner out by guessing; 256 random bits leave nothing to guess.
    pub(crate) fn log_in(&mut self, link: &str, now: DateTime<Utc>) -> Result<String, Refused> {
        self.links.retain(|link| now < link.expires_at);
        let wanted = hash(link);
        let found = self.links.iter().map(|link| same(&link.hash, &wanted)).collect::<Vec<_>>();
        let Some(at) = found.into_iter().position(|is_it| is_it) else {
            return Err(self.count_wrong(now));
        };
        let (session, csrf) = token().and_then(|t| Ok((t, token()?))).map_err(Refused::Random)?;
        self.links.remove(at);
        self.live.retain(|known| known.is_alive(now));
        if self.live.len() >= SESSIONS_MAX {
            let oldest = self.live.iter().enumerate().min_by_key(|(_, known)| known.used_at);
            if let Some(at) = oldest.map(|(at, _)| at) {
                self.live.swap_remove(at);
            }
        }
        self.live.push(Session {
            hash: hash(&session),
            csrf,
            name: String::new(),
            started_at: now,
            used_at: now,
        });
        Ok(session)
    }

    fn count_wrong(&mut self, now: DateTime<Utc>) -> Refused {
        let since = now - TimeDelta::minutes(1);
        self.wrong.retain(|&at| at > since);
        if self.wrong.len() >= WRONG_PER_MINUTE {
            return Refused::TooMany;
        }
        self.wrong.push_back(now);
        Refused::Wrong
    }

    /// The session a cookie belongs to, if it lives; using it keeps it alive.
    pub(crate) fn touch(&mut self, cookie: &str, now: DateTime<Utc>) -> Option<SignedIn> {
        self.live.retain(|known| known.is_alive(now));
        let wanted = hash(cookie);
        let mut found = None;
        for known in &mut self.live {
            if same(&known.hash, &wanted) {
                known.used_at = known.used_at.max(now);
                found = Some(SignedIn { csrf: known.csrf.clone(), name: known.name.clone() });
            }
        }
        found
    }

    /// Keeps the name a person gave, to fill in the next form.
    pub(crate) fn remember(&mut self, csrf: &str, name: &str) {
        for known in &mut self.live {
            if same(known.csrf.as_bytes(), csrf.as_bytes()) {
                name.clone_into(&mut known.name);
            }
        }
    }

    /// Ends the session of a cookie.
    pub(crate) fn end(&mut self, cookie: &str) {
        let wanted = hash(cookie);
        self.live.retain(|known| !same(&known.hash, &wanted));
    }
}

impl Session {
    fn is_alive(&self, now: DateTime<Utc>) -> bool {
        now < self.used_at + TimeDelta::minutes(IDLE_MINUTES)
            && now < self.started_at + TimeDelta::hours(SESSION_HOURS)
    }
}

/// Whether a token has the shape of one: 64 lower-case hex digits.
pub(crate) fn is_token(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether two texts are equal, in time that does not depend on where they differ.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// 32 random bytes as 64 hex digits.
fn token() -> Result<String, RandomError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(RandomError)?;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        push_hex(&mut text, u32::from(byte), 2);
    }
    Ok(text)
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    #[test]
    fn a_link_opens_one_session_and_only_once() {
        let mut sessions = Sessions::default();
        let link = sessions.mint(at(0)).unwrap();
        assert!(is_token(&link));
        let cookie = sessions.log_in(&link, at(14)).unwrap();
        assert!(is_token(&cookie) && cookie != link);
        assert!(sessions.touch(&cookie, at(14)).is_some());
        assert!(matches!(sessions.log_in(&link, at(14)), Err(Refused::Wrong)));
        assert!(sessions.touch(&link, at(14)).is_none());
    }

    #[test]
    fn a_link_expires_after_fifteen_minutes() {
        let mut sessions = Sessions::default();
        let link = sessions.mint(at(0)).unwrap();
        assert!(matches!(sessions.log_in(&link, at(15)), Err(Refused::Wrong)));
    }

    #[test]
    fn a_session_ends_after_thirty_idle_minutes_or_twelve_hours() {
        let mut sessions = Sessions::default();
        let link = sessions.mint(at(0)).unwrap();
        let cookie = sessions.log_in(&link, at(0)).unwrap();
        for minute in (0..720).step_by(29) {
            assert!(sessions.touch(&cookie, at(minute)).is_some(), "{minute}");
        }
        assert!(sessions.touch(&cookie, at(720)).is_none());

        let link = sessions.mint(at(800)).unwrap();
        let cookie = sessions.log_in(&link, at(800)).unwrap();
        assert!(sessions.touch(&cookie, at(830)).is_none());
    }

    #[test]
    fn a_session_that_was_ended_is_gone() {
        let mut sessions = Sessions::default();
        let link = sessions.mint(at(0)).unwrap();
        let cookie = sessions.log_in(&link, at(0)).unwrap();
        sessions.end(&cookie);
        assert!(sessions.touch(&cookie, at(0)).is_none());
    }

    #[test]
    fn the_sixth_wrong_login_in_a_minute_is_too_many_but_the_owner_still_gets_in() {
        let mut sessions = Sessions::default();
        let link = sessions.mint(at(0)).unwrap();
        for _ in 0..5 {
            assert!(matches!(sessions.log_in("wrong", at(0)), Err(Refused::Wrong)));
        }
        assert!(matches!(sessions.log_in("wrong", at(0)), Err(Refused::TooMany)));
        assert!(sessions.log_in(&link, at(0)).is_ok());
        assert!(matches!(sessions.log_in("wrong", at(1)), Err(Refused::Wrong)));
    }

    #[test]
    fn links_and_sessions_are_bounded() {
        let mut sessions = Sessions::default();
        let first = sessions.mint(at(0)).unwrap();
        for _ in 0..100 {
            let link = sessions.mint(at(0)).unwrap();
            sessions.log_in(&link, at(0)).unwrap();
        }
        for _ in 0..LINKS_MAX {
            sessions.mint(at(0)).unwrap();
        }
        assert_eq!((sessions.links.len(), sessions.live.len()), (LINKS_MAX, SESSIONS_MAX));
        assert!(matches!(sessions.log_in(&first, at(0)), Err(Refused::Wrong)));
    }
}
