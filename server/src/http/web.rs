//! `/verify/`: the files of the verifier page, from a directory or from the program itself.

use std::borrow::Cow;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use ledger::digest::Digest;
use rust_embed::RustEmbed;

use super::Service;
use super::problem::Problem;

/// Where the page is served.
const ROOT: &str = "/verify/";

const INDEX: &str = "index.html";

/// The page talks to nobody and runs nothing but its own files; wasm needs a word of its own.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    worker-src blob:; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page in one file. What may run in it stands in the page itself, by digests; a header would have to repeat them.
const WHOLE: &str = "page.html";

/// What only a header can say of it.
const POLICY_OF_WHOLE: &str = "frame-ancestors 'none'";

/// What is named after its digest never changes: a year, which is the longest that caches keep.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Everything else is asked for again, and sent again only if it has changed.
const ASK_AGAIN: &str = "no-cache";

/// How many digits of a digest are in a name.
const DIGITS: usize = 16;

/// Below this, compression saves less than its headers cost.
const WORTH_COMPRESSING_BYTES: usize = 1024;

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
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = match uri.path().strip_prefix(ROOT) {
        None | Some("") => INDEX.to_owned(),
        Some(name) => name.to_owned(),
    };
    let readers = service.readers.clone();
    let read = move || {
        let file = service.web.file(&name);
        let bytes = file.ok_or_else(|| missing(&service.web, &name))?;
        Ok(respond(&name, &bytes, &headers))
    };
    readers.work(read).await
}

/// A file as its reader wants it: not at all if the reader has it, compressed if that is understood.
fn respond(name: &str, bytes: &[u8], wanted: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", Digest::of(&[bytes]));
    let policy = match name {
        WHOLE => POLICY_OF_WHOLE,
        _ => CONTENT_SECURITY_POLICY,
    };
    let cache = match is_named_by_digest(name) {
        true => FOR_EVER,
        false => ASK_AGAIN,
    };
    let headers = [
        (header::CONTENT_TYPE, content_type(name)),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::ETAG, &tag),
        (header::VARY, "accept-encoding"),
    ];
    let has = |name, text: &str| {
        let value = wanted.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.contains(text))
    };
    if has(header::IF_NONE_MATCH, &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    match has(header::ACCEPT_ENCODING, "gzip") && bytes.len() >= WORTH_COMPRESSING_BYTES {
        true => {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (headers, encoding, gzipped(bytes)).into_response()
        }
        false => (headers, bytes.to_vec()).into_response(),
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("a vector takes whatever is written into it")
}

/// Whether a name ends in a digest, as those of the page's parts do.
fn is_named_by_digest(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let digits = stem.rsplit_once('-').map_or("", |(_, digits)| digits);
    digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
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

    fn asked(name: &str, header: header::HeaderName, value: &str) -> Response {
        let mut wanted = HeaderMap::new();
        wanted.insert(header, value.parse().unwrap());
        respond(name, &[b'x'; 4096], &wanted)
    }

    #[test]
    fn a_reader_gets_a_file_once_and_small() {
        let whole = asked("page.js", header::ACCEPT, "*/*");
        let tag = whole.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(whole.status(), StatusCode::OK);
        assert!(!whole.headers().contains_key(header::CONTENT_ENCODING));
        let again = asked("page.js", header::IF_NONE_MATCH, &tag);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let small = asked("page.js", header::ACCEPT_ENCODING, "br, gzip");
        assert_eq!(small.headers()[header::CONTENT_ENCODING], "gzip");
        let other = asked("page.js", header::IF_NONE_MATCH, "\"other\"");
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn what_is_named_by_its_digest_is_kept() {
        let cache =
            |name| asked(name, header::ACCEPT, "*/*").headers()[header::CACHE_CONTROL].clone();
        assert_eq!(cache("page-0123456789abcdef.js"), FOR_EVER);
        for name in [
            "index.html",
            "page.html",
            "page-0123.js",
            "samples/one-record.tlog-proof",
        ] {
            assert_eq!(cache(name), ASK_AGAIN, "{name}");
        }
        let policy = asked("page.html", header::ACCEPT, "*/*").headers()
            [header::CONTENT_SECURITY_POLICY]
            .clone();
        assert_eq!(policy, POLICY_OF_WHOLE);
    }

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
