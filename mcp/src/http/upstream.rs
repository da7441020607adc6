//! The server's side: where a request goes, and how.

use std::sync::Once;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName};
use hyper::{Method, Response, Uri};
use reqwest::{Body, Client, Request, Url};

/// How long the server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that belong to one connection (RFC 9110, section 7.6.1), and older ones that are used like them.
const OF_A_CONNECTION: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Why a server cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The address is not one of a server.
    #[error("{0:?} is not an address of a server: it has to begin with http:// or https://")]
    Address(String),
    /// This machine cannot make connections.
    #[error("connections cannot be set up")]
    Setup(#[source] reqwest::Error),
}

/// The server.
#[derive(Clone, Debug)]
pub struct Upstream {
    url: Url,
    client: Client,
}

impl Upstream {
    /// The server at an address.
    ///
    /// # Errors
    ///
    /// [`UpstreamError`].
    pub fn at(url: &str) -> Result<Self, UpstreamError> {
        let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
        let parsed = Url::parse(url).ok().filter(is_http);
        let parsed = parsed.ok_or_else(|| UpstreamError::Address(url.to_owned()))?;
        Ok(Self {
            client: client(&parsed).map_err(UpstreamError::Setup)?,
            url: parsed,
        })
    }

    /// The path of the server's address, which clients use here too.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The server's address.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The name of the server's host.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether a request is for the server's address itself.
    pub(crate) fn is_endpoint(&self, uri: &Uri) -> bool {
        uri.path() == "/" || uri.path() == self.path()
    }

    /// Where a request goes: `/` is the server's address, any other path is one of the server's host.
    fn target(&self, uri: &Uri) -> Url {
        let mut url = self.url.clone();
        if uri.path() != "/" {
            url.set_path(uri.path());
        }
        if uri.query().is_some() || !self.is_endpoint(uri) {
            url.set_query(uri.query());
        }
        url
    }

    /// Sends a request on.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, reqwest::Error> {
        strip(&mut headers);
        headers.remove(HOST);
        let had_body = headers.remove(CONTENT_LENGTH).is_some() || !body.is_empty();
        let mut request = Request::new(method, self.target(uri));
        *request.headers_mut() = headers;
        if had_body {
            *request.body_mut() = Some(body.into());
        }
        let mut response: Response<Body> = self.client.execute(request).await?.into();
        strip(response.headers_mut());
        Ok(response)
    }
}

/// Takes away what belongs to the connection alone, also what `Connection` names.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
}

/// Sees to it that there is cryptography for TLS.
pub(super) fn provide() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Err says that the program has chosen its own, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Redirects are the client's affair, and so is for how long an answer is waited for.
fn client(url: &Url) -> Result<Client, reqwest::Error> {
    provide();
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    if url.scheme() == "http" {
        // Without TLS there is nobody to certify, and a machine without root certificates is as good as any.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_address_is_the_root_here_and_other_paths_are_those_of_its_host() {
        let upstream = Upstream::at("http://server.example:8000/a/mcp?key=1").unwrap();
        for (path, target) in [
            ("/", "http://server.example:8000/a/mcp?key=1"),
            ("/a/mcp", "http://server.example:8000/a/mcp?key=1"),
            ("/a/mcp?x=2", "http://server.example:8000/a/mcp?x=2"),
            ("/.well-known/x", "http://server.example:8000/.well-known/x"),
        ] {
            assert_eq!(
                upstream.target(&path.parse().unwrap()).as_str(),
                target,
                "{path}"
            );
        }
        assert!(Upstream::at("ftp://a").is_err() && Upstream::at("a").is_err());
    }

    #[test]
    fn what_belongs_to_a_connection_does_not_pass() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("authorization", "Bearer x"),
            ("mcp-session-id", "s"),
        ] {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        strip(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "mcp-session-id"]);
    }
}
