//! How a file read: as evidence, as evidence that something on its way has altered, or as something else, which is then
//! named. A mail program that rewrites line ends is a likelier cause than a forger, and a PDF is not bad evidence.

use std::fmt;

use tlog::proof::ProofFile;

use crate::codes::Refusal;
use crate::pack::Line;
use crate::state_proof;
use crate::verify::PACK_START;
use crate::verify::heads::{self, Heads};

/// What a proof file of any version begins with.
pub(super) const PROOF_START: &str = "c2sp.org/tlog-proof@";

/// What gzip begins with (RFC 1952 §2.3.1).
pub(super) const GZIP_START: &[u8] = b"\x1f\x8b";

/// The byte order mark of UTF-8, which editors put in front of text.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The same in front of a line of text: files that were put together have it in the middle.
const BOM_IN_FRONT: &str = "\n\u{feff}";

/// How a file read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// As evidence, sound or not.
    #[default]
    Evidence,
    /// As evidence whose bytes something has altered, as programs do that pass text on.
    Altered(Alteration),
    /// As something else: what it is, and what to do with it.
    Other(&'static str),
}

/// What programs do to text that they pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// A byte order mark was put in front.
    ByteOrderMark,
    /// Lines end in CR LF.
    LineEnds,
    /// The last line has lost its end.
    LastLineEnd,
}

impl Reading {
    /// How a file read that is not a proof file: its bytes, or as many as were held.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match alteration(bytes) {
            Some(alteration) => Self::Altered(alteration),
            None if is_evidence(bytes) => Self::Evidence,
            None => Self::Other(other(bytes)),
        }
    }

    /// How a pack read, by the line at which it ended.
    pub(super) fn of_line(line: &[u8]) -> Self {
        let mended = [line, b"\n"].concat();
        if line.ends_with(b"\r\n") {
            Self::Altered(Alteration::LineEnds)
        } else if !line.ends_with(b"\n") && Line::parse(&mended).is_ok() {
            Self::Altered(Alteration::LastLineEnd)
        } else {
            Self::Evidence
        }
    }

    /// A refusal of the file, which says how it read.
    pub(super) fn told(self, mut refusal: Refusal) -> Refusal {
        match self {
            Self::Evidence => {}
            Self::Altered(alteration) => {
                refusal.detail = format!("{alteration}: {}", refusal.detail);
            }
            Self::Other(what) => refusal.detail = format!("it is {what}"),
        }
        refusal
    }
}

impl Alteration {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "bom",
            Self::LineEnds => "crlf",
            Self::LastLineEnd => "newline",
        }
    }
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteOrderMark => {
                "it begins with a byte order mark, which an editor or a mail program adds to text"
            }
            Self::LineEnds => {
                "its lines end in CR LF and not in LF, as a mail program or an editor leaves them"
            }
            Self::LastLineEnd => "its last line has lost the LF at its end",
        })
    }
}

/// What begins as evidence, or would without a byte order mark.
fn is_evidence(bytes: &[u8]) -> bool {
    let starts = [PACK_START, PROOF_START.as_bytes(), state_proof::START];
    starts.iter().any(|start| bytes.starts_with(start)) || heads::holds_heads(bytes)
}

/// Whether a byte order mark stands in front of the file, or of one of the texts in it.
pub(super) fn has_bom(text: &str) -> bool {
    text.as_bytes().starts_with(BOM) || text.contains(BOM_IN_FRONT)
}

/// What was done to evidence that does not read.
fn alteration(bytes: &[u8]) -> Option<Alteration> {
    if heads::holds_heads(bytes) && std::str::from_utf8(bytes).is_ok_and(has_bom) {
        return Some(Alteration::ByteOrderMark);
    }
    let bare = bytes.strip_prefix(BOM);
    if !is_evidence(bare.unwrap_or(bytes)) {
        return None;
    }
    match (bare, bytes) {
        (Some(_), _) => Some(Alteration::ByteOrderMark),
        (None, _) if contains(bytes, b"\r\n") => Some(Alteration::LineEnds),
        (None, text) => reads_with_an_end(text).then_some(Alteration::LastLineEnd),
    }
}

