//! What an amendment says, right or twisted.

use ledger::record::{Charter, CharterKey, Mode, Role};

use crate::acts::{AGENT_SEEDS, LOG_SEEDS, OPERATOR_SEEDS, text};
use crate::fleet::Fleet;
use crate::remarks::log_key;
use crate::steps::{Amendment, Twist};
use crate::world::{SECOND, key};

impl Fleet {
    pub(crate) fn amended(&self, amendment: Amendment, twists: &[Twist]) -> Charter {
        let mut charter = self.history().charter().clone();
        charter.version += 1;
        charter.previous = self.history().charter_hash();
        if twists.contains(&Twist::Prev) {
            charter.previous = None;
        }
        if twists.contains(&Twist::Names) {
            charter.version += 1;
        }
        let key_of = |seed, role: Role| CharterKey {
            key: key(seed).public(),
            name: text("another"),
            roles: vec![role],
        };
        let clocks = &mut charter.liveness;
        match amendment {
            Amendment::Clocks { slower: true } => clocks.degraded_after_ms = 45 * SECOND,
            Amendment::Clocks { slower: false } => {
                clocks.degraded_after_ms = 25 * SECOND;
                clocks.heal_timeout_ms = 15 * SECOND;
                clocks.pulse_ms = 8 * SECOND;
            }
            Amendment::Mode => {
                charter.mode = match charter.mode {
                    Mode::Enforce => Mode::Observe,
                    Mode::Observe => Mode::Enforce,
                }
            }
            Amendment::Distrust => {
                // One of them stays, whom no amendment can distrust.
                let oldest = self.operators().swap_remove(0).public().id();
                charter.distrusted.push(oldest);
                let named = |seed: u8| charter.keys.iter().any(|k| k.key == key(seed).public());
                if let Some(next) = OPERATOR_SEEDS.into_iter().find(|seed| !named(*seed)) {
                    charter.keys.push(key_of(next, Role::Operator));
                }
            }
            Amendment::Threshold(operators) => {
                let named = |seed: u8| charter.keys.iter().any(|k| k.key == key(seed).public());
                if let Some(next) = OPERATOR_SEEDS.into_iter().find(|seed| !named(*seed)) {
                    charter.keys.push(key_of(next, Role::Operator));
                }
                charter.thresholds.operator = operators;
            }
            Amendment::LogKey => {
                let named = |seed: &u8| charter.log_keys.contains(&log_key(*seed).verifier_key());
                let next = LOG_SEEDS
                    .into_iter()
                    .find(|seed| !named(seed))
                    .expect("one is left");
                charter.log_keys = vec![log_key(next).verifier_key()];
            }
            Amendment::DistrustControl => charter.distrusted.push(key(3).public().id()),
            Amendment::LogsKey => charter.keys.push(key_of(LOG_SEEDS[0], Role::Observer)),
            Amendment::AgentsKey => charter.keys.push(key_of(AGENT_SEEDS[0].0, Role::Observer)),
            Amendment::Contradiction => clocks.tolerance_ms = clocks.degraded_after_ms,
        }
        charter
    }
}
