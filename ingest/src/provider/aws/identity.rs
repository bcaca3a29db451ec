//! Who acted and from where, out of `userIdentity` and `sourceIPAddress`.
//!
//! A role is the role, never its session: a session per run would make every run a new principal.
//! Types and fields as in
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>.

use super::arn::{cut, partition};
use super::{Call, INTERNAL};
use crate::provider::paths;
use keywatch_event::json::Fields;
use keywatch_event::{Principal, PrincipalKind, Source, SourceKind};
use std::borrow::Cow;

/// What CloudTrail writes instead of a name that may have been a password typed into the wrong
/// field.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// What `invokedBy` says of a person at the console, on whose behalf no service acts.
const CONSOLE: &str = "signin.amazonaws.com";

/// What marks the ARN of a role's session.
const ASSUMED: &str = ":assumed-role/";

/// Where the call came from. A service's name is no address and never unusual.
pub(super) fn source<'a>(fields: &Fields<'a>) -> Source<'a> {
    let Some(raw) = fields.text(paths::SOURCE_ADDRESS) else { return Source::absent() };
    let source = Source::from_text(raw);
    let named = source.raw.as_deref().is_some_and(is_service);
    if source.ip.is_none() && named { Source { kind: SourceKind::Service, ..source } } else { source }
}

/// Whether a text names an AWS service rather than an address.
pub(super) fn is_service(text: &str) -> bool {
    let domains = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"];
    text == INTERNAL || domains.into_iter().any(|domain| text.ends_with(domain))
}

/// The service that made the call, for itself or for somebody.
pub(super) fn invoking_service<'a>(fields: &Fields<'a>, source: &Source<'a>) -> Option<Cow<'a, str>> {
    let named = || source.raw.clone().filter(|_| source.kind == SourceKind::Service);
    fields.text(paths::USER_INVOKED_BY).filter(|service| service != CONSOLE).or_else(named)
}

/// Who acted.
pub(super) fn principal<'a>(fields: &Fields<'a>, call: &Call<'a>) -> Principal<'a> {
    let arn = fields.text(paths::USER_ARN);
    let said = fields.text(paths::USER_TYPE);
    let who = Identity { fields, call, typeless: said.is_none(), arn };
    let found = match said.as_deref().unwrap_or_else(|| who.kind_by_arn()) {
        "AssumedRole" => who.role(),
        "IAMUser" => who.user(),
        "Root" => who.root(),
        "FederatedUser" => who.federated(),
        "SAMLUser" | "WebIdentityUser" | "Directory" => who.external(),
        "AWSAccount" => who.account(),
        "AWSService" => Some(who.service()),
        "IdentityCenterUser" => who.person().or_else(|| who.anything()),
        _ => who.person().or_else(|| who.unnamed_service()).or_else(|| who.anything()),
    };
    let found = found.unwrap_or_else(|| who.nobody());
    who.complete(found)
}

/// `userIdentity` while it is being read.
struct Identity<'f, 'a> {
    fields: &'f Fields<'a>,
    call: &'f Call<'a>,
    typeless: bool,
    arn: Option<Cow<'a, str>>,
}

