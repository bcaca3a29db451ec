//! Who is behind an alert: its principals, and behind a role or an account that several share, the
//! sessions and credentials that were used.
//!
//! Invariant: what is said is a function of the events an incident names, whatever their order of
//! arrival: sessions stand in the order of their first event, by time and id.

use crate::engine::brief::Brief;
use crate::engine::incident::Member;
use hashbrown::HashSet;
use keywatch_event::{AlertPrincipal, AlertSession, AlertSessions, Provider, SESSIONS_MAX};

/// Most characters of two names of several in a title.
const NAMED_CHARS_MAX: usize = 60;
/// Most ids of several principals the reasons name; the others are counted.
const IDS_MAX: usize = 5;

/// Who acted in the events of an incident.
pub(super) struct Acted<'m> {
    /// In the order of their first event, each once.
    principals: Vec<&'m AlertPrincipal>,
    /// The same of sessions.
    sessions: Vec<(Option<&'m str>, Option<&'m str>)>,
    provider: Option<Provider>,
}

impl<'m> Acted<'m> {
    pub(super) fn of(members: &[&'m Member]) -> Self {
        let mut events: Vec<&Brief> = members.iter().map(|member| &*member.brief).collect();
        events.sort_by(|one, other| one.order().cmp(&other.order()));
        let mut acted = Self {
            principals: Vec::new(),
            sessions: Vec::new(),
            provider: events.first().map(|brief| brief.who.provider),
        };
        // An incident names a thousand events, and each may have a session of its own.
        let (mut known, mut shown) = (HashSet::new(), HashSet::new());
        for brief in events {
            let principal = &brief.who.principal;
            if known.insert(&*principal.id) {
                acted.principals.push(principal);
            }
            let session = (brief.credential.session.as_deref(), brief.credential.access_key.as_deref());
            if session != (None, None) && shown.insert(session) {
                acted.sessions.push(session);
            }
        }
        acted
    }

    /// Who it was, as a title says it: one, two by name, or several, of whom it names two where their names
    /// are short. `in_turn` says that one acted after the other.
    pub(super) fn in_title(&self, in_turn: bool) -> Option<String> {
        match self.principals.as_slice() {
            [] => None,
            [one] => Some(format!("{}{}", named(one), self.session().unwrap_or_default())),
            // Who fails to log in and who succeeds may have two ids and one name.
            [one, other] if named(one) == named(other) => Some(named(one)),
            [one, other] if in_turn => Some(format!("{}, then {}", named(one), named(other))),
            [one, other] => Some(format!("{} and {}", named(one), named(other))),
            [one, other, more @ ..] => {
                let (one, other) = (named(one), named(other));
                let chars = one.chars().count() + other.chars().count();
                Some(if chars > NAMED_CHARS_MAX {
                    format!("{} principals", more.len() + 2)
                } else {
                    format!("{one}, {other} and {} more", more.len())
                })
            }
        }
    }

    /// The ids of several principals that titles know by their names, for lists and searches: an alert about
    /// several has no field for them.
    pub(super) fn in_reasons(&self) -> String {
        let [_, _, ..] = self.principals.as_slice() else { return String::new() };
        let is_named = |one: &&&AlertPrincipal| one.name.as_ref().is_some_and(|name| *name != one.id);
        let mut ids: Vec<String> =
            self.principals.iter().filter(is_named).map(|one| one.id.clone()).collect();
        let more = ids.len().saturating_sub(IDS_MAX);
        ids.truncate(IDS_MAX);
        ids.extend((more > 0).then(|| format!("and {more} more")));
        if ids.is_empty() { String::new() } else { format!("; by id: {}", ids.join(", ")) }
    }

    /// The one session of a principal that is shared, where its name may say who it is. Vault's is
    /// the hash of an accessor, which tells a reader nothing.
    fn session(&self) -> Option<String> {
        let mut names = self.sessions.iter().filter_map(|(name, _)| *name);
        let first = names.next().filter(|_| self.provider != Some(Provider::Vault))?;
        if names.any(|name| name != first) {
            return None;
        }
        let word = if self.provider == Some(Provider::Gcp) { "on behalf of" } else { "session" };
        Some(format!(", {word} {first}"))
    }

    /// The sessions as an alert has them.
    pub(super) fn into_sessions(self) -> AlertSessions {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let session =
            |(name, access_key): &(_, _)| AlertSession { name: text(*name), access_key: text(*access_key) };
        AlertSessions {
            count: self.sessions.len() as u64,
            first: self.sessions.iter().take(SESSIONS_MAX).map(session).collect(),
        }
    }
}

/// The readable name of a principal. Who is known by an address alone has none.
pub(in crate::engine) fn named(principal: &AlertPrincipal) -> String {
    let name = principal.name.as_deref().unwrap_or(&principal.id);
    match (name.strip_prefix("anon@"), name.strip_prefix("withheld@")) {
        (Some(place), _) => format!("an unknown caller at {place}"),
        (_, Some(place)) => format!("a caller at {place} whom Google withholds"),
        (None, None) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_event::PrincipalKind;

    fn role(id: &str, name: Option<&str>) -> AlertPrincipal {
        AlertPrincipal { id: id.to_owned(), kind: PrincipalKind::Role, name: name.map(str::to_owned) }
    }

    #[track_caller]
    fn check(principals: &[AlertPrincipal], want: &str) {
        let acted = Acted { principals: principals.iter().collect(), sessions: Vec::new(), provider: None };
        assert_eq!(acted.in_reasons(), want);
    }

    #[test]
    fn several_whom_a_title_names_are_told_by_id_too() {
        let (one, other) = (role("arn:a", Some("a")), role("arn:b", Some("b")));
        check(std::slice::from_ref(&one), "");
        check(&[one.clone(), other.clone()], "; by id: arn:a, arn:b");
        check(&[one, role("eve", None), other], "; by id: arn:a, arn:b");
        check(&[role("eve", None), role("ada", Some("ada"))], "");
        let many: Vec<AlertPrincipal> = (0..7).map(|n| role(&format!("arn:{n}"), Some("x"))).collect();
        check(&many, "; by id: arn:0, arn:1, arn:2, arn:3, arn:4, and 2 more");
    }
}
