//! Reading the lines of a policy.

use std::collections::BTreeMap;

use super::{Log, Party, Policy, Quorum, Witness};
use crate::decimal;
use crate::note::{Algorithm, ParseKeyError, VerifierKey};

/// The most bytes that a policy may have: some hundred of the longest keys, where the specification recommends 64.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;

/// The name that means no witness at all.
const NONE: &str = "none";

/// What is wrong with a policy, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the policy is wrong")]
pub struct ParsePolicyError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub fault: PolicyFault,
}

/// What can be wrong with a line of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// The policy is too long.
    #[error("the policy has {bytes} bytes, at most {MAX_POLICY_BYTES} are read")]
    TooLong {
        /// The policy's length in bytes.
        bytes: usize,
    },
    /// The last line does not end with a line break.
    #[error("the last line does not end with a line break")]
    LineNotEnded,
    /// There is a control character other than tab and line break.
    #[error("it has a control character")]
    ControlCharacter,
    /// The first word is none that begins a line.
    #[error("a line begins with log, witness, group or quorum, not \"{}\"", .word.escape_default())]
    UnknownKeyword {
        /// The word.
        word: String,
    },
    /// There are too many or too few words.
    #[error("it does not have the words that such a line has")]
    Words,
    /// The key is not a vkey.
    #[error("its key cannot be read")]
    Key(#[source] ParseKeyError),
    /// The key signs in a way that is not for this line.
    #[error("a key of this algorithm does not sign what the line is about")]
    WrongAlgorithm,
    /// The key was there before, maybe under another name.
    #[error("its key appeared before")]
    KeyRepeated,
    /// The name was given before, or is `none`.
    #[error("the name \"{}\" is taken", .name.escape_default())]
    NameTaken {
        /// The name.
        name: String,
    },
    /// No line before gives the name.
    #[error("no line before gives the name \"{}\"", .name.escape_default())]
    NameUnknown {
        /// The name.
        name: String,
    },
    /// The name is already a member, and each may be of one group once.
    #[error("\"{}\" is already the member of a group", .name.escape_default())]
    MemberRepeated {
        /// The name.
        name: String,
    },
    /// The threshold is not a number from 1 to the number of members.
    #[error(
        "the threshold of {members} members is all, any or a number up to theirs, not \"{}\"",
        .threshold.escape_default()
    )]
    Threshold {
        /// The threshold.
        threshold: String,
        /// How many members the group has.
        members: usize,
    },
    /// There is a second quorum line.
    #[error("the quorum was set before")]
    SecondQuorum,
    /// The policy ends without a quorum line.
    #[error("the policy ends without a quorum")]
    NoQuorum,
}

pub(super) fn parse(text: &str) -> Result<Policy, ParsePolicyError> {
    let at = |line| move |fault| ParsePolicyError { line, fault };
    let bytes = text.len();
    if bytes > MAX_POLICY_BYTES {
        return Err(at(1)(PolicyFault::TooLong { bytes }));
    }
    let mut parser = Parser::default();
    let mut last = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        parser.line(line).map_err(at(number))?;
        last = number;
    }
    let quorum = parser.quorum.ok_or(PolicyFault::NoQuorum);
    Ok(Policy {
        text: text.to_owned(),
        logs: parser.logs,
        witnesses: parser.witnesses,
        parties: parser.parties,
        quorum: quorum.map_err(at(last + 1))?,
    })
}

