//! All layers, from the outside in.

use std::any::Any;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any as AnyOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use super::boundary::{Boundary, REQUEST_ID, bound, observe};
use super::limits::PREFLIGHT_AGE;
use super::problem::Problem;

/// Puts the layers that every request passes around the routes.
pub(super) fn around_all<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    let boundary = Boundary::default();
    // Each call wraps what is there: the last one here sees a request first and its answer last.
    routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(boundary.clone(), bound))
        .layer(if_absent(header::CACHE_CONTROL, "no-cache"))
        .layer(if_absent(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(if_absent(header::REFERRER_POLICY, "no-referrer"))
        .layer(from_fn_with_state(boundary, observe))
}

/// Opens the read path to pages of every origin: what is in the log is public, and no request
/// carries a credential that a foreign page could borrow.
pub(super) fn open_to_all_origins<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
) -> Router<S> {
    let cors = CorsLayer::new()
        .allow_origin(AnyOrigin)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers(AnyOrigin)
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(PREFLIGHT_AGE);
    routes.layer(cors)
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
