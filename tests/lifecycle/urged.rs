//! What is said again while nobody looks: reminders, escalations, the sign of life.

use super::{LIMIT, NOON, Stage, about, act, await_told, deletion, ids, told};
use crate::harness::{Receiver, Service, Site, wait_until};

#[test]
fn a_critical_nobody_acknowledges_is_escalated_and_reminded_of_until_somebody_does() {
    let yaml = "default_receivers: [soc]\nreminders: {critical: 1h}\n\
                escalations: [{level: critical, after: 15m, receivers: [lead]}]\n";
    let Some(stage) = Stage::set(yaml) else { return };
    let lead = Receiver::start(false);
    stage.receiver("lead", &lead);

    let (service, browser) = stage.start("12:00:00");
    stage.log(&[deletion(1, NOON - 60, "eve"), deletion(2, NOON - 50, "mallory")]);
    let opened = await_told(&stage.soc, "alert.opened", 2);
    let (seen, unseen) = (about(&opened, "eve"), about(&opened, "mallory"));
    act(&browser, &seen, "acknowledge");
    assert_eq!(ids(&await_told(&stage.soc, "alert.acknowledged", 1)), [seen.as_str()]);
    assert_eq!(service.stop(), Some(0));
    assert!(lead.received().messages.is_empty(), "nobody was late yet");

    let (service, browser) = stage.start("12:20:00");
    assert_eq!(ids(&await_told(&lead, "alert.escalated", 1)), [unseen.as_str()]);
    let page = browser.page(&format!("/alerts/{unseen}"));
    assert!(page.contains("nobody has acknowledged it within 15 min"), "{page}");
    assert_eq!(service.stop(), Some(0));
    assert!(told(&stage.soc, "alert.reminder").is_empty(), "an hour had not passed");

    let (service, browser) = stage.start("13:30:00");
    for receiver in [&stage.soc, &lead] {
        assert_eq!(ids(&await_told(receiver, "alert.reminder", 1)), [unseen.as_str()]);
    }
    // The look that found the reminder would have found a second escalation.
    assert_eq!(told(&lead, "alert.escalated").len(), 1);
    act(&browser, &unseen, "resolve&resolution=malicious");
    for receiver in [&stage.soc, &lead] {
        assert_eq!(ids(&await_told(receiver, "alert.resolved", 1)), [unseen.as_str()]);
    }
    assert_eq!(service.stop(), Some(0));

    // A third alert is said again at the same look as the two others would be.
    let (service, _browser) = stage.start("14:00:00");
    stage.log(&[deletion(3, NOON + 7100, "trudy")]);
    let third = about(&await_told(&stage.soc, "alert.opened", 3), "trudy");
    assert_eq!(service.stop(), Some(0));
    let (service, _browser) = stage.start("15:30:00");
    assert_eq!(ids(&await_told(&stage.soc, "alert.reminder", 2)), [unseen.as_str(), third.as_str()]);
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn the_sign_of_life_comes_again_and_again_to_its_receiver_and_to_nobody_else() {
    let watchdog = Receiver::start(false);
    let site = Site::new(&watchdog);
    let soc = Receiver::start(false);
    let (url, folder) = (soc.url(), site.folder.path().display().to_string());
    let config = std::fs::read_to_string(site.config()).expect("read");
    let other = format!(
        "  - name: other\n    webhook: {{url: \"{url}\", secret: {{source: file, path: {folder}/secret}}}}\negress:"
    );
    let config = config.replace("egress:", &other) + "heartbeat: {receiver: soc, every: 10s}\n";
    std::fs::write(site.config(), config).expect("written");
    let service = Service::start(&site.config());
    let beats = await_told(&watchdog, "keywatch.heartbeat", 2);
    let apart = watchdog.received().accepted.len();
    assert!(apart >= 2, "every one has an id of its own: {beats:?}");
    let browser = crate::harness::browser::Browser::sign_in(&service.login_link);
    wait_until("the page shows it", LIMIT, || {
        let page = browser.page("/deliveries");
        let cell = page.split_once("data-label=\"Heartbeat\">").map(|(_, rest)| rest.starts_with("<time"));
        cell == Some(true)
    });
    assert_eq!(service.stop(), Some(0));
    assert_eq!(soc.received().requests, 0, "the other receiver heard it");
}
