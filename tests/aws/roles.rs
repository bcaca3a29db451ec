//! Who Keywatch is to AWS: roles of other accounts, a profile, the usual chain; and what is told of
//! those it cannot be.

use super::door::Door;
use super::{Moto, configure};
use crate::harness::browser::Browser;
use crate::harness::{Receiver, Service, Site, program, text, wait_until};
use std::time::{Duration, Instant};

/// An account with a queue that holds three events: the queue's URL, and a key of a user there.
struct Account {
    number: &'static str,
    url: String,
    id: String,
    secret: String,
}

impl Account {
    fn new(moto: &Moto, number: &'static str) -> Self {
        let said = moto.does(&["account", number, "3"]);
        let mut words = said.split(' ').map(str::to_owned);
        let mut next = || words.next().expect("a URL, an id and a secret");
        Self { number, url: next(), id: next(), secret: next() }
    }

    fn role(&self) -> String {
        format!("arn:aws:iam::{}:role/keywatch", self.number)
    }

    /// A source that reads the queue, as YAML.
    fn source(&self, name: &str, access: &str) -> String {
        let url = &self.url;
        format!(
            "  - name: {name}\n    aws_queue: {{url: \"{url}\", region: eu-central-1, carries: events, access: {{{access}}}}}\n"
        )
    }
}

/// Variables under which nothing but what a test gives is found.
fn variables<'v>(files: &'v str, keys: &'v Account) -> [(&'v str, &'v str); 5] {
    [
        ("AWS_SHARED_CREDENTIALS_FILE", files),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ACCESS_KEY_ID", &keys.id),
        ("AWS_SECRET_ACCESS_KEY", &keys.secret),
    ]
}

#[test]
fn roles_of_two_accounts_a_profile_and_the_usual_chain_each_reach_their_own_account() {
    let Some(moto) = Moto::start() else { return };
    let door = Door::open(&moto.endpoint);
    // A queue is found only with credentials of its account.
    let numbers = ["444455556666", "555566667777", "666677778888", "777788889999"];
    let [first, second, third, fourth] = numbers.map(|number| Account::new(&moto, number));
    door.trusts(&first.role(), Some("kw-1"));
    door.trusts(&second.role(), Some("kw-2"));
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let endpoint = format!("endpoint: \"{}\"", door.endpoint);
    let role = |account: &Account, id: &str| {
        format!("role: {{arn: \"{}\", external_id: {id}}}, {endpoint}", account.role())
    };
    let sources = [
        first.source("role-one", &role(&first, "kw-1")),
        second.source("role-two", &role(&second, "kw-2")),
        third.source("profile", &format!("profile: audit, {endpoint}")),
        fourth.source("chain", &endpoint),
    ];
    configure(&site, &receiver, &sources.concat());
    let shared =
        format!("[audit]\naws_access_key_id = {}\naws_secret_access_key = {}\n", third.id, third.secret);
    std::fs::write(site.path("credentials"), shared).expect("a file");
    let files = site.path("credentials").display().to_string();
    let service = Service::start_with(&site.config(), &variables(&files, &fourth));
    let browser = Browser::sign_in(&service.login_link);
    let mut page = String::new();
    wait_until("all four are read", Duration::from_mins(1), || {
        page = browser.page("/sources");
        page.contains("<a href=\"/events\">12</a>")
    });
    assert_eq!(service.stop(), Some(0));
    let totals =
        site.look(async |store| store.overview(chrono::DateTime::UNIX_EPOCH).await.expect("totals").totals);
    assert_eq!((totals.events, totals.rejects), (12, 0), "{page}");
}