impl<'a> Identity<'_, 'a> {
    /// The identity's type, when only its ARN tells it.
    fn kind_by_arn(&self) -> &'static str {
        match self.arn.as_deref() {
            Some(arn) if arn.contains(ASSUMED) => "AssumedRole",
            Some(arn) if arn.contains(":user/") => "IAMUser",
            Some(arn) if arn.contains(":federated-user/") => "FederatedUser",
            Some(arn) if arn.ends_with(":root") => "Root",
            _ => "",
        }
    }

    fn text(&self, slot: usize) -> Option<Cow<'a, str>> {
        self.fields.text(slot)
    }

    /// The account of the identity, which need not be the one the record was written in.
    fn home(&self) -> Option<Cow<'a, str>> {
        super::account(self.fields, paths::USER_ACCOUNT)
    }

    fn user_name(&self) -> Option<Cow<'a, str>> {
        self.text(paths::USER_NAME).filter(|name| name != HIDDEN)
    }

    /// Identity Center keeps the name of a person outside the identity.
    fn person_name(&self) -> Option<Cow<'a, str>> {
        let extra = self.text(paths::EXTRA_USER_NAME).filter(|name| name != HIDDEN);
        extra.or_else(|| self.user_name())
    }

    fn role(&self) -> Option<Principal<'a>> {
        let said = self.text(paths::USER_PRINCIPAL_ID);
        let (unique, tail) = said.map_or((None, None), |id| split_session(&id));
        let (role, session) = self.arn.as_ref().map_or((None, None), assumed);
        let id = self.text(paths::USER_ISSUER_ARN).or_else(|| self.role_arn(role.as_deref()?));
        let name = self.text(paths::USER_ISSUER_NAME).or(role);
        let id = id.or(unique).or_else(|| self.arn.clone())?;
        Some(Principal { name, session: session.or(tail), ..plain(id, PrincipalKind::Role) })
    }

    /// The role's ARN out of its session's; the path of the role is not in it.
    fn role_arn(&self, role: &str) -> Option<Cow<'a, str>> {
        let mut parts = self.arn.as_deref()?.split(':');
        let (partition, account) = (parts.nth(1)?, parts.nth(2)?);
        Some(Cow::Owned(format!("arn:{partition}:iam::{account}:role/{role}")))
    }

    fn user(&self) -> Option<Principal<'a>> {
        let name = self.user_name().or_else(|| self.arn.as_ref().map(|arn| last_segment(arn)));
        let built = || {
            let (account, name) = (self.home()?, self.user_name()?);
            let partition = partition(self.call.home().region);
            Some(Cow::Owned(format!("arn:{partition}:iam::{account}:user/{name}")))
        };
        let said = self.text(paths::USER_PRINCIPAL_ID);
        let (unique, session) = said.map_or((None, None), |id| split_session(&id));
        let id = self.arn.clone().or_else(built).or(unique).or_else(|| self.user_name())?;
        Some(Principal { name, session, ..plain(id, PrincipalKind::User) })
    }

    fn root(&self) -> Option<Principal<'a>> {
        let said = self.arn.clone().filter(|arn| arn.ends_with(":root"));
        let built = || {
            let account = self.home().or_else(|| self.text(paths::USER_PRINCIPAL_ID))?;
            let partition = partition(self.call.home().region);
            Some(Cow::Owned(format!("arn:{partition}:iam::{account}:root")))
        };
        let id = said.or_else(built)?;
        Some(Principal { name: Some(Cow::Borrowed("root")), ..plain(id, PrincipalKind::Root) })
    }

    /// A session of `GetFederationToken`: the user who asked for it, since the name of the session
    /// is free to choose.
    fn federated(&self) -> Option<Principal<'a>> {
        let session = self.arn.as_ref().map(|arn| last_segment(arn));
        let said = || self.text(paths::USER_PRINCIPAL_ID);
        let id = self.text(paths::USER_ISSUER_ARN).or_else(|| self.arn.clone()).or_else(said)?;
        let name = self.text(paths::USER_ISSUER_NAME).or_else(|| session.clone());
        Some(Principal { name, session, ..plain(id, PrincipalKind::Federated) })
    }

    /// A person or workload known to another identity provider.
    fn external(&self) -> Option<Principal<'a>> {
        let said = self.text(paths::USER_PRINCIPAL_ID).or_else(|| self.arn.clone());
        let id = said.or_else(|| self.user_name())?;
        Some(Principal { name: self.user_name(), ..plain(id, PrincipalKind::Federated) })
    }

    /// A caller of another account, of whom the record keeps the account and a unique id.
    fn account(&self) -> Option<Principal<'a>> {
        let account = self.home()?;
        if account.chars().any(|c| !c.is_ascii_digit()) {
            return None;
        }
        let said = self.text(paths::USER_PRINCIPAL_ID);
        let (unique, session) = said.map_or((None, None), |id| split_session(&id));
        let id = match unique.filter(|unique| *unique != account) {
            Some(unique) => Cow::Owned(format!("{account}:{unique}")),
            None => account.clone(),
        };
        Some(Principal { name: Some(account), session, ..plain(id, PrincipalKind::Account) })
    }

    /// A service acting for itself; `AWS Internal` is none in particular, so then it is the one
    /// whose event this is.
    fn service(&self) -> Principal<'a> {
        let named = self.call.invoked_by.clone().filter(|name| name != INTERNAL);
        let id = named.unwrap_or_else(|| self.call.service.clone());
        plain(id, PrincipalKind::Service)
    }

    /// Service events carry no identity, or one without a type.
    fn unnamed_service(&self) -> Option<Principal<'a>> {
        let by_service = self.call.invoked_by.is_some() || self.call.is_service_event;
        (self.typeless && self.arn.is_none() && by_service).then(|| self.service())
    }

    /// A person of IAM Identity Center.
    fn person(&self) -> Option<Principal<'a>> {
        let id = self.text(paths::USER_ON_BEHALF_OF)?;
        Some(Principal { name: self.person_name(), ..plain(id, PrincipalKind::User) })
    }

    /// Whatever names somebody, when the type says nothing.
    fn anything(&self) -> Option<Principal<'a>> {
        let account = self.home();
        let said = self.text(paths::USER_PRINCIPAL_ID).filter(|id| Some(id) != account.as_ref());
        let name = self.person_name();
        let id = self.arn.clone().or(said).or_else(|| name.clone())?;
        Some(Principal { name, ..plain(id, PrincipalKind::Unknown) })
    }

    /// Nobody is named: an anonymous request, or a sign-in under a name that does not exist.
    fn nobody(&self) -> Principal<'a> {
        let place = self.call.source.raw.as_deref().unwrap_or("unknown");
        let kind = if self.typeless { PrincipalKind::Unknown } else { PrincipalKind::Anonymous };
        plain(Cow::Owned(format!("anon@{place}")), kind)
    }

    /// Adds the credential, and the service that acted on behalf of somebody else.
    fn complete(&self, found: Principal<'a>) -> Principal<'a> {
        let access_key = self.text(paths::USER_ACCESS_KEY).or_else(|| self.text(paths::USER_CREDENTIAL));
        let via = self.call.invoked_by.clone().filter(|_| found.kind != PrincipalKind::Service);
        Principal { access_key, via, ..found }
    }
}

