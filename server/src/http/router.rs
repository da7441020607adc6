//! All routes.

use axum::Router;
use axum::handler::Handler as _;
use axum::http::Uri;
use axum::middleware::from_fn;
use axum::routing::get;
use ledger::codes::Code;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::hosts::{HostName, Hosts};
use super::problem::Problem;
use super::{
    Service, agents, entries, events, heads, health, history, layers, openapi, packs, pages,
    requests, state_proof, submit, tiles, web,
};

/// Everything that the service answers.
pub fn router(service: Service) -> Router {
    let (to_all, to_some, to_none) = (hashes(), evidence(), all_else());
    let document = description([&to_all, &to_some, &to_none]);
    let to_all = Router::from(to_all).route("/tile/{*path}", get(tiles::tile));
    let to_some = Router::from(to_some).route("/tile/entries/{*path}", get(tiles::tile));
    let to_none = Router::from(to_none)
        .route(
            "/openapi.json",
            get(|| async { openapi::respond(document) }),
        )
        .merge(pages::routes())
        .route("/verify", get(web::redirect))
        .route("/verify/", get(web::file))
        .route("/verify/trust.json", get(web::trust))
        .route("/verify/{*path}", get(web::file))
        .fallback(nothing_here.layer(from_fn(pages::problems_as_pages)));
    let routes = to_none
        .merge(layers::open_to_all_origins(answering_all(to_all)))
        .merge(layers::open_to_origins(
            answering_all(to_some),
            &service.origins,
        ));
    layers::around_all(answering_all(routes), service.hosts.clone()).with_state(service)
}

/// What operators see, by the same names as the API.
pub fn for_operators(routes: Router, names: &[HostName]) -> Router {
    layers::around_operators(routes, Hosts::new(names))
}

/// What pages of every origin may read: hashes, which tell nothing of what was logged.
fn hashes() -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(openapi::Description::openapi()).routes(routes!(tiles::checkpoint))
}

/// What pages of the origins that are named may read: what a verifier needs.
fn evidence() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(entries::proof))
        .routes(routes!(heads::consistency))
        .routes(routes!(packs::pack))
        .routes(routes!(state_proof::state_proof))
}

/// What no page of another origin may read or send.
fn all_else() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(submit::submit))
        .routes(routes!(entries::entry))
        .routes(routes!(entries::record))
        .routes(routes!(heads::checkpoints))
        .routes(routes!(agents::charter))
        .routes(routes!(agents::agents))
        .routes(routes!(agents::agent))
        .routes(routes!(history::timeline))
        .routes(routes!(history::goal))
        .routes(routes!(history::lease))
        .routes(routes!(requests::requests, requests::ask))
        .routes(routes!(events::events))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}

/// The OpenAPI document of all of them, as JSON.
fn description(parts: [&OpenApiRouter<Service>; 3]) -> String {
    let [mut document, more @ ..] = parts.map(|part| part.get_openapi().clone());
    more.into_iter().for_each(|part| document.merge(part));
    document
        .to_pretty_json()
        .expect("a description made of strings and maps serialises")
}

/// Has the routes answer also to methods that they do not have. Preflights are among them, where a route is open to no
/// other origin.
fn answering_all(routes: Router<Service>) -> Router<Service> {
    routes.method_not_allowed_fallback(another_method)
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::not_found(uri.path())
}

async fn another_method() -> Problem {
    Code::MethodNotAllowed.because("see Allow").into()
}
