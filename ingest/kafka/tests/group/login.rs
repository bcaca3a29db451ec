//! A broker that knows one password and nothing else: enough of the protocol to log in
//! (ApiVersions, SaslHandshake and SaslAuthenticate; <https://kafka.apache.org/protocol>).

use super::stage::{settings, within};
use keywatch_brokers::{Access, Mechanism, Sasl, User};
use keywatch_ingest::source::{Clock, Health};
use keywatch_kafka::Group;
use keywatch_secrets::SecretManager;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const API_VERSIONS: i16 = 18;
const HANDSHAKE: i16 = 17;
const AUTHENTICATE: i16 = 36;
const UNSUPPORTED_VERSION: i16 = 35;
const REFUSED: i16 = 58;

/// Passwords that were shown, in order.
type Shown = Arc<Mutex<Vec<String>>>;

fn broker(password: &'static str) -> (String, Shown) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let shown = Shown::default();
    let heard = Arc::clone(&shown);
    // It ends with the process: whoever connects last is never told goodbye.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || serve(stream, password, &heard));
        }
    });
    (address, shown)
}

fn serve(mut stream: TcpStream, password: &str, shown: &Shown) -> Option<()> {
    loop {
        let mut size = [0; 4];
        stream.read_exact(&mut size).ok()?;
        let mut request = vec![0; usize::try_from(i32::from_be_bytes(size)).ok()?];
        stream.read_exact(&mut request).ok()?;
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let (api, version) = (number(0), number(2));
        let body = match api {
            API_VERSIONS => versions(if version == 0 { 0 } else { UNSUPPORTED_VERSION }),
            // No error, and one mechanism.
            HANDSHAKE => [&[0, 0, 0, 0, 0, 1, 0, 5][..], b"PLAIN"].concat(),
            AUTHENTICATE => {
                let text = String::from_utf8_lossy(&request).into_owned();
                let word = text.rsplit('\0').next().unwrap_or_default().to_owned();
                let error = if word == password { 0 } else { REFUSED };
                shown.lock().expect("a lock").push(word);
                // The error, no message, no bytes.
                [&error.to_be_bytes()[..], &[0xff, 0xff, 0, 0, 0, 0]].concat()
            }
            _ => return None,
        };
        let answer = [&request[4..8], &body].concat();
        let size = i32::try_from(answer.len()).ok()?.to_be_bytes();
        stream.write_all(&[&size[..], &answer].concat()).ok()?;
    }
}

/// Which requests are understood, in which versions.
fn versions(error: i16) -> Vec<u8> {
    let apis: [[i16; 3]; 4] = [[API_VERSIONS, 0, 0], [HANDSHAKE, 0, 1], [AUTHENTICATE, 0, 0], [3, 0, 2]];
    let mut body = error.to_be_bytes().to_vec();
    body.extend(4_i32.to_be_bytes());
    body.extend(apis.iter().flatten().flat_map(|number| number.to_be_bytes()));
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_refused_is_fetched_anew() {
    let (address, shown) = broker("new-password");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "old-password\n").expect("written");
    let access = Access {
        brokers: vec![address],
        tls: None,
        sasl: Some(Sasl {
            mechanism: Mechanism::Plain,
            user: User::Plain("keywatch".to_owned()),
            password: format!("file:{}", file.display()).parse().expect("a reference"),
        }),
    };
    let secrets = SecretManager::new(keywatch_secrets::Settings::new(Arc::new(|_| None)));
    let health = Health::default();
    let clock: Clock = Arc::new(|| chrono::DateTime::UNIX_EPOCH);
    let told = (clock, health.clone());
    let group = Group::start("k", (&access, &secrets), settings(), &HashMap::new(), told);
    let saw = |password: &'static str| {
        let shown = Arc::clone(&shown);
        async move {
            while !shown.lock().expect("a lock").iter().any(|one| one == password) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    within(saw("old-password")).await;
    let text = || health.read().errors.get("cluster").map(|error| error.text.clone()).unwrap_or_default();
    let refused = async {
        while !text().contains("check the user, the password") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(refused).await;
    assert!(!text().contains("old-password"), "{}", text());
    std::fs::write(&file, "new-password\n").expect("written");
    within(saw("new-password")).await;
    within(group.end()).await;
}
