//! The verification of a state proof: what a pulse says about an agent, or that it knew of none of that name.
//!
//! The pulse is a leaf of the log, and names the root of the state before it. So whoever shows an entry and its way to
//! that root shows what the log says there of the agent. That control signed the pulse, only who has the charters can check, and
//! whether control was right, only a replay of what led there says.

use tlog::checkpoint::VerifiedCheckpoint;
use tlog::{LeafIndex, TreeSize, inclusion, leaf_hash};

use crate::codes::{Code, Refusal};
use crate::govern::PlacedEntry;
use crate::json::Value;
use crate::record::{Body, StateRoot};
use crate::state_proof::StateProof;
use crate::verify::causes::with_causes;
use crate::verify::draft::Draft;
use crate::verify::fault::{self, Shown};
use crate::verify::head::{Signers, check_checkpoint, inclusion_refusal};
use crate::verify::log_keys::LogKeys;
use crate::verify::records::{check_log, read_leaf};
use crate::verify::report::{CheckId, Report, TraceStep};
use crate::verify::trust::Trust;

pub(super) fn verify(evidence: &[u8], trust: &Trust) -> Report {
    let mut draft = Draft::default();
    let text = std::str::from_utf8(evidence).map_err(|error| Code::PackMalformed.because(error));
    match text.and_then(StateProof::parse) {
        Ok(proof) => check(&mut draft, &proof, trust),
        Err(refusal) => super::proof::give_up(&mut draft, refusal),
    }
    draft.finish(|check| match check {
        CheckId::Form
        | CheckId::Checkpoint
        | CheckId::Inclusion
        | CheckId::Leaves
        | CheckId::Disclosures => true,
        CheckId::Witnesses => trust.policy.needs_witnesses(),
        _ => false,
    })
}

fn check(draft: &mut Draft, proof: &StateProof, trust: &Trust) {
    let (agent, index) = (&proof.agent, proof.pulse.index);
    let detail = format!("a proof of the state of agent {agent} before entry {index}");
    draft.pass(CheckId::Form, detail);
    let none = LogKeys::default();
    let head = check_checkpoint(draft, &proof.checkpoint, Signers::of(trust, &none));
    let is_shown = check_inclusion(draft, proof, head.as_ref());
    let why = "there is one checkpoint, and none to compare it with";
    draft.skip(CheckId::Consistency, why);
    let state = check_pulse(draft, proof, trust, is_shown);
    let why = "the keys that count for it stand in other records";
    draft.skip(CheckId::Signatures, why);
    match state.map(|state| opened(proof, state)) {
        Some(Ok(told)) if is_shown => draft.pass(CheckId::Disclosures, told),
        Some(Err(refusal)) => draft.fail(CheckId::Disclosures, refusal, Some(index), Some(agent)),
        _ => draft.skip(
            CheckId::Disclosures,
            "the pulse is not shown to be in the log",
        ),
    }
}

fn check_inclusion(
    draft: &mut Draft,
    proof: &StateProof,
    head: Option<&VerifiedCheckpoint>,
) -> bool {
    let Some(head) = head else {
        let why = "there is no checkpoint that the log signed";
        draft.skip(CheckId::Inclusion, why);
        return false;
    };
    let (index, size) = (proof.pulse.index, head.size());
    let leaf = leaf_hash(proof.pulse.leaf.as_bytes());
    match inclusion::verify(&proof.inclusion, index, size, &leaf, head.root()) {
        Err(error) => {
            let refusal = inclusion_refusal(&error);
            draft.fail(CheckId::Inclusion, refusal, Some(index), None);
            false
        }
        Ok(steps) => {
            let count = steps.len();
            let detail = format!("entry {index} is in the tree of {size}, by {count} hashes");
            draft.pass(CheckId::Inclusion, detail);
            let joins = steps.into_iter().map(TraceStep::Join);
            draft.trace = Some([TraceStep::Leaf(leaf)].into_iter().chain(joins).collect());
            true
        }
    }
}

