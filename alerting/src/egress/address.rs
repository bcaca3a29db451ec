//! Which addresses are places on the internet, and what the others are for. Pure.
//!
//! IPv4 lists what is not global; IPv6 lists what is, because nearly all of it is not. The facts
//! are the IANA special-purpose registries, RFC 6890 and its updates:
//! <https://www.iana.org/assignments/iana-ipv4-special-registry/> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry/>.

use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]), length)
}

const fn v6(head: [u16; 2], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(head[0], head[1], 0, 0, 0, 0, 0, 0), length)
}

/// The first network that holds an address names it.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "unspecified"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    // Azure's platform channel answers every virtual machine here, on a public address:
    // https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    (v4([168, 63, 129, 16], 32), "cloud platform"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "reserved"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "6to4 relay"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([255, 255, 255, 255], 32), "broadcast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), "IPv4-mapped"),
    (v6([0, 0], 96), "IPv4-compatible"),
    (v6([0x64, 0xff9b], 32), "NAT64"),
    (v6([0x2001, 0], 32), "Teredo"),
    (v6([0x2001, 0], 23), "reserved"),
    (v6([0x2001, 0xdb8], 32), "documentation"),
    (v6([0x2002, 0], 16), "6to4"),
    (v6([0x3fff, 0], 20), "documentation"),
    (v6([0xfc00, 0], 7), "private"),
    (v6([0xfe80, 0], 10), "link-local"),
    (v6([0xfec0, 0], 10), "site-local"),
    (v6([0xff00, 0], 8), "multicast"),
];

/// The only part of IPv6 that is handed out for the internet.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0], 3);

/// What an address is for when it is no place on the internet; `None` when it is one.
///
/// Addresses that carry another one (mapped, NAT64, 6to4, Teredo) are special whatever they
/// carry: no receiver needs them, and what is dialled in the end is not what was checked.
#[must_use]
pub fn special_use(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            SPECIAL_V4.iter().find(|(network, _)| network.contains(&address)).map(|&(_, name)| name)
        }
        IpAddr::V6(address) => {
            let special = SPECIAL_V6.iter().find(|(network, _)| network.contains(&address));
            let beyond = (!GLOBAL_V6.contains(&address)).then_some("reserved");
            special.map(|&(_, name)| name).or(beyond)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addresses: &[&str], want: Option<&str>) {
        for text in addresses {
            assert_eq!(special_use(text.parse().unwrap()), want, "{text}");
        }
    }

    #[test]
    fn every_kind_of_special_address_is_named() {
        check(&["127.0.0.1", "127.255.255.255", "::1"], Some("loopback"));
        check(&["0.0.0.0", "0.1.2.3", "::"], Some("unspecified"));
        check(&["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255"], Some("private"));
        check(&["192.168.0.1", "192.168.255.255", "fc00::1", "fdff::1", "fd00:ec2::254"], Some("private"));
        check(&["100.64.0.1", "100.127.255.254"], Some("carrier-grade NAT"));
        check(&["169.254.169.254", "169.254.0.0", "fe80::1", "febf::1"], Some("link-local"));
        check(&["168.63.129.16"], Some("cloud platform"));
        check(&["255.255.255.255"], Some("broadcast"));
        check(&["224.0.0.1", "239.255.255.255", "ff02::2", "ff00::"], Some("multicast"));
        check(&["::ffff:127.0.0.1", "::ffff:8.8.8.8"], Some("IPv4-mapped"));
        check(&["::127.0.0.1", "::a00:1"], Some("IPv4-compatible"));
        check(&["64:ff9b::a00:1", "64:ff9b:1::1"], Some("NAT64"));
        check(&["2002:a00:1::1", "2002:808:808::1"], Some("6to4"));
        check(&["2001::1", "2001:0:ffff::1"], Some("Teredo"));
        check(&["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"], Some("documentation"));
        check(&["192.0.0.8", "240.0.0.1", "254.1.1.1", "2001:2::1", "100::1", "4000::1"], Some("reserved"));
        check(&["192.88.99.1"], Some("6to4 relay"));
        check(&["198.18.0.1", "198.19.255.255"], Some("benchmarking"));
        check(&["fec0::1"], Some("site-local"));
    }

    #[test]
    fn neighbours_of_special_networks_are_the_internet() {
        check(&["100.63.255.254", "100.128.0.1", "9.255.255.255", "11.0.0.0", "126.255.255.255"], None);
        check(&["128.0.0.1", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"], None);
        check(&["169.253.255.255", "169.255.0.0", "223.255.255.255", "8.8.8.8", "1.1.1.1"], None);
        check(&["2606:4700:4700::1111", "2a00:1450::1", "2001:200::1", "2003::1", "3ffe::1"], None);
    }
}
