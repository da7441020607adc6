//! The description of the interface, made from the handlers themselves.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use super::media::JSON;

/// What stands above the list of paths. The path of tiles has slashes in it, which a route template of
/// OpenAPI cannot say, so it is named here and routed by hand.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "dragonsd",
        description = "The log of a control plane for autonomous agents: records in, proofs out.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(super::tiles::tile),
    tags(
        (name = "tiles", description = "The log as plain files (c2sp.org/tlog-tiles)."),
        (name = "entries", description = "Records in, entries and proofs out."),
        (name = "heads", description = "Signed tree heads."),
        (name = "packs", description = "Evidence to take away."),
        (name = "requests", description = "What agents ask of operators."),
        (name = "state", description = "What the log implies."),
        (name = "health", description = "Whether the service works."),
    )
)]
pub(super) struct Description;

/// Answers with the description.
pub(super) fn respond(document: String) -> Response {
    ([(header::CONTENT_TYPE, JSON)], document).into_response()
}
