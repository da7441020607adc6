//! Asking for a lease, and granting what was asked: as it was, or narrower.
//!
//! A request carries no authority ([`ledger::request`]): it spares an operator typing, and tells who asks. So whoever
//! grants one first checks that it was signed by the key of the agent's active version, in a registration that is shown
//! to be in the log; and what is granted is never more than what was asked.

use std::fmt;

use ledger::codes::Refusal;
use ledger::key::PublicKey;
use ledger::record::{Budget, Registration};
use ledger::request::{LeaseRequest, SignedRequest};
use ledger::scope::Pattern;
use ledger::text::{Name, Text};

use crate::identity::LogIdentity;
use crate::operator::Grant;
use crate::shown::{self, ShownError};
use crate::transport::Transport;

/// A request whose signature was checked by a key that the log knows as the agent's.
#[derive(Clone, Debug)]
pub struct Asked {
    signed: SignedRequest,
    registration: Registration,
}

/// Why a request is not to be granted.
#[derive(Debug, thiserror::Error)]
pub enum AskedError {
    /// The agent's registration was not shown.
    #[error("the service does not prove that {agent} is registered")]
    NotShown {
        /// The agent.
        agent: Name,
        /// Why not.
        source: ShownError,
    },
    /// It was made for another log.
    #[error("the request was made for another log, {got}")]
    OtherLog {
        /// The log that it was made for.
        got: ledger::digest::RecordHash,
    },
    /// It was made for another version of the agent.
    #[error("the request was made for another version, {got}; the active one is {active}")]
    OtherVersion {
        /// The version that it was made for.
        got: ledger::digest::Digest,
        /// The one that is active.
        active: ledger::digest::Digest,
    },
    /// The agent did not sign it.
    #[error("the agent did not sign the request: {0}")]
    NotSigned(Refusal),
}

impl Asked {
    /// Checks a request against the agent's registration.
    ///
    /// # Errors
    ///
    /// [`AskedError`].
    pub fn check(
        service: &(impl Transport + ?Sized),
        log: &LogIdentity,
        signed: SignedRequest,
    ) -> Result<Self, AskedError> {
        let request = signed.request();
        if request.log != log.log {
            return Err(AskedError::OtherLog { got: request.log });
        }
        let shown = shown::registration(service, log, &request.agent);
        let (_, registration) = shown.map_err(|source| AskedError::NotShown {
            agent: request.agent.clone(),
            source,
        })?;
        signed
            .check(&registration.key)
            .map_err(AskedError::NotSigned)?;
        let (got, active) = (request.manifest_hash, registration.manifest_hash);
        if got != active {
            return Err(AskedError::OtherVersion { got, active });
        }
        Ok(Self {
            signed,
            registration,
        })
    }

    /// What is asked for.
    pub const fn request(&self) -> &LeaseRequest {
        self.signed.request()
    }

    /// The request in its envelope.
    pub const fn signed(&self) -> &SignedRequest {
        &self.signed
    }

    /// The key that signed it, which is the agent's.
    pub const fn key(&self) -> &PublicKey {
        &self.registration.key
    }

    /// What people call the version that asks.
    pub const fn version(&self) -> &Text {
        &self.registration.manifest.version
    }
}

/// In what the lease is to be narrower than what was asked; what is not given is as it was asked.
#[derive(Clone, Debug, Default)]
pub struct Narrowing {
    /// What is allowed instead: each covered by one pattern that was asked for.
    pub allow: Vec<Pattern>,
    /// What is denied beside what the request denies itself.
    pub deny: Vec<Pattern>,
    /// How much of it, at most what was asked.
    pub budget: Budget,
    /// How long, at most as long as was asked.
    pub for_ms: Option<u64>,
    /// How long control may renew it, at most as long as was asked; 0 for not at all.
    pub renewable_ms: Option<u64>,
    /// The lease that it is a part of, if none was asked for.
    pub parent: Option<ledger::digest::RecordHash>,
    /// What for, in the operator's own words.
    pub purpose: Option<Text>,
}

