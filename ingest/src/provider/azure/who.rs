//! Who makes an Azure call.
//!
//! Invariant: the id is the directory object of the caller when the record has it, so that a
//! person is the same in both logs and under every name.

use super::super::paths as p;
use super::class::Call;
use keywatch_event::json::{self, Fields};
use keywatch_event::{Outcome, Principal, PrincipalKind, Source};
use std::borrow::Cow;

/// Names of the object id: on the data plane, and as the claim URI of the control plane.
const OBJECT_ID: [&str; 2] = ["oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"];
/// Names of the user principal name; `unique_name` is its older form.
const USER: [&str; 3] = ["upn", "unique_name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"];
/// Names that only show who it is.
const SHOWN: [&str; 4] = [
    "app_displayname",
    "name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
];

/// What the record's token said of the caller.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    object: Option<Cow<'a, str>>,
    user: Option<Cow<'a, str>>,
    app: Option<Cow<'a, str>>,
    /// What the token is for: `user` or `app`.
    of_type: Option<Cow<'a, str>>,
    managed: Option<Cow<'a, str>>,
    shown: Option<Cow<'a, str>>,
    caller: Option<Cow<'a, str>>,
}

impl<'a> Claims<'a> {
    /// Reads the claims, which stand in one of three places and have keys with dots.
    pub(super) fn read(fields: &Fields<'a>) -> Self {
        let places = [p::CLAIM, p::CLAIMS, p::ACTIVITY_CLAIMS];
        let all: Vec<_> = places.into_iter().flat_map(|slot| fields.members(slot)).collect();
        let find = |names: &[&str]| {
            names.iter().find_map(|name| {
                let (_, raw) = all.iter().find(|(key, _)| key == name)?;
                json::as_text(raw).filter(|text| !text.is_empty())
            })
        };
        Self {
            object: find(&OBJECT_ID),
            user: find(&USER),
            app: find(&["appid", "azp"]),
            of_type: find(&["idtyp"]),
            managed: find(&["xms_mirid"]),
            shown: find(&SHOWN),
            caller: fields.text(p::CALLER),
        }
    }

    /// Whether anything tells who called.
    pub(super) fn proven(&self) -> bool {
        self.id().is_some()
    }

    /// A person without an object id is known by name: the application in the token is then only
    /// the tool that was used.
    fn id(&self) -> Option<&Cow<'a, str>> {
        let ids = [&self.object, &self.user, &self.app, &self.caller, &self.shown];
        ids.into_iter().find_map(Option::as_ref)
    }

    /// The principal; without any claim its address is all there is.
    pub(super) fn principal(self, source: &Source<'a>, call: &Call) -> Principal<'a> {
        let kind = self.kind(call);
        let id = self.id().cloned().unwrap_or_else(|| Cow::Owned(format!("anon@{}", address(source))));
        let managed = self.managed.as_ref().and_then(last_segment);
        let caller = self.caller.filter(|caller| caller.contains('@'));
        let name = self.user.or(caller).or(managed).or(self.shown).or_else(|| self.app.clone());
        Principal { id, kind, name, session: None, access_key: self.app, via: None }
    }

    fn kind(&self, call: &Call) -> PrincipalKind {
        let named = |text: &Option<Cow<'a, str>>| text.as_ref().is_some_and(|text| text.contains('@'));
        if self.of_type.as_deref() == Some("app") {
            return PrincipalKind::ServiceAccount;
        }
        if self.user.is_some() || named(&self.caller) || self.of_type.as_deref() == Some("user") {
            return PrincipalKind::User;
        }
        if self.app.is_some() || self.managed.is_some() || self.caller.is_some() {
            return PrincipalKind::ServiceAccount;
        }
        if self.object.is_none() && named(&self.shown) {
            return PrincipalKind::User;
        }
        let unproven = call.outcome == Outcome::Unauthenticated && !self.proven();
        if unproven { PrincipalKind::Anonymous } else { PrincipalKind::Unknown }
    }
}

/// The address without port, else what the record says instead.
fn address(source: &Source<'_>) -> String {
    match (source.ip, source.raw.as_deref()) {
        (Some(ip), _) => ip.to_string(),
        (None, Some(raw)) => raw.to_owned(),
        (None, None) => "unknown".to_owned(),
    }
}

/// A managed identity is named by the last part of its resource id.
fn last_segment<'a>(id: &Cow<'a, str>) -> Option<Cow<'a, str>> {
    super::part(id, |id| id.rsplit('/').next())
}
