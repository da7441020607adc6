//! What a verifier trusts: the keys of one log, its witnesses, and the charter that it began with.

use std::str::FromStr;

use tlog::policy::Policy;

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::envelope::within;
use crate::json::{Members, Value, parsed};
use crate::record::{Fields, StateAt};

/// The longest trust file: a policy of several hundred witnesses is shorter.
pub const MAX_TRUST_BYTES: usize = 256 * 1024;

/// A trust file: `{"policy":"<tlog-policy text>","charter":"sha256:…"}`, and it may have
/// `"from":{"size":…,"entries":…,"root":…}`.
///
/// Whoever verifies brings it, from somewhere that the evidence did not come from.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Whose signatures on a checkpoint are enough.
    pub policy: Policy,
    /// The record hash of charter 1: the constitution that the log began with, and the name by which every
    /// record is bound to the log.
    pub charter: RecordHash,
    /// The governance state that whoever verifies has found before, by a verification of their own: what begins there is
    /// judged from there on.
    pub from: Option<StateAt>,
}

impl Trust {
    /// Reads a trust file. Space around the value is allowed: people keep it in files and edit it.
    ///
    /// # Errors
    /// `too-large`, `not-strict-json`, `malformed`, `unknown-member`.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        within("trust file", json.len(), MAX_TRUST_BYTES)?;
        let mut members = Members::open("", Value::parse(json.trim_ascii())?)?;
        let policy = members.required("policy", |path, value| {
            let text = crate::json::string(path, value)?;
            Policy::parse(&text)
                .map_err(|error| Code::Malformed.because(format!("{path}: {error}")))
        })?;
        let charter = members.required("charter", parsed)?;
        let from = members.take_if_present("from");
        let from = from.map(|value| StateAt::read("from", value)).transpose()?;
        members.finish().map(|()| Self {
            policy,
            charter,
            from,
        })
    }

    /// The trust file, without spaces.
    pub fn to_json(&self) -> String {
        let mut trust = Fields::default();
        trust.put("policy", self.policy.text());
        trust.put("charter", self.charter);
        if let Some(from) = self.from {
            trust.put("from", from.to_value());
        }
        trust.into_value().to_json()
    }
}

impl FromStr for Trust {
    type Err = Refusal;

    fn from_str(json: &str) -> Result<Self, Refusal> {
        Self::parse(json.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("golden/trust.json");

    #[test]
    fn a_trust_file_reads_back_what_it_writes() {
        let trust: Trust = GOLDEN.parse().unwrap();
        let again: Trust = trust.to_json().parse().unwrap();
        assert_eq!((again.policy, again.charter), (trust.policy, trust.charter));
        let from = format!(
            "\"from\":{{\"size\":7,\"entries\":3,\"root\":\"{}\"}}",
            tlog::EMPTY_ROOT
        );
        let text = GOLDEN.trim().replacen('{', &format!("{{{from},"), 1);
        let trust: Trust = text.parse().unwrap();
        assert_eq!(
            trust.from.map(|from| (from.size, from.state.entries)),
            Some((7, 3))
        );
        assert!(trust.to_json().ends_with(&format!("{from}}}")));
        assert_eq!(trust.to_json().parse::<Trust>().unwrap().from, trust.from);
    }

    #[test]
    fn whatever_else_is_refused_with_its_code() {
        let cases = [
            (GOLDEN.replace("\"charter\"", "\"chart\""), Code::Malformed),
            (GOLDEN.replacen('{', "{\"more\":1,", 1), Code::UnknownMember),
            (
                GOLDEN.replace("quorum none", "quorum some"),
                Code::Malformed,
            ),
            (GOLDEN.replace("sha256:", "sha512:"), Code::Malformed),
            (format!("{GOLDEN}{GOLDEN}"), Code::NotStrictJson),
            (" ".repeat(MAX_TRUST_BYTES + 1), Code::TooLarge),
        ];
        for (text, code) in cases {
            assert_eq!(text.parse::<Trust>().unwrap_err().code, code, "{text}");
        }
    }
}