fn plain(id: Cow<'_, str>, kind: PrincipalKind) -> Principal<'_> {
    Principal { id, kind, name: None, session: None, access_key: None, via: None }
}

type Pair<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>);

/// `AROAEXAMPLE:session` is a unique id and a session name.
fn split_session<'a>(principal_id: &Cow<'a, str>) -> Pair<'a> {
    let Some(at) = memchr::memchr(b':', principal_id.as_bytes()) else {
        return (Some(principal_id.clone()), None);
    };
    (part(principal_id, 0, at), part(principal_id, at + 1, principal_id.len()))
}

/// Role and session of `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
fn assumed<'a>(arn: &Cow<'a, str>) -> Pair<'a> {
    let Some(start) = session_start(arn) else { return (None, None) };
    let rest = arn.as_bytes().get(start..).unwrap_or_default();
    let slash = memchr::memchr(b'/', rest).map(|at| start + at);
    let end = slash.unwrap_or(arn.len());
    (part(arn, start, end), slash.and_then(|at| part(arn, at + 1, arn.len())))
}

/// Where the role begins in the ARN of a session: behind its first slash, but for odd ones.
fn session_start(arn: &str) -> Option<usize> {
    let first = memchr::memchr(b'/', arn.as_bytes())? + 1;
    if arn.get(..first).is_some_and(|head| head.ends_with(ASSUMED)) {
        return Some(first);
    }
    arn.find(ASSUMED).map(|at| at + ASSUMED.len())
}

