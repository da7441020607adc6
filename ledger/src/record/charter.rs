//! The charter: who may do what in this log, and how long anything may take.

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::json::{Members, Value, integer, object, parsed};
use crate::key::{KeyId, PublicKey};
use crate::record::{Fields, words};
use crate::text::Text;
use tlog::note::VerifierKey;

/// The version of the rules that this crate knows.
pub const RULES: u64 = 1;

/// The most keys of a charter.
pub const MAX_CHARTER_KEYS: usize = 128;

words! {
    /// What a key may do.
    Role, "role" {
        /// Signs charters.
        Root = "root",
        /// Signs manifests, leases, renewals, revocations, orders.
        Operator = "operator",
        /// Signs transitions, refusals, pulses, and renewals that a lease permits.
        Control = "control",
        /// Signs observations.
        Observer = "observer",
    }
}

words! {
    /// What happens to a record that breaks a rule.
    Mode, "mode" {
        /// It is refused.
        Enforce = "enforce",
        /// An agent's is logged, and the breach with it: for running beside a stack that must
        /// not change.
        Observe = "observe",
    }
}

/// The constitution of the log. Version 1 is at index 0, and its record hash is what a
/// verifier pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charter {
    /// 1, and one more with each amendment.
    pub version: u64,
    /// The version of the rules that the log is judged by.
    pub rules: u64,
    /// The name of the log, the first line of its checkpoints.
    pub origin: String,
    /// The keys that sign this log's checkpoints.
    pub log_keys: Vec<VerifierKey>,
    /// The charter before; `None` in version 1.
    pub previous: Option<RecordHash>,
    /// What happens to a record that breaks a rule.
    pub mode: Mode,
    /// How many keys must sign.
    pub thresholds: Thresholds,
    /// The keys and what they may do.
    pub keys: Vec<CharterKey>,
    /// Keys whose past signatures no longer count.
    pub distrusted: Vec<KeyId>,
    /// Bounds on authority.
    pub limits: Limits,
    /// The clocks.
    pub liveness: Liveness,
}

/// How many keys must sign together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// For a charter.
    pub root: u64,
    /// For what operators sign.
    pub operator: u64,
}

/// A key of the charter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CharterKey {
    /// The public key.
    pub key: PublicKey,
    /// What people call its holder.
    pub name: Text,
    /// What it may do.
    pub roles: Vec<Role>,
}

/// Bounds on authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest lease, in milliseconds from its receipt.
    pub lease_max_ms: u64,
    /// The longest that a manifest may let one action take, in milliseconds.
    pub inflight_max_ms: u64,
    /// How far the clock of an operator, control or an observer may be from the log's.
    pub authority_age_ms: u64,
    /// Denials in 24 hours that quarantine an agent.
    pub denials_max: u64,
}

/// The clocks of the five states, in milliseconds but for the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// How often an agent should beat.
    pub heartbeat_ms: u64,
    /// How often the control plane beats.
    pub pulse_ms: u64,
    /// Silence, or lack of progress, that degrades.
    pub degraded_after_ms: u64,
    /// Silence, or lack of progress, that starts healing.
    pub autoheal_after_ms: u64,
    /// Attempts at healing before quarantine.
    pub heal_attempts: u64,
    /// How long one attempt may take.
    pub heal_timeout_ms: u64,
    /// Heartbeats with rising progress that end the healing.
    pub heal_beats: u64,
    /// How late the control plane may log what is due.
    pub tolerance_ms: u64,
}

const MINUTE_MS: u64 = 60_000;

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            root: 1,
            operator: 1,
        }
    }
}

impl Default for Limits {
    /// One year, one hour, one day, 10.
    fn default() -> Self {
        Self {
            lease_max_ms: 365 * 24 * 60 * MINUTE_MS,
            inflight_max_ms: 60 * MINUTE_MS,
            authority_age_ms: 24 * 60 * MINUTE_MS,
            denials_max: 10,
        }
    }
}

