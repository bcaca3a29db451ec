//! What tokens look like, wherever they stand.
//!
//! Each shape is a literal and what must follow it. The shapes are those their issuers document;
//! identifiers that look alike (access key ids, ARNs, encrypted blobs) are none.

use super::bytes;
use super::key::is_placeholder;
use super::span::Span;
use keywatch_event::scrubbed as kind;
use std::ops::Range;

/// Longest password or signature that is looked for in a URL.
const URL_BYTES_MAX: usize = 512;

/// A shape of token.
#[derive(Debug)]
pub(super) struct Shape {
    /// What it is found by.
    pub(super) literal: &'static str,
    kind: &'static str,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// The literal and at least so many bytes of a class.
    Token(Class, usize),
    /// The same, where the literal's first so many bytes are not part of the token.
    Behind(usize, Class, usize),
    /// The same, with the letter before the literal being one of these.
    Letter(&'static [u8], Class, usize),
    /// Two points with something on each side.
    Jwt,
    Pem,
    /// A value of a URL's query.
    Query,
    /// The password before an address.
    UrlPassword,
    /// The second half of an AWS key, near the first.
    AwsPair,
}

#[derive(Clone, Copy, Debug)]
enum Class {
    /// Letters and digits.
    Alnum,
    /// Letters, digits and `_`.
    Word,
    /// Letters, digits, `_` and `-`.
    Base64Url,
    /// Letters, digits, `_`, `-` and `.`.
    Dotted,
    /// Letters, digits, `+`, `/` and `=`.
    Base64,
    /// Letters, digits and `/`.
    Path,
}

impl Class {
    const fn has(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || match self {
                Self::Alnum => false,
                Self::Word => byte == b'_',
                Self::Base64Url => matches!(byte, b'_' | b'-'),
                Self::Dotted => matches!(byte, b'_' | b'-' | b'.'),
                Self::Base64 => matches!(byte, b'+' | b'/' | b'='),
                Self::Path => byte == b'/',
            }
    }