#[test]
fn a_secret_is_read_with_the_profile_that_is_named_whatever_keys_are_in_the_environment() {
    let Some(moto) = Moto::start() else { return };
    let [owner, other] = ["444455556666", "555566667777"].map(|number| Account::new(&moto, number));
    moto.does(&["secret", &owner.id, "app/key", "of-the-owner"]);
    let folder = tempfile::tempdir().expect("a folder");
    let (config, files) = (folder.path().join("keywatch.yaml"), folder.path().join("credentials"));
    let get = |profile: &str| {
        let endpoint = &moto.endpoint;
        let yaml = format!(
            "secret_manager: {{aws: {{region: eu-central-1, endpoint: \"{endpoint}\", sts_endpoint: \"{endpoint}\", profile: {profile}}}}}\n"
        );
        std::fs::write(&config, yaml).expect("a configuration");
        let files = files.display().to_string();
        program()
            .args(["secret", "get", "aws-secrets-manager:app/key", "--config"])
            .arg(&config)
            .envs(variables(&files, &other))
            .output()
            .expect("the program runs")
    };
    let keys = format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", owner.id, owner.secret);
    std::fs::write(&files, format!("[audit]\n{keys}")).expect("a file");
    let output = get("audit");
    assert_eq!((text(&output.stdout).trim(), text(&output.stderr).trim()), ("of-the-owner", ""));
    let said = text(&get("ghost").stderr);
    assert!(said.contains("the AWS profile gives no credentials; define it"), "{said}");
}

#[test]
fn whoever_cannot_be_had_is_told_with_a_remedy_and_a_renewed_session_is_taken_without_a_restart() {
    let Some(moto) = Moto::start() else { return };
    let door = Door::open(&moto.endpoint);
    let numbers = ["444455556666", "555566667777", "666677778888", "777788889999"];
    let [first, second, third, fourth] = numbers.map(|number| Account::new(&moto, number));
    door.trusts(&second.role(), Some("kw-2"));
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let endpoint = format!("endpoint: \"{}\"", door.endpoint);
    let sources = [
        first.source("untrusted", &format!("role: {{arn: \"{}\"}}, {endpoint}", first.role())),
        second.source(
            "wrong-id",
            &format!("role: {{arn: \"{}\", external_id: kw-9}}, {endpoint}", second.role()),
        ),
        third.source("unknown", &format!("profile: ghost, {endpoint}")),
        fourth.source("ended", &format!("profile: audit, {endpoint}")),
    ];
    configure(&site, &receiver, &sources.concat());
    let sign_in = |id: &str| {
        let keys = format!(
            "aws_access_key_id = {id}\naws_secret_access_key = {}\naws_session_token = t\n",
            fourth.secret
        );
        std::fs::write(site.path("credentials"), format!("[audit]\n{keys}")).expect("a file");
    };
    sign_in("ASIAENDED");
    door.ends("ASIAENDED");
    let files = site.path("credentials").display().to_string();
    let service = Service::start_with(&site.config(), &variables(&files, &fourth));
    let browser = Browser::sign_in(&service.login_link);
    let (first, second) = (first.role(), second.role());
    let told = [
        format!(
            "STS does not let Keywatch take on {first}: AccessDenied: User: arn:aws:iam::123456789012:user/keywatch is not"
        ),
        format!(
            "grant sts:AssumeRole on {first} to the identity Keywatch has, name that identity in the role&#39;s trust policy, and write `external_id` if"
        ),
        format!(
            "grant sts:AssumeRole on {second} to the identity Keywatch has, name that identity in the role&#39;s trust policy, and see that `external_id` is"
        ),
        "the profile `ghost` gives no credentials".to_owned(),
        "define it with credentials in ~/.aws/config".to_owned(),
        "the session has ended: sign in again".to_owned(),
    ];
    let mut page = String::new();
    let mut told_all = || {
        page = browser.page("/sources");
        told.iter().all(|text| page.contains(text))
    };
    let deadline = Instant::now() + Duration::from_secs(40);
    while !told_all() && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let missing: Vec<&String> = told.iter().filter(|text| !page.contains(*text)).collect();
    assert!(missing.is_empty(), "{missing:#?} in {page}");
    sign_in(&fourth.id);
    wait_until("the renewed session reads", Duration::from_mins(1), || {
        page = browser.page("/sources");
        !page.contains("the session has ended") && page.contains("<a href=\"/events\">3</a>")
    });
    assert_eq!(service.stop(), Some(0));
    let totals =
        site.look(async |store| store.overview(chrono::DateTime::UNIX_EPOCH).await.expect("totals").totals);
    assert_eq!(totals.events, 3, "{page}");
}
