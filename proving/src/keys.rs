//! Keys that follow from their names, so that a log can be made again to the byte.

use ledger::digest::Digest;
use ledger::key::PrivateKey;
use ledger::record::{CharterKey, Instance, Role};
use tlog::cosignature::Cosigner;
use tlog::note::{KeyName, SigningKey};

/// The origin of every log that is made here.
pub const ORIGIN: &str = "proving.example/workledger";

/// The name of the witness that cosigns.
const WITNESS: &str = "witness.example/w1";

/// The keys of one log: of those who sign in it, of itself, and of its witness.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Signs charters.
    pub root: PrivateKey,
    /// Signs manifests, leases, renewals, revocations, orders.
    pub operator: PrivateKey,
    /// Signs transitions, refusals, pulses, renewals.
    pub control: PrivateKey,
    /// Signs observations.
    pub observer: PrivateKey,
    /// Signs checkpoints.
    pub log: SigningKey,
    /// Cosigns them.
    pub witness: Cosigner,
}

impl Keys {
    /// The keys of the log of this name; logs of different names share none.
    pub fn of(log: &str) -> Self {
        let name = |text| KeyName::parse(text).expect("a constant that is a key name");
        let own = |role: &str| seed(&format!("{log}/{role}"));
        Self {
            root: PrivateKey::from_seed(&own("root")),
            operator: PrivateKey::from_seed(&own("operator")),
            control: PrivateKey::from_seed(&own("control")),
            observer: PrivateKey::from_seed(&own("observer")),
            log: SigningKey::new(name(ORIGIN), &own("log")),
            witness: Cosigner::new(name(WITNESS), &own("witness")),
        }
    }

    /// The four keys as a charter names them, each with one role.
    pub fn in_charter(&self) -> Vec<CharterKey> {
        let held = [
            (&self.root, Role::Root),
            (&self.operator, Role::Operator),
            (&self.control, Role::Control),
            (&self.observer, Role::Observer),
        ];
        let named = |(key, role): (&PrivateKey, Role)| CharterKey {
            key: key.public(),
            name: role.as_str().parse().expect("a word is free text"),
            roles: vec![role],
        };
        held.map(named).to_vec()
    }
}

/// The key that follows from a name, such as an agent's.
pub fn key(name: &str) -> PrivateKey {
    PrivateKey::from_seed(&seed(name))
}

/// The instance that follows from a name.
pub fn instance(name: &str) -> Instance {
    let [a, b, c, d, e, f, g, h, ..] = seed(name);
    Instance::from_bytes([a, b, c, d, e, f, g, h])
}

fn seed(name: &str) -> [u8; 32] {
    *Digest::of(&[b"proving/", name.as_bytes()]).as_bytes()
}
