//! What a record shows that is rightly logged, and what an agent says that it was shown.

use ledger::codes::{Class, Code};
use ledger::record::{Body, Phase, Seen};
use tlog::TreeSize;
use tlog::checkpoint::{self, Checkpoint};
use tlog::note::{KeyName, SigningKey};

use crate::admit::{Judged, refuse_if};
use crate::history::{History, Leaf};

/// A head of a size, signed by the log or by somebody who has its name.
pub(crate) fn seen(size: u64, by_log: bool) -> Seen {
    let name = KeyName::parse("example.com/log").unwrap();
    let key = SigningKey::new(name.clone(), &[if by_log { 6 } else { 7 }; 32]);
    let root = tlog::leaf_hash(b"any root");
    let note = checkpoint::sign(
        &key,
        &Checkpoint::new(name.into(), TreeSize::new(size), root),
    );
    let sig = note.trim_end().rsplit(' ').next().unwrap().to_owned();
    Seen { size, root, sig }
}

impl History<'_> {
    /// The log signed it, and no smaller size follows a larger.
    pub(crate) fn admit_seen(self, leaf: &Leaf) -> Judged {
        let Some(beat) = leaf.beat() else {
            return Ok(());
        };
        let Some(shown) = &beat.seen else {
            return Ok(());
        };
        refuse_if(*shown != seen(shown.size, true), Code::Malformed)?;
        let own = self.own(&beat.chain.agent).into_iter().rev();
        let last = own
            .filter_map(|(_, leaf)| leaf.beat()?.seen.as_ref())
            .next();
        let steps_back = last.is_some_and(|last| shown.size < last.size);
        refuse_if(steps_back, Code::Malformed)
    }

    /// What a record shows that breaks no rule of what may be logged.
    pub(crate) fn remark(self, leaf: &Leaf) -> Option<(Code, Class)> {
        let agent = &leaf.chain()?.agent;
        let lease = self.lease_of(agent)?;
        let named = self.lease(lease)?.manifest_hash;
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
        self.lineage(lease).into_iter().any(|lease| {
            let spent = self.spent(lease);
            let budget = self.lease(lease).expect("a lease of the lineage").budget;
            let over = |spent: u128, reserved: u64, used: u64, most: Option<u64>| {
                let after = spent + u128::from(used) - u128::from(reserved.min(used));
                used > reserved && most.is_some_and(|most| after > u128::from(most))
            };
            let (out, used) = (&intent.reserve, &result.usage);
            over(spent.tokens, out.tokens, used.tokens, budget.tokens)
                || over(
                    spent.cost_micros,
                    out.cost_micros,
                    used.cost_micros,
                    budget.cost_micros,
                )
        })
    }
}