/// More would be granted than was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given} is more than the request asks for: {asked}")]
pub struct Wider {
    /// What would be more.
    pub what: &'static str,
    /// What would be granted.
    pub given: String,
    /// What was asked.
    pub asked: String,
}

impl Narrowing {
    /// The lease that is granted for what was asked.
    ///
    /// # Errors
    ///
    /// [`Wider`] for the first that would be more than was asked.
    pub fn of(self, asked: &LeaseRequest) -> Result<Grant, Wider> {
        let budget = Budget {
            actions: least("actions", self.budget.actions, asked.budget.actions)?,
            tokens: least("tokens", self.budget.tokens, asked.budget.tokens)?,
            cost_micros: least(
                "cost_micros",
                self.budget.cost_micros,
                asked.budget.cost_micros,
            )?,
        };
        let for_ms = least("for_ms", self.for_ms, Some(asked.for_ms))?;
        Ok(Grant {
            agent: asked.agent.clone(),
            allow: allowed(self.allow, &asked.allow)?,
            deny: [asked.deny.as_slice(), &self.deny].concat(),
            budget,
            for_ms: for_ms.unwrap_or(asked.for_ms),
            renewable_ms: renewable(self.renewable_ms, asked.renewable_ms)?,
            parent: parent(self.parent, asked.parent)?,
            purpose: self.purpose.unwrap_or_else(|| asked.purpose.clone()),
        })
    }
}

fn allowed(given: Vec<Pattern>, asked: &[Pattern]) -> Result<Vec<Pattern>, Wider> {
    let is_wider = |given: &&Pattern| !asked.iter().any(|asked| asked.covers(given));
    if let Some(given) = given.iter().find(is_wider) {
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        return Err(wider("allow", given, asked.join(" ")));
    }
    Ok(match given.is_empty() {
        true => asked.to_vec(),
        false => given,
    })
}

/// The smaller of two amounts, of which none is unlimited; the operator's must not be the larger.
fn least(what: &'static str, given: Option<u64>, asked: Option<u64>) -> Result<Option<u64>, Wider> {
    match (given, asked) {
        (Some(given), Some(asked)) if given > asked => Err(wider(what, given, asked)),
        (given, asked) => Ok(given.or(asked)),
    }
}

/// Here none is nothing, and not without limit.
fn renewable(given: Option<u64>, asked: Option<u64>) -> Result<Option<u64>, Wider> {
    match (given, asked) {
        (Some(0), _) => Ok(None),
        (Some(given), None) => Err(wider("renewable_ms", given, "not at all")),
        (given, asked) => least("renewable_ms", given, asked),
    }
}

fn parent<T: Copy + PartialEq + fmt::Display>(
    given: Option<T>,
    asked: Option<T>,
) -> Result<Option<T>, Wider> {
    match (given, asked) {
        (Some(given), Some(asked)) if given != asked => Err(wider("parent", given, asked)),
        (given, asked) => Ok(given.or(asked)),
    }
}

