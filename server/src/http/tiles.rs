//! The C2SP read path: the checkpoint, tiles and entry bundles (c2sp.org/tlog-tiles).
//!
//! These are files as far as a client can tell, so a query is ignored as by any host of files.

use axum::extract::{OriginalUri, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tlog::tile::TilePath;

use super::Service;
use super::media::{OCTETS, TEXT};
use super::problem::Problem;
use crate::log::Published;

/// A tile or bundle of some width never changes, so whoever has it need not ask again.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// The newest signed tree head.
#[utoipa::path(
    get, path = "/checkpoint", tag = "tiles",
    responses((status = 200, description = "A signed note (c2sp.org/tlog-checkpoint).", body = String, content_type = "text/plain"))
)]
pub(super) async fn checkpoint(State(service): State<Service>) -> Response {
    let text = service.log.published().checkpoint.clone();
    (
        [
            (header::CONTENT_TYPE, TEXT),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        text,
    )
        .into_response()
}

/// A tile of hashes, or a bundle of leaves, of any width that the newest checkpoint covers.
#[utoipa::path(
    get, path = "/tile/{path}", tag = "tiles",
    params(("path" = inline(wire::schema::TilePath), Path, description = "`<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`; it has slashes.")),
    responses(
        (status = 200, description = "Hashes of 32 bytes; or leaves, each behind its length in two bytes.", body = wire::schema::Octets, content_type = "application/octet-stream"),
        (status = 404, description = "No tile of the newest checkpoint.", body = wire::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn tile(
    State(service): State<Service>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    let published = service.log.published();
    let bytes = service
        .readers
        .read(published, move |published| read(&published, uri.path()))
        .await?;
    Ok((
        [
            (header::CONTENT_TYPE, OCTETS),
            (header::CACHE_CONTROL, FOREVER),
        ],
        bytes,
    )
        .into_response())
}

/// The bytes at a path. What names no tile at all is as absent as a tile that is not there yet.
fn read(published: &Published, path: &str) -> Result<Vec<u8>, Problem> {
    let tile = TilePath::parse(path).map_err(Problem::not_found)?;
    let bytes = match tile {
        TilePath::Hashes(tile) => published.tile(&tile)?,
        TilePath::Entries(bundle) => published.bundle(&bundle)?,
    };
    bytes.ok_or_else(|| Problem::not_found(format!("not covered by a log of {}", published.size)))
}