impl Default for Liveness {
    /// A beat and a pulse a minute; degraded after 30, healing after 60; three attempts of ten
    /// minutes and two beats; a minute of tolerance.
    fn default() -> Self {
        Self {
            heartbeat_ms: MINUTE_MS,
            pulse_ms: MINUTE_MS,
            degraded_after_ms: 30 * MINUTE_MS,
            autoheal_after_ms: 60 * MINUTE_MS,
            heal_attempts: 3,
            heal_timeout_ms: 10 * MINUTE_MS,
            heal_beats: 2,
            tolerance_ms: MINUTE_MS,
        }
    }
}

impl Charter {
    /// The keys that have a role.
    pub fn keys_of(&self, role: Role) -> impl Iterator<Item = &CharterKey> {
        self.keys
            .iter()
            .filter(move |key| key.roles.contains(&role))
    }

    /// Whether the key has the role. One that is distrusted has none.
    pub fn grants(&self, role: Role, keyid: &KeyId) -> bool {
        !self.distrusted.contains(keyid) && self.keys_of(role).any(|key| key.key.id() == *keyid)
    }

    /// The names that the keys of the log have as keys of people would: by their bytes, whatever signs with them.
    pub fn log_key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.log_keys.iter().map(|key| KeyId::of(key.key_bytes()))
    }

    /// Whether the charter contradicts itself, whatever came before it.
    ///
    /// # Errors
    /// `charter-invalid`, with the contradiction.
    pub fn check(&self) -> Result<(), Refusal> {
        let wrong = self.contradiction();
        wrong.map_or(Ok(()), |why| Err(Code::CharterInvalid.because(why)))
    }

    fn contradiction(&self) -> Option<&'static str> {
        let clocks = &self.liveness;
        let trusted = |key: &&CharterKey| !self.distrusted.contains(&key.key.id());
        let count = |role| self.keys_of(role).filter(trusted).count() as u64;
        let exclusive = [Role::Control, Role::Observer];
        let mixed = |key: &CharterKey| {
            key.roles.len() > 1 && key.roles.iter().any(|role| exclusive.contains(role))
        };
        let ids = self.keys.iter().map(|key| key.key.id());
        let mut ids: Vec<KeyId> = ids.chain(self.log_key_ids()).collect();
        let keys = ids.len();
        ids.sort_unstable();
        ids.dedup();
        let signs_the_log = |key: &VerifierKey| key.name().as_str() == self.origin;
        [
            (self.rules != RULES, "rules of a version that is not 1"),
            (ids.len() != keys, "a key stands twice"),
            (
                self.keys.iter().any(|key| key.roles.is_empty()),
                "a key without a role",
            ),
            (
                self.keys.iter().any(mixed),
                "control and observer exclude all other roles",
            ),
            (
                !within(self.thresholds.root, count(Role::Root)),
                "root threshold not in 1 to its keys that are trusted",
            ),
            (
                !within(self.thresholds.operator, count(Role::Operator)),
                "operator threshold not in 1 to its keys that are trusted",
            ),
            (count(Role::Control) == 0, "no control key that is trusted"),
            (self.log_keys.is_empty(), "no log key"),
            (
                !self.log_keys.iter().all(signs_the_log),
                "a log key is not named after the origin",
            ),
            (
                clocks.degraded_after_ms >= clocks.autoheal_after_ms,
                "degraded_after_ms is not below autoheal_after_ms",
            ),
            (
                clocks.tolerance_ms > clocks.degraded_after_ms / 2,
                "tolerance_ms is above half of degraded_after_ms",
            ),
            (clocks.heal_attempts < 1, "heal_attempts is below 1"),
            (
                clocks.heartbeat_ms < 1 || clocks.pulse_ms < 1,
                "a beat of 0 ms",
            ),
            (
                clocks.heal_timeout_ms < 1 || clocks.heal_beats < 1,
                "an attempt at healing that is over as it begins",
            ),
        ]
        .into_iter()
        .find_map(|(wrong, why)| wrong.then_some(why))
    }

    pub(crate) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            version: members.required("version", integer)?,
            rules: members.required("rules", integer)?,
            origin: members.required("origin", Text::read)?.to_string(),
            log_keys: members.list("log_keys", parsed)?,
            previous: members.nullable("previous", parsed)?,
            mode: members.required("mode", parsed)?,
            thresholds: members.required("thresholds", Thresholds::read)?,
            keys: read_keys(members)?,
            distrusted: members.list("distrusted", parsed)?,
            limits: members.required("limits", Limits::read)?,
            liveness: members.required("liveness", Liveness::read)?,
        })
    }

    pub(crate) fn write(&self, out: &mut Fields) {
        out.put("version", self.version);
        out.put("rules", self.rules);
        out.put("origin", self.origin.as_str());
        out.put(
            "log_keys",
            Value::from_iter(self.log_keys.iter().map(ToString::to_string)),
        );
        out.put("previous", self.previous);
        out.put("mode", self.mode);
        out.put("thresholds", self.thresholds.to_value());
        out.put(
            "keys",
            Value::from_iter(self.keys.iter().map(CharterKey::to_value)),
        );
        out.put(
            "distrusted",
            Value::from_iter(self.distrusted.iter().map(ToString::to_string)),
        );
        out.put("limits", self.limits.to_value());
        out.put("liveness", self.liveness.to_value());
    }
}

