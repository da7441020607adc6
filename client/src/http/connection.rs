//! How the service is reached: over which lines, and by whose word.

use std::net::IpAddr;
use std::sync::Once;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::Client;

use super::Service;

/// How long the service may take to accept a connection: a machine that is there does so within a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Service {
    /// Whether what is said stays on this machine, by the name of the host.
    pub fn is_loopback(&self) -> bool {
        Url::parse(&self.base).is_ok_and(|url| is_loopback(&url))
    }

    /// Whether what is said is encrypted on its way.
    pub fn is_encrypted(&self) -> bool {
        Url::parse(&self.base).is_ok_and(|url| url.scheme() == "https")
    }
}

/// Redirects are not followed: what is asked for is at the address that the caller named, or it is not.
pub(super) fn client(url: &Url) -> Result<Client, reqwest::Error> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Err says that the program has chosen its own, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        // Each request brings its own.
        .timeout(None)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("dragons/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        // Without TLS there is nobody to certify, and a machine without root certificates is as good as any.
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build()
}

/// The address without the name and the password that may stand in front of its host (RFC 3986 §3.2.1).
pub(super) fn shown(base: &str) -> String {
    let Some((scheme, rest)) = base.split_once("://") else {
        return base.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, expected) in [
            ("http://127.0.0.1:7117/", "http://127.0.0.1:7117"),
            ("https://a:b@c@example.com/x@y", "https://example.com/x@y"),
            ("https://example.com/x@y", "https://example.com/x@y"),
        ] {
            assert_eq!(Service::at(url).unwrap().url(), expected);
        }
    }

    #[test]
    fn what_stays_on_this_machine_is_told_by_the_host() {
        for (url, is_loopback, is_encrypted) in [
            ("http://127.0.0.1:7117", true, false),
            ("http://127.8.8.8", true, false),
            ("http://[::1]:7117", true, false),
            ("https://localhost", true, true),
            ("http://10.0.0.1", false, false),
            ("http://localhost.example.com", false, false),
            ("HTTPS://log.example.com", false, true),
        ] {
            let service = Service::at(url).unwrap();
            let told = (service.is_loopback(), service.is_encrypted());
            assert_eq!(told, (is_loopback, is_encrypted), "{url}");
        }
    }
}
