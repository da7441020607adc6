//! The verifier's page, as it was built into this program, and what it is compared with: a page or a sealed case from
//! elsewhere.
//!
//! The digest of a page is that of its bytes without those between `<!--evidence-->` and `<!--/evidence-->`. So every
//! case that is made of one page has the digest of that page.

use std::borrow::Cow;

use anyhow::{Context as _, Result};
use ledger::digest::Digest;
use rust_embed::RustEmbed;
use serde_json::Value;

/// Where evidence begins and ends in a page.
const BEGINS: &str = "<!--evidence-->";
const ENDS: &str = "<!--/evidence-->";

/// The element with the evidence.
const OPEN: &str = "<script type=\"application/octet-stream\" id=\"evidence\">";
const CLOSE: &str = "</script>";

/// The element that says of which version a page is, and what its parts are.
const PARTS: &str = "<script type=\"application/json\" id=\"parts\">";

const HOW_TO_BUILD: &str =
    "this program was built without the verifier's page: run `make web` before it is built";

/// The pages that lay in `web/dist` when this program was built; none if it was not there.
#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
#[include = "*.html"]
struct Built;

/// A page, or a case made of one.
#[derive(Clone, Debug)]
pub(crate) struct Page<'a> {
    before: &'a str,
    evidence: &'a str,
    after: &'a str,
}

/// What a page says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) version: String,
    pub(crate) commit: String,
    /// Of each part that is beside the page: its address and what a browser compares it with.
    pub(crate) beside: Vec<(String, String)>,
}

/// The page of this program in one file, which cases are made of.
///
/// # Errors
///
/// If there is none.
pub(crate) fn whole() -> Result<Cow<'static, str>> {
    built("page.html").context(HOW_TO_BUILD)
}

/// The names and digests of the pages that were built into this program.
pub(crate) fn known() -> Vec<(&'static str, Digest)> {
    let names = ["page.html", "index.html"].into_iter();
    let digest = |name| built(name).map(|page| (name, Page::of(&page).digest()));
    names.filter_map(digest).collect()
}