#[derive(Default)]
struct Parser {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    parties: Vec<Party>,
    /// Positions among the parties.
    names: BTreeMap<Box<[u8]>, usize>,
    /// Of each party, whether it is the member of a group.
    are_members: Vec<bool>,
    quorum: Option<Quorum>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), PolicyFault> {
        let line = line.strip_suffix('\n').ok_or(PolicyFault::LineNotEnded)?;
        check_characters(line)?;
        // Only spaces and tabs divide, not all that Unicode calls white (tlog-policy, "Structure").
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let Some(keyword) = words.next().filter(|word| !word.starts_with('#')) else {
            return Ok(());
        };
        let words: Vec<&str> = words.collect();
        match keyword {
            "log" => self.log(&words),
            "witness" => self.witness(&words),
            "group" => self.group(&words),
            "quorum" => self.quorum(&words),
            _ => Err(PolicyFault::UnknownKeyword {
                word: keyword.to_owned(),
            }),
        }
    }

    fn log(&mut self, words: &[&str]) -> Result<(), PolicyFault> {
        let (vkey, url) = match words {
            [vkey] => (vkey, None),
            [vkey, url] => (vkey, Some((*url).to_owned())),
            _ => return Err(PolicyFault::Words),
        };
        let key = parse_key(vkey, Algorithm::Ed25519)?;
        check_new_key(&key, self.logs.iter().map(|log| &log.key))?;
        self.logs.push(Log { key, url });
        Ok(())
    }

    fn witness(&mut self, words: &[&str]) -> Result<(), PolicyFault> {
        let (name, vkey, url) = match words {
            [name, vkey] => (name, vkey, None),
            [name, vkey, url] => (name, vkey, Some((*url).to_owned())),
            _ => return Err(PolicyFault::Words),
        };
        let key = parse_key(vkey, Algorithm::CosignatureV1)?;
        check_new_key(&key, self.witnesses.iter().map(|witness| &witness.key))?;
        let name = (*name).to_owned();
        self.define(name.clone(), Party::Witness(self.witnesses.len()))?;
        self.witnesses.push(Witness { name, key, url });
        Ok(())
    }

    fn group(&mut self, words: &[&str]) -> Result<(), PolicyFault> {
        let [name, threshold, names @ ..] = words else {
            return Err(PolicyFault::Words);
        };
        let threshold = parse_threshold(threshold, names.len())?;
        let members = names.iter().map(|name| self.member(name));
        let members = members.collect::<Result<_, _>>()?;
        self.define((*name).to_owned(), Party::Group { threshold, members })
    }

    fn quorum(&mut self, words: &[&str]) -> Result<(), PolicyFault> {
        let [name] = words else {
            return Err(PolicyFault::Words);
        };
        if self.quorum.is_some() {
            return Err(PolicyFault::SecondQuorum);
        }
        self.quorum = Some(match *name {
            NONE => Quorum::None,
            name => Quorum::Party(self.position(name)?),
        });
        Ok(())
    }

    fn define(&mut self, name: String, party: Party) -> Result<(), PolicyFault> {
        if name == NONE || self.names.contains_key(name.as_bytes()) {
            return Err(PolicyFault::NameTaken { name });
        }
        self.names
            .insert(name.into_bytes().into(), self.parties.len());
        self.parties.push(party);
        self.are_members.push(false);
        Ok(())
    }

    /// Each name is a member at most once, so that no witness counts in two ways (tlog-policy, "Defining a witness
    /// group").
    fn member(&mut self, name: &str) -> Result<usize, PolicyFault> {
        let position = self.position(name)?;
        match self.are_members.get_mut(position) {
            Some(is_member) if !*is_member => {
                *is_member = true;
                Ok(position)
            }
            _ => Err(PolicyFault::MemberRepeated {
                name: name.to_owned(),
            }),
        }
    }

    fn position(&self, name: &str) -> Result<usize, PolicyFault> {
        let position = self.names.get(name.as_bytes()).copied();
        position.ok_or_else(|| PolicyFault::NameUnknown {
            name: name.to_owned(),
        })
    }
}

/// tlog-policy, "Character set": no control character but the tab, and here the line break is gone already.
fn check_characters(line: &str) -> Result<(), PolicyFault> {
    match line
        .bytes()
        .any(|byte| byte.is_ascii_control() && byte != b'\t')
    {
        true => Err(PolicyFault::ControlCharacter),
        false => Ok(()),
    }
}

/// ML-DSA-44 may sign checkpoints and cosign them (tlog-checkpoint, tlog-cosignature); it only does not count here.
fn parse_key(vkey: &str, usual: Algorithm) -> Result<VerifierKey, PolicyFault> {
    let key = VerifierKey::parse(vkey).map_err(PolicyFault::Key)?;
    match key.algorithm() == usual || key.algorithm() == Algorithm::MlDsa44 {
        true => Ok(key),
        false => Err(PolicyFault::WrongAlgorithm),
    }
}

/// Keys are the same if their bytes are, whatever they are called (tlog-policy, "Public key representation").
fn check_new_key<'a>(
    key: &VerifierKey,
    mut others: impl Iterator<Item = &'a VerifierKey>,
) -> Result<(), PolicyFault> {
    match others.any(|other| other.key_bytes() == key.key_bytes()) {
        true => Err(PolicyFault::KeyRepeated),
        false => Ok(()),
    }
}

