//! All routes.

use axum::Router;
use axum::http::Uri;
use axum::routing::get;
use ledger::codes::Code;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::{
    Service, agents, entries, events, heads, health, history, layers, openapi, packs, pages,
    requests, submit, tiles, web,
};

/// Everything that the service answers.
pub fn router(service: Service) -> Router {
    let (read, write) = (read_path(), write_path());
    let document = description(&read, &write);
    let read = Router::from(read)
        .route("/tile/{*path}", get(tiles::tile))
        .route(
            "/openapi.json",
            get(|| async { openapi::respond(document) }),
        )
        .merge(pages::routes())
        .route("/verify", get(web::redirect))
        .route("/verify/", get(web::file))
        .route("/verify/trust.json", get(web::trust))
        .route("/verify/{*path}", get(web::file))
        .fallback(nothing_here)
        .method_not_allowed_fallback(another_method);
    let write = Router::from(write).method_not_allowed_fallback(another_method);
    layers::around_all(layers::open_to_all_origins(read).merge(write)).with_state(service)
}

/// What anybody may read, from pages of every origin.
fn read_path() -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(openapi::Description::openapi())
        .routes(routes!(tiles::checkpoint))
        .routes(routes!(entries::entry))
        .routes(routes!(entries::proof))
        .routes(routes!(entries::record))
        .routes(routes!(heads::consistency))
        .routes(routes!(heads::checkpoints))
        .routes(routes!(packs::pack))
        .routes(routes!(agents::charter))
        .routes(routes!(agents::agents))
        .routes(routes!(agents::agent))
        .routes(routes!(history::timeline))
        .routes(routes!(history::goal))
        .routes(routes!(history::lease))
        // A page of another origin may read the requests; one that would post JSON is stopped by its browser.
        .routes(routes!(requests::requests, requests::ask))
        .routes(routes!(events::events))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}

/// What adds to the log.
fn write_path() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(submit::submit))
}

/// The OpenAPI document of both, as JSON.
fn description(read: &OpenApiRouter<Service>, write: &OpenApiRouter<Service>) -> String {
    let mut document = read.get_openapi().clone();
    document.merge(write.get_openapi().clone());
    document
        .to_pretty_json()
        .expect("a description made of strings and maps serialises")
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::not_found(uri.path())
}

async fn another_method() -> Problem {
    Code::MethodNotAllowed.because("see Allow").into()
}