    fn run(self, text: &[u8]) -> usize {
        text.iter().take_while(|byte| self.has(**byte)).count()
    }
}

const fn shape(literal: &'static str, kind: &'static str, form: Form) -> Shape {
    Shape { literal, kind, form }
}

const fn token(literal: &'static str, kind: &'static str, class: Class, min: usize) -> Shape {
    shape(literal, kind, Form::Token(class, min))
}

/// Every shape. Sources: the issuers' pages on token formats and secret scanning.
pub(super) static SHAPES: &[Shape] = &[
    token("hvs.", kind::VAULT_TOKEN, Class::Base64Url, 20),
    token("hvb.", kind::VAULT_TOKEN, Class::Base64Url, 20),
    token("hvr.", kind::VAULT_TOKEN, Class::Base64Url, 20),
    // Vault before 1.10, OpenBao: too short to be told from text without the name before it.
    shape("oken\":\"s.", kind::VAULT_TOKEN, Form::Behind(7, Class::Dotted, 24)),
    shape("oken\":\"b.", kind::VAULT_TOKEN, Form::Behind(7, Class::Base64Url, 24)),
    token("ghp_", kind::GITHUB_TOKEN, Class::Word, 30),
    token("gho_", kind::GITHUB_TOKEN, Class::Word, 30),
    token("ghu_", kind::GITHUB_TOKEN, Class::Word, 30),
    token("ghs_", kind::GITHUB_TOKEN, Class::Word, 30),
    token("ghr_", kind::GITHUB_TOKEN, Class::Word, 30),
    token("github_pat_", kind::GITHUB_TOKEN, Class::Word, 30),
    token("glpat-", kind::GITLAB_TOKEN, Class::Dotted, 20),
    token("xoxb-", kind::SLACK_TOKEN, Class::Base64Url, 10),
    token("xoxp-", kind::SLACK_TOKEN, Class::Base64Url, 10),
    token("xoxa-", kind::SLACK_TOKEN, Class::Base64Url, 10),
    token("xoxr-", kind::SLACK_TOKEN, Class::Base64Url, 10),
    token("xoxs-", kind::SLACK_TOKEN, Class::Base64Url, 10),
    token("xoxe-", kind::SLACK_TOKEN, Class::Base64Url, 10),
    token("xoxe.", kind::SLACK_TOKEN, Class::Dotted, 20),
    token("xapp-", kind::SLACK_TOKEN, Class::Base64Url, 20),
    shape("hooks.slack.com/services/", kind::SLACK_WEBHOOK, Form::Behind(25, Class::Path, 20)),
    token("ya29.", kind::GOOGLE_TOKEN, Class::Dotted, 20),
    token("AIza", kind::GOOGLE_API_KEY, Class::Base64Url, 35),
    token("GOCSPX-", kind::GOOGLE_CLIENT_SECRET, Class::Base64Url, 20),
    // A JWT is base64 of `{"alg`, `{"typ`, `{"kid`, `{"cty`, `{"enc`, `{"x5t`, `{"jku`.
    shape("eyJh", kind::JWT, Form::Jwt),
    shape("eyJ0", kind::JWT, Form::Jwt),
    shape("eyJr", kind::JWT, Form::Jwt),
    shape("eyJj", kind::JWT, Form::Jwt),
    shape("eyJl", kind::JWT, Form::Jwt),
    shape("eyJ4", kind::JWT, Form::Jwt),
    shape("eyJq", kind::JWT, Form::Jwt),
    shape("PRIVATE KEY-----", kind::PRIVATE_KEY, Form::Pem),
    shape("k_live_", kind::STRIPE_KEY, Form::Letter(b"sr", Class::Alnum, 16)),
    shape("k_test_", kind::STRIPE_KEY, Form::Letter(b"sr", Class::Alnum, 16)),
    shape("\"SG.", kind::SENDGRID_KEY, Form::Behind(1, Class::Dotted, 60)),
    shape(" SG.", kind::SENDGRID_KEY, Form::Behind(1, Class::Dotted, 60)),
    token("npm_", kind::NPM_TOKEN, Class::Alnum, 36),
    token("pypi-AgE", kind::PYPI_TOKEN, Class::Base64Url, 50),
    token("whsec_", kind::WEBHOOK_SECRET, Class::Base64, 24),
    token("dop_v1_", kind::DIGITALOCEAN_TOKEN, Class::Alnum, 60),
    token("sk-ant-", kind::AI_API_KEY, Class::Base64Url, 20),
    token("sk-proj-", kind::AI_API_KEY, Class::Base64Url, 20),
    token("shpat_", kind::SHOPIFY_TOKEN, Class::Alnum, 32),
    token("glsa_", kind::GRAFANA_TOKEN, Class::Word, 32),
    shape("AccountKey=", kind::AZURE_KEY, Form::Behind(11, Class::Base64, 40)),
    shape("SharedAccessKey=", kind::AZURE_KEY, Form::Behind(16, Class::Base64, 40)),
    shape("sig=", kind::URL_SIGNATURE, Form::Query),
    shape("access_token=", kind::URL_SIGNATURE, Form::Query),
    shape("X-Amz-Signature=", kind::URL_SIGNATURE, Form::Query),
    shape("ttps://", kind::URL_PASSWORD, Form::UrlPassword),
    shape("sql://", kind::URL_PASSWORD, Form::UrlPassword),
    shape("gres://", kind::URL_PASSWORD, Form::UrlPassword),
    shape("odb://", kind::URL_PASSWORD, Form::UrlPassword),
    shape("srv://", kind::URL_PASSWORD, Form::UrlPassword),
    shape("edis://", kind::URL_PASSWORD, Form::UrlPassword),
    shape("mqp://", kind::URL_PASSWORD, Form::UrlPassword),
    shape("mqps://", kind::URL_PASSWORD, Form::UrlPassword),
    shape("AKIA", kind::AWS_SECRET_KEY, Form::AwsPair),
    shape("ASIA", kind::AWS_SECRET_KEY, Form::AwsPair),
];

impl Shape {
    /// The token whose literal stands at `at`, if it is one.
    pub(super) fn find(&self, record: &[u8], at: usize) -> Option<Span> {
        let after = at + self.literal.len();
        let rest = record.get(after..).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|at| record.get(at)).copied();
        let apart =
            !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || escaped(record, at);
        let range = match self.form {
            Form::Token(class, min) => {
                apart.then(|| run(class, min, rest)).flatten().map(|len| at..after + len)
            }
            Form::Behind(skip, class, min) => run(class, min, rest).map(|len| at + skip..after + len),
            Form::Letter(letters, class, min) => {
                let fits = before.is_some_and(|byte| letters.contains(&byte));
                fits.then(|| run(class, min, rest)).flatten().map(|len| at - 1..after + len)
            }
            Form::Jwt => {
                apart.then(|| jwt(bytes(record, at..record.len()))).flatten().map(|len| at..at + len)
            }
            Form::Pem => pem(record, at),
            Form::Query => query(record, at, after),
            Form::UrlPassword => url_password(rest).map(|found| after + found.start..after + found.end),
            Form::AwsPair => aws_pair(rest).map(|found| after + found.start..after + found.end),
        }?;
        (!is_placeholder(bytes(record, range.clone()))).then(|| Span::mark(range, self.kind))
    }
}

