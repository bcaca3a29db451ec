//! Events and databases for this crate's tests.

use keywatch_event::{
    AuditEvent, Class, EventTime, Outcome, Place, Principal, PrincipalKind, Provider, SecretRef, Source,
};
use std::sync::{Arc, LazyLock};

/// A place no test looks at.
pub(crate) static PLACE: LazyLock<Place> =
    LazyLock::new(|| Place { name: Arc::from("t"), line: 1, record: 0 });

pub(crate) fn secret(name: &str) -> SecretRef<'static> {
    SecretRef { id: name.to_owned().into(), name: name.to_owned().into(), version: None }
}

/// A read by a role, on a Friday morning.
pub(crate) fn event() -> AuditEvent<'static> {
    AuditEvent {
        id: "e".into(),
        // 2026-05-29T09:05:00Z.
        time: EventTime::from_secs(1_780_045_500),
        time_raw: None,
        received_at: EventTime::from_secs(1_780_045_590),
        provider: Provider::Aws,
        service: "secretsmanager.amazonaws.com".into(),
        store: Some("sm".into()),
        account: Some("111122223333".into()),
        region: Some("eu-west-1".into()),
        operation: "GetSecretValue".into(),
        class: Class::SecretRead,
        outcome: Outcome::Ok,
        error: None,
        principal: Principal {
            id: "role/payments".into(),
            kind: PrincipalKind::Role,
            name: Some("payments".into()),
            session: Some("botocore-session-1767225600".into()),
            access_key: None,
            via: None,
        },
        source: Source::from_text("192.0.2.9".into()),
        user_agent: Some("aws-cli/2.15.30 Python/3.11.8".into()),
        secrets: vec![secret("prod/db")],
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    }
}

/// The smallest databases in MaxMind's format
/// (<https://maxmind.github.io/MaxMind-DB/>): one IPv4 network of 24 bits, one entry.
pub(crate) mod mmdb {
    pub(crate) fn asn(net: [u8; 3], number: u32) -> Vec<u8> {
        asn_as(net, number, &[0xc4])
    }

    /// With the control bytes of its type: the size is the low five bits of the first.
    pub(crate) fn asn_as(net: [u8; 3], number: u32, control: &[u8]) -> Vec<u8> {
        let mut entry = vec![0xe1];
        entry.extend(text("autonomous_system_number"));
        entry.extend(control);
        let bytes = u64::from(number).to_be_bytes();
        entry.extend(&bytes[8 - usize::from(control[0] & 0x1f)..]);
        file(net, &entry, "Test-ASN")
    }

    pub(crate) fn country(net: [u8; 3], code: &str) -> Vec<u8> {
        let mut entry = vec![0xe1];
        entry.extend(text("country"));
        entry.push(0xe1);
        entry.extend(text("iso_code"));
        entry.extend(text(code));
        file(net, &entry, "Test-Country")
    }

    fn file(net: [u8; 3], entry: &[u8], name: &str) -> Vec<u8> {
        let bits: Vec<bool> =
            net.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
        let nodes = u32::try_from(bits.len()).unwrap();
        let mut bytes = Vec::new();
        for (at, bit) in (1_u32..).zip(&bits) {
            // A record points to the next node, to nothing (the number of nodes), or past it
            // into the data.
            let below = if at == nodes { nodes + 16 } else { at };
            let pair = if *bit { [nodes, below] } else { [below, nodes] };
            for record in pair {
                bytes.extend(&record.to_be_bytes()[1..]);
            }
        }
        bytes.extend([0; 16]);
        bytes.extend(entry);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        bytes.extend(metadata(nodes, name));
        bytes
    }

    fn metadata(nodes: u32, name: &str) -> Vec<u8> {
        let mut bytes = vec![0xe9];
        let mut number = |key: &str, kind: &[u8], value: &[u8]| {
            bytes.extend(text(key));
            bytes.extend(kind);
            bytes.extend(value);
        };
        number("node_count", &[0xc4], &nodes.to_be_bytes());
        number("record_size", &[0xa2], &[0, 24]);
        number("ip_version", &[0xa2], &[0, 4]);
        number("binary_format_major_version", &[0xa2], &[0, 2]);
        number("binary_format_minor_version", &[0xa2], &[0, 0]);
        number("build_epoch", &[0x04, 0x02], &[0, 0, 0, 1]);
        number("database_type", &[], &text(name));
        number("languages", &[0x00, 0x04], &[]);
        number("description", &[0xe0], &[]);
        bytes
    }

    fn text(text: &str) -> Vec<u8> {
        let len = u8::try_from(text.len()).unwrap();
        let mut bytes = if len < 29 { vec![0x40 | len] } else { vec![0x5d, len - 29] };
        bytes.extend(text.as_bytes());
        bytes
    }
}
