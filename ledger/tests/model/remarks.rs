//! What a record shows that is rightly logged, and what an agent says that it was shown.

use ledger::codes::{Class, Code};
use ledger::record::{Amounts, Body, Phase, Seen};
use tlog::TreeSize;
use tlog::checkpoint::{self, Checkpoint};
use tlog::note::{KeyName, SigningKey};

use crate::acts::LOG_SEEDS;
use crate::admit::{Judged, refuse_if};
use crate::history::{History, Leaf};

/// A key with the log's name.
pub(crate) fn log_key(seed: u8) -> SigningKey {
    key_of("example.com/log", seed)
}

/// A key of a log of any name.
fn key_of(origin: &str, seed: u8) -> SigningKey {
    SigningKey::new(KeyName::parse(origin).unwrap(), &[seed; 32])
}

/// A head of a size, signed by a key with the log's name.
pub(crate) fn seen(size: u64, by: u8) -> Seen {
    shown("example.com/log", size, tlog::leaf_hash(b"any root"), by)
}

fn shown(origin: &str, size: u64, root: tlog::Hash, by: u8) -> Seen {
    let name = KeyName::parse(origin).unwrap();
    let head = Checkpoint::new(name.into(), TreeSize::new(size), root);
    let note = checkpoint::sign(&key_of(origin, by), &head);
    let sig = note.trim_end().rsplit(' ').next().unwrap().to_owned();
    Seen { size, root, sig }
}

impl History<'_> {
    /// The seeds of the log's keys in force before or after the last leaf of a size.
    fn log_seeds_at(self, size: u64) -> Vec<u8> {
        let leaves = |count: u64| usize::try_from(count).expect("a small log");
        let in_force = |count: u64| {
            let count = leaves(count).clamp(1, self.0.len());
            let charter = self.before(count).charter();
            let is_named = |seed: &u8| {
                let key = key_of(&charter.origin, *seed).verifier_key();
                charter.log_keys.contains(&key)
            };
            LOG_SEEDS.into_iter().filter(is_named)
        };
        in_force(size.saturating_sub(1))
            .chain(in_force(size))
            .collect()
    }

    /// The log signed it, and no smaller size follows a larger.
    pub(crate) fn admit_seen(self, leaf: &Leaf) -> Judged {
        let Some(beat) = leaf.beat() else {
            return Ok(());
        };
        let Some(seen) = &beat.seen else {
            return Ok(());
        };
        let origin = &self.charter().origin;
        let by_log = self
            .log_seeds_at(seen.size)
            .into_iter()
            .any(|seed| *seen == shown(origin, seen.size, seen.root, seed));
        refuse_if(!by_log, Code::Malformed)?;
        let own = self.own(&beat.chain.agent).into_iter().rev();
        let last = own
            .filter_map(|(_, leaf)| leaf.beat()?.seen.as_ref())
            .next();
        let steps_back = last.is_some_and(|last| seen.size < last.size);
        refuse_if(steps_back, Code::Malformed)
    }

    /// What a record shows that breaks no rule of what may be logged.
    pub(crate) fn remark(self, leaf: &Leaf) -> Option<(Code, Class)> {
        let agent = &leaf.chain()?.agent;
        let lease = self.lease_of(agent)?;
        let speaks_under = match self.restarts(leaf) {
            true => lease,
            false => self.lease_of_epoch(agent)?,
        };
        let named = self.lease(speaks_under)?.manifest_hash;
        match &leaf.record.body {
            Body::Heartbeat(beat) if beat.manifest_hash != named => {
                return Some((Code::ManifestDrift, Class::Breach));
            }
            Body::Receipt(receipt) => {
                if let Phase::Result(result) = &receipt.phase
                    && self.overruns(agent, result)
                {
                    return Some((Code::BudgetExceeded, Class::Breach));
                }
            }
            _ => {}
        }
        // Only observe mode lets in what needs a lease that is not valid.
        let needs_lease = self.admit_by_lease(leaf).is_ok() && self.needs_lease(leaf);
        let code = self.not_valid(lease, leaf.received_ms)?;
        (needs_lease && !self.enforces()).then_some((code, Class::Late))
    }

    /// A result that used more of something than it had reserved, when a lease has no more of that.
    fn overruns(self, agent: &ledger::text::Name, result: &ledger::record::ResultOf) -> bool {
        let open = self.open_intents(agent);
        let Some((at, leaf)) = open.iter().find(|(_, leaf)| leaf.hash == result.intent) else {
            return false;
        };
        let Some(Phase::Intent(intent)) = leaf.receipt().map(|receipt| &receipt.phase) else {
            return false;
        };
        let Some(lease) = self.before(*at).lease_of(agent) else {
            return false;
        };
        let amounts = |of: &Amounts| [u128::from(of.tokens), u128::from(of.cost_micros)];
        // What the result takes the place of, and what it comes to: of its lease, then of what each passes up.
        let (mut out, mut into) = (amounts(&intent.reserve), amounts(&result.usage));
        for lease in self.lineage(lease) {
            let (spent, budget) = (self.spent(lease), self.budget(lease));
            let (before, most) = (
                [spent.tokens, spent.cost_micros],
                [budget.tokens, budget.cost_micros],
            );
            for n in 0..2 {
                let after = before[n] - out[n] + into[n];
                let capped = |sum: u128| most[n].map_or(sum, |most| sum.min(most.into()));
                let over = most[n].is_some_and(|most| after > most.into());
                if over && after > before[n] {
                    return true;
                }
                (out[n], into[n]) = (capped(before[n]), capped(after));
            }
        }
        false
    }
}
