//! Policies, c2sp.org/tlog-policy: which logs are believed, and which witnesses must have cosigned.
//!
//! ```text
//! log example.com/workledger+010682ba+AQOh…
//! witness w1 witness.example.com/w1+886a0481+BCFS…
//! witness w2 …
//! witness w3 …
//! group two-of-three 2 w1 w2 w3
//! quorum two-of-three
//! ```
//!
//! A group counts as a witness once enough of its members do; members are named before they are used, so one pass over
//! the lines decides. The specification speaks of octets; here a policy is UTF-8, which is what every carrier of
//! one is.

mod parse;

pub use parse::{MAX_POLICY_BYTES, ParsePolicyError, PolicyFault};

use crate::checkpoint::{CheckpointError, Cosignature, SignedCheckpoint, VerifiedCheckpoint};
use crate::note::{Note, VerifierKey};

/// Whose signatures a checkpoint needs. It keeps its text, comments and all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    text: String,
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    /// Witnesses and groups in the order of their lines: a group stands behind its members.
    parties: Vec<Party>,
    quorum: Quorum,
}

/// A log that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The key, whose name is the log's origin.
    pub key: VerifierKey,
    /// Where the log is, if the policy says so.
    pub url: Option<String>,
}

/// A witness that may count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// What the policy calls it.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where the witness is, if the policy says so.
    pub url: Option<String>,
}

/// What a name in the policy refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Party {
    /// The witness at this position.
    Witness(usize),
    Group {
        /// How many members it takes.
        threshold: usize,
        /// Positions among the parties, all before this one.
        members: Vec<usize>,
    },
}

/// Who has to have cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quorum {
    None,
    /// The party at this position.
    Party(usize),
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// [`ParsePolicyError`] with the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ParsePolicyError> {
        parse::parse(text)
    }

    /// The text that the policy was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The logs, in their order.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// The witnesses, in their order.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Whether a checkpoint needs any cosignature at all.
    #[must_use]
    pub fn needs_witnesses(&self) -> bool {
        self.quorum != Quorum::None
    }

    /// Checks a checkpoint: signed by a log of the policy, cosigned by its quorum, and no signature of a log or witness
    /// that the policy knows is wrong. The cosignatures that were checked come with it, also those beyond the quorum.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`], which distinguishes an unknown log, a wrong signature and a quorum that is not met.
    pub fn verify(&self, signed: &SignedCheckpoint) -> Result<VerifiedCheckpoint, CheckpointError> {
        let logs: Vec<&VerifierKey> = self.logs.iter().map(|log| &log.key).collect();
        self.verify_by(signed, &logs)
    }

    /// Checks a checkpoint as [`Policy::verify`] does, signed by any of these keys in place of those of the policy's logs:
    /// for whoever knows the keys that a log has had since the policy was written.
    ///
    /// # Errors
    ///
    /// As [`Policy::verify`].
    pub fn verify_by(
        &self,
        signed: &SignedCheckpoint,
        logs: &[&VerifierKey],
    ) -> Result<VerifiedCheckpoint, CheckpointError> {
        signed.verify_log(logs)?;
        let mut cosignatures = Vec::new();
        let mut cosigned = Vec::with_capacity(self.witnesses.len());
        for witness in &self.witnesses {
            let own = cosignatures_of(witness, signed.note())?;
            cosigned.push(!own.is_empty());
            cosignatures.extend(own);
        }
        if !self.is_quorum(&cosigned) {
            return Err(CheckpointError::QuorumNotMet {
                cosigned: cosigned.iter().filter(|cosigned| **cosigned).count(),
                witnesses: self.witnesses.len(),
            });
        }
        Ok(signed.verified(cosignatures))
    }

    /// Whether those witnesses that have cosigned are a quorum.
    fn is_quorum(&self, cosigned: &[bool]) -> bool {
        let mut reached: Vec<bool> = Vec::with_capacity(self.parties.len());
        for party in &self.parties {
            reached.push(match party {
                Party::Witness(position) => is_set(cosigned, *position),
                Party::Group { threshold, members } => {
                    let members = members.iter().filter(|member| is_set(&reached, **member));
                    members.count() >= *threshold
                }
            });
        }
        match self.quorum {
            Quorum::None => true,
            Quorum::Party(position) => is_set(&reached, position),
        }
    }
}

fn cosignatures_of(witness: &Witness, note: &Note) -> Result<Vec<Cosignature>, CheckpointError> {
    let lines = note.verify_lines_of(&witness.key);
    let lines = lines.map_err(CheckpointError::BadCosignature)?;
    Ok(lines
        .into_iter()
        .filter_map(Cosignature::from_verified)
        .collect())
}

