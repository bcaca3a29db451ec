//! Who is told of what: routes by provider, account, level, rule, secret, tag and time of day.

use super::{LIMIT, NOON, Stage, about, await_told, deletion, knows_of, told};
use crate::harness::logs::{aws_read, vault_line};
use crate::harness::{Receiver, wait_until};

const ROUTES: &str = r#"routes:
  - {name: the lake has all, match: ["level=high|critical"], receivers: [lake], continue: true}
  - {name: the cloud team, match: [provider=aws, account=111122223333, "store=*"], receivers: [cloud]}
  - {name: drills, match: [principal=entity-drill], receivers: []}
  - {name: the vault of keys, match: ["secret=*db7", rule=KW-004, "tag=attack.*"], receivers: [cloud]}
  - {name: at night, level: critical, hours: ["mon-fri 18:00-08:00 UTC"], receivers: [night]}
  - {name: all else, receivers: [soc]}
"#;

#[test]
fn each_alert_goes_where_the_first_route_that_fits_says_and_its_page_says_which() {
    let Some(stage) = Stage::set(ROUTES) else { return };
    let [lake, cloud, night] = [(); 3].map(|()| Receiver::start(false));
    for (name, receiver) in [("lake", &lake), ("cloud", &cloud), ("night", &night)] {
        stage.receiver(name, receiver);
    }
    let (service, browser) = stage.start("12:00:00");
    let aws = aws_read(1).replace("GetSecretValue", "DeleteSecret");
    std::fs::write(stage.site.logs().join("trail.json"), format!("{aws}\n")).expect("written");
    stage.log(&[
        deletion(1, NOON - 60, "eve"),
        deletion(7, NOON - 50, "fay"),
        deletion(3, NOON - 40, "drill"),
        vault_line(4, NOON - 30, "gil", "read secret/data/db", Some("permission denied")),
    ]);
    let all = await_told(&lake, "alert.opened", 4);
    wait_until("the last route is asked", LIMIT, || knows_of(&stage.soc, "eve"));
    wait_until("the cloud team is told", LIMIT, || told(&cloud, "alert.opened").len() == 2);
    assert!(knows_of(&cloud, "fay"), "a secret and a tag chose no receiver");
    assert!(told(&cloud, "alert.opened").iter().any(|one| one["data"]["provider"] == "aws"));
    for (who, reason) in [
        ("eve", "soc: told: route `all else` names it"),
        ("fay", "cloud: told: route `the vault of keys` names it"),
        ("drill", "soc: not told: routes `the lake has all`, `drills` decide, and do not name it"),
    ] {
        let decisions = decisions(&browser.page(&format!("/alerts/{}", about(&all, who))));
        assert!(decisions.iter().any(|decision| decision == reason), "{decisions:#?}");
    }
    assert_eq!(service.stop(), Some(0));
    assert!(!knows_of(&stage.soc, "fay"), "a later route was asked too");
    for receiver in [&stage.soc, &cloud, &night] {
        assert!(!knows_of(receiver, "drill"), "nobody was to be told");
    }
    assert!(told(&night, "alert.opened").is_empty(), "it is day");

    let (service, _browser) = stage.start("20:00:00");
    stage.log(&[deletion(9, NOON + 8 * 3600 - 60, "hal")]);
    wait_until("the night is told", LIMIT, || knows_of(&night, "hal"));
    wait_until("and the lake, as ever", LIMIT, || knows_of(&lake, "hal"));
    assert_eq!(service.stop(), Some(0));
    assert!(!knows_of(&stage.soc, "hal"), "it is night");
}

/// Who was told, or was not, and why, as the page of an alert has it.
fn decisions(page: &str) -> Vec<String> {
    let part = page.split_once("Why they were told, or were not").expect("the decisions").1;
    let cell = |row: &str, label: &str| {
        let text = row.split_once(&format!("data-label=\"{label}\">")).expect("a cell").1;
        text.split_once("</td>")
            .expect("its end")
            .0
            .trim_end_matches("</span>")
            .rsplit('>')
            .next()
            .map(str::to_owned)
    };
    let rows = part.split("</section>").next().expect("its end").split("<tr><td").skip(1);
    let said =
        rows.map(|row| ["Receiver", "Decision", "Reason"].map(|label| cell(row, label).expect("text")));
    said.map(|[receiver, decision, reason]| format!("{receiver}: {decision}: {reason}")).collect()
}
