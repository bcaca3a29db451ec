//! What people do with alerts, and what follows when more evidence comes.

use super::{LIMIT, NOON, Stage, about, act, await_told, deletion, ids};
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
    wait_until("it is told anew", LIMIT, || super::told(&stage.soc, "alert.opened").len() == 2);
    assert_eq!(service.stop(), Some(0));
}