fn parse_threshold(text: &str, members: usize) -> Result<usize, PolicyFault> {
    let threshold = match text {
        "all" => Some(members),
        "any" => Some(1),
        number => decimal::parse(number).and_then(|number| usize::try_from(number).ok()),
    };
    let threshold = threshold.filter(|threshold| (1..=members).contains(threshold));
    threshold.ok_or_else(|| PolicyFault::Threshold {
        threshold: text.to_owned(),
        members,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosignature::Cosigner;
    use crate::note::{KeyName, SigningKey};

    fn log(name: &str, seed: u8) -> String {
        let key = SigningKey::new(KeyName::parse(name).unwrap(), &[seed; 32]);
        key.verifier_key().to_string()
    }

    fn witness(name: &str, seed: u8) -> String {
        let key = Cosigner::new(KeyName::parse(name).unwrap(), &[seed; 32]);
        key.verifier_key().to_string()
    }

    #[test]
    fn comments_space_and_urls_are_as_the_specification_has_them() {
        let text = format!(
            " # a comment\n\n\t \nquorum none \n\tlog  {}\thttps://log\nwitness none+1 {} https://w\nwitness é {}\n",
            log("l", 1),
            witness("w", 2),
            witness("w", 3),
        );
        let policy = Policy::parse(&text).unwrap();
        assert_eq!(policy.text(), text);
        assert_eq!(policy.logs()[0].url.as_deref(), Some("https://log"));
        let witnesses: Vec<_> = policy
            .witnesses()
            .iter()
            .map(|w| (&*w.name, w.url.as_deref()))
            .collect();
        assert_eq!(witnesses, [("none+1", Some("https://w")), ("é", None)]);
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        use PolicyFault::{
            KeyRepeated, LineNotEnded, NoQuorum, SecondQuorum, Words, WrongAlgorithm,
        };
        let name = |name: &str| name.to_owned();
        let threshold = |threshold: &str, members| PolicyFault::Threshold {
            threshold: name(threshold),
            members,
        };
        let (a, b) = (
            format!("witness a {}\n", witness("a", 1)),
            format!("witness b {}\n", witness("b", 2)),
        );
        for (text, line, fault) in [
            (String::new(), 1, NoQuorum),
            (a.clone(), 2, NoQuorum),
            ("quorum none".into(), 1, LineNotEnded),
            ("quorum\u{b}none\n".into(), 1, PolicyFault::ControlCharacter),
            ("quorum none\r\n".into(), 1, PolicyFault::ControlCharacter),
            ("quorum none\x7f\n".into(), 1, PolicyFault::ControlCharacter),
            (
                "quorum\u{a0}none\n".into(),
                1,
                PolicyFault::UnknownKeyword {
                    word: name("quorum\u{a0}none"),
                },
            ),
            (
                "Log x\n".into(),
                1,
                PolicyFault::UnknownKeyword { word: name("Log") },
            ),
            ("quorum none none\n".into(), 1, Words),
            ("quorum\n".into(), 1, Words),
            ("quorum none\nquorum none\n".into(), 2, SecondQuorum),
            ("quorum none # why\n".into(), 1, Words),
            ("log\n".into(), 1, Words),
            (format!("log {} url more\n", log("l", 1)), 1, Words),
            ("log x\n".into(), 1, PolicyFault::Key(ParseKeyError::Shape)),
            (format!("log {}\n", witness("w", 1)), 1, WrongAlgorithm),
            (format!("witness w {}\n", log("l", 1)), 1, WrongAlgorithm),
            (
                format!("log {}\nlog {}\n", log("l", 1), log("m", 1)),
                2,
                KeyRepeated,
            ),
            (
                format!("{a}witness c {}\n", witness("c", 1)),
                2,
                KeyRepeated,
            ),
            (
                format!("{a}witness a {}\n", witness("c", 3)),
                2,
                PolicyFault::NameTaken { name: name("a") },
            ),
            (
                format!("witness none {}\n", witness("c", 3)),
                1,
                PolicyFault::NameTaken { name: name("none") },
            ),
            (
                format!("{a}group a any a\n"),
                2,
                PolicyFault::NameTaken { name: name("a") },
            ),
            (
                format!("{a}group g any g\n"),
                2,
                PolicyFault::NameUnknown { name: name("g") },
            ),
            (
                format!("{a}group g any none\n"),
                2,
                PolicyFault::NameUnknown { name: name("none") },
            ),
            (
                format!("group g any a\n{a}"),
                1,
                PolicyFault::NameUnknown { name: name("a") },
            ),
            (
                format!("quorum a\n{a}"),
                1,
                PolicyFault::NameUnknown { name: name("a") },
            ),
            (
                format!("{a}group g any a a\n"),
                2,
                PolicyFault::MemberRepeated { name: name("a") },
            ),
            (
                format!("{a}{b}group g any a\ngroup h any a b\n"),
                4,
                PolicyFault::MemberRepeated { name: name("a") },
            ),
            (format!("{a}group g any\n"), 2, threshold("any", 0)),
            (format!("{a}group g 0 a\n"), 2, threshold("0", 1)),
            (format!("{a}group g 2 a\n"), 2, threshold("2", 1)),
            (format!("{a}group g 01 a\n"), 2, threshold("01", 1)),
            (format!("{a}group g most a\n"), 2, threshold("most", 1)),
            (format!("{a}group g\n"), 2, Words),
        ] {
            assert_eq!(
                Policy::parse(&text),
                Err(ParsePolicyError { line, fault }),
                "{text}"
            );
        }
        let bytes = MAX_POLICY_BYTES + 1;
        let fault = PolicyFault::TooLong { bytes };
        assert_eq!(
            Policy::parse(&"\n".repeat(bytes)),
            Err(ParsePolicyError { line: 1, fault })
        );
    }
}
