//! E-mail: text and HTML, one thread for each alert.
//!
//! Text from records stands in headers only without line breaks, and in HTML only escaped.
//! <https://www.rfc-editor.org/rfc/rfc5322>

use super::{Address, Described, Fault};
use crate::egress::EgressPolicy;
use crate::notification::Notification;
use crate::sender::{Shown, Unsendable};
use crate::story::Story;
use crate::text::{cut, inert_cut};
use crate::view::AlertView;
use keywatch_secrets::SecretRef;
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use std::time::SystemTime;

/// Longest subject: what fits beside a sender in a list.
const SUBJECT_CHARS_MAX: usize = 180;
/// Most people one message goes to; a list belongs on the mail server.
pub(crate) const TO_MAX: usize = 50;

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// From the first byte: port 465 as a rule.
    Tls,
    /// After STARTTLS, which must succeed: port 587 as a rule.
    StartTls,
    /// Not at all: to loopback addresses only.
    None,
}

/// People behind a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The mail server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: MailTls,
    /// Name and password, when the server asks for them.
    pub login: Option<(String, SecretRef)>,
    /// Whom messages come from: `Keywatch <keywatch@example.org>`.
    pub from: String,
    /// Whom they go to.
    pub to: Vec<String>,
}

impl Described for Email {
    fn address(&self) -> Option<&Address> {
        None
    }

    fn target(&self) -> String {
        inert_cut(&format!("{} by {}:{}", self.to.join(", "), self.host, self.port), 200)
    }

    fn credentials(&self) -> Vec<&SecretRef> {
        self.login.iter().map(|(_, password)| password).collect()
    }

    fn faults(&self, policy: &EgressPolicy) -> Vec<Fault> {
        let mut faults: Vec<Fault> = policy
            .check_mail(&self.host, self.port, self.tls == MailTls::None)
            .into_iter()
            .map(Fault::Refused)
            .collect();
        if !(1..=TO_MAX).contains(&self.to.len()) {
            let count = self.to.len();
            faults.push(Fault::Setting(format!("it has {count} recipients; name 1 to {TO_MAX}")));
        }
        for address in [&self.from].into_iter().chain(&self.to) {
            if address.parse::<Mailbox>().is_err() {
                let shown = inert_cut(address, 200);
                faults.push(Fault::Setting(format!(
                    "`{shown}` is no address; write name@host, or Name <name@host>"
                )));
            }
        }
        faults
    }
}

impl Email {
    /// The message that tells `notification`: the same at every attempt.
    pub(crate) fn message(&self, notification: &Notification) -> Result<Message, Unsendable> {
        let story = Story::of(notification)?;
        let from = mailbox(&self.from)?;
        let domain = from.email.domain().to_owned();
        let thread = thread(notification)?.map(|id| format!("<alert-{}@{domain}>", plain(&id)));
        let mut builder = Message::builder()
            .from(from)
            .subject(cut(&story.headline, SUBJECT_CHARS_MAX).into_owned())
            .date(SystemTime::from(notification.created_at))
            .message_id(Some(format!("<{}@{domain}>", plain(&notification.id))))
            .raw_header(raw("Auto-Submitted", "auto-generated"))
            .raw_header(raw("X-Keywatch-Kind", notification.kind.as_str()));
        if let Some(thread) = thread {
            builder = builder.in_reply_to(thread.clone()).references(thread);
        }
        for address in &self.to {
            builder = builder.to(mailbox(address)?);
        }
        let parts = MultiPart::alternative_plain_html(story.text(), html(&story));
        builder.multipart(parts).map_err(|error| Unsendable(format!("the e-mail cannot be written: {error}")))
    }

    /// As people see it before it is sent.
    pub(crate) fn shown(&self, notification: &Notification) -> Result<Shown, Unsendable> {
        let message = self.message(notification)?;
        let header = |name: &'static str| {
            let value = message.headers().get_raw(name).unwrap_or_default();
            (name.to_owned(), value.to_owned())
        };
        let names = ["From", "To", "Subject", "Message-ID", "References", "Date"];
        Ok(Shown {
            target: format!("MAIL by {}:{}", self.host, self.port),
            headers: names.into_iter().map(header).filter(|(_, value)| !value.is_empty()).collect(),
            body: Story::of(notification)?.text(),
        })
    }
}