/// 1 ≤ threshold ≤ keys of the role.
fn within(threshold: u64, keys: u64) -> bool {
    (1..=keys).contains(&threshold)
}

fn read_keys(members: &mut Members) -> Result<Vec<CharterKey>, Refusal> {
    let keys = members.list("keys", CharterKey::read)?;
    if keys.len() > MAX_CHARTER_KEYS {
        let got = keys.len();
        return Err(Code::Malformed.because(format!("{got} keys, at most {MAX_CHARTER_KEYS}")));
    }
    Ok(keys)
}

impl Thresholds {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let thresholds = Self {
            root: members.required("root", integer)?,
            operator: members.required("operator", integer)?,
        };
        members.finish().map(|()| thresholds)
    }

    fn to_value(self) -> Value {
        object([
            ("root", self.root.into()),
            ("operator", self.operator.into()),
        ])
    }
}

impl CharterKey {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let key = Self {
            key: members.required("key", parsed)?,
            name: members.required("name", Text::read)?,
            roles: members.list("roles", parsed)?,
        };
        members.finish().map(|()| key)
    }

    /// The key as it is in a charter.
    pub fn to_value(&self) -> Value {
        object([
            ("key", self.key.to_string().into()),
            ("name", (&self.name).into()),
            ("roles", self.roles.iter().copied().collect()),
        ])
    }
}

impl Limits {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let limits = Self {
            lease_max_ms: members.required("lease_max_ms", integer)?,
            inflight_max_ms: members.required("inflight_max_ms", integer)?,
            authority_age_ms: members.required("authority_age_ms", integer)?,
            denials_max: members.required("denials_max", integer)?,
        };
        members.finish().map(|()| limits)
    }

    fn to_value(self) -> Value {
        object([
            ("lease_max_ms", self.lease_max_ms.into()),
            ("inflight_max_ms", self.inflight_max_ms.into()),
            ("authority_age_ms", self.authority_age_ms.into()),
            ("denials_max", self.denials_max.into()),
        ])
    }
}

impl Liveness {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let liveness = Self {
            heartbeat_ms: members.required("heartbeat_ms", integer)?,
            pulse_ms: members.required("pulse_ms", integer)?,
            degraded_after_ms: members.required("degraded_after_ms", integer)?,
            autoheal_after_ms: members.required("autoheal_after_ms", integer)?,
            heal_attempts: members.required("heal_attempts", integer)?,
            heal_timeout_ms: members.required("heal_timeout_ms", integer)?,
            heal_beats: members.required("heal_beats", integer)?,
            tolerance_ms: members.required("tolerance_ms", integer)?,
        };
        members.finish().map(|()| liveness)
    }

    fn to_value(self) -> Value {
        object([
            ("heartbeat_ms", self.heartbeat_ms.into()),
            ("pulse_ms", self.pulse_ms.into()),
            ("degraded_after_ms", self.degraded_after_ms.into()),
            ("autoheal_after_ms", self.autoheal_after_ms.into()),
            ("heal_attempts", self.heal_attempts.into()),
            ("heal_timeout_ms", self.heal_timeout_ms.into()),
            ("heal_beats", self.heal_beats.into()),
            ("tolerance_ms", self.tolerance_ms.into()),
        ])
    }
}
