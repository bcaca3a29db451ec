//! Microsoft Teams: a Workflows webhook, with an Adaptive Card 1.4.
//!
//! Everything stands in text runs, the one element that has no Markdown, so that text from
//! records formats, links and mentions nothing.
//! <https://adaptivecards.io/explorer/TextRun.html>,
//! <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>.

use super::Described;
use crate::notification::Notification;
use crate::receiver::Address;
use crate::reply::Verdict;
use crate::sender::{Answer, Format, Held, Judgement, Request, Unsendable};
use crate::story::Story;
use chrono::{DateTime, Utc};
use keywatch_event::Level;
use serde_json::{Value, json};

/// Teams takes 28 kB of a message; the rest is its own envelope's.
/// <https://learn.microsoft.com/microsoftteams/limits-specifications-teams>
const BYTES_MAX: usize = 24_000;

/// A channel or chat behind a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Teams {
    /// The workflow's address, which holds its signature: a credential.
    pub address: Address,
}

impl Described for Teams {
    fn address(&self) -> Option<&Address> {
        Some(&self.address)
    }
}

impl Format for Teams {
    fn requests(
        &self,
        notification: &Notification,
        _at: DateTime<Utc>,
        held: &Held,
    ) -> Result<Vec<Request>, Unsendable> {
        let story = Story::of(notification)?;
        Ok(vec![Request::json(self.address.url(held)?, &message(story))])
    }

    /// A workflow that is switched off or whose owner has left answers 400 and 404: that can be
    /// mended, so it is tried again. Only a message that does not fit the trigger is given up.
    fn judge(&self, answer: &Answer) -> Judgement {
        let misfit = ["InvalidRequestContent", "TriggerInputSchemaMismatch", "RequestEntityTooLarge"];
        match answer.status.as_u16() {
            200..=299 => Judgement::delivered(),
            413 => Judgement::new(Verdict::GiveUp, answer.told(": the message is too large for Teams")),
            400 if misfit.iter().any(|code| answer.text.contains(code)) => {
                Judgement::new(Verdict::GiveUp, answer.told(": the workflow does not take cards; use the template `Post to a channel when a webhook request is received`"))
            }
            400 => Judgement::new(Verdict::TryAgain, answer.told("; check that the workflow is switched on")),
            401 | 403 | 404 => {
                let remedy = "; check the workflow's address, and that its owner still has an account";
                Judgement::new(Verdict::TryAgain, answer.told(remedy)).credentials_refused()
            }
            410 => Judgement::new(Verdict::Gone, answer.told(": the workflow is gone; make a new one")),
            300..=399 => Judgement::new(Verdict::TryAgain, answer.told("; redirects are not followed")),
            _ => Judgement::new(Verdict::TryAgain, answer.told("")),
        }
    }
}

const fn colour(story: &Story) -> &'static str {
    match (story.is_over, story.level) {
        (true, _) => "good",
        (false, Some(Level::Critical | Level::High)) => "attention",
        (false, Some(Level::Warning)) => "warning",
        (false, Some(Level::Info) | None) => "default",
    }
}

fn paragraph(inlines: &Value) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

/// The message; facts from the end are left out, with a mark, until it fits.
fn message(mut story: Story) -> Value {
    loop {
        let message = card(&story);
        if message.to_string().len() <= BYTES_MAX {
            return message;
        }
        let shorter =
            story.alerts.pop().is_some() || story.facts.pop().is_some() || story.sentences.pop().is_some();
        if !shorter {
            return message;
        }
        if story.sentences.last().is_none_or(|last| last != CUT_MARK) {
            story.sentences.push(CUT_MARK.to_owned());
        }
    }
}

/// Says that something was left out.
const CUT_MARK: &str = "… more in Keywatch";

fn card(story: &Story) -> Value {
    let headline = json!([{
        "type": "TextRun", "text": story.headline, "size": "large", "weight": "bolder", "color": colour(story),
    }]);
    let sentences = story.sentences.iter().map(|text| paragraph(&json!([run(text)])));
    let facts = story.facts.iter().map(|(label, value)| {
        let label = json!({"type": "TextRun", "text": format!("{label}: "), "weight": "bolder"});
        paragraph(&json!([label, run(value)]))
    });
    let alerts = story.alerts.iter().map(|text| paragraph(&json!([run(text)])));
    let body: Vec<Value> =
        [paragraph(&headline)].into_iter().chain(sentences).chain(facts).chain(alerts).collect();
    let link = story
        .link
        .iter()
        .map(|url| json!({"type": "Action.OpenUrl", "title": "Open in Keywatch", "url": url}));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "fallbackText": story.headline,
                "msteams": {"width": "full"},
                "body": body,
                "actions": link.collect::<Vec<_>>(),
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, check_schema, hostile, telling};

    #[test]
    fn a_card_is_what_teams_takes_whatever_the_records_say() {
        for told in [telling(), hostile()] {
            let sent = message(Story::of(&told).unwrap());
            check_schema("teams", std::slice::from_ref(&sent));
            assert!(sent.to_string().len() <= BYTES_MAX);
            let text = sent.to_string();
            assert!(!text.contains("TextBlock\"") || text.contains("RichTextBlock"), "no Markdown");
            assert!(!text.contains("\"TextBlock\""), "an element with Markdown");
            assert!(!text.contains(['\0', '\u{202e}']));
        }
    }

    #[test]
    fn a_card_that_is_too_large_says_that_something_is_missing() {
        let mut story = Story::of(&telling()).unwrap();
        story.alerts = (0..200).map(|_| "秘".repeat(300)).collect();
        let sent = message(story).to_string();
        assert!(sent.len() <= BYTES_MAX && sent.contains(CUT_MARK), "{}", sent.len());
    }

    #[test]
    fn what_teams_answers_decides_what_follows() {
        let teams = Teams { address: Address::Plain("https://x.logic.azure.com/workflows/x".to_owned()) };
        for (status, text, verdict, refused) in [
            (202, "", Verdict::Delivered, false),
            (400, r#"{"error":{"code":"WorkflowTriggerIsNotEnabled"}}"#, Verdict::TryAgain, false),
            (400, r#"{"error":{"code":"TriggerInputSchemaMismatch"}}"#, Verdict::GiveUp, false),
            (401, "", Verdict::TryAgain, true),
            (404, "", Verdict::TryAgain, true),
            (410, "", Verdict::Gone, false),
            (413, "", Verdict::GiveUp, false),
            (429, "", Verdict::TryAgain, false),
            (503, "", Verdict::TryAgain, false),
        ] {
            let judged = teams.judge(&answer(status, text));
            assert_eq!((judged.verdict, judged.credentials_refused), (verdict, refused), "{status} {text}");
        }
    }
}
