//! Who may come in: a page in a browser is somebody else, though it comes from this machine.
//!
//! A browser sends the `Origin` of the page that asks. The protocol's transport demands that it is checked, for a page
//! may otherwise reach a listener on this machine by a name that it controls.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HOST, HeaderMap, ORIGIN};

/// What the listener lets in.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Whether only this machine can reach the listener, so that the name it is called by is one of this machine.
    is_loopback: bool,
    /// Origins beside those of this machine.
    allowed: Vec<String>,
}

impl Gate {
    /// The gate of a listener at this address, with the origins that are let in beside those of this machine, such as
    /// `https://app.example.com`.
    pub fn at(address: SocketAddr, allowed: Vec<String>) -> Self {
        Self {
            is_loopback: address.ip().is_loopback(),
            allowed,
        }
    }

    /// Why a request is not let in; `None` if it is.
    pub(crate) fn refuses(&self, headers: &HeaderMap) -> Option<&'static str> {
        let one = |name| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap_or_default())
        };
        if self.is_loopback && !one(HOST).is_none_or(is_of_this_machine) {
            return Some("the Host is not one of this machine");
        }
        let origins: Vec<_> = headers.get_all(ORIGIN).iter().collect();
        let is_allowed = |origin: &str| {
            let host = origin.split_once("://").map_or("", |(_, host)| host);
            is_of_this_machine(host) || self.allowed.iter().any(|one| one == origin)
        };
        match origins.as_slice() {
            [] => None,
            [origin] if origin.to_str().is_ok_and(is_allowed) => None,
            _ => Some("the Origin is not allowed"),
        }
    }
}

/// Whether a host, with its port if it has one, is this machine as only this machine calls it.
fn is_of_this_machine(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = without_port.trim_start_matches('[').trim_end_matches(']');
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_others_are_refused() {
        let here = Gate::at(
            ([127, 0, 0, 1], 80).into(),
            vec!["https://app.example.com".to_owned()],
        );
        let there = Gate::at(([10, 0, 0, 1], 80).into(), Vec::new());
        for (gate, host, origin, is_let_in) in [
            (&here, "127.0.0.1:80", "", true),
            (&here, "localhost", "http://localhost:5173", true),
            (&here, "[::1]:80", "http://[::1]", true),
            (&here, "127.0.0.1:80", "https://app.example.com", true),
            (
                &here,
                "127.0.0.1:80",
                "https://app.example.com.evil.example",
                false,
            ),
            (
                &here,
                "127.0.0.1:80",
                "http://localhost.evil.example",
                false,
            ),
            (&here, "127.0.0.1:80", "http://evil.example", false),
            (&here, "127.0.0.1:80", "null", false),
            (&here, "evil.example", "", false),
            (&here, "localhost.evil.example:80", "", false),
            (&there, "mcp.example.com", "", true),
            (&there, "mcp.example.com", "http://evil.example", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            if !origin.is_empty() {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(
                gate.refuses(&headers).is_none(),
                is_let_in,
                "{host} {origin}"
            );
        }
    }
}
