//! Keywatch's watch over its own sources, through the whole program: silence, delay, rejects, lost
//! lines, and that a restart repeats nothing.

use crate::harness::browser::Browser;
use crate::harness::logs::{START, vault_line};
use crate::harness::{Receiver, Service, Site, wait_until};
use keywatch_event::{Classified, Evaluation, Learned};
use keywatch_store::{AlertFilter, AlertRow, AlertStatus, Incoming, Judge, Page, Store};
use std::io::Write;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);

/// Says what was learned.
struct Teacher(Vec<u8>);

impl Judge for Teacher {
    fn judge(&mut self, _fresh: &[usize]) -> Evaluation {
        let learned = vec![Learned { key: "source\u{1f}audit".to_owned(), state: self.0.clone() }];
        Evaluation { classified: Vec::<Classified>::new(), learned, ..Evaluation::default() }
    }
}

/// A source that has spoken every second for two days, around the clock, a second late.
#[expect(clippy::disallowed_methods, reason = "the program it is told to reads the real clock")]
async fn teach(store: Store) {
    let now = chrono::DateTime::from(std::time::SystemTime::now());
    let (secs, hour) = (now.timestamp(), now.timestamp() / 3600);
    let seen = serde_json::json!({"counts": [1000], "total": 1000});
    let habits = serde_json::json!({
        "first": secs - 2 * 86_400, "moment": secs, "pauses": seen, "delays": seen, "records": 1000.0, "rejects": 0.0,
        "hours": {"weeks": vec![1; 168], "first": hour - 48, "last": hour, "has_paused": false},
    });
    let nothing = Incoming { events: &[], bytes: &[], rejects: &[], advances: &[], received_at: now };
    let nobody = Vec::<keywatch_store::Subscriber>::new();
    let mut teacher = Teacher(habits.to_string().into_bytes());
    store.commit(&nothing, &mut teacher, &nobody).await.expect("learned");
}

/// A site whose only source is impatient.
fn impatient(receiver: &Receiver) -> Site {
    let site = Site::new(receiver);
    let config = std::fs::read_to_string(site.config()).expect("a configuration");
    let config =
        config.replace("  - name: audit\n", "  - name: audit\n    silent_after: 3s\n    late_after: 8s\n");
    std::fs::write(site.config(), config).expect("a configuration");
    site.look(teach);
    site
}

fn write(site: &Site, text: &str) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(site.logs().join("audit.log"));
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
}

/// Alerts of a rule.
fn alerts(site: &Site, rule: &str) -> Vec<AlertRow> {
    site.look(async |store| {
        let filter = AlertFilter { rule: Some(rule.to_owned()), ..AlertFilter::default() };
        store.alerts(&filter, Page::first(50)).await.expect("alerts").rows
    })
}

fn told(receiver: &Receiver, what: &str) -> bool {
    receiver.received().messages.iter().any(|(_, body)| body.contains(what))
}

#[test]
fn a_source_that_falls_silent_is_told_once_across_restarts_and_withdrawn_when_it_speaks() {
    let receiver = Receiver::start(false);
    let site = impatient(&receiver);
    let service = Service::start(&site.config());
    wait_until("the silence is told", LIMIT, || told(&receiver, "Source silent: audit"));
    assert_eq!(service.stop(), Some(0));
    let before = alerts(&site, "KW-133s");
    assert_eq!(before.len(), 1);
    assert!(before[0].json.contains("nothing came from audit"), "{}", before[0].json);
    // Silent still after a restart: the alert stands and nobody is told again.
    let messages = receiver.received().messages.len();
    let service = Service::start(&site.config());
    wait_until("it is noticed again", LIMIT, || service.said().contains("nothing came from audit"));
    let page = Browser::sign_in(&service.login_link).page("/?rule=KW-133s&status=open");
    assert!(page.contains("Source silent: audit"), "{page}");
    assert_eq!(receiver.received().messages.len(), messages);
    write(&site, &vault_line(1, 0, "app", "read secret/data/a", None));
    wait_until("it is withdrawn", LIMIT, || told(&receiver, "is as usual again"));
    assert_eq!(service.stop(), Some(0));
    let after = alerts(&site, "KW-133s");
    assert_eq!(after.len(), 1);
    assert_eq!((after[0].id.clone(), after[0].status), (before[0].id.clone(), AlertStatus::Withdrawn));
}

#[test]
fn what_comes_ever_later_is_told() {
    let receiver = Receiver::start(false);
    let site = impatient(&receiver);
    let service = Service::start(&site.config());
    let mut number = 0;
    // Records of long ago come, and no recent ones.
    wait_until("the delay is told", LIMIT, || {
        number += 1;
        write(&site, &vault_line(number, 0, "app", "read secret/data/a", None));
        told(&receiver, "Source falls behind: audit")
    });
    assert_eq!(service.stop(), Some(0));
    assert_eq!(alerts(&site, "KW-133l").len(), 1);
}

#[test]
fn a_burst_of_what_cannot_be_read_and_a_truncated_file_are_told() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let service = Service::start(&site.config());
    write(&site, &"this is no record of anything\n".repeat(40));
    wait_until("the rejects are told", LIMIT, || told(&receiver, "Source brings what cannot be read: audit"));
    std::fs::write(site.logs().join("audit.log"), vault_line(1, 0, "app", "read secret/data/a", None))
        .expect("written");
    wait_until("the truncation is told", LIMIT, || told(&receiver, "Records are missing: audit"));
    assert_eq!(service.stop(), Some(0));
    let gaps = alerts(&site, "KW-133g");
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].json.contains("was truncated or overwritten"), "{}", gaps[0].json);
}

/// A line of Vault's of so many seconds ago.
#[expect(clippy::disallowed_methods, reason = "the program it is told to reads the real clock")]
fn line(n: u64, secs_ago: i64) -> String {
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).timestamp();
    vault_line(n, now - START - secs_ago, "app", "read secret/data/a", None)
}

/// It waits for two minutes, and two more for whoever ships the log, over a restart.
#[test]
fn a_request_that_vault_does_not_answer_is_told_and_withdrawn_by_a_response_that_comes_late() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let request = line(1, 215).replace("\"type\":\"response\"", "\"type\":\"request\"");
    write(&site, &request);
    let service = Service::start(&site.config());
    let browser = Browser::sign_in(&service.login_link);
    wait_until("it is stored", LIMIT, || browser.page("/metrics").contains("keywatch_stored_events 1\n"));
    assert_eq!(service.stop(), Some(0));
    assert!(alerts(&site, "KW-133v").is_empty());
    let service = Service::start(&site.config());
    // Waiting ends with the first look after the time, and looks are a minute apart.
    let title = "Vault request that nothing answers";
    wait_until("the request is told", LIMIT * 2, || told(&receiver, title));
    let page = Browser::sign_in(&service.login_link).page("/?rule=KW-133v&status=open");
    assert!(page.contains(title), "{page}");
    write(&site, &line(1, 214));
    wait_until("it is withdrawn", LIMIT, || told(&receiver, "it was followed after all"));
    assert_eq!(service.stop(), Some(0));
    let after = alerts(&site, "KW-133v");
    assert_eq!((after.len(), after[0].status), (1, AlertStatus::Withdrawn));
    let about = receiver.received().messages.iter().filter(|(_, body)| body.contains(title)).count();
    assert_eq!(about, 2, "once told, and once withdrawn");
}