/// Whether what stands before `at` is the end of an escape, as in `\nghp_…`.
fn escaped(record: &[u8], at: usize) -> bool {
    at >= 2 && record.get(at - 2) == Some(&b'\\')
}

fn run(class: Class, min: usize, text: &[u8]) -> Option<usize> {
    let len = class.run(text);
    (len >= min).then_some(len)
}

/// How long the JWT at the beginning of `text` is: RFC 7515, three parts, or five when encrypted.
fn jwt(text: &[u8]) -> Option<usize> {
    let len = Class::Dotted.run(text);
    let mut parts = bytes(text, 0..len).split(|byte| *byte == b'.');
    let long = |part: Option<&[u8]>| part.is_some_and(|part| part.len() >= 10);
    (long(parts.next()) && parts.next().is_some_and(|part| part.len() >= 8) && parts.next().is_some())
        .then_some(len)
}

/// The key whose first or last line ends with `PRIVATE KEY-----` at `at`; torn ones go to the end
/// of their string.
fn pem(record: &[u8], at: usize) -> Option<Range<usize>> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let from = at.saturating_sub(40);
    let start = from + memchr::memmem::rfind(bytes(record, from..at), BEGIN)?;
    let body = at + "PRIVATE KEY-----".len();
    let rest = bytes(record, body..record.len());
    let quote = string_end(rest);
    let end = memchr::memmem::find(bytes(rest, 0..quote), b"PRIVATE KEY-----").map_or(quote, |end| end + 16);
    (end > 16 || rest.len() > 16).then_some(start..body + end)
}

/// Where a string that `text` is in the middle of ends.
fn string_end(text: &[u8]) -> usize {
    let mut from = 0;
    while let Some(found) = memchr::memchr(b'"', bytes(text, from..text.len())) {
        let at = from + found;
        let escapes = bytes(text, 0..at).iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return at;
        }
        from = at + 1;
    }
    text.len()
}

/// The value after `name=` when that is a parameter of a URL and long enough to be a signature.
fn query(record: &[u8], at: usize, after: usize) -> Option<Range<usize>> {
    let before = bytes(record, at.saturating_sub(6)..at);
    let first = before.ends_with(b"?") || before.ends_with(b"&") || before.ends_with(b";");
    if !first && !before.ends_with(b"\\u0026") && !before.ends_with(b"\\u003f") {
        return None;
    }
    let value = |byte: &&u8| byte.is_ascii_alphanumeric() || b"%+/=_-.~".contains(byte);
    let rest = bytes(record, after..(after + URL_BYTES_MAX * 8).min(record.len()));
    let len = rest.iter().take_while(value).count();
    (len >= 16).then_some(after..after + len)
}

/// The password in `user:password@host`.
fn url_password(rest: &[u8]) -> Option<Range<usize>> {
    let ends = |byte: &u8| {
        matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\\' | b'<' | b'>') || byte.is_ascii_whitespace()
    };
    let authority = rest.iter().take(URL_BYTES_MAX).position(ends).unwrap_or(rest.len().min(URL_BYTES_MAX));
    let authority = bytes(rest, 0..authority);
    let host = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', bytes(authority, 0..host))?;
    (colon + 1 < host).then_some(colon + 1..host)
}

/// The secret of 40 characters that stands next to an access key id, of which `rest` is all but
/// the first four letters.
fn aws_pair(rest: &[u8]) -> Option<Range<usize>> {
    let id = rest.iter().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count();
    if id != 16 {
        return None;
    }
    let between = bytes(rest, id..(id + 8).min(rest.len()));
    let gap = between.iter().position(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))?;
    if gap == 0 {
        return None;
    }
    // A slash may be written \/ and a key begin with one.
    let start = id + gap;
    let len = rest
        .iter()
        .skip(start)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        .count();
    let secret = bytes(rest, start..start + len);
    let mixed = secret.iter().any(u8::is_ascii_uppercase)
        && secret.iter().any(u8::is_ascii_lowercase)
        && secret.iter().any(u8::is_ascii_digit);
    (len == 40 && mixed).then_some(start..start + len)
}
