//! Somebody at the dashboard: signs in with the link and reads pages.

use std::io::{Read, Write};
use std::net::TcpStream;

/// A signed-in session.
#[derive(Debug)]
pub(crate) struct Browser {
    host: String,
    cookie: String,
}

impl Browser {
    /// Signs in with a login link.
    pub(crate) fn sign_in(link: &str) -> Self {
        let (base, token) = link.split_once("/login?token=").expect("a login link");
        let host = base.trim_start_matches("http://").to_owned();
        let form = format!("token={token}");
        let kind = "application/x-www-form-urlencoded";
        let answer = ask(
            &host,
            &format!("POST /login HTTP/1.1\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n", form.len()),
            &form,
        );
        let set = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a session");
        let cookie = set.split(';').next().unwrap_or_default().to_owned();
        Self { host, cookie }
    }

    /// A page's text.
    pub(crate) fn page(&self, path: &str) -> String {
        ask(&self.host, &format!("GET {path} HTTP/1.1\r\ncookie: {}\r\n", self.cookie), "")
    }

    /// Sends a form of a page of this session; the answer as it came.
    pub(crate) fn send(&self, path: &str, form: &str) -> String {
        let page = self.page("/silences");
        let token = page.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split('"').next());
        let form = format!("csrf={}&{form}", token.expect("a form"));
        let head = format!(
            "POST {path} HTTP/1.1\r\ncookie: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n",
            self.cookie,
            form.len()
        );
        ask(&self.host, &head, &form)
    }
}

fn ask(host: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(host).expect("the dashboard listens");
    write!(stream, "{head}host: {host}\r\nconnection: close\r\n\r\n{body}").expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}