/// Whether it is a proof file, or two checkpoints, that has lost the end of its last line.
fn reads_with_an_end(text: &[u8]) -> bool {
    let mended = [text, b"\n"].concat();
    let text = std::str::from_utf8(&mended).unwrap_or_default();
    ProofFile::parse(text).is_ok() || Heads::parse(&mended).is_ok()
}

/// What files begin with that people take for evidence.
const STARTS: [(&[u8], &str); 8] = [
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"-----BEGIN ", "a key or a certificate in PEM"),
    (b"SQLite format 3", "a database"),
    (GZIP_START, "compressed more than once"),
    (
        b"{\"received_ms\":",
        "an entry without its proof: export a proof file of it",
    ),
];

/// What they have in them.
const MARKS: [(&[u8], &str); 8] = [
    (b"id=\"evidence\"", "a sealed case: open it in a browser"),
    (
        b"dragons.certificate/v1",
        "a certificate: bring it with the evidence that it is about",
    ),
    (
        b"dragons.report/v1",
        "the report of a verification: bring the evidence that it is about",
    ),
    (
        b"sigstore.bundle",
        "a Sigstore bundle: cosign or sigstore verifies it",
    ),
    (
        b"\"policy\":",
        "a trust file: it says whom you trust, and is not evidence",
    ),
    (
        b"application/vnd.dragons.",
        "a record without its proof: export a proof file of it",
    ),
    (
        b"\n\n\xe2\x80\x94 ",
        "a bare checkpoint: it says how large the log is, and not what is in it. With another checkpoint of the log it is evidence",
    ),
    (b"<html", "a web page"),
];

/// What a file is that is not evidence.
fn other(bytes: &[u8]) -> &'static str {
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let start = STARTS.iter().find(|(start, _)| bytes.starts_with(start));
    let mark = || MARKS.iter().find(|(mark, _)| contains(bytes, mark));
    match (start.or_else(mark), bytes.trim_ascii()) {
        (Some((_, what)), _) => what,
        (None, []) => "empty",
        (None, [b'{' | b'[', ..]) => "JSON of another kind",
        (None, text) => match std::str::from_utf8(text) {
            Ok(_) => "text of another kind",
            Err(_) => "a file of another kind",
        },
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mail_does_to_evidence_is_named() {
        let proof = include_bytes!("golden/entry-6.tlog-proof");
        let heads = "a\n1\niip=\n\n\u{2014} a AQ==\n\u{feff}a\n1\niip=\n\n\u{2014} a AQ==\n";
        let cases: [(&[u8], Option<Alteration>); 9] = [
            (heads.as_bytes(), Some(Alteration::ByteOrderMark)),
            (b"c2sp.org/tlog-proof@v1\nindex 0\n", None),
            (
                b"\xef\xbb\xbfc2sp.org/tlog-proof@v1\n",
                Some(Alteration::ByteOrderMark),
            ),
            (
                b"\xef\xbb\xbf{\"pack\":1}\n",
                Some(Alteration::ByteOrderMark),
            ),
            (
                b"c2sp.org/tlog-proof@v1\r\nindex 0\r\n",
                Some(Alteration::LineEnds),
            ),
            (proof, None),
            (&proof[..proof.len() - 1], Some(Alteration::LastLineEnd)),
            (&proof[..proof.len() - 2], None),
            (b"\xef\xbb\xbf%PDF-1.7\r\n", None),
        ];
        for (bytes, what) in cases {
            assert_eq!(alteration(bytes), what, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_evidence_is_named() {
        let cases: [(&[u8], &str); 11] = [
            (b"", "empty"),
            (b" \n", "empty"),
            (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
            (
                b"{\"policy\":\"log x\",\"charter\":\"sha256:00\"}",
                "a trust file",
            ),
            (
                b"example.com/log\n1\niip=\n\n\xe2\x80\x94 example.com/log AQ==\n",
                "a bare checkpoint",
            ),
            (
                b"{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"}",
                "a Sigstore bundle",
            ),
            (b"<!doctype html><html lang=en>", "a web page"),
            (b"<html><script id=\"evidence\">", "a sealed case"),
            (b"[1]", "JSON of another kind"),
            (b"minutes of a meeting", "text of another kind"),
            (b"\xff\xfe\x00", "a file of another kind"),
        ];
        for (bytes, what) in cases {
            assert!(other(bytes).starts_with(what), "{what}: {}", other(bytes));
        }
    }
}
