//! The tee: what comes goes to the incumbent first and unchanged, and its answer is the answer.

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Response, header};

/// Headers that are about one connection (RFC 9110 §7.6.1), or that the client here writes itself.
const OF_A_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::CONTENT_LENGTH,
];

/// The incumbent.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    base: String,
    client: reqwest::Client,
}

impl Forward {
    /// The incumbent at an address.
    ///
    /// # Errors
    ///
    /// If no connections can be made.
    pub(crate) fn to(url: &str) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(super::BODY_TIMEOUT);
        let client = match url.starts_with("http://") {
            // Without TLS there is nobody to certify.
            true => client.tls_certs_only([]),
            false => client,
        };
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            client: client.build()?,
        })
    }

    /// Sends a request on. Gives the answer, as it is.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(super) async fn send(&self, parts: &Parts, body: Bytes) -> reqwest::Result<Response<Body>> {
        let path = parts.uri.path_and_query().map_or("/", |it| it.as_str());
        let request = self
            .client
            .request(parts.method.clone(), format!("{}{path}", self.base))
            .headers(passed_on(&parts.headers))
            .body(body);
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), passed_on(answer.headers()));
        let mut response = Response::new(Body::from(answer.bytes().await?));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    let named = headers.get_all(header::CONNECTION).iter();
    let named = named
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','));
    for name in named {
        passed.remove(name.trim());
    }
    passed.remove("keep-alive");
    for name in OF_A_CONNECTION {
        passed.remove(name);
    }
    passed
}