fn mailbox(address: &str) -> Result<Mailbox, Unsendable> {
    address.parse().map_err(|_unreadable| {
        Unsendable(format!("`{}` is no address; write name@host", inert_cut(address, 200)))
    })
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The alert all messages about it are replies to; a group has none.
fn thread(notification: &Notification) -> Result<Option<String>, Unsendable> {
    match notification.alerts.as_slice() {
        [alert] => Ok(Some(AlertView::read(alert)?.id)),
        _ => Ok(None),
    }
}

/// Of an id, what may stand in a message id.
fn plain(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(100).collect()
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

fn html(story: &Story) -> String {
    let paragraphs =
        story.sentences.iter().chain(&story.alerts).map(|text| format!("<p>{}</p>", escaped(text)));
    let paragraphs = paragraphs.collect::<Vec<_>>().concat();
    let row = |(label, value): &(&'static str, String)| {
        format!("<tr><th align=\"left\" valign=\"top\">{label}</th><td>{}</td></tr>", escaped(value))
    };
    let rows = story.facts.iter().map(row).collect::<Vec<_>>().concat();
    let table = if rows.is_empty() { rows } else { format!("<table cellpadding=\"4\">{rows}</table>") };
    let link =
        story.link.as_deref().filter(|link| link.starts_with("https://") || link.starts_with("http://"));
    let link = link.map(|link| format!("<p><a href=\"{}\">Open in Keywatch</a></p>", escaped(link)));
    format!(
        "<!doctype html><html lang=\"en\"><body><h2>{}</h2>{paragraphs}{table}{}</body></html>",
        escaped(&story.headline),
        link.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hostile, telling};

    fn email() -> Email {
        Email {
            host: "mail.example.org".to_owned(),
            port: 587,
            tls: MailTls::StartTls,
            login: None,
            from: "Keywatch <keywatch@example.org>".to_owned(),
            to: vec!["soc@example.org".to_owned(), "Anna <anna@example.org>".to_owned()],
        }
    }

    fn written(notification: &Notification) -> String {
        String::from_utf8(email().message(notification).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_message_is_the_same_at_every_attempt_and_replies_to_its_alert() {
        let (first, second) = (written(&telling()), written(&telling()));
        let without_border = |text: &str| {
            let border = text.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            text.replace(&border, "")
        };
        assert_eq!(without_border(&first), without_border(&second));
        assert!(first.contains("Message-ID: <msg_1@example.org>"), "{first}");
        assert!(first.contains("References: <alert-a1@example.org>"), "{first}");
        assert!(first.contains("Auto-Submitted: auto-generated"), "{first}");
    }

    #[test]
    fn no_field_adds_a_header_or_markup() {
        let text = written(&hostile());
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        for line in head.split("\r\n") {
            let folded = line.starts_with([' ', '\t']);
            let known = [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "Auto-Submitted",
                "X-Keywatch-Kind",
                "In-Reply-To",
                "References",
                "MIME-Version",
                "Content-Type",
            ];
            let name = line.split(':').next().unwrap();
            assert!(folded || known.contains(&name), "{line}");
        }
        assert!(!head.to_ascii_lowercase().contains("bcc:"), "{head}");
        assert!(body.len() < 60_000, "{}", body.len());
        let html = html(&Story::of(&hostile()).unwrap());
        assert!(
            !html.contains("<script") && !html.contains("<!channel>") && html.contains("&lt;!channel&gt;")
        );
    }

    #[test]
    fn a_link_that_is_no_web_address_is_no_link() {
        let told = Notification { link: Some("javascript:alert(1)".to_owned()), ..telling() };
        assert!(!html(&Story::of(&told).unwrap()).contains("href"));
    }

    #[test]
    fn every_setting_that_cannot_be_used_is_told() {
        let strict = EgressPolicy::default();
        assert_eq!(email().faults(&strict), []);
        let wrong = Email {
            port: 8025,
            tls: MailTls::None,
            from: "nobody\r\nBcc: x@y".to_owned(),
            to: vec![],
            ..email()
        };
        let texts: Vec<String> = wrong.faults(&strict).iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(!texts.concat().contains(['\r', '\n']), "{texts:?}");
    }
}
