//! Networks, addresses to listen on, URLs.

use super::declare::{Key, Kind, Setting};
use super::node::{Node, Problems};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use url::Url;

impl Setting for IpNet {
    const KIND: Kind = Kind::Network;

    fn read(node: &Node, _key: &Key, problems: &Problems) -> Option<Self> {
        let text = node.written();
        let found = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(Self::from));
        if found.is_none() {
            let remedy = "write it as 198.51.100.0/24 or 2001:db8::/32";
            problems.add(&node.origin, format!("`{text}` is no network"), remedy);
        }
        found
    }
}

impl Setting for SocketAddr {
    const KIND: Kind = Kind::Socket;

    fn read(node: &Node, _key: &Key, problems: &Problems) -> Option<Self> {
        let text = node.written();
        let found = text.parse().ok();
        if found.is_none() {
            let remedy = "write address and port, such as 127.0.0.1:8420";
            problems.add(&node.origin, format!("`{text}` is no address to listen on"), remedy);
        }
        found
    }
}

impl Setting for Url {
    const KIND: Kind = Kind::Url;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        parse(&node.written(), node, key, problems)
    }
}

/// A URL over HTTP. Texts never repeat it: what stands in a URL may be a credential.
pub(super) fn parse(text: &str, node: &Node, key: &Key, problems: &Problems) -> Option<Url> {
    let wrong = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "https" | "http") => "it begins with neither https:// nor http://",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "it holds a user name or a password before its host"
        }
        Ok(url) => return Some(url),
        Err(_) => "it cannot be read",
    };
    let message = format!("the address in `{}` cannot be used: {wrong}", key.name);
    problems.add(&node.origin, message, "write it as https://host/path");
    None
}
