//! Where a webhook may not lead unless its settings say so: this machine, and networks that are not public.
//!
//! Whoever may write settings, or answers for the name in them, could otherwise have the service post to what listens
//! on this machine or beside it, and read what came back as an error.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Finds the addresses of a name, and gives none if one of them is not public: a name that leads to both kinds leads
/// wherever its owner wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicOnly;

/// A name that leads where it may not.
#[derive(Debug, thiserror::Error)]
#[error(
    "the host has an address of this machine or of a private network, which allow_private = true would permit"
)]
struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            match found.iter().all(|address| is_public(address.ip())) {
                true => Ok(Box::new(found.into_iter()) as Addrs),
                false => Err(Box::new(NotPublic) as Box<dyn Error + Send + Sync>),
            }
        })
    }
}

/// Whether an address is written out in the URL, and is not public. No resolver is asked for such a one.
pub(super) fn names_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let address = bare.unwrap_or(host).parse::<IpAddr>();
    let is_here = host == "localhost" || host.ends_with(".localhost");
    is_here || address.is_ok_and(|address| !is_public(address))
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// IANA's registry of special-purpose addresses, as far as a packet to one stays near.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarks = a == 198 && (18..20).contains(&b);
    let near = address.is_private() || address.is_loopback() || address.is_link_local();
    // 240.0.0.0/4 holds broadcast, 0.0.0.0/8 means this network.
    let nowhere = a == 0 || a >= 240 || address.is_multicast() || address.is_documentation();
    !(near || nowhere || shared || benchmarks)
}

/// Only 2000::/3 is given out; what carries an IPv4 address is judged by that.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // 6to4 (RFC 3056), and addresses of translators (RFC 6052).
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Teredo and documentation.
        [0x2001, 0 | 0xdb8, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_stay_near_are_known() {
        let check = |url: &str, want: bool| {
            let url = Url::parse(url).unwrap();
            assert_eq!(names_private(&url), want, "{url}");
        };
        for near in [
            "localhost:8080",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:7f00:1]",
            "[fe80::1]",
            "[fc00::1]",
            "[fd12::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[2002:7f00:1::]",
            "[64:ff9b::10.0.0.1]",
            "[2001:db8::1]",
        ] {
            check(&format!("http://{near}/hook"), true);
        }
        for far in [
            "example.com",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "[2606:4700::1]",
            "[64:ff9b::8.8.8.8]",
        ] {
            check(&format!("https://{far}/hook"), false);
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_here_leads_nowhere() {
        let found = PublicOnly.resolve("localhost".parse().unwrap()).await;
        let refused = found.err().map(|error| error.to_string()).unwrap();
        assert!(refused.contains("private network"), "{refused}");
    }
}
