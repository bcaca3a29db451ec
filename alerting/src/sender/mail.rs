//! Hands e-mail to one server, at an address the egress policy has checked.

use super::{Carried, Parcel};
use crate::egress::Egress;
use crate::receiver::{Email, Fault, MailTls, Receiver};
use crate::reply::{Reply, Verdict};
use crate::text::readable;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout_at;

/// How many addresses of a server are tried within one attempt.
const ADDRESSES_MAX: usize = 3;
/// Characters of an answer that are kept.
const EXCERPT_CHARS: usize = 500;

/// A mail server.
pub(crate) struct Mailer {
    email: Email,
    egress: Egress,
    /// None when the connection is not encrypted.
    tls: Option<TlsParameters>,
}

impl Mailer {
    pub(super) fn new(receiver: &Receiver, email: &Email, egress: &Egress) -> Result<Self, Fault> {
        let tls = match email.tls {
            MailTls::None => None,
            MailTls::Tls | MailTls::StartTls => Some(parameters(receiver, email)?),
        };
        Ok(Self { email: email.clone(), egress: egress.clone(), tls })
    }

    pub(super) async fn carry(&self, parcel: &Parcel<'_>) -> Carried {
        let message = match self.email.message(parcel.notification) {
            Ok(message) => message,
            Err(error) => return Reply::unsendable(error.to_string()).into(),
        };
        let shown = if parcel.rehearsal { self.email.shown(parcel.notification).ok() } else { None };
        let host = &self.email.host;
        let sent = timeout_at(parcel.deadline, self.hand_over(message, parcel)).await;
        let reply = sent.unwrap_or_else(|_elapsed| {
            Reply::failed(format!("{host} gave no answer within {:?}", parcel.limit))
        });
        Carried { reply, shown: shown.into_iter().collect() }
    }

    /// Tries the server's addresses until one answers.
    async fn hand_over(&self, message: Message, parcel: &Parcel<'_>) -> Reply {
        let Email { host, port, tls, .. } = &self.email;
        let mut addresses = match self.egress.check_mail(host, *port, *tls == MailTls::None).await {
            Ok(addresses) => addresses,
            Err(refusal) => return Reply::failed(refusal.to_string()),
        };
        // A machine without IPv6 learns of it only by trying.
        addresses.sort_by_key(IpAddr::is_ipv6);
        let credentials = match &self.email.login {
            None => None,
            Some((user, password)) => match parcel.held.text(password) {
                Ok(password) => Some(Credentials::new(user.clone(), password.to_owned())),
                Err(error) => return Reply::failed(error.to_string()),
            },
        };
        let mut last = Reply::failed(format!("{host} has no address"));
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            let transport = self.transport(address, credentials.clone(), parcel.limit);
            match transport.send(message.clone()).await {
                Ok(response) => {
                    let text = response.message().collect::<Vec<_>>().join(" ");
                    let excerpt = excerpt(&text);
                    return Reply { excerpt, ..Reply::delivered(Some(response.code().into())) };
                }
                Err(error) => last = self.judged(&error),
            }
            if last.status.is_some() {
                break;
            }
        }
        last
    }

    fn transport(
        &self,
        address: IpAddr,
        credentials: Option<Credentials>,
        limit: Duration,
    ) -> AsyncSmtpTransport<Tokio1Executor> {
        let tls = match (&self.tls, self.email.tls) {
            (Some(parameters), MailTls::Tls) => Tls::Wrapper(parameters.clone()),
            (Some(parameters), _) => Tls::Required(parameters.clone()),
            (None, _) => Tls::None,
        };
        // Named "dangerous" for its default of no TLS, which is replaced at once.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.to_string())
            .port(self.email.port)
            .tls(tls)
            .timeout(Some(limit));
        match credentials {
            Some(credentials) => builder.credentials(credentials).build(),
            None => builder.build(),
        }
    }

    /// RFC 5321: 4yz may be repeated, 5yz must not. A refused login is mended by a person, or by a
    /// rotation.
    fn judged(&self, error: &Error) -> Reply {
        let host = &self.email.host;
        let said = excerpt(&innermost(error));
        let status = error.status().map(u16::from);
        let reply =
            |verdict, text: String| Reply { verdict, status, excerpt: said.clone(), ..Reply::failed(text) };
        let detail = said.clone().unwrap_or_default();
        match status {
            Some(code @ (530 | 534 | 535 | 538)) => Reply {
                credentials_refused: true,
                ..reply(
                    Verdict::TryAgain,
                    format!("{host} answered {code} ({detail}); check user and password"),
                )
            },
            Some(code @ 500..=599) => reply(
                Verdict::GiveUp,
                format!("{host} answered {code} ({detail}): it will never take this message"),
            ),
            Some(code) => reply(Verdict::TryAgain, format!("{host} answered {code} ({detail})")),
            None => Reply::failed(format!("could not send by {host}: {detail}")),
        }
    }
}

fn parameters(receiver: &Receiver, email: &Email) -> Result<TlsParameters, Fault> {
    let mut builder = TlsParameters::builder(email.host.clone());
    if let Some(pem) = super::trust::pem(receiver)? {
        let found =
            Certificate::from_pem(&pem).map_err(|error| super::trust::fault(receiver, error.to_string()))?;
        builder = builder.add_root_certificate(found);
    }
    builder.build().map_err(|error| Fault::Client(innermost(&error)))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

fn excerpt(text: &str) -> Option<String> {
    readable(text.as_bytes()).map(|text| text.chars().take(EXCERPT_CHARS).collect())
}

#[cfg(test)]
mod tests;
