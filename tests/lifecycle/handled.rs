//! What people do with alerts, and what follows when more evidence comes.

use super::{LIMIT, NOON, Stage, about, act, await_told, deletion, ids, told};
use crate::harness::wait_until;

#[test]
fn what_was_resolved_is_told_as_regressed_with_the_name_of_who_resolved_it_when_more_comes() {
    let Some(stage) = Stage::set("") else { return };
    let (service, browser) = stage.start("12:00:00");
    stage.log(&[deletion(1, NOON - 60, "eve")]);
    let alert = about(&await_told(&stage.soc, "alert.opened", 1), "eve");
    act(&browser, &alert, "acknowledge");
    await_told(&stage.soc, "alert.acknowledged", 1);
    act(&browser, &alert, "resolve&resolution=benign");
    await_told(&stage.soc, "alert.resolved", 1);

    stage.log(&[deletion(2, NOON - 30, "eve")]);
    let regressed = await_told(&stage.soc, "alert.regressed", 1);
    assert_eq!(ids(&regressed), [alert.as_str()]);
    let note = regressed[0]["data"]["note"].as_str().expect("a note");
    assert!(note.contains("Ada") && note.contains("benign"), "{note}");
    assert_eq!(regressed[0]["data"]["events"], 2);

    let page = browser.page(&format!("/alerts/{alert}"));
    for part in [
        "regressed",
        "data-label=\"What\">acknowledged",
        "data-label=\"What\">resolved",
        "data-label=\"Who\">Ada",
    ] {
        assert!(page.contains(part), "{part} is not on {page}");
    }
    assert!(browser.page("/?last=all&status=open").contains("regressed</span>"));

    // Whoever acts on what they saw before buries nothing.
    let outdated =
        browser.send("/alerts", &format!("action=resolve&resolution=benign&alert={alert}~1&who=Ada"));
    assert!(outdated.starts_with("HTTP/1.1 409") && outdated.contains("has changed since"), "{outdated}");
    act(&browser, &alert, "resolve&resolution=benign");
    await_told(&stage.soc, "alert.resolved", 2);
    act(&browser, &alert, "reopen");
    wait_until("it is told anew", LIMIT, || told(&stage.soc, "alert.opened").len() == 2);
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn all_that_match_are_acknowledged_after_they_were_counted_and_nobody_is_told_of_what_was_undone_at_once() {
    let Some(stage) = Stage::set("") else { return };
    let (service, browser) = stage.start("12:00:00");
    stage.log(&(0..4).map(|n| deletion(n, NOON - 60, &format!("eve{n}"))).collect::<Vec<_>>());
    await_told(&stage.soc, "alert.opened", 4);
    let acknowledge = |more: &str| {
        let list = browser.page("/?rule=KW-004&last=24h");
        let seen = list.split_once("name=\"seen\" value=\"").and_then(|(_, rest)| rest.split('"').next());
        let seen = seen.expect("the list says when it was made").replace('+', "%2b");
        let back = "back=%2F%3Frule%3DKW-004%26last%3D24h";
        browser
            .send("/alerts", &format!("action=acknowledge&scope=matching&{back}&seen={seen}&who=Ada{more}"))
    };
    let open = || {
        let list = browser.page("/?rule=KW-004&last=24h&status=open");
        list.matches("row-link strong").count()
    };
    let asked = acknowledge("");
    assert!(asked.contains("Acknowledge 4 alerts?"), "{asked}");
    assert_eq!(open(), 4, "it was not confirmed");
    let done = acknowledge("&confirmed=yes");
    let back = done.lines().find_map(|line| line.strip_prefix("location: ")).expect("it goes back");
    assert_eq!(open(), 0);
    let action = back.split_once("done=").expect("what was done").1.trim();
    let undone = browser.send("/alerts/undo", &format!("id={action}&who=Ada&back=%2F"));
    assert!(undone.starts_with("HTTP/1.1 303"), "{undone}");
    assert_eq!(open(), 4);
    assert!(acknowledge("&confirmed=yes").starts_with("HTTP/1.1 303"));
    assert_eq!(service.stop(), Some(0));

    // Receivers are told when the time to think again is over.
    let (service, _browser) = stage.start("12:01:00");
    let all = await_told(&stage.soc, "alert.acknowledged", 4);
    assert_eq!(service.stop(), Some(0));
    assert_eq!((ids(&all).len(), told(&stage.soc, "alert.acknowledged").len()), (4, 4));
}