fn built(name: &str) -> Option<Cow<'static, str>> {
    match Built::get(name)?.data {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

impl<'a> Page<'a> {
    /// A page as it came. One without a place for evidence is all page.
    pub(crate) fn of(text: &'a str) -> Self {
        let parts = text
            .split_once(BEGINS)
            .and_then(|(before, rest)| Some((before, rest.split_once(ENDS)?)));
        match parts {
            Some((before, (evidence, after))) => Self {
                before,
                evidence,
                after,
            },
            None => Self {
                before: text,
                evidence: "",
                after: "",
            },
        }
    }

    /// Whether there is a place for evidence, as every page and every case has.
    pub(crate) fn has_a_place(&self) -> bool {
        !self.after.is_empty()
    }

    /// The digest without the evidence.
    pub(crate) fn digest(&self) -> Digest {
        let marks = match self.has_a_place() {
            true => [BEGINS, ENDS],
            false => ["", ""],
        };
        let parts = [self.before, marks[0], marks[1], self.after];
        Digest::of(&parts.map(str::as_bytes))
    }

    /// The gzipped evidence inside, if there is any.
    ///
    /// # Errors
    ///
    /// If something else is there.
    pub(crate) fn evidence(&self) -> Result<Option<Vec<u8>>> {
        if self.evidence.is_empty() {
            return Ok(None);
        }
        let inside = self.evidence.strip_prefix(OPEN);
        let text = inside.and_then(|rest| rest.strip_suffix(CLOSE));
        let text = text.context("something other than evidence is in the place for evidence")?;
        let bytes = tlog::base64::decode(text).context("the evidence is not base64")?;
        Ok(Some(bytes))
    }

    /// The same page with this gzipped evidence.
    pub(crate) fn with(&self, gzipped: &[u8]) -> String {
        let Self { before, after, .. } = self;
        let evidence = tlog::base64::encode(gzipped);
        format!("{before}{BEGINS}{OPEN}{evidence}{CLOSE}{ENDS}{after}")
    }

    /// What it says about itself, which its author may have made up.
    pub(crate) fn claims(&self) -> Option<Claims> {
        let text = [self.before, self.after].concat();
        let (_, rest) = text.split_once(PARTS)?;
        let (json, _) = rest.split_once(CLOSE)?;
        let parts: Value = serde_json::from_str(json).ok()?;
        let named = |name: &str| Some(parts.get(name)?.as_str()?.to_owned());
        let beside = ["script", "worker", "proofs", "wasm"]
            .into_iter()
            .filter_map(|name| {
                let part = parts.get(name)?;
                let text = |member: &str| Some(part.get(member)?.as_str()?.to_owned());
                Some((text("src")?, text("integrity")?))
            });
        Some(Claims {
            version: named("version")?,
            commit: named("commit")?,
            beside: beside.collect(),
        })
    }
}

/// As a browser compares a part (W3C, Subresource Integrity).
pub(crate) fn integrity(bytes: &[u8]) -> String {
    let digest = Digest::of(&[bytes]);
    format!("sha256-{}", tlog::base64::encode(digest.as_bytes()))
}

/// What this program is, and of which page: for `dragons --version --verbose`.
pub(crate) fn build() -> String {
    let mut told = format!("dragons {}\n", env!("CARGO_PKG_VERSION"));
    let Ok(page) = whole() else {
        return told + HOW_TO_BUILD + "\n";
    };
    if let Some(claims) = Page::of(&page).claims() {
        told.push_str(&format!("commit  {}\n", claims.commit));
    }
    for (name, digest) in known() {
        told.push_str(&format!("{name}  {digest}\n"));
    }
    for (name, called) in [("wasm", "verifier"), ("proofs", "verifier of proof files")] {
        if let Some(digest) = part(&page, name) {
            told.push_str(&format!("{called}  {digest}\n"));
        }
    }
    told
}

/// The digest of a part of a page, by its own words.
fn part(page: &str, name: &str) -> Option<Digest> {
    let (_, rest) = page.split_once(PARTS)?;
    let (json, _) = rest.split_once(CLOSE)?;
    let parts: Value = serde_json::from_str(json).ok()?;
    let integrity = parts.get(name)?.get("integrity")?.as_str()?;
    let bytes = tlog::base64::decode(integrity.strip_prefix("sha256-")?).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<p>a</p><!--evidence--><!--/evidence--><script type=\"application/json\" id=\"parts\">\
        {\"version\":\"1\",\"commit\":\"c\",\"script\":{\"src\":null,\"integrity\":\"x\"},\"wasm\":{\"src\":\"w\",\"integrity\":\"y\"}}</script>";

    #[test]
    fn evidence_does_not_change_the_digest_of_a_page() {
        let page = Page::of(PAGE);
        let case = page.with(b"evidence");
        assert_eq!(page.digest(), Digest::of(&[PAGE.as_bytes()]));
        assert_eq!(Page::of(&case).digest(), page.digest());
        assert_eq!(Page::of(&case).evidence().unwrap().unwrap(), b"evidence");
        assert_eq!(page.evidence().unwrap(), None);
        let changed = case.replace("<p>a", "<p>b");
        assert_ne!(Page::of(&changed).digest(), page.digest());
    }

    #[test]
    fn what_else_is_in_the_place_of_evidence_is_said() {
        for inside in [
            "<script>alert(1)</script>",
            "text",
            &format!("{OPEN}*{CLOSE}"),
            &format!("{OPEN}{CLOSE}{CLOSE}"),
        ] {
            let case = PAGE.replace(BEGINS, &format!("{BEGINS}{inside}"));
            assert!(Page::of(&case).evidence().is_err(), "{inside}");
        }
    }

    #[test]
    fn a_page_says_what_it_is_and_what_lies_beside_it() {
        let claims = Page::of(PAGE).claims().unwrap();
        let beside = vec![("w".to_owned(), "y".to_owned())];
        let (version, commit) = ("1".to_owned(), "c".to_owned());
        assert_eq!(
            claims,
            Claims {
                version,
                commit,
                beside
            }
        );
        assert_eq!(Page::of("<p>").claims(), None);
    }
}
