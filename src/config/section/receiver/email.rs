//! People, by e-mail.

use crate::config::frame::{Origin, Problems, choice, default, need, section};
use keywatch_secrets::SecretRef;

choice! {
    /// How the connection to a mail server is encrypted.
    pub(crate) enum MailSecurity {
        /// From the first byte.
        Tls = "tls",
        /// After STARTTLS, which must succeed.
        StartTls = "starttls",
        /// Not at all: on this machine only.
        None = "none",
    }
}

section! {
    /// People, by e-mail.
    pub(crate) struct Email {
        /// The mail server.
        host: String = need("name the mail server"),
        /// Its port: 587 for starttls, 465 for tls as a rule.
        port: usize [1..=65535] = default("587"),
        /// How the connection is encrypted: `starttls`, `tls`, or `none` to a server on this machine.
        tls: MailSecurity = default("starttls"),
        /// The user's name, when the server asks for one.
        user: Option<String>,
        /// Where the user's password lies.
        password: Option<SecretRef>,
        /// Whom messages come from: `Keywatch <keywatch@example.org>`.
        from: String = need("write the sender, Keywatch <keywatch@example.org>"),
        /// Whom they go to.
        to: Vec<String>,
    }
    check: check;
}

fn check(email: &Email, at: &Origin, problems: &Problems) {
    if email.user.is_some() != email.password.is_some() {
        problems.add(at, "`user` and `password` belong together", "write both, or neither");
    }
}