/// The state that the pulse names, if it is a pulse of the log that the trust names, and names one.
fn check_pulse(
    draft: &mut Draft,
    proof: &StateProof,
    trust: &Trust,
    is_shown: bool,
) -> Option<StateRoot> {
    let index = proof.pulse.index;
    let read = read_leaf(proof.pulse.leaf.as_bytes()).and_then(|(received_ms, record)| {
        draft.count(&record);
        check_log(&record, trust)?;
        match &record.record().body {
            Body::Pulse(pulse) => Ok((received_ms, pulse.state)),
            _ => Err(mismatch(format!("a {} tells no state", record.kind()))),
        }
    });
    match read {
        Ok((received_ms, state)) => {
            draft.as_of.received_ms = is_shown.then_some(received_ms);
            draft.pass(CheckId::Leaves, "a pulse of this log");
            if state.is_none() {
                let refusal = mismatch("the pulse tells no state".to_owned());
                draft.fail(CheckId::Disclosures, refusal, Some(index), None);
            }
            state
        }
        Err(refusal) => {
            let by = match is_shown {
                true => fault::of_leaf(refusal.code, Shown::Leaf),
                false => crate::codes::Party::Unknown,
            };
            draft.fail_by(CheckId::Leaves, refusal, by, Some(index));
            None
        }
    }
}

/// What the entries say, if they lead to the state that the pulse names and say what they are there for.
fn opened(proof: &StateProof, state: StateRoot) -> Result<String, Refusal> {
    let told = proof.branches.root();
    if told != state {
        return Err(mismatch(format!(
            "the pulse tells the state {state}, this is {told}"
        )));
    }
    let entries: Vec<Opened> = proof
        .entries
        .iter()
        .map(|placed| Opened::of(proof, placed))
        .collect::<Result<_, _>>()?;
    let agent = proof.agent.as_str();
    let index = proof.pulse.index;
    match entries.as_slice() {
        [its, rest @ ..] if its.name == agent => {
            let lease = its.text("lease");
            match rest {
                [] if lease.is_none() => {}
                [held] if held.is_lease && lease == Some(held.name.as_str()) => {}
                _ => return Err(mismatch(format!("not the lease of agent {agent}"))),
            }
            let under = match lease {
                Some(lease) => format!("with the lease {lease}"),
                None => "with no lease".to_owned(),
            };
            let state = its.text("state").unwrap_or_default();
            let epoch = its.number("epoch");
            Ok(format!(
                "before entry {index} agent {agent} was {state}, in epoch {epoch}, {under}"
            ))
        }
        neighbours => {
            are_neighbours(neighbours, agent, proof.branches.agents)?;
            Ok(format!("before entry {index} there was no agent {agent}"))
        }
    }
}

/// Whether no entry can stand between these, and the agent's would have to.
fn are_neighbours(entries: &[Opened], agent: &str, agents: StateRoot) -> Result<(), Refusal> {
    let last = agents.entries.checked_sub(1);
    let is_between = match entries {
        [] => agents.entries == 0 && agents.root == tlog::EMPTY_ROOT,
        [one] if one.position == 0 && agent < one.name.as_str() => true,
        [one] => Some(one.position) == last && one.name.as_str() < agent,
        [one, other] => {
            let adjacent = one.position.checked_add(1) == Some(other.position);
            adjacent && one.name.as_str() < agent && agent < other.name.as_str()
        }
        _ => false,
    };
    match is_between && entries.iter().all(|entry| !entry.is_lease) {
        true => Ok(()),
        false => Err(mismatch(format!(
            "agent {agent} may stand between the entries"
        ))),
    }
}

/// An entry that is in the state.
struct Opened {
    is_lease: bool,
    name: String,
    position: u64,
    value: Value,
}

impl Opened {
    fn of(proof: &StateProof, placed: &PlacedEntry) -> Result<Self, Refusal> {
        let value = Value::parse(placed.entry.as_bytes())?;
        let first = match &value {
            Value::Object(members) => members.first(),
            _ => None,
        };
        let (is_lease, name) = match first {
            Some((kind, Value::Text(name))) if kind == "agent" => (false, name.clone()),
            Some((kind, Value::Text(name))) if kind == "lease" => (true, name.clone()),
            _ => return Err(mismatch("neither an agent nor a lease".to_owned())),
        };
        let branch = match is_lease {
            true => proof.branches.leases,
            false => proof.branches.agents,
        };
        let (position, size) = (placed.position, TreeSize::new(branch.entries));
        let leaf = leaf_hash(placed.entry.as_bytes());
        let index = LeafIndex::new(position);
        inclusion::verify(&placed.path, index, size, &leaf, &branch.root)
            .map_err(|error| mismatch(format!("{name}: {}", with_causes(&error))))?;
        Ok(Self {
            is_lease,
            name,
            position,
            value,
        })
    }

    fn member(&self, name: &str) -> Option<&Value> {
        match &self.value {
            Value::Object(members) => {
                let mut members = members.iter();
                members.find(|(member, _)| member == name).map(|(_, it)| it)
            }
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.member(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> u64 {
        match self.member(name) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        }
    }
}

fn mismatch(why: String) -> Refusal {
    Code::DisclosureMismatch.because(why)
}
