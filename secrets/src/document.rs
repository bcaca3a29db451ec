//! What a backend holds under one name: a text, or fields.
//!
//! One fetch serves every reference to a field of the same secret, so two fields of it (a user name
//! and its password) are always of the same version. Fields are cut out of the text one by one;
//! those nobody asked for are never copied.

use crate::failure::Failure;
use crate::value::VALUE_BYTES_MAX;
use crate::{SecretRef, SecretValue};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The answer of a backend, and the fields of it that were asked for.
pub(crate) struct Document {
    text: SecretValue,
    /// Whether the text is the backend's own list of fields, as Vault answers, and not a text
    /// somebody stored.
    fields_only: bool,
    /// At most as many as there are references to it in the configuration.
    fields: Mutex<BTreeMap<String, SecretValue>>,
}

type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl Document {
    /// A text somebody stored.
    ///
    /// # Errors
    /// When it is empty or larger than [`VALUE_BYTES_MAX`].
    pub(crate) fn text(value: String) -> Result<Self, Failure> {
        let value = SecretValue::new(value);
        within_limits(value.expose())?;
        Ok(Self { text: value, fields_only: false, fields: Mutex::default() })
    }

    /// An object of fields; each of them has to keep within [`VALUE_BYTES_MAX`].
    pub(crate) fn fields(object: String) -> Self {
        Self { text: SecretValue::new(object), fields_only: true, fields: Mutex::default() }
    }

    /// What a reference asks for.
    ///
    /// # Errors
    /// When there is no such field, or it holds nothing that could be a credential.
    pub(crate) fn value(&self, reference: &SecretRef) -> Result<SecretValue, Failure> {
        let Some(key) = reference.key.as_deref() else {
            return if self.fields_only { self.only_field(reference) } else { Ok(self.text.clone()) };
        };
        self.field(key, reference)
    }

    fn field(&self, key: &str, reference: &SecretRef) -> Result<SecretValue, Failure> {
        let mut known = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(key) {
            return Ok(value.clone());
        }
        let fields = self.parsed(key)?;
        let Some(raw) = fields.get(key) else {
            let remedy = format!("add the field `{key}` to it, or name another in the reference");
            let detail = format!("there is no field `{key}` in it, among {}", counted(fields.len()));
            return Err(Failure::missing(detail, remedy));
        };
        let value = credential(raw.get(), key, reference)?;
        known.insert(key.to_owned(), value.clone());
        Ok(value)
    }

    /// The one field of a secret that has one: nobody needs to name it.
    fn only_field(&self, reference: &SecretRef) -> Result<SecretValue, Failure> {
        let fields = self.parsed("value")?;
        let mut names = fields.keys();
        let (Some(name), None) = (names.next(), names.next()) else {
            let detail = format!("it holds {}, and the reference names none", counted(fields.len()));
            return Err(Failure::unusable(detail, "name one of them: `key:` in the reference, or `#field`"));
        };
        self.field(name, reference)
    }

    fn parsed(&self, key: &str) -> Result<Fields<'_>, Failure> {
        // The parser's own words may quote the text.
        serde_json::from_str(self.text.expose()).map_err(|_unsaid| {
            let detail = format!("the field `{key}` is asked for, but it holds no JSON object");
            Failure::unusable(detail, "store an object, or leave the field out of the reference")
        })
    }
}

fn counted(fields: usize) -> String {
    if fields == 1 { "1 field".to_owned() } else { format!("{fields} fields") }
}

/// A field's text: a string's content, a number or a truth value as written.
fn credential(raw: &str, key: &str, reference: &SecretRef) -> Result<SecretValue, Failure> {
    let text = match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(raw).unwrap_or_default(),
        Some(b'{' | b'[' | b'n') | None => {
            let detail = format!("the field `{key}` of {} holds no text", reference.path);
            return Err(Failure::unusable(detail, "store a string there, or name another field"));
        }
        Some(_) => raw.to_owned(),
    };
    let value = SecretValue::new(text);
    within_limits(value.expose())?;
    Ok(value)
}

fn within_limits(text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Err(Failure::unusable("it is empty", "store the credential in it"));
    }
    if text.len() > VALUE_BYTES_MAX {
        let detail =
            format!("it holds {} bytes, more than the {VALUE_BYTES_MAX} of a credential", text.len());
        return Err(Failure::unusable(detail, "name a secret that holds the credential alone"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &Document, reference: &str, expected: Result<&str, &str>) {
        let reference: SecretRef = reference.parse().expect("a reference");
        let found = document.value(&reference);
        match (found, expected) {
            (Ok(value), Ok(text)) => assert_eq!(value.expose(), text),
            (Err(failure), Err(words)) => assert!(failure.detail.contains(words), "{}", failure.detail),
            (Ok(_), Err(words)) => panic!("a value instead of `{words}`"),
            (Err(failure), Ok(_)) => panic!("{}", failure.detail),
        }
    }

    #[test]
    fn fields_are_cut_out_of_an_object() {
        let text =
            r#"{"user":"kw","password":"a\nb\u00e9","port":5432,"tls":true,"no":null,"in":{},"empty":""}"#;
        let document = Document::text(text.to_owned()).expect("a text");
        check(&document, "env:A", Ok(text));
        check(&document, "env:A#user", Ok("kw"));
        check(&document, "env:A#password", Ok("a\nb\u{e9}"));
        check(&document, "env:A#port", Ok("5432"));
        check(&document, "env:A#tls", Ok("true"));
        check(&document, "env:A#no", Err("holds no text"));
        check(&document, "env:A#in", Err("holds no text"));
        check(&document, "env:A#empty", Err("is empty"));
        check(&document, "env:A#passwort", Err("no field `passwort` in it, among 7 fields"));
    }

    #[test]
    fn a_text_that_is_no_object_has_no_fields_and_is_not_quoted() {
        for text in ["sk-canary", "[\"sk-canary\"]", "{\"user\":\"sk-canary\"", "\"sk-canary\""] {
            let document = Document::text(text.to_owned()).expect("a text");
            let failure = document.value(&"env:A#user".parse().expect("a reference")).expect_err("no field");
            assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
            assert!(failure.detail.contains("no JSON object"), "{failure:?}");
        }
    }

    #[test]
    fn the_only_field_of_a_backend_with_fields_needs_no_name() {
        check(&Document::fields(r#"{"token":"t"}"#.to_owned()), "vault:a", Ok("t"));
        check(&Document::fields(r#"{"a":"t","b":"u"}"#.to_owned()), "vault:a", Err("it holds 2 fields"));
        check(&Document::fields("{}".to_owned()), "vault:a", Err("it holds 0 fields"));
    }

    #[test]
    fn what_is_empty_or_too_large_is_no_credential() {
        assert!(Document::text(String::new()).is_err());
        assert!(Document::text("x".repeat(VALUE_BYTES_MAX)).is_ok());
        assert!(Document::text("x".repeat(VALUE_BYTES_MAX + 1)).is_err());
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(VALUE_BYTES_MAX + 1));
        check(&Document::fields(large), "vault:a#a", Err("more than the 65536"));
    }
}