fn part<'a>(text: &Cow<'a, str>, from: usize, to: usize) -> Option<Cow<'a, str>> {
    (from < to).then(|| cut(text, from..to))
}

fn last_segment<'a>(text: &Cow<'a, str>) -> Cow<'a, str> {
    let start = memchr::memrchr(b'/', text.as_bytes()).map_or(0, |at| at + 1);
    cut(text, start..text.len())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{normalized, record};
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(identity: &Value, kind: PrincipalKind, id: &str) -> Principal<'static> {
        let event = normalized(&record("s3", "GetObject", &json!({"userIdentity": identity})));
        assert_eq!((event.principal.kind, &*event.principal.id), (kind, id), "{identity}");
        event.principal
    }

    #[test]
    fn a_role_is_the_role_and_never_its_session() {
        let id = "arn:aws:iam::111122223333:role/team/app";
        let issuer = json!({"sessionIssuer": {"type": "Role", "arn": id, "userName": "app"}});
        for session in ["run-1", "run-2"] {
            let arn = format!("arn:aws:sts::111122223333:assumed-role/app/{session}");
            let identity = json!({"type": "AssumedRole", "arn": arn, "sessionContext": issuer});
            let found = check(&identity, PrincipalKind::Role, id);
            assert_eq!((found.name.as_deref(), found.session.as_deref()), (Some("app"), Some(session)));
        }
    }

    #[test]
    fn a_role_without_an_issuer_is_derived_from_its_session() {
        let arn = "arn:aws-cn:sts::111122223333:assumed-role/app/run-1";
        let derived = "arn:aws-cn:iam::111122223333:role/app";
        let odd = json!({"type": "AssumedRole", "arn": arn, "sessionContext": {"sessionIssuer": {}}});
        check(&odd, PrincipalKind::Role, derived);
        let found = check(&json!({"arn": arn}), PrincipalKind::Role, derived);
        assert_eq!((found.name.as_deref(), found.session.as_deref()), (Some("app"), Some("run-1")));
        let unique = check(
            &json!({"type": "AssumedRole", "principalId": "AROA1:run-1"}),
            PrincipalKind::Role,
            "AROA1",
        );
        assert_eq!(unique.session.as_deref(), Some("run-1"));
    }

    #[test]
    fn a_user_is_known_by_arn_else_by_account_and_name() {
        let id = "arn:aws:iam::111122223333:user/alice";
        check(&json!({"type": "IAMUser", "arn": id}), PrincipalKind::User, id);
        let named = json!({"type": "IAMUser", "accountId": "111122223333", "userName": "alice"});
        check(&named, PrincipalKind::User, id);
        check(&json!({"type": "IAMUser", "principalId": "AIDA1"}), PrincipalKind::User, "AIDA1");
        check(&json!({"type": "IAMUser", "userName": "alice"}), PrincipalKind::User, "alice");
    }

    #[test]
    fn a_user_whose_name_is_hidden_is_anonymous() {
        let hidden = json!({"type": "IAMUser", "accountId": "111122223333", "userName": HIDDEN});
        check(&hidden, PrincipalKind::Anonymous, "anon@203.0.113.9");
        let public = json!({"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"});
        check(&public, PrincipalKind::Anonymous, "anon@203.0.113.9");
    }

    #[test]
    fn root_is_root_with_or_without_an_arn() {
        let id = "arn:aws:iam::111122223333:root";
        check(&json!({"type": "Root", "arn": id}), PrincipalKind::Root, id);
        check(&json!({"type": "Root", "accountId": "111122223333"}), PrincipalKind::Root, id);
        check(&json!({"type": "Root", "principalId": "111122223333"}), PrincipalKind::Root, id);
        check(&json!({"arn": id}), PrincipalKind::Root, id);
    }

    #[test]
    fn a_caller_of_another_account_is_that_account_and_its_unique_id() {
        let full = json!({"type": "AWSAccount", "accountId": "444455556666", "principalId": "AROA1:nightly"});
        let found = check(&full, PrincipalKind::Account, "444455556666:AROA1");
        assert_eq!(found.session.as_deref(), Some("nightly"));
        let bare = json!({"type": "AWSAccount", "accountId": "444455556666"});
        check(&bare, PrincipalKind::Account, "444455556666");
    }

    #[test]
    fn a_federated_session_is_the_user_who_asked_for_it() {
        let issuer = "arn:aws:iam::111122223333:user/broker";
        let arn = "arn:aws:sts::111122223333:federated-user/alice";
        let context = json!({"sessionIssuer": {"arn": issuer, "userName": "broker"}});
        let full = json!({"type": "FederatedUser", "arn": arn, "sessionContext": context});
        let found = check(&full, PrincipalKind::Federated, issuer);
        assert_eq!((found.name.as_deref(), found.session.as_deref()), (Some("broker"), Some("alice")));
        check(&json!({"type": "FederatedUser", "arn": arn}), PrincipalKind::Federated, arn);
        let saml = json!({"type": "SAMLUser", "principalId": "q=:alice@example.com", "userName": "alice"});
        check(&saml, PrincipalKind::Federated, "q=:alice@example.com");
    }

    #[test]
    fn a_person_of_identity_center_is_the_person_behind_the_session() {
        let person =
            json!({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1"}, "credentialId": "c-1"});
        let found = check(&person, PrincipalKind::User, "u-1");
        assert_eq!(found.access_key.as_deref(), Some("c-1"));
        check(&json!({"type": "Unknown", "onBehalfOf": {"userId": "u-1"}}), PrincipalKind::User, "u-1");
        let named = json!({"type": "Unknown", "principalId": "111122223333", "accountId": "111122223333",
            "userName": "alice@example.com"});
        check(&named, PrincipalKind::Unknown, "alice@example.com");
    }

    #[test]
    fn a_service_that_acts_for_itself_is_the_principal() {
        let service = json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"});
        let found = check(&service, PrincipalKind::Service, "ec2.amazonaws.com");
        assert_eq!(found.via, None);
        let unnamed = json!({"accountId": "111122223333", "invokedBy": "AWS Internal"});
        check(&unnamed, PrincipalKind::Service, "s3.amazonaws.com");
    }

    #[test]
    fn a_service_that_acts_for_somebody_is_named_beside_them() {
        let user =
            json!({"type": "IAMUser", "arn": "arn:aws:iam::1:user/a", "invokedBy": "athena.amazonaws.com"});
        let found = check(&user, PrincipalKind::User, "arn:aws:iam::1:user/a");
        assert_eq!(found.via.as_deref(), Some("athena.amazonaws.com"));
        let by_source = json!({"sourceIPAddress": "athena.amazonaws.com"});
        let event = normalized(&record("s3", "GetObject", &by_source));
        assert_eq!(event.principal.via.as_deref(), Some("athena.amazonaws.com"));
    }

    #[test]
    fn a_service_event_without_identity_belongs_to_its_service() {
        for identity in [json!(null), json!({"accountId": "111122223333"})] {
            let more = json!({"userIdentity": identity, "eventType": "AwsServiceEvent"});
            let event = normalized(&record("kms", "RotateKey", &more));
            assert_eq!(event.principal.kind, PrincipalKind::Service);
            assert_eq!(event.principal.id, "kms.amazonaws.com");
        }
    }

    #[test]
    fn a_call_without_identity_is_unknown() {
        check(&json!(null), PrincipalKind::Unknown, "anon@203.0.113.9");
        check(&json!({"type": 5, "arn": []}), PrincipalKind::Unknown, "anon@203.0.113.9");
        check(&json!({"type": "Novel", "principalId": "p-1"}), PrincipalKind::Unknown, "p-1");
    }
}
