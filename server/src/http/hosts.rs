//! By which names the service is asked, and which pages of other origins may read what.
//!
//! A browser takes any page's requests to wherever the page wants, this machine and its network included. Two things
//! keep what is logged from a page that its reader merely looks at:
//!
//! - `Host` is a name of the service. A page that points a name of its own at this address (DNS rebinding) is asked
//!   from "the same origin", and betrayed by that name alone.
//! - Pages of other origins read the checkpoint and tiles of hashes, which tell nothing of what was logged. Those that
//!   the settings name read entry bundles, proofs and packs as well. Nobody else's page reads anything.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri};
use ledger::codes::Code;
use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// A name that the service answers to, beside those of loopback: `log.example.com`, or an address, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// An origin of pages: `https://page.example`, with a port where it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebOrigin(String);

/// The address of a page: `https://page.example/runbook`. A link to it is a link, and never a script.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebAddress(String);

/// A text that names no host, no origin or no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got:?} is not {want}")]
pub struct NotAName {
    got: String,
    want: &'static str,
}

/// The names of the service, beside those of loopback. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Arc<[HostName]>);

impl Hosts {
    pub(super) fn new(names: &[HostName]) -> Self {
        Self(names.into())
    }

    /// Whether a request asks for this service.
    ///
    /// # Errors
    /// `host-unknown`, with what to do.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let asked = asked(uri, headers);
        let asked = asked.ok_or_else(|| unknown("the request names no host, or two"))?;
        let is_known = is_loopback(&asked) || self.0.iter().any(|name| name.0 == asked);
        let why = || format!("{asked:?} is not a name of this service; --host names those it has");
        is_known.then_some(()).ok_or_else(|| unknown(why()))
    }
}

impl WebOrigin {
    pub(super) fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("an origin is plain ASCII")
    }
}

/// The host that is asked for, without its port and in lower case (RFC 9112 §3.2): the one in the target if there is
/// one there, and then `Host` says the same.
fn asked(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut hosts = headers.get_all(HOST).iter();
    let (host, None) = (hosts.next(), hosts.next()) else {
        return None;
    };
    let host = host.map(|host| host.to_str().ok().and_then(authority));
    match (uri.authority(), host) {
        (Some(target), None) => Some(name_of(target)),
        (Some(target), Some(host)) => {
            Some(name_of(target)).filter(|name| host.as_ref() == Some(name))
        }
        (None, host) => host.flatten(),
    }
}

fn authority(text: &str) -> Option<String> {
    let authority: Authority = text.parse().ok()?;
    // Whoever writes a user into it has another reader in mind.
    (!text.contains('@')).then(|| name_of(&authority))
}

fn name_of(authority: &Authority) -> String {
    authority.host().to_ascii_lowercase()
}

fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let address = IpAddr::from_str(bare.unwrap_or(host));
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn unknown(why: impl std::fmt::Display) -> Problem {
    Code::HostUnknown.because(why).into()
}

impl TryFrom<String> for HostName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let is_bare = text
            .parse::<Authority>()
            .is_ok_and(|host| host.host() == text);
        match is_bare {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(NotAName {
                got: text,
                want: "the name of a host, without scheme, port or path",
            }),
        }
    }
}

impl TryFrom<String> for WebOrigin {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let authority = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let authority = authority.and_then(|authority| authority.parse::<Authority>().ok());
        let is_origin = authority.is_some_and(|authority| !authority.as_str().contains('@'))
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase());
        match is_origin {
            true => Ok(Self(text)),
            false => Err(NotAName {
                got: text,
                want: "the origin of a page, such as https://page.example",
            }),
        }
    }
}

impl TryFrom<String> for WebAddress {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let uri = text.parse::<Uri>().ok();
        let is_web = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("https" | "http"))
                && uri.authority().is_some_and(|it| !it.as_str().contains('@'))
        });
        match is_web {
            true => Ok(Self(text)),
            false => Err(NotAName {
                got: text,
                want: "the address of a page, such as https://page.example/runbook",
            }),
        }
    }
}

impl From<WebAddress> for String {
    fn from(address: WebAddress) -> Self {
        address.0
    }
}

impl FromStr for WebAddress {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        text.to_owned().try_into()
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

impl From<WebOrigin> for String {
    fn from(origin: WebOrigin) -> Self {
        origin.0
    }
}

impl FromStr for HostName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        text.to_owned().try_into()
    }
}

impl FromStr for WebOrigin {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        text.to_owned().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(target: &str, hosts: &[&'static str]) -> bool {
        let headers = hosts
            .iter()
            .map(|host| (HOST, HeaderValue::from_static(host)));
        let names = Hosts::new(&["log.example".parse().unwrap(), "10.0.0.5".parse().unwrap()]);
        names
            .check(&target.parse().unwrap(), &headers.collect())
            .is_ok()
    }

    #[test]
    fn names_of_loopback_and_those_that_are_set_are_known() {
        for host in [
            "localhost",
            "LOCALHOST:7117",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]:7117",
            "[::ffff:127.0.0.1]",
            "log.example",
            "Log.Example:443",
            "10.0.0.5:7117",
        ] {
            assert!(is_known("/", &[host]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil.localhost",
            "127.0.0.1.evil.example",
            "10.0.0.6",
            "0.0.0.0",
            "[::]",
            "2130706433",
            "user@localhost",
            "",
            "log.example.",
            "localhost, evil.example",
        ] {
            assert!(!is_known("/", &[host]), "{host}");
        }
        assert!(!is_known("/", &[]), "no host");
        assert!(!is_known("/", &["localhost", "localhost"]), "two");
    }

    #[test]
    fn a_target_with_a_host_is_no_way_around() {
        assert!(is_known("http://localhost/", &["localhost"]));
        assert!(!is_known("http://localhost/", &["evil.example"]));
        assert!(!is_known("http://evil.example/", &["localhost"]));
        assert!(!is_known("http://evil.example/", &[]));
    }

    #[test]
    fn names_and_origins_are_read_strictly() {
        for name in ["log.example", "10.0.0.5", "[fd00::1]", "log"] {
            assert_eq!(String::from(HostName::from_str(name).unwrap()), name);
        }
        for name in ["", "log.example:80", "http://log.example", "a/b", "u@h"] {
            assert!(HostName::from_str(name).is_err(), "{name}");
        }
        for origin in ["https://page.example", "http://127.0.0.1:8080"] {
            WebOrigin::from_str(origin).unwrap();
        }
        WebAddress::from_str("https://page.example/runbook#night").unwrap();
        for address in [
            "",
            "javascript:alert(1)",
            "/runbook",
            "https://u@h/",
            "data:text/html,x",
        ] {
            assert!(WebAddress::from_str(address).is_err(), "{address}");
        }
        for origin in [
            "",
            "*",
            "null",
            "page.example",
            "https://page.example/",
            "https://Page.example",
            "https://u@page.example",
            "ftp://page.example",
        ] {
            assert!(WebOrigin::from_str(origin).is_err(), "{origin}");
        }
    }
}
