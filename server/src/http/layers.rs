//! All layers, from the outside in.

use std::any::Any;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, Any as Anything, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use super::body::arrive;
use super::boundary::{Boundary, REQUEST_ID, bound, observe};
use super::hosts::{Hosts, WebOrigin, known_host};
use super::limits::PREFLIGHT_AGE;
use super::problem::Problem;

/// Whether a page of another origin may show an answer, or have it in memory at all, as an image or a script.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Puts the layers that every request passes around the routes.
pub(super) fn around_all<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    hosts: Hosts,
) -> Router<S> {
    let boundary = Boundary::default();
    // Each call wraps what is there: the last one here sees a request first and its answer last.
    routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(boundary.clone(), bound))
        .layer(from_fn(arrive))
        .layer(from_fn_with_state(hosts, known_host))
        .layer(if_absent(header::CACHE_CONTROL, "no-cache"))
        .layer(if_absent(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(if_absent(header::REFERRER_POLICY, "no-referrer"))
        .layer(if_absent(RESOURCE_POLICY, "same-origin"))
        .layer(from_fn_with_state(boundary, observe))
}

/// Puts the layers around the routes that operators see.
pub(super) fn around_operators(routes: Router, hosts: Hosts) -> Router {
    routes
        .layer(from_fn(arrive))
        .layer(if_absent(RESOURCE_POLICY, "same-origin"))
        .layer(from_fn_with_state(hosts, known_host))
}

/// Opens routes to pages of every origin: those that tell nothing of what was logged.
pub(super) fn open_to_all_origins<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
) -> Router<S> {
    routes
        .layer(if_absent(RESOURCE_POLICY, "cross-origin"))
        .layer(to_read_from(AllowOrigin::any()))
}

/// Opens routes to pages of these origins, and to no others.
pub(super) fn open_to_origins<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    origins: &[WebOrigin],
) -> Router<S> {
    if origins.is_empty() {
        return routes;
    }
    let origins = origins.iter().map(WebOrigin::to_header);
    routes.layer(to_read_from(AllowOrigin::list(origins)))
}

fn to_read_from(origins: AllowOrigin) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers(Anything)
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(PREFLIGHT_AGE)
}

fn if_absent(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// A panic is a defect: it ends its own request and is logged at the boundary.
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Problem::internal(format!("panic: {}", text.unwrap_or("without a text"))).into_response()
}
