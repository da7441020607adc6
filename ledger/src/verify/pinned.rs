//! Trust from a fingerprint that the reader got by another channel than the evidence, without a trust file.
//!
//! The evidence brings the charter that its log began with. If its fingerprint is the one that was given, the charter is the
//! one that was meant, and with it come the log's keys. Nothing else in the evidence is believed for it.

use tlog::policy::Policy;

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::fingerprint::Fingerprint;
use crate::leaf::Leaf;
use crate::pack::Line;
use crate::record::{Body, Charter, SignedRecord};
use crate::verify::trust::Trust;

impl Trust {
    /// The trust in the log that began with the charter in this line of a pack, if its fingerprint is the one given: the
    /// charter's eight groups of digits, however they are spaced, or the hash of its record.
    ///
    /// It asks for no witness, since a charter names none.
    ///
    /// # Errors
    /// Those of [`Line::parse`] and [`Leaf::parse`]; `charter-missing` if the line does not hold charter 1; `trust-mismatch`
    /// if it has another fingerprint.
    pub fn pinned(line: &[u8], fingerprint: &str) -> Result<Self, Refusal> {
        let (hash, charter) = first_charter(line)?;
        if !is_of(&hash, fingerprint) {
            return Err(
                Code::TrustMismatch.because("the log of this evidence has another fingerprint")
            );
        }
        Ok(Self {
            policy: policy_of(&charter)?,
            charter: hash,
            from: None,
        })
    }
}

fn first_charter(line: &[u8]) -> Result<(RecordHash, Box<Charter>), Refusal> {
    let missing =
        || Code::CharterMissing.because("the charter that the log began with is not here");
    let Line::Leaf(entry) = Line::parse(line)? else {
        return Err(missing());
    };
    let leaf = Leaf::parse(entry.leaf.as_bytes())?;
    let record = SignedRecord::from_envelope(leaf.into_envelope())?;
    match (record.record().log, record.record().body.clone()) {
        (None, Body::Charter(charter)) => Ok((record.hash(), charter)),
        _ => Err(missing()),
    }
}

fn is_of(hash: &RecordHash, given: &str) -> bool {
    let digits: String = given.chars().filter(char::is_ascii_digit).collect();
    let own = Fingerprint::of_charter(hash).to_string().replace(' ', "");
    let is_spaced = |c: char| c.is_ascii_digit() || c.is_whitespace() || "-.,".contains(c);
    given.trim() == hash.to_string() || given.chars().all(is_spaced) && digits == own
}

fn policy_of(charter: &Charter) -> Result<Policy, Refusal> {
    let logs = charter.log_keys.iter().map(|key| format!("log {key}\n"));
    let text = logs.collect::<String>() + "quorum none\n";
    Policy::parse(&text).map_err(|error| Code::CharterInvalid.because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<String> {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden.json")).unwrap();
        let pack = golden["pack"].as_str().unwrap();
        pack.split_inclusive('\n').map(str::to_owned).collect()
    }

    fn code(line: &str, fingerprint: &str) -> Code {
        Trust::pinned(line.as_bytes(), fingerprint)
            .unwrap_err()
            .code
    }

    #[test]
    fn a_fingerprint_leads_to_the_trust_file_of_the_log() {
        let trust: Trust = include_str!("golden/trust.json").parse().unwrap();
        let digits = Fingerprint::of_charter(&trust.charter).to_string();
        let spellings = [
            digits.clone(),
            digits.replace(' ', ""),
            format!(" {}\n", digits.replace(' ', "-")),
            trust.charter.to_string(),
        ];
        for given in spellings {
            let pinned = Trust::pinned(lines()[3].as_bytes(), &given).unwrap();
            assert_eq!(pinned.to_json(), trust.to_json(), "{given}");
        }
    }

    #[test]
    fn any_other_fingerprint_leads_nowhere() {
        let trust: Trust = include_str!("golden/trust.json").parse().unwrap();
        let digits = Fingerprint::of_charter(&trust.charter).to_string();
        let charter = &lines()[3];
        let others = [
            "",
            "0",
            &digits[..34],
            &format!("{digits}0"),
            &format!("a{digits}"),
        ];
        for other in others {
            assert_eq!(code(charter, other), Code::TrustMismatch, "{other}");
        }
        assert_eq!(code(&lines()[4], &digits), Code::CharterMissing);
        assert_eq!(code(&lines()[0], &digits), Code::CharterMissing);
    }
}