fn wider(what: &'static str, given: impl fmt::Display, asked: impl fmt::Display) -> Wider {
    Wider {
        what,
        given: given.to_string(),
        asked: asked.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use ledger::digest::{Digest, RecordHash};
    use ledger::key::PrivateKey;

    use super::*;
    use crate::memory::{MemoryLog, manifest};

    const NOW_MS: u64 = 1_764_000_000_000;

    fn patterns(patterns: &[&str]) -> Vec<Pattern> {
        patterns.iter().map(|it| it.parse().unwrap()).collect()
    }

    fn request() -> LeaseRequest {
        LeaseRequest {
            log: RecordHash::new(Digest::of(&[])),
            agent: "a".parse().unwrap(),
            manifest_hash: Digest::of(&[]),
            allow: patterns(&["read:books/**", "run:*"]),
            deny: patterns(&["run:rm"]),
            budget: Budget {
                actions: Some(10),
                ..Budget::default()
            },
            for_ms: 1_000,
            renewable_ms: Some(5_000),
            parent: None,
            purpose: "asked".parse().unwrap(),
            at_ms: NOW_MS,
        }
    }

    #[test]
    fn what_is_not_narrowed_is_granted_as_asked() {
        let grant = Narrowing::default().of(&request()).unwrap();
        assert_eq!((grant.allow, grant.deny), (request().allow, request().deny));
        assert_eq!((grant.budget, grant.for_ms), (request().budget, 1_000));
        assert_eq!(
            (grant.renewable_ms, grant.purpose.as_str()),
            (Some(5_000), "asked")
        );
    }

    #[test]
    fn less_is_granted() {
        let narrowing = Narrowing {
            allow: patterns(&["read:books/new/*"]),
            deny: patterns(&["read:books/new/x"]),
            budget: Budget {
                actions: Some(9),
                tokens: Some(1),
                cost_micros: None,
            },
            for_ms: Some(999),
            renewable_ms: Some(0),
            parent: Some(RecordHash::new(Digest::of(&[b"lease"]))),
            purpose: Some("granted".parse().unwrap()),
        };
        let grant = narrowing.clone().of(&request()).unwrap();
        assert_eq!(grant.allow, narrowing.allow);
        assert_eq!(grant.deny, patterns(&["run:rm", "read:books/new/x"]));
        assert_eq!((grant.budget, grant.for_ms), (narrowing.budget, 999));
        assert_eq!((grant.renewable_ms, grant.parent), (None, narrowing.parent));
    }

    #[test]
    fn more_is_never_granted() {
        let budget = |actions| Budget {
            actions: Some(actions),
            ..Budget::default()
        };
        let cases = [
            (
                "allow",
                Narrowing {
                    allow: patterns(&["run:x", "write:x"]),
                    ..Narrowing::default()
                },
            ),
            (
                "allow",
                Narrowing {
                    allow: patterns(&["read:**"]),
                    ..Narrowing::default()
                },
            ),
            (
                "actions",
                Narrowing {
                    budget: budget(11),
                    ..Narrowing::default()
                },
            ),
            (
                "for_ms",
                Narrowing {
                    for_ms: Some(1_001),
                    ..Narrowing::default()
                },
            ),
            (
                "renewable_ms",
                Narrowing {
                    renewable_ms: Some(5_001),
                    ..Narrowing::default()
                },
            ),
        ];
        for (what, narrowing) in cases {
            assert_eq!(narrowing.of(&request()).unwrap_err().what, what);
        }
        let unrenewable = LeaseRequest {
            renewable_ms: None,
            ..request()
        };
        let renewable = Narrowing {
            renewable_ms: Some(1),
            ..Narrowing::default()
        };
        assert_eq!(renewable.of(&unrenewable).unwrap_err().what, "renewable_ms");
    }

    #[test]
    fn a_request_is_checked_by_the_key_that_the_log_knows() {
        let (log, key) = (MemoryLog::new(NOW_MS), PrivateKey::from_seed(&[9; 32]));
        let version = manifest("a", &["run:*"], 1_000);
        log.register_and_lease(&version, &key, &["run:*"]);
        let request = LeaseRequest {
            log: log.identity().log,
            manifest_hash: version.hash(),
            ..request()
        };
        let check = |request: &LeaseRequest, key| {
            Asked::check(&log, &log.identity(), request.sign(key).unwrap())
        };
        let asked = check(&request, &key).unwrap();
        assert_eq!((asked.request(), *asked.key()), (&request, key.public()));
        let other = PrivateKey::from_seed(&[8; 32]);
        assert!(matches!(
            check(&request, &other),
            Err(AskedError::NotSigned(_))
        ));
        let elsewhere = LeaseRequest {
            log: RecordHash::new(Digest::of(&[])),
            ..request.clone()
        };
        assert!(matches!(
            check(&elsewhere, &key),
            Err(AskedError::OtherLog { .. })
        ));
        let older = LeaseRequest {
            manifest_hash: Digest::of(&[]),
            ..request.clone()
        };
        assert!(matches!(
            check(&older, &key),
            Err(AskedError::OtherVersion { .. })
        ));
        let nobody = LeaseRequest {
            agent: "nobody".parse().unwrap(),
            ..request
        };
        assert!(matches!(
            check(&nobody, &key),
            Err(AskedError::NotShown { .. })
        ));
    }
}