fn is_set(flags: &[bool], position: usize) -> bool {
    flags.get(position) == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{self, Checkpoint, Origin};
    use crate::cosignature::Cosigner;
    use crate::note::{KeyName, SigningKey};
    use crate::{EMPTY_ROOT, TreeSize};

    fn log() -> SigningKey {
        SigningKey::new(KeyName::parse("log").unwrap(), &[1; 32])
    }

    fn witness(number: u8) -> Cosigner {
        let name = format!("witness{number}");
        Cosigner::new(KeyName::parse(&name).unwrap(), &[100 + number; 32])
    }

    /// A policy with the log, witnesses w0 to w5, and the given lines.
    fn policy(lines: &str) -> Policy {
        let witnesses = (0..6).map(|n| format!("witness w{n} {}\n", witness(n).verifier_key()));
        let witnesses: String = witnesses.collect();
        let text = format!("log {}\n{witnesses}{lines}", log().verifier_key());
        Policy::parse(&text).unwrap()
    }

    fn cosigned_by(witnesses: &[u8]) -> SignedCheckpoint {
        let origin = Origin::parse("log").unwrap();
        let checkpoint = Checkpoint::new(origin, TreeSize::new(7), EMPTY_ROOT);
        let signed = SignedCheckpoint::parse(&checkpoint::sign(&log(), &checkpoint)).unwrap();
        witnesses.iter().fold(signed, |signed, number| {
            let time_s = 1_000 + u64::from(*number);
            let line = witness(*number).cosign(&checkpoint, time_s).unwrap();
            signed.with_signature(line).unwrap()
        })
    }

    fn holds(policy: &Policy, witnesses: &[u8]) -> bool {
        match policy.verify(&cosigned_by(witnesses)) {
            Ok(_) => true,
            Err(CheckpointError::QuorumNotMet {
                cosigned,
                witnesses: 6,
            }) => {
                assert_eq!(cosigned, witnesses.len());
                false
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// The example of the specification, against its own words, for every set of witnesses.
    #[test]
    fn nested_groups_decide_as_they_read() {
        let nested =
            policy("group x 2 w0 w1 w2\ngroup y any w3 w4 w5\ngroup both all x y\nquorum both\n");
        for set in 0..64_u8 {
            let members: Vec<u8> = (0..6).filter(|n| set & (1 << n) != 0).collect();
            let x = members.iter().filter(|n| **n < 3).count() >= 2;
            let y = members.iter().any(|n| *n >= 3);
            assert_eq!(holds(&nested, &members), x && y, "{members:?}");
        }
    }

    #[test]
    fn one_witness_or_none_can_be_the_quorum() {
        assert!(holds(&policy("quorum w1\n"), &[1]));
        assert!(!holds(&policy("quorum w1\n"), &[0, 2, 3, 4, 5]));
        assert!(holds(&policy("quorum none\n"), &[]));
        assert!(!policy("quorum none\n").needs_witnesses());
    }

    #[test]
    fn a_witness_that_signs_twice_counts_once() {
        let two = policy("group g 2 w0 w1 w2\nquorum g\n");
        assert!(two.verify(&cosigned_by(&[1, 1])).is_err());
        let verified = two.verify(&cosigned_by(&[2, 0, 0])).unwrap();
        let times: Vec<u64> = verified.cosignatures().iter().map(|c| c.time_s).collect();
        assert_eq!(times, [1_000, 1_000, 1_002]);
    }

    #[test]
    fn a_known_witness_with_a_wrong_line_fails_the_checkpoint() {
        let origin = Origin::parse("log").unwrap();
        let other = Checkpoint::new(origin, TreeSize::new(8), EMPTY_ROOT);
        let wrong = witness(5).cosign(&other, 1_000).unwrap();
        let signed = cosigned_by(&[0]).with_signature(wrong).unwrap();
        let verified = policy("quorum w0\n").verify(&signed);
        assert!(matches!(verified, Err(CheckpointError::BadCosignature(_))));
    }

    #[test]
    fn lines_of_unknown_witnesses_are_ignored() {
        assert!(policy("quorum w0\n").verify(&cosigned_by(&[0, 77])).is_ok());
    }

    #[test]
    fn only_the_logs_of_the_policy_are_believed() {
        let none = Policy::parse("quorum none\n").unwrap();
        let verified = none.verify(&cosigned_by(&[]));
        assert!(matches!(
            verified,
            Err(CheckpointError::UnknownOrigin { .. })
        ));
        let rotated = SigningKey::new(KeyName::parse("log").unwrap(), &[2; 32]);
        let other =
            Policy::parse(&format!("log {}\nquorum none\n", rotated.verifier_key())).unwrap();
        let verified = other.verify(&cosigned_by(&[]));
        assert!(matches!(
            verified,
            Err(CheckpointError::NotSignedByLog { .. })
        ));
        let (old, new) = (log().verifier_key(), rotated.verifier_key());
        let both = Policy::parse(&format!("log {new}\nlog {old}\nquorum none\n")).unwrap();
        assert!(both.verify(&cosigned_by(&[])).is_ok());
    }
}
