//! The two forms of the page, from the same parts.
//!
//! In both a policy in the page itself says what may run: in the hosted form what this origin serves, each file with its
//! digest; in the other only the style and the script with these digests, and no connection to anybody.

use std::io::Write as _;

use anyhow::ensure;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use ledger::digest::Digest;
use ledger::json::{Value, object};

use super::origin::Origin;

/// How many digits of a digest are in a name.
const DIGITS: usize = 16;

/// Where each form differs, in `index.html`.
const POLICY: &str = "<!--policy-->";
const STYLE: &str = "<!--style-->";
const SCRIPT: &str = "<!--script-->";

/// Where a sealed case has its evidence.
const EVIDENCE: &str = "<!--evidence--><!--/evidence-->";

/// What the page is made of.
pub(super) struct Parts {
    pub(super) style: String,
    pub(super) script: String,
    pub(super) worker: String,
    /// The verifier of everything.
    pub(super) wasm: Vec<u8>,
    /// The verifier of proof files.
    pub(super) proofs: Vec<u8>,
    pub(super) origin: Origin,
}

impl Parts {
    /// The files of both forms, by their names.
    ///
    /// # Errors
    ///
    /// When the template lacks a place that the parts go to.
    pub(super) fn files(&self, template: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        for place in [POLICY, STYLE, SCRIPT, EVIDENCE] {
            let count = template.matches(place).count();
            ensure!(count == 1, "index.html has {place} {count} times");
        }
        let modules = [("verifier", &self.wasm), ("proofs", &self.proofs)];
        let modules = modules.map(|(name, wasm)| (named(name, "wasm", wasm), wasm.clone()));
        let mut files = vec![
            ("index.html".to_owned(), self.hosted(template).into()),
            ("page.html".to_owned(), self.whole(template)?.into()),
            (
                named("page", "css", self.style.as_bytes()),
                self.style.clone().into(),
            ),
            (
                named("page", "js", self.script.as_bytes()),
                self.script.clone().into(),
            ),
            (
                named("worker", "js", self.worker.as_bytes()),
                self.worker.clone().into(),
            ),
        ];
        files.extend(modules);
        Ok(files)
    }

    fn hosted(&self, template: &str) -> String {
        let style = format!(
            "<link rel=\"stylesheet\" href=\"{}\" integrity=\"{}\">",
            named("page", "css", self.style.as_bytes()),
            integrity(self.style.as_bytes())
        );
        let script = format!(
            "<script type=\"application/json\" id=\"parts\">{}</script>\n  <script type=\"module\" src=\"{}\" integrity=\"{}\"></script>",
            self.list(true),
            named("page", "js", self.script.as_bytes()),
            integrity(self.script.as_bytes())
        );
        let policy = policy("'self'", "'self'", "connect-src 'self'; ");
        fill(template, [&policy, &style, &script])
    }

    fn whole(&self, template: &str) -> anyhow::Result<String> {
        for (name, text) in [("script", &self.script), ("worker", &self.worker)] {
            let ends = text.contains("</script") || text.contains("<!--");
            ensure!(!ends, "the {name} would end the element that it stands in");
        }
        let (wasm, proofs) = (packed(&self.wasm)?, packed(&self.proofs)?);
        let style = format!("<style>{}</style>", self.style);
        let script = format!(
            "<script type=\"application/json\" id=\"parts\">{}</script>\n  \
             <script type=\"text/plain\" id=\"part-worker\">{}</script>\n  \
             <script type=\"application/octet-stream\" id=\"part-proofs\">{proofs}</script>\n  \
             <script type=\"application/octet-stream\" id=\"part-wasm\">{wasm}</script>\n  \
             <script type=\"module\" id=\"part-script\">{}</script>",
            self.list(false),
            self.worker,
            self.script,
        );
        let quoted = |text: &str| format!("'{}'", integrity(text.as_bytes()));
        let policy = policy(&quoted(&self.script), &quoted(&self.style), "");
        Ok(fill(template, [&policy, &style, &script]))
    }

