//! `LookupEvents` in accounts of others: roles with external ids, in a chain, refused, and at their end.

use super::cloudtrail::CloudTrail;
use super::lookup::{REGION, brings, fill, settings};
use super::organisation::{Organisation, Trust, role};
use super::server::Server;
use super::stage::{Running, START, Stage};
use super::trail::access;
use keywatch_aws::Role;
use keywatch_aws::lookup::{Lookup, Settings, position_name};
use keywatch_ingest::source::State;

const NOW: i64 = START + 86_400;
/// The access key Keywatch itself has.
const OWN: &str = "AKIAEXAMPLEID";
const HUB: &str = "999900001111";
const SHOP: (&str, &str) = ("111122223333", "kw-shop");
const BANK: (&str, &str) = ("444455556666", "kw-bank");

/// An organisation, and how many events each of its accounts has.
struct Stand {
    organisation: Organisation,
    server: Server,
    /// By account, the shop's first.
    counts: [u64; 2],
}

/// Two accounts whose roles only `whom` may take on, each with its external id.
fn stand(whom: &str) -> Stand {
    let organisation = Organisation::new();
    let mut counts = [0; 2];
    for ((number, id), count) in [SHOP, BANK].into_iter().zip(&mut counts) {
        let trail = CloudTrail::new(NOW, 1);
        *count = fill(&trail, number.parse().unwrap(), 300, 20);
        organisation.account(number, &trail, Trust { whom: whom.to_owned(), external_id: Some(id) });
    }
    Stand { server: organisation.serve(), organisation, counts }
}

fn taken(number: &str, external_id: Option<&str>) -> Role {
    Role { arn: role(number), external_id: external_id.map(str::to_owned) }
}

async fn start(stage: &Stage, server: &Server, (chain, roles): (Vec<Role>, Vec<Role>)) -> Running {
    let (mut access, secrets) = access(server);
    access.roles = chain;
    let told = (stage.hand.clock(), stage.health.clone());
    let positions = stage.positions().await;
    let settings = Settings { roles, backfill: chrono::TimeDelta::days(2), ..settings() };
    Stage::run(Lookup::start("t", (&access, &secrets), settings, &positions, told).await)
}

#[tokio::test]
async fn every_account_is_looked_up_with_its_role_and_external_id_by_way_of_the_role_before() {
    let Stand { organisation, server, counts } = stand(&role(HUB));
    let hub = Trust { whom: OWN.to_owned(), external_id: None };
    organisation.with(|state| state.trusts.insert(role(HUB), hub));
    let mut stage = Stage::new(NOW).await;
    let roles = vec![taken(SHOP.0, Some(SHOP.1)), taken(BANK.0, Some(BANK.1))];
    let mut running = start(&stage, &server, (vec![taken(HUB, None)], roles)).await;
    brings(&mut stage, &mut running, counts.iter().sum()).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it follows", |_| health.read().state() == State::Following).await;
    assert_eq!(stage.count().await, counts.iter().sum::<u64>());
    let asked = organisation.with(|state| state.asked.clone());
    assert!(asked.iter().all(|one| one.is_let && one.session_name == "keywatch"), "{asked:?}");
    for (number, id) in [(HUB, None), (SHOP.0, Some(SHOP.1)), (BANK.0, Some(BANK.1))] {
        let mut shown =
            asked.iter().filter(|one| one.role == role(number)).map(|one| one.external_id.as_deref());
        assert!(shown.next() == Some(id) && shown.all(|one| one == id), "{number}: {asked:?}");
    }
    // Sessions last an hour: each lane asks for its own once, and for the hub's on the way.
    assert_eq!(asked.len(), 4, "{asked:?}");
    for (number, _) in [SHOP, BANK] {
        let name = position_name("t", number, REGION);
        while !stage.positions().await.contains_key(&name) {
            stage.until_some(&mut running).await;
        }
    }
}

#[tokio::test]
async fn a_role_that_is_refused_is_told_of_with_its_remedy_while_the_other_accounts_are_read() {
    let Stand { organisation, server, counts } = stand(OWN);
    let mut stage = Stage::new(NOW).await;
    // What the bank's trust policy asks for is not what Keywatch shows.
    let roles = vec![taken(SHOP.0, Some(SHOP.1)), taken(BANK.0, Some("kw-other"))];
    let mut running = start(&stage, &server, (Vec::new(), roles)).await;
    brings(&mut stage, &mut running, counts[0]).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it is told", |_| health.read().state() == State::Failing).await;
    let errors = health.read().errors;
    let told: Vec<(&str, &str)> = errors.iter().map(|(what, why)| (&**what, &*why.text)).collect();
    let [(lane, said)] = told[..] else { panic!("{told:?}") };
    assert_eq!(lane, format!("{} {REGION}", BANK.0));
    for part in ["AccessDenied", &*role(BANK.0), "trust policy", "see that `external_id` is"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("kw-bank"), "{said}");
    assert_eq!(stage.count().await, counts[0]);
    // Somebody corrects the trust policy.
    let mended = Trust { whom: OWN.to_owned(), external_id: Some("kw-other") };
    organisation.with(|state| state.trusts.insert(role(BANK.0), mended));
    brings(&mut stage, &mut running, counts.iter().sum()).await;
    stage.until(&mut running, "it is well", |_| health.read().errors.is_empty()).await;
}

#[tokio::test]
async fn sessions_that_end_midway_are_renewed_and_no_event_is_lost_or_doubled() {
    let Stand { organisation, server, counts } = stand(OWN);
    organisation.with(|state| state.ends_after = Some(3));
    let mut stage = Stage::new(NOW).await;
    let roles = vec![taken(SHOP.0, Some(SHOP.1)), taken(BANK.0, Some(BANK.1))];
    let mut running = start(&stage, &server, (Vec::new(), roles)).await;
    brings(&mut stage, &mut running, counts.iter().sum()).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it follows", |_| health.read().state() == State::Following).await;
    assert_eq!(stage.count().await, counts.iter().sum::<u64>());
    let (ended, asked) = organisation.with(|state| (state.ended, state.asked.len()));
    assert!(
        ended > 0 && asked > 2,
        "{ended} requests met the end of their session, {asked} roles were asked for"
    );
}

#[tokio::test]
async fn a_session_that_is_near_its_end_is_not_used_any_more() {
    let Stand { organisation, server, counts } = stand(OWN);
    // Less than the five minutes before its end from which on one is renewed.
    organisation.with(|state| state.lasts_secs = 240);
    let mut stage = Stage::new(NOW).await;
    let mut running = start(&stage, &server, (Vec::new(), vec![taken(SHOP.0, Some(SHOP.1))])).await;
    brings(&mut stage, &mut running, counts[0]).await;
    let requests = organisation.with(|state| state.trails[SHOP.0].with(|trail| trail.requests));
    let asked = organisation.with(|state| state.asked.len());
    assert!(requests > 5 && asked >= requests, "{asked} sessions for {requests} requests");
}
