//! All layers, from the outside in.

use std::any::Any;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, Any as Anything, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use super::body::whole;
use super::boundary::{Boundary, REQUEST_ID};
use super::hosts::{Hosts, WebOrigin};
use super::limits::PREFLIGHT_AGE;
use super::problem::Problem;

/// Whether a page of another origin may show an answer, or have it in memory at all, as an image or a script.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Headers that every answer has which does not say otherwise.
const UNLESS_SAID: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];

/// What every request passes.
#[derive(Clone)]
struct Gate {
    boundary: Boundary,
    hosts: Hosts,
}

/// Puts what every request passes around the routes. It is one layer, because each layer of axum copies for each request
/// everything that is below it.
pub(super) fn around_all<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    hosts: Hosts,
) -> Router<S> {
    let gate = Gate {
        boundary: Boundary::default(),
        hosts,
    };
    routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(gate, pass))
}

/// From the outside in: the request is observed, asks for this service, is whole, and is one of so many.
async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let Gate { boundary, hosts } = gate;
    let observed = boundary.observe(&request);
    let bounded = |request| boundary.bound(request, next);
    let mut response = enter(&hosts, request, bounded).await;
    for (name, value) in UNLESS_SAID {
        response.headers_mut().entry(name).or_insert(value);
    }
    boundary.answered(observed, &mut response);
    response
}

/// Puts the layers around the routes that operators see.
pub(super) fn around_operators(routes: Router, hosts: Hosts) -> Router {
    routes
        .layer(if_absent(RESOURCE_POLICY, "same-origin"))
        .layer(from_fn_with_state(hosts, pass_operator))
}

async fn pass_operator(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    enter(&hosts, request, |request| next.run(request)).await
}

/// Has a request answered that asks for this service, once its body is whole.
async fn enter<F: Future<Output = Response>>(
    hosts: &Hosts,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    if let Err(problem) = hosts.check(request.uri(), request.headers()) {
        return problem.into_response();
    }
    match whole(request).await {
        Ok(request) => answer(request).await,
        Err(problem) => {
            // Where the next request would begin is not known.
            let close = [(header::CONNECTION, "close")];
            (close, problem).into_response()
        }
    }
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
