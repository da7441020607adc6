//! `/verify/`: the files of the verifier page, from a directory or from the program itself.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use axum::extract::{OriginalUri, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::RustEmbed;

use super::Service;
use super::problem::Problem;

/// Where the page is served.
const ROOT: &str = "/verify/";

const INDEX: &str = "index.html";

/// The page talks to nobody and runs nothing but its own files; wasm needs a word of its own.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    worker-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HOW_TO_BUILD: &str = "this program was built without the verifier page; run `make web` before it is built, or name a directory with --web";

/// The files that lay in `web/dist` when this program was built; none if it was not there.
#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Built;

/// Where the files of the page come from.
#[derive(Clone, Debug, Default)]
pub enum Web {
    /// From the program itself, if they were built before it.
    #[default]
    Embedded,
    /// From a directory, read anew for each request.
    Directory(PathBuf),
}

impl Web {
    /// The bytes of a file, `None` if there is no such file.
    fn file(&self, name: &str) -> Option<Cow<'static, [u8]>> {
        match self {
            Self::Embedded => Built::get(name).map(|file| file.data),
            Self::Directory(directory) => read_below(directory, name).map(Cow::Owned),
        }
    }
}

/// Sends a reader to where the page's own relative links work.
pub(super) async fn redirect() -> Redirect {
    Redirect::permanent(ROOT)
}

/// A file of the page.
pub(super) async fn file(
    State(service): State<Service>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    let name = match uri.path().strip_prefix(ROOT) {
        None | Some("") => INDEX.to_owned(),
        Some(name) => name.to_owned(),
    };
    let content_type = content_type(&name);
    let readers = service.readers.clone();
    let read = move || {
        service
            .web
            .file(&name)
            .ok_or_else(|| missing(&service.web, &name))
    };
    let bytes = readers.work(read).await?;
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ];
    Ok((headers, bytes).into_response())
}

/// The trust file of this log, which the page takes for evidence that it gets from here.
pub(super) async fn trust(State(service): State<Service>) -> Result<Response, Problem> {
    let missing = || Problem::not_found("no trust file is offered here");
    let trust = service.trust.as_deref().ok_or_else(missing)?.to_owned();
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, trust).into_response())
}

fn missing(web: &Web, name: &str) -> Problem {
    match web {
        Web::Embedded if Built::get(INDEX).is_none() => Problem::not_found(HOW_TO_BUILD),
        _ => Problem::not_found(format!("no file {name:?}")),
    }
}

/// Reads a file below a directory. A name is plain segments, so it leads nowhere else; links in the
/// directory are its owner's own.
fn read_below(directory: &Path, name: &str) -> Option<Vec<u8>> {
    let plain = |segment: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !segment.is_empty() && !segment.starts_with('.') && segment.chars().all(known)
    };
    let path = name.split('/').all(plain).then(|| directory.join(name))?;
    path.is_file().then(|| std::fs::read(path).ok()).flatten()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_below_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("web");
        std::fs::create_dir_all(root.join("js")).unwrap();
        std::fs::write(root.join("index.html"), "page").unwrap();
        std::fs::write(root.join("js/app.js"), "app").unwrap();
        std::fs::write(root.join(".hidden"), "x").unwrap();
        std::fs::write(directory.path().join("secret"), "x").unwrap();
        assert_eq!(read_below(&root, "index.html").unwrap(), b"page");
        assert_eq!(read_below(&root, "js/app.js").unwrap(), b"app");
        for name in [
            "",
            ".",
            "..",
            "../secret",
            "js/../../secret",
            "js/..",
            "/etc/passwd",
            "js//app.js",
            "js",
            ".hidden",
            "%2e%2e/secret",
            "..\\secret",
            "js/app.js/",
            "js/app.js\0",
            "index.html%00",
        ] {
            assert_eq!(read_below(&root, name), None, "{name:?}");
        }
    }
}
