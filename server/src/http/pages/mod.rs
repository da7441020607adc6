//! Pages for people: what the log implies, in HTML that needs no script.
//!
//! | page | file |
//! | --- | --- |
//! | `/` | `overview.rs` |
//! | `/agents` | `board.rs` |
//! | `/agents/{agent}` | `agent.rs` |
//! | `/goals/{goal}` | `goal.rs` |
//! | `/agents/{agent}/versions` | `versions.rs` |
//! | `/entries` | `entries.rs` |
//! | `/entries/{index}` | `entry.rs` |
//! | `/heads` | `heads.rs` |
//! | `/charter` | `charter.rs` |
//! | `/authority` | `authority.rs` |
//!
//! A page shows what the service says. Whoever wants it proven follows the link to the verifier's page, which checks the
//! same entries in the reader's own browser. One small script keeps a page up to date where there is one to run it.

mod agent;
mod attention;
mod authority;
mod board;
mod charter;
mod entries;
mod entry;
mod frame;
mod goal;
mod heads;
mod hold;
mod overview;
mod past;
mod shown;
mod versions;

use askama::Template;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::Service;
use super::problem::{Problem, ProblemDocument};

/// Nothing but what this origin serves as files, nobody else's frame, and nowhere for a form to go. The empty icon is a
/// `data:` address.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Paper and ink are those of the verifier's page.
const STYLE: &str = concat!(
    include_str!("../../../../web/css/base.css"),
    include_str!("../../../templates/pages.css")
);

const SCRIPT: &str = include_str!("../../../templates/pages.js");

/// The routes of the pages.
pub(super) fn routes() -> Router<Service> {
    let pages = Router::new()
        .route("/", get(overview::page))
        .route("/agents", get(board::page))
        .route("/agents/{agent}", get(agent::page))
        .route("/agents/{agent}/versions", get(versions::page))
        .route("/goals/{goal}", get(goal::page))
        .route("/entries", get(entries::page))
        .route("/entries/{index}", get(entry::page))
        .route("/heads", get(heads::page))
        .route("/charter", get(charter::page))
        .route("/authority", get(authority::page))
        .layer(from_fn(problems_as_pages));
    pages
        .route("/pages.css", get(|| file("text/css; charset=utf-8", STYLE)))
        .route(
            "/pages.js",
            get(|| file("text/javascript; charset=utf-8", SCRIPT)),
        )
}

/// A problem, for people.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    title: String,
    status: u16,
    detail: String,
}

async fn file(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

fn respond(page: &impl Template) -> Result<Response, Problem> {
    let html = page.render().map_err(Problem::internal)?;
    let policy = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)];
    Ok((policy, Html(html)).into_response())
}

/// Whoever asks for HTML is told of a problem in HTML; its status and headers stay.
pub(in crate::http) async fn problems_as_pages(request: Request, next: Next) -> Response {
    let wants_html = wants_html(request.headers());
    let mut response = next.run(request).await;
    let document = response.extensions_mut().remove::<ProblemDocument>();
    let Some(document) = document.filter(|_| wants_html) else {
        return response;
    };
    let page = ProblemPage {
        title: document.title,
        status: document.status,
        detail: timeline::words::visible(&document.detail).into_owned(),
    };
    let Ok(page) = respond(&page) else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(page.headers().clone());
    let vary = HeaderValue::from_static("accept");
    parts.headers.insert(header::VARY, vary);
    Response::from_parts(parts, page.into_body())
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
