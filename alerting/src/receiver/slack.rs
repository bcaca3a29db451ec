//! Slack: an incoming webhook, with Block Kit.
//!
//! Text from records is plain text wherever Slack has it, and escaped everywhere: `&`, `<` and
//! `>` are all that its markup, mentions and links are made of.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>,
//! <https://docs.slack.dev/messaging/formatting-message-text#escaping>.

use super::Described;
use crate::notification::Notification;
use crate::receiver::Address;
use crate::reply::Verdict;
use crate::sender::{Answer, Format, Held, Judgement, Request, Unsendable};
use crate::story::Story;
use crate::text::cut;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// Slack refuses messages whose blocks hold around 13,000 characters, undocumented; this leaves
/// room for escapes.
const TEXT_CHARS_MAX: usize = 10_000;
/// Limits of Block Kit: a header, a field, a section.
/// <https://docs.slack.dev/reference/block-kit/blocks>
const HEADER_CHARS_MAX: usize = 150;
const FIELD_CHARS_MAX: usize = 2000;
const SECTION_CHARS_MAX: usize = 3000;
const FIELDS_MAX: usize = 10;
/// Longest address of a button.
const LINK_CHARS_MAX: usize = 3000;

/// A channel behind an incoming webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slack {
    /// The webhook's address, which is all the credential it has.
    pub address: Address,
}

impl Described for Slack {
    fn address(&self) -> Option<&Address> {
        Some(&self.address)
    }
}

impl Format for Slack {
    fn requests(
        &self,
        notification: &Notification,
        _at: DateTime<Utc>,
        held: &Held,
    ) -> Result<Vec<Request>, Unsendable> {
        let story = Story::of(notification)?;
        Ok(vec![Request::json(self.address.url(held)?, &message(&story))])
    }

    /// What incoming webhooks answer:
    /// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors>.
    fn judge(&self, answer: &Answer) -> Judgement {
        let said = |remedy: &str| answer.told(&format!(" ({}){remedy}", answer.text));
        match answer.status.as_u16() {
            200..=299 => Judgement::delivered(),
            400 | 413 => Judgement::new(Verdict::GiveUp, said(": Slack will never take this message")),
            410 => Judgement::new(Verdict::Gone, said(": the channel is archived; choose another one")),
            401 | 403 | 404 => {
                let remedy = "; check the webhook's address, and that the app may still post to the channel";
                Judgement::new(Verdict::TryAgain, said(remedy)).credentials_refused()
            }
            300..=399 => Judgement::new(Verdict::TryAgain, answer.told("; redirects are not followed")),
            _ => Judgement::new(Verdict::TryAgain, said("")),
        }
    }
}

/// Escaped, and cut so that the escaped text keeps the limit. An escape is never cut in two.
fn escaped(text: &str, chars_max: usize) -> String {
    let mut limit = chars_max;
    loop {
        let cut = cut(text, limit);
        let escaped = cut.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let over = escaped.chars().count().saturating_sub(chars_max);
        if over == 0 || limit == 0 {
            return escaped;
        }
        // An escape has at most five characters for one.
        limit = limit.saturating_sub(over.div_ceil(5));
    }
}

fn plain(text: &str, chars_max: usize) -> Value {
    json!({"type": "plain_text", "text": escaped(text, chars_max), "emoji": false})
}

fn message(story: &Story) -> Value {
    let mut blocks = vec![json!({"type": "header", "text": plain(&story.headline, HEADER_CHARS_MAX)})];
    let mut room = TEXT_CHARS_MAX - HEADER_CHARS_MAX;
    let mut section = |text: String| {
        let text = escaped(&text, SECTION_CHARS_MAX.min(room));
        room = room.saturating_sub(text.chars().count());
        json!({"type": "section", "text": {"type": "plain_text", "text": text, "emoji": false}})
    };
    blocks.extend(story.sentences.iter().map(|text| section(text.clone())));
    if !story.alerts.is_empty() {
        blocks.push(section(story.alerts.join("\n")));
    }
    let each = (room / FIELDS_MAX).min(FIELD_CHARS_MAX);
    let fields: Vec<Value> = story
        .facts
        .iter()
        .take(FIELDS_MAX)
        .map(|(label, value)| {
            let value = escaped(value, each.saturating_sub(label.len() + 4));
            json!({"type": "mrkdwn", "text": format!("*{label}*\n{value}"), "verbatim": true})
        })
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    if let Some(link) = story.link.as_deref().filter(|link| link.len() <= LINK_CHARS_MAX) {
        let button = json!({"type": "button", "text": plain("Open in Keywatch", 75), "url": link});
        blocks.push(json!({"type": "actions", "elements": [button]}));
    }
    json!({"text": escaped(&story.headline, SECTION_CHARS_MAX), "blocks": blocks})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, check_schema, hostile, telling};

    fn characters(value: &Value) -> usize {
        match value {
            Value::Object(object) => {
                let own = object.get("text").and_then(Value::as_str).map_or(0, |text| text.chars().count());
                own + object.values().map(characters).sum::<usize>()
            }
            Value::Array(entries) => entries.iter().map(characters).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    #[test]
    fn a_message_is_what_slack_takes_whatever_the_records_say() {
        for told in [telling(), hostile()] {
            let sent = message(&Story::of(&told).unwrap());
            check_schema("slack", std::slice::from_ref(&sent));
            assert!(characters(&sent) <= TEXT_CHARS_MAX + SECTION_CHARS_MAX, "{}", characters(&sent));
            let text = sent.to_string();
            for markup in ["<!channel>", "<http", "<@U1>", "\\u0000", "\u{202e}"] {
                assert!(!text.contains(markup), "{markup} in {text}");
            }
        }
        let text = message(&Story::of(&hostile()).unwrap()).to_string();
        assert!(text.contains("&lt;!channel&gt;") && text.contains('…'), "{text}");
    }

    #[test]
    fn escapes_count_and_are_never_cut_in_two() {
        for text in ["<<<<<<<<<<", "a&b", "&&&&&&&&&&&&", "plain text that is long"] {
            for limit in 1..=12 {
                let escaped = escaped(text, limit);
                assert!(escaped.chars().count() <= limit.max(1), "{escaped} at {limit}");
                let rest = escaped.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
                assert!(!rest.contains('&'), "{escaped} at {limit}");
            }
        }
    }

    #[test]
    fn what_slack_answers_decides_what_follows() {
        let slack = Slack { address: Address::Plain("https://hooks.slack.com/services/x".to_owned()) };
        for (status, text, verdict, refused) in [
            (200, "ok", Verdict::Delivered, false),
            (400, "invalid_payload", Verdict::GiveUp, false),
            (403, "invalid_token", Verdict::TryAgain, true),
            (404, "no_service", Verdict::TryAgain, true),
            (410, "channel_is_archived", Verdict::Gone, false),
            (429, "rate_limited", Verdict::TryAgain, false),
            (302, "", Verdict::TryAgain, false),
            (500, "rollup_error", Verdict::TryAgain, false),
        ] {
            let judged = slack.judge(&answer(status, text));
            assert_eq!((judged.verdict, judged.credentials_refused), (verdict, refused), "{status}");
        }
    }
}
