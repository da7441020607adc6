//! The description of the interface, made from the handlers themselves.

use std::collections::BTreeMap;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder, response};
use utoipa::{IntoResponses, OpenApi};
use wire::media::PROBLEM_JSON;

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
    components(schemas(wire::Problem)),
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

/// The problems that a request is answered with, by status.
type Problems = BTreeMap<String, RefOr<response::Response>>;

const MALFORMED: (&str, &str) = (
    "400",
    "A parameter, or what several say together, is not valid.",
);
const MISSING: (&str, &str) = ("404", "The log does not have it.");
const OTHER: (&str, &str) = (
    "default",
    "A problem: too many requests, a service that is busy or stopping, or a failure inside.",
);

/// Why a request that reads is refused.
pub(super) struct NotRead;

/// Why a request for one thing is refused.
pub(super) struct NotFound;

/// Why a request for one thing in one of several forms is refused.
pub(super) struct NotAcceptable;

/// Why a body is refused. Nothing of it was logged.
pub(super) struct NotTaken;

impl IntoResponses for NotRead {
    fn responses() -> Problems {
        problems(&[MALFORMED, OTHER])
    }
}

impl IntoResponses for NotFound {
    fn responses() -> Problems {
        problems(&[MALFORMED, MISSING, OTHER])
    }
}

impl IntoResponses for NotAcceptable {
    fn responses() -> Problems {
        let form = ("406", "None of the forms that it has is accepted.");
        problems(&[MALFORMED, MISSING, form, OTHER])
    }
}

impl IntoResponses for NotTaken {
    fn responses() -> Problems {
        problems(&[
            (
                "400",
                "The envelope, what its payload says, or a parameter is not valid.",
            ),
            (
                "403",
                "The rules, as the log now stands, do not allow it: a key, an agent, a lease, a scope, a budget.",
            ),
            ("409", "It does not follow what the log already has."),
            ("413", "It is larger than the limit."),
            ("415", "The body has another media type, or is compressed."),
            ("422", "It contradicts itself."),
            (
                "429",
                "Too many records come from this address or agent; `Retry-After` says when to go on.",
            ),
            OTHER,
        ])
    }
}

fn problems(which: &[(&str, &str)]) -> Problems {
    let problem = |(status, description): &(&str, &str)| {
        let document = Ref::from_schema_name("Problem");
        let response = ResponseBuilder::new()
            .description(*description)
            .content(PROBLEM_JSON, Content::new(Some(document)));
        ((*status).to_owned(), response.build().into())
    };
    which.iter().map(problem).collect()
}
