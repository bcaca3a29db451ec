//! Messages that are not taken: others hear of it, and they can be sent again.

use super::{LIMIT, NOON, Stage, about, await_told, deletion, knows_of, text, told};
use crate::harness::{Receiver, wait_until};
use serde_json::Value;

/// Messages about Keywatch's own trouble.
fn troubles(receiver: &Receiver) -> Vec<Value> {
    let opened = told(receiver, "alert.opened").into_iter();
    opened.filter(|message| text(message, "/data/rule") == "KW-900").collect()
}

#[test]
fn what_one_receiver_never_takes_is_told_to_another_and_sent_again_when_asked_for() {
    let Some(stage) = Stage::set("") else { return };
    let pager = Receiver::start(false);
    pager.answers(Some("400 Bad Request"));
    std::fs::write(stage.site.path("key"), "k".repeat(32)).expect("written");
    let config = std::fs::read_to_string(stage.site.config()).expect("read");
    let other = format!(
        "receivers:\n  - name: pager\n    pagerduty: {{url: \"{}\", routing_key: {{source: file, path: {}}}}}\n",
        pager.url(),
        stage.site.path("key").display()
    );
    std::fs::write(stage.site.config(), config.replacen("receivers:\n", &other, 1)).expect("written");

    let (service, browser) = stage.start("12:00:00");
    stage.log(&[deletion(1, NOON - 60, "eve")]);
    let alert = about(&await_told(&stage.soc, "alert.opened", 1), "eve");
    let given_up =
        || browser.page("/deliveries?state=dead_letter").contains("state=dead_letter\" class=\"failed\">1<");
    wait_until("the message is given up", LIMIT, given_up);
    // Another configuration takes over, and looks after it at once.
    service.reload();
    wait_until("somebody else hears of it", LIMIT, || troubles(&stage.soc).len() == 1);
    let text = troubles(&stage.soc)[0]["data"]["why"]["text"].as_str().expect("text").to_owned();
    assert!(text.contains("1 messages to pager were given up") && text.contains("400"), "{text}");
    let refused = pager.received().refused.clone();
    assert_eq!(refused.len(), 1, "nothing but the alert was sent to it: {refused:?}");

    pager.answers(None);
    assert!(browser.send("/deliveries/replay", "receiver=pager&who=Ada").starts_with("HTTP/1.1 303"));
    wait_until("it is taken", LIMIT, || !pager.received().messages.is_empty());
    assert_eq!(pager.received().messages[0].1, refused[0], "the same message under the same key");
    wait_until("the history says who", LIMIT, || {
        let page = browser.page(&format!("/alerts/{alert}"));
        page.contains("sent again to pager") && page.contains("data-label=\"Who\">Ada")
    });
    assert_eq!(service.stop(), Some(0));
    assert_eq!(troubles(&stage.soc).len(), 1, "told once");
}

#[test]
fn a_receiver_that_wants_no_more_is_paused_told_of_elsewhere_and_resumed_by_hand() {
    let Some(stage) = Stage::set("") else { return };
    let leaving = Receiver::start(false);
    leaving.answers(Some("410 Gone"));
    stage.receiver("leaving", &leaving);
    let (service, browser) = stage.start("12:00:00");
    stage.log(&[deletion(1, NOON - 60, "eve")]);
    wait_until("it is paused", LIMIT, || browser.page("/deliveries").contains("paused</span>"));
    service.reload();
    wait_until("another hears of it", LIMIT, || troubles(&stage.soc).len() == 1);
    let text = troubles(&stage.soc)[0]["data"]["why"]["text"].as_str().expect("text").to_owned();
    assert!(text.contains("leaving wants no more messages"), "{text}");
    stage.log(&[deletion(2, NOON - 50, "mallory")]);
    wait_until("the other is told as ever", LIMIT, || knows_of(&stage.soc, "mallory"));
    assert_eq!(leaving.received().requests, 1, "a paused receiver is left alone");

    leaving.answers(None);
    assert!(browser.send("/deliveries/resume", "receiver=leaving&who=Ada").starts_with("HTTP/1.1 303"));
    await_told(&leaving, "alert.opened", 2);
    assert_eq!(service.stop(), Some(0));
}
