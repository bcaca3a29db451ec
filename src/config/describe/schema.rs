//! The JSON Schema (2020-12) of the configuration: editors complete and check with it.
//!
//! It accepts what the reader accepts, apart from what no schema can say (a name that stands
//! twice, an end before its beginning).

use super::Doc;
use crate::config::frame::{Key, Kind, Node, Presence, Section, default_node, shown_duration, shown_size};
use crate::config::section::Root;
use serde_json::{Map, Value, json};

/// A length of time.
const DURATION: &str = "^[0-9]+ ?(ms|s|m|h|d)$";
/// A size.
const SIZE: &str = "^[0-9]+ ?(KiB|MiB|GiB)$";
/// A reference in one line.
const REFERENCE: &str = "^(env|file|aws-secrets-manager|gcp-secret-manager|azure-key-vault|vault):.+";
/// Text with a variable in it, which stands for a value of any kind.
const VARIABLE: &str = "\\$\\{[A-Za-z_]";

/// The schema.
pub(crate) fn schema() -> Value {
    let mut schema = section(&Root::SECTION);
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("Keywatch configuration"));
        // An empty file is a configuration.
        schema.insert("type".to_owned(), json!(["object", "null"]));
        let reference = section(&crate::config::frame::Reference::SECTION);
        schema.insert("$defs".to_owned(), json!({ "secret": reference }));
    }
    schema
}

fn section(section: &Section) -> Value {
    let mut properties = Map::new();
    let mut needed: Vec<Value> = Vec::new();
    for key in section.keys {
        let twin = format!("{}_file", key.name);
        properties.insert(key.name.to_owned(), property(key));
        if key.kind.has_file_twin() {
            let text = format!("A file that holds `{}`.", key.name);
            properties.insert(twin.clone(), json!({ "type": "string", "description": text }));
        }
        match key.presence {
            Presence::Needed(_) if key.kind.has_file_twin() => {
                needed.push(json!({ "oneOf": [{ "required": [key.name] }, { "required": [twin] }] }));
            }
            Presence::Needed(_) => needed.push(json!({ "required": [key.name] })),
            Presence::Optional | Presence::Default(_) => {}
        }
    }
    if !section.one_of.is_empty() {
        let one: Vec<Value> = section.one_of.iter().map(|name| json!({ "required": [name] })).collect();
        needed.push(json!({ "oneOf": one }));
    }
    let mut schema = json!({
        "type": "object",
        "description": Doc::of(section.text).text,
        "properties": properties,
        "additionalProperties": false,
    });
    if let (Value::Object(schema), false) = (&mut schema, needed.is_empty()) {
        schema.insert("allOf".to_owned(), needed.into());
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = kind(key.kind, key);
    if let Value::Object(schema) = &mut schema {
        let doc = Doc::of(key.text);
        schema.insert("description".to_owned(), doc.text.clone().into());
        if let Presence::Default(text) = key.presence {
            schema.insert("default".to_owned(), default_value(text));
        }
    }
    schema
}

fn default_value(text: &str) -> Value {
    use crate::config::frame::Data;
    match default_node(text).map(|node| node.data) {
        Some(Data::Bool(truth)) => truth.into(),
        Some(Data::Whole(whole)) => whole.into(),
        Some(Data::Number(number)) => number.into(),
        Some(Data::List(items)) => items.iter().filter_map(Node::text).collect(),
        Some(Data::Null | Data::Text(_) | Data::Map(_)) | None => text.into(),
    }
}

/// A number, or a text with a variable.
fn number(kind: &str, key: &Key) -> Value {
    let mut schema = json!({ "type": kind });
    if let (Value::Object(schema), Some((low, high))) = (&mut schema, key.bounds) {
        schema.insert("minimum".to_owned(), low.into());
        if high < i64::MAX {
            schema.insert("maximum".to_owned(), high.into());
        }
    }
    or_variable(&schema)
}

fn or_variable(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": VARIABLE }] })
}

/// Text, which YAML may have read as a number.
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

fn kind(of: Kind, key: &Key) -> Value {
    match of {
        Kind::Text => text(),
        Kind::Truth => or_variable(&json!({ "type": "boolean" })),
        Kind::Whole => number("integer", key),
        Kind::Number => number("number", key),
        Kind::Duration => quantity(DURATION, key, &shown_duration),
        Kind::Size => json!({ "anyOf": [quantity(SIZE, key, &shown_size), { "type": "integer" }] }),
        Kind::Path => json!({ "type": "string" }),
        Kind::Network => json!({ "type": "string", "examples": ["198.51.100.0/24", "2001:db8::/32"] }),
        Kind::Socket => json!({ "type": "string", "examples": ["127.0.0.1:8420"] }),
        Kind::Time => json!({ "type": "string", "examples": ["2026-01-31T12:00:00Z", "2026-01-31"] }),
        Kind::Url => or_variable(&json!({ "type": "string", "pattern": "^https?://" })),
        Kind::Choice(words) => or_variable(&json!({ "enum": words })),
        Kind::Secret => secret(None),
        Kind::Credential => secret(Some(text())),
        Kind::CredentialUrl => secret(Some(json!({ "type": "string", "pattern": "^https?://" }))),
        Kind::List(of) => {
            let items = kind(*of, key);
            let list = json!({ "type": "array", "items": items });
            if of.is_plain() { json!({ "anyOf": [list, items] }) } else { list }
        }
        Kind::Map(of) => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z0-9_.-]+$" },
            "additionalProperties": nullable(&kind(*of, key)),
        }),
        Kind::Section(of) => section(of),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(|of| kind(*of, key)).collect::<Vec<_>>() }),
    }
}

/// A value that may be left empty.
fn nullable(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn quantity(pattern: &str, key: &Key, shown: &dyn Fn(i64) -> String) -> Value {
    let mut schema = json!({ "anyOf": [
        { "type": "string", "pattern": pattern },
        { "type": "string", "pattern": VARIABLE },
    ] });
    if let (Value::Object(schema), Some((low, high))) = (&mut schema, key.bounds) {
        schema.insert("$comment".to_owned(), format!("from {} to {}", shown(low), shown(high)).into());
    }
    schema
}

fn secret(in_clear: Option<Value>) -> Value {
    let mut forms = vec![json!({ "$ref": "#/$defs/secret" })];
    forms.push(in_clear.unwrap_or_else(|| json!({ "type": "string", "pattern": REFERENCE })));
    json!({ "anyOf": forms })
}