    /// What the script has to know of the parts: where they are, if not inside, and their digests.
    fn list(&self, is_hosted: bool) -> String {
        let part = |name: &str, extension: &str, bytes: &[u8]| {
            let place = is_hosted.then(|| named(name, extension, bytes));
            object([
                ("src", place.into()),
                ("integrity", integrity(bytes).into()),
            ])
        };
        let Origin { version, commit } = &self.origin;
        let list: Value = object([
            ("version", version.as_str().into()),
            ("commit", commit.as_str().into()),
            ("script", part("page", "js", self.script.as_bytes())),
            ("worker", part("worker", "js", self.worker.as_bytes())),
            ("proofs", part("proofs", "wasm", &self.proofs)),
            ("wasm", part("verifier", "wasm", &self.wasm)),
        ]);
        list.to_json()
    }
}

/// Gzipped, as text.
fn packed(bytes: &[u8]) -> anyhow::Result<String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(BASE64_STANDARD.encode(encoder.finish()?))
}

fn policy(script: &str, style: &str, connect: &str) -> String {
    format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src {script} 'wasm-unsafe-eval'; \
         worker-src blob:; style-src {style}; img-src data:; {connect}base-uri 'none'; form-action 'none'\">"
    )
}

fn fill(template: &str, [policy, style, script]: [&String; 3]) -> String {
    // The script last: what it holds is looked at no more.
    let filled = template.replacen(POLICY, policy, 1);
    filled.replacen(STYLE, style, 1).replacen(SCRIPT, script, 1)
}

fn named(name: &str, extension: &str, bytes: &[u8]) -> String {
    let digest = Digest::of(&[bytes]).to_string().replace("sha256:", "");
    let digits: String = digest.chars().take(DIGITS).collect();
    format!("{name}-{digits}.{extension}")
}

/// As a browser compares it (W3C, Subresource Integrity).
fn integrity(bytes: &[u8]) -> String {
    let digest = Digest::of(&[bytes]);
    format!("sha256-{}", BASE64_STANDARD.encode(digest.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "<!--policy--><!--style--><!--evidence--><!--/evidence--><!--script-->";

    fn parts(script: &str) -> Parts {
        Parts {
            style: "p { margin: 0; }".to_owned(),
            script: script.to_owned(),
            worker: "postMessage(1);".to_owned(),
            wasm: vec![0, 97, 115, 109],
            proofs: vec![0, 97],
            origin: Origin {
                version: "1.2.3".to_owned(),
                commit: "unknown".to_owned(),
            },
        }
    }

    fn file(name: &str) -> String {
        let files = parts("run();").files(TEMPLATE).unwrap();
        let found = files.into_iter().find(|(known, _)| known.starts_with(name));
        String::from_utf8(found.unwrap().1).unwrap()
    }

    #[test]
    fn a_hosted_page_names_its_parts_with_their_digests() {
        let page = file("index.html");
        for (part, bytes) in [
            ("page", "p { margin: 0; }"),
            ("page", "run();"),
            ("worker", "postMessage(1);"),
        ] {
            let extension = if bytes.starts_with('p') && bytes.contains('{') {
                "css"
            } else {
                "js"
            };
            assert!(
                page.contains(&named(part, extension, bytes.as_bytes())),
                "{part}"
            );
            assert!(page.contains(&integrity(bytes.as_bytes())), "{part}");
        }
        assert!(page.contains("script-src 'self' 'wasm-unsafe-eval'"));
    }

    #[test]
    fn a_page_in_one_file_runs_what_has_its_digest_and_connects_to_nobody() {
        let page = file("page.html");
        assert!(page.contains(&format!("script-src '{}'", integrity(b"run();"))));
        assert!(!page.contains("connect-src") && !page.contains("src=\""));
        assert!(page.contains(EVIDENCE));
    }

    #[test]
    fn what_would_end_its_element_is_not_built() {
        assert!(parts("'</script>'").files(TEMPLATE).is_err());
        assert!(parts("run();").files("<!--policy-->").is_err());
    }
}
