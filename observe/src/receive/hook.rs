//! Webhooks of alerts, each on the path that the configuration gives it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ledger::text::Name;
use sha2::Sha256;
use watchdogs::import::Form;

use super::{Shared, answer, body, sentence};
use crate::intake::{Found, Sighting, Way};

/// The longest body: an Alertmanager group of thousands.
const MAX_BODY_BYTES: usize = 4 << 20;

/// PagerDuty's header: `v1=` and HMAC-SHA-256 in hexadecimal, several where a secret is being changed.
const SIGNATURE: &str = "x-pagerduty-signature";

/// One webhook.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) source: Name,
    pub(crate) form: Form,
    /// What a sender proves itself by, where the configuration asks for it.
    pub(crate) secret: Option<Vec<u8>>,
}

pub(super) async fn take(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let say = |status, what: &str| answer(status, "text/plain", format!("{what}\n").into_bytes());
    let Some(hook) = shared.hooks.get(request.uri().path()).cloned() else {
        return say(StatusCode::NOT_FOUND, "there is no such webhook");
    };
    let Some(_place) = shared.budget.place(request.headers()) else {
        return say(
            StatusCode::TOO_MANY_REQUESTS,
            "too much is being read at once",
        );
    };
    let (parts, stream) = request.into_parts();
    let Ok(bytes) = body(stream, MAX_BODY_BYTES).await else {
        return say(
            StatusCode::BAD_REQUEST,
            "the body is too long, or broke off",
        );
    };
    if !hook.knows(&parts.headers, &bytes) {
        return say(
            StatusCode::UNAUTHORIZED,
            "the sender does not show that it knows the secret",
        );
    }
    let found = match hook.read(bytes).await {
        Ok(found) => found,
        Err(what) => return say(StatusCode::BAD_REQUEST, &what),
    };
    match shared.writer.take(found).await {
        Ok(_) => say(StatusCode::OK, "taken"),
        Err(full) => say(StatusCode::SERVICE_UNAVAILABLE, &full.to_string()),
    }
}

impl Hook {
    async fn read(self, bytes: Bytes) -> Result<Found, String> {
        let read = move || self.form.read(&self.source, &bytes);
        let notices = tokio::task::spawn_blocking(read).await;
        let notices = notices.map_err(|error| sentence(&error))?;
        let notices = notices.map_err(|error| sentence(&error))?;
        Ok(found(notices))
    }

    /// Whether the sender knows the secret: by a signature of the body, as PagerDuty has it, or by sending it.
    fn knows(&self, headers: &HeaderMap, bytes: &[u8]) -> bool {
        let Some(secret) = &self.secret else {
            return true;
        };
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        match self.form {
            Form::PagerdutyWebhook => {
                let signatures = text(SIGNATURE).unwrap_or_default().split(',');
                signatures
                    .filter_map(|it| it.trim().strip_prefix("v1="))
                    .any(|hex| signed(secret, bytes, hex))
            }
            _ => {
                let sent = text(header::AUTHORIZATION.as_str()).unwrap_or_default();
                let sent = sent.strip_prefix("Bearer ").unwrap_or_default();
                // Two digests under one key are compared in a time that tells nothing.
                let digest = mac(secret, sent.as_bytes());
                digest
                    .verify(&mac(secret, secret).finalize().into_bytes())
                    .is_ok()
            }
        }
    }
}

/// What was seen by way of notices.
pub(crate) fn found(notices: Vec<watchdogs::alert::Notice>) -> Found {
    let sightings: Vec<Sighting> = notices
        .into_iter()
        .map(|notice| Sighting {
            notice,
            way: Way::Alert,
            span: None,
        })
        .collect();
    Found {
        items: sightings.len() as u64,
        sightings,
        ..Found::default()
    }
}

fn mac(secret: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac
}

fn signed(secret: &[u8], bytes: &[u8], hex: &str) -> bool {
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let signature = (0..hex.len())
        .step_by(2)
        .map(byte)
        .collect::<Option<Vec<u8>>>();
    signature.is_some_and(|it| mac(secret, bytes).verify_slice(&it).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(form: Form, secret: &str) -> Hook {
        Hook {
            source: "s".parse().unwrap(),
            form,
            secret: Some(secret.as_bytes().to_vec()),
        }
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_signature_is_of_the_body_and_by_the_secret() {
        // printf '{"event":{}}' | openssl dgst -sha256 -hmac secret
        let hex = "b59a7e2dc99e30dbe2e2e8e07de4e8b4d5bbe1ab5a2b8a40c1fa0a8b56dd55b5";
        let hook = hook(Form::PagerdutyWebhook, "secret");
        let body = br#"{"event":{}}"#;
        let own: String = mac(b"secret", body)
            .finalize()
            .into_bytes()
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        assert!(hook.knows(&headers(SIGNATURE, &format!("v1={own}")), body));
        assert!(hook.knows(&headers(SIGNATURE, &format!("v1=00,v1={own}")), body));
        for bad in [
            format!("v1={hex}"),
            own.clone(),
            "v1=".to_owned(),
            format!("v0={own}"),
        ] {
            assert!(!hook.knows(&headers(SIGNATURE, &bad), body), "{bad}");
        }
        assert!(!hook.knows(&headers(SIGNATURE, &format!("v1={own}")), b"{}"));
        assert!(!hook.knows(&HeaderMap::new(), body));
    }

    #[test]
    fn others_send_the_secret_itself() {
        let hook = hook(Form::AlertmanagerWebhook, "secret");
        assert!(hook.knows(&headers("authorization", "Bearer secret"), b""));
        for bad in [
            "Bearer secre",
            "Bearer secret2",
            "secret",
            "Basic secret",
            "Bearer ",
        ] {
            assert!(!hook.knows(&headers("authorization", bad), b""), "{bad}");
        }
    }
}
