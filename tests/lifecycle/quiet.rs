//! What is not said at once, or not at all: silences, windows, planned access, groups, the cap.

use super::{LIMIT, NOON, Stage, await_told, deletion, ids, knows_of, told, told_of_rule};
use crate::harness::logs::vault_line;
use crate::harness::wait_until;

const DAY: i64 = 86_400;

/// Five refused reads by one person: KW-005, critical.
fn refusals(from: u64, secs: i64, who: &str) -> Vec<String> {
    let line = |n: u64| {
        let at = secs + i64::try_from(n).expect("small");
        vault_line(from + n, at, who, &format!("read secret/data/s{n}"), Some("permission denied"))
    };
    (0..6).map(line).collect()
}

#[test]
fn a_silence_shows_what_it_would_have_hidden_holds_back_while_it_lasts_and_tells_at_its_end() {
    let Some(stage) = Stage::set("") else { return };
    let (service, browser) = stage.start("12:00:00");
    stage.log(&[deletion(1, NOON - 40 * DAY, "old"), deletion(2, NOON - 2 * DAY, "eve")]);
    await_told(&stage.soc, "alert.opened", 2);

    let silence = "matchers=rule%3dKW-004&starts=2026-06-01T11:00&ends=2026-06-01T14:00&who=Ada";
    let preview = browser.send("/silences", &format!("step=preview&{silence}"));
    assert!(preview.contains("<strong>1 of 1 alerts</strong> of the last 30 days"), "{preview}");
    let unexplained = browser.send("/silences", &format!("step=make&{silence}"));
    assert!(unexplained.contains("say who asks for it and why"), "{unexplained}");
    let made = browser.send("/silences", &format!("step=make&{silence}&reason=moving+house"));
    assert!(made.starts_with("HTTP/1.1 303"), "{made}");

    stage.log(&[deletion(3, NOON - 50, "fay")]);
    stage.log(&refusals(10, NOON - 40, "mallory"));
    wait_until("another rule is told", LIMIT, || told_of_rule(&stage.soc, "KW-005") == 1);
    wait_until("the silenced alert is shown as muted", LIMIT, || {
        browser.page("/?rule=KW-004&last=1h").contains("muted</span>")
    });
    let muted =
        told(&stage.soc, "alert.opened").iter().all(|one| one["data"]["principal"]["id"] != "entity-fay");
    assert!(muted, "somebody was told of what is silenced");
    let list = browser.page("/?rule=KW-004&last=1h");
    let page =
        list.split_once("href=\"/alerts/").and_then(|(_, rest)| rest.split('"').next()).expect("an alert");
    let page = browser.page(&format!("/alerts/{page}"));
    assert!(page.contains("silence 1 until 2026-06-01T14:00:00Z, by Ada: moving house"), "{page}");
    assert_eq!(service.stop(), Some(0));

    let (service, browser) = stage.start("14:00:30");
    wait_until("what is still open is told at the end", LIMIT, || knows_of(&stage.soc, "fay"));

    // One that is ended early tells at once.
    let silence = "matchers=rule%3dKW-004&starts=2026-06-01T11:00&ends=2026-06-02T14:00&who=Ada&reason=again";
    assert!(browser.send("/silences", &format!("step=make&{silence}")).starts_with("HTTP/1.1 303"));
    stage.log(&[deletion(4, NOON + 7200, "gil")]);
    wait_until("it is muted", LIMIT, || browser.page("/?rule=KW-004&last=1h").contains("muted</span>"));
    assert!(browser.send("/silences/expire", "id=2&who=Bob").starts_with("HTTP/1.1 303"));
    wait_until("it is told", LIMIT, || knows_of(&stage.soc, "gil"));
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn a_maintenance_window_holds_back_until_it_ends_and_planned_access_is_only_noted() {
    let yaml = "silences:\n  - {name: backups, match: [rule=KW-004], weekly: [\"mon 12:00-13:00 UTC\"], author: ada, reason: weekly}\n\
                planned_access: [{principal: entity-drill, to: 2026-06-02, reason: yearly drill}]\n";
    let Some(stage) = Stage::set(yaml) else { return };
    let (service, browser) = stage.start("12:30:00");
    stage.log(&[deletion(1, NOON + 1700, "eve"), deletion(2, NOON + 1710, "drill")]);
    stage.log(&refusals(10, NOON + 1720, "mallory"));
    wait_until("another rule is told", LIMIT, || told_of_rule(&stage.soc, "KW-005") == 1);
    wait_until("the window holds it back", LIMIT, || {
        browser.page("/?rule=KW-004&last=1h").contains("title=\"By backups\"")
    });
    assert!(browser.page("/silences").contains("mon 12:00-13:00 UTC"));
    assert_eq!(service.stop(), Some(0));

    let (service, browser) = stage.start("13:00:10");
    wait_until("it is told when the window has ended", LIMIT, || knows_of(&stage.soc, "eve"));
    // What was announced is no critical alert: it is a note that it happened.
    let drilled = browser.page("/?last=all&status=all&level=high&principal=entity-drill");
    assert!(drilled.contains("No alerts match"), "{drilled}");
    let drilled = browser.page("/?last=all&status=all&principal=entity-drill");
    assert!(drilled.contains("Planned secret deletion"), "{drilled}");
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn alerts_of_a_group_are_one_message_and_the_group_rests_before_the_next() {
    let Some(stage) = Stage::set("grouping: {by: [rule], wait: 2s, interval: 4s}\n") else { return };
    let (service, _browser) = stage.start("12:00:00");
    stage.log(&(0..4).map(|n| deletion(n, NOON - 60, &format!("eve{n}"))).collect::<Vec<_>>());
    let first = await_told(&stage.soc, "alert.opened", 1);
    assert_eq!(ids(&first).len(), 4, "{first:#?}");
    assert_eq!(first[0]["data"]["group"]["rule"], "KW-004");
    stage.log(&(4..7).map(|n| deletion(n, NOON - 50, &format!("eve{n}"))).collect::<Vec<_>>());
    let both = await_told(&stage.soc, "alert.opened", 2);
    assert_eq!(ids(&both).len(), 7, "{both:#?}");
    let sent = |n: usize| -> i64 {
        let received = stage.soc.received();
        let (headers, _) = received.messages.get(n).expect("a message");
        headers["webhook-timestamp"].parse().expect("seconds")
    };
    assert!(sent(1) - sent(0) >= 4, "the group did not rest: {} and {}", sent(0), sent(1));
    assert_eq!(service.stop(), Some(0));
}

/// Every read of a secret, by whomever, is an alert of level high.
const READS: &str = "title: A read\nname: T-1\nlogsource: {product: keywatch, category: audit}\n\
                     detection: {s: {class: secret.read, outcome: ok}, condition: s}\nlevel: high\n";

#[test]
fn what_is_too_much_of_a_rule_comes_as_one_summary_at_the_full_hour_and_criticals_come_at_once() {
    let Some(stage) = Stage::set("rate_cap: {per_hour: 2, below: critical}\n") else { return };
    std::fs::write(stage.site.path("reads.yml"), READS).expect("written");
    stage.site.configure(&format!("rules: [{}]\n", stage.site.path("reads.yml").display()));
    let (service, browser) = stage.start("12:10:00");
    let read = |n: u64| vault_line(n, NOON + 500, &format!("app{n}"), "read secret/data/db", None);
    stage.log(&(0..6).map(read).collect::<Vec<_>>());
    wait_until("two are told", LIMIT, || told_of_rule(&stage.soc, "T-1") == 2);
    stage.log(&(10..14).map(|n| deletion(n, NOON + 510, &format!("eve{n}"))).collect::<Vec<_>>());
    wait_until("every critical is told", LIMIT, || told_of_rule(&stage.soc, "KW-004") == 4);
    let capped = browser.page("/?rule=T-1&last=1h");
    assert_eq!(capped.matches("row-link strong").count(), 6, "all are stored and shown");
    assert_eq!(service.stop(), Some(0));
    assert_eq!(told_of_rule(&stage.soc, "T-1"), 2, "the cap was not kept");

    let (service, _browser) = stage.start("13:00:30");
    let summary = await_told(&stage.soc, "alert.summary", 1);
    assert_eq!(ids(&summary).len(), 4, "{summary:#?}");
    let first = ids(&told(&stage.soc, "alert.opened"));
    assert!(ids(&summary).iter().all(|id| !first.contains(id)), "told twice");
    assert_eq!(service.stop(), Some(0));
}
