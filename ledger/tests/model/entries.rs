//! The entries of the state, told from the whole log: what of it the rules read, and when each thing was so.
//!
//! What control owes is told in [`owed`](crate::owed). When an agent's next cause comes is held against the rules by
//! duties and deadlines elsewhere; the member that tells it is left out.

use std::collections::BTreeMap;

use ledger::record::{AgentState, Body, Instance, Rule};
use ledger::text::Name;
use serde_json::{Map, Value, json};

use crate::clocks::DAY_MS;
use crate::history::{History, Leaf, Opener, has_role};
use crate::leases::Spent;
use ledger::digest::RecordHash;
use ledger::record::Role;

use AgentState::{Autohealing, Degraded, Running, Stopped};

/// What is told elsewhere.
pub(crate) const ELSEWHERE: &str = "deadline_ms";

impl History<'_> {
    /// What the entry of an agent has.
    pub(crate) fn agent_entry(self, agent: &Name) -> Value {
        let mut entry = self.identity(agent);
        entry.extend(self.chain_of(agent));
        entry.extend(self.life_of(agent));
        entry.into()
    }

    fn identity(self, agent: &Name) -> Map<String, Value> {
        let moves = self.moves(agent);
        let mut keys: Vec<Value> = Vec::new();
        for version in self.0.iter().filter_map(Leaf::registration) {
            let key = json!({"key": version.key.to_string(), "is_own": true});
            if version.agent == *agent && !keys.contains(&key) {
                keys.push(key);
            }
        }
        let said_goodbye = moves.last().is_some_and(|it| it.2 == Some(Rule::Finished));
        members(json!({
            "agent": agent.as_str(),
            "version": self.version(agent),
            "is_registered": self.is_registered(agent),
            "keys": keys,
            "state": self.state(agent).as_str(),
            "said_goodbye": said_goodbye,
            "transitions": moves.len(),
        }))
    }

    /// The newest version of an agent, and who stood behind it.
    fn version(self, agent: &Name) -> Value {
        let (hash, version) = self.registration(agent).expect("a registered agent");
        let capabilities = version.manifest.capabilities.iter();
        json!({
            "registration": hash.to_string(),
            "key": version.key.id().to_string(),
            "manifest_hash": version.manifest_hash.to_string(),
            "capabilities": capabilities.map(ToString::to_string).collect::<Vec<_>>(),
            "max_inflight_ms": version.manifest.max_inflight_ms,
            "approval": self.approval(hash),
        })
    }

    /// Which operators signed a record, and how many it took then.
    fn approval(self, record: RecordHash) -> Value {
        let at = self.find(record).expect("a record of the log");
        let then = self.before(at).charter();
        let signers = self.0[at].signers.iter().map(|(id, _)| *id);
        let operators = signers.filter(|id| has_role(then, *id, Role::Operator));
        json!({
            "operators": operators.map(|id| id.to_string()).collect::<Vec<_>>(),
            "threshold": then.thresholds.operator,
        })
    }

    fn chain_of(self, agent: &Name) -> Map<String, Value> {
        let openings = self.openings(agent);
        let bit = |bits: u64, by: Opener| bits << 1 | u64::from(by == Opener::Lease);
        let bits = openings.iter().fold(0, |bits, it| bit(bits, it.by));
        let opening = openings.last().map(|it| {
            let record = match it.by {
                Opener::Agent => self.before(it.at).lease_of(agent).expect("a lease"),
                _ => it.leaf.hash,
            };
            let by = format!("{:?}", it.by).to_lowercase();
            json!({"record": record.to_string(), "received_ms": it.leaf.received_ms, "by": by})
        });
        let mut goes_on = None;
        for opening in &openings {
            let last = self.before(opening.at).instance(agent).or(goes_on);
            goes_on = last.filter(|_| opening.by == Opener::Lease);
        }
        let last = self.in_epoch(agent).pop();
        let seen = self.own(agent).into_iter().rev();
        let mut seen = seen.filter_map(|(_, leaf)| leaf.beat()?.seen.as_ref());
        let beats = self.in_epoch(agent).into_iter();
        let progress = beats.filter_map(|(_, leaf)| Some(leaf.beat()?.progress));
        members(json!({
            "epoch": openings.len(),
            "opening": opening,
            "opened_by_lease": format!("{bits:016x}"),
            "instance": text(self.instance(agent)),
            "goes_on": text(goes_on),
            "past_instances": self.past_instances(agent),
            "next_seq": self.next_seq(agent),
            "head": text(self.head(agent)),
            "last": text(self.last(agent)),
            "chain_at_ms": last.map_or(0, |(_, leaf)| leaf.record.at_ms),
            "lease": text(self.lease_of(agent)),
            "epoch_lease": text(self.lease_of_epoch(agent)),
            "after": text(self.newest_decision(agent)),
            "progress": progress.max().unwrap_or(0),
            "seen_size": seen.next().map_or(0, |seen| seen.size),
        }))
    }

    /// When each process spoke first in an epoch, or an epoch of its was left: the later of the two.
    fn past_instances(self, agent: &Name) -> Value {
        let mut seen: BTreeMap<Instance, u64> = BTreeMap::new();
        for (at, leaf) in self.own(agent) {
            let instance = leaf.chain().expect("a chain").instance;
            if self.before(at + 1).next_seq(agent) == 1 {
                seen.insert(instance, leaf.received_ms);
            }
        }
        for opening in self.openings(agent) {
            if let Some(instance) = self.before(opening.at).instance(agent) {
                let left_ms = opening.leaf.received_ms;
                seen.entry(instance).and_modify(|ms| *ms = left_ms.max(*ms));
            }
        }
        let seen = seen.into_iter().map(|(it, ms)| (it.to_string(), ms.into()));
        Value::Object(seen.collect())
    }

    fn life_of(self, agent: &Name) -> Map<String, Value> {
        let own = self.own(agent);
        let last_ms = |is_one: &dyn Fn(usize, &Leaf) -> bool| {
            let ones = own.iter().filter(|(at, leaf)| is_one(*at, leaf));
            ones.map(|(_, leaf)| leaf.received_ms).max().unwrap_or(0)
        };
        let moved = self.moves(agent).last().map(|it| it.0);
        let since = |at: usize| moved.is_none_or(|moved| at > moved);
        let beat = own
            .iter()
            .any(|(at, leaf)| since(*at) && leaf.beat().is_some());
        let progress = own
            .iter()
            .any(|(at, _)| since(*at) && self.is_progress(*at));
        let denials = self.denials_kept(agent).into_iter();
        let denials = denials.map(|(hash, ms)| (hash.to_string(), ms.into()));
        let mut goals = self.open_goals(agent);
        goals.sort_unstable();
        members(json!({
            "beat_ms": last_ms(&|_, leaf| leaf.beat().is_some()),
            "progress_ms": last_ms(&|at, _| self.is_progress(at)),
            "goals": goals.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "intents": self.intents(agent),
            "causes": self.causes(agent),
            "since_degraded": {"beat": beat, "progress": progress},
            "healing": self.healing(agent),
            "heals_ms": self.heals_kept(agent),
            "denials": Value::Object(denials.collect()),
        }))
    }

    fn intents(self, agent: &Name) -> Vec<Value> {
        let mut open = self.open_intents(agent);
        open.sort_unstable_by_key(|(_, leaf)| leaf.hash);
        let told = |(at, leaf): (usize, &Leaf)| {
            let lease = self.before(at).lease_of(agent).expect("an intent's lease");
            let lapses_ms = leaf.received_ms + self.version_of(lease).manifest.max_inflight_ms;
            let gaps_ms = self.gaps_ms(at);
            let is_late = |later: usize| {
                lapses_ms + self.gaps_ms(later) - gaps_ms < self.0[later].received_ms
            };
            let in_time = !(at + 1..self.0.len()).any(is_late);
            let ledger::record::Phase::Intent(intent) = &leaf.receipt().expect("one").phase else {
                unreachable!("an intent");
            };
            json!({
                "intent": leaf.hash.to_string(),
                "lease": lease.to_string(),
                "lapses_ms": lapses_ms,
                "due_ms": in_time.then(|| lapses_ms - gaps_ms),
                "tokens": intent.reserve.tokens,
                "cost_micros": intent.reserve.cost_micros,
            })
        };
        open.into_iter().map(told).collect()
    }

    /// How long nothing was logged, up to a leaf.
    fn gaps_ms(self, at: usize) -> u64 {
        let ends = 1..=at;
        let gap = |end: usize| {
            let (last, now) = (self.0[end - 1].received_ms, self.0[end].received_ms);
            self.before(end).is_gap(now).then(|| now - last)
        };
        ends.filter_map(gap).sum()
    }

    /// What records caused, since an epoch began or the agent entered a state in which it does not run.
    fn causes(self, agent: &Name) -> Value {
        let opened = self.openings(agent).pop();
        let left = self
            .moves(agent)
            .into_iter()
            .rev()
            .find(|it| it.1 != Running);
        let left = left.map(|it| it.0);
        let opened_at = opened.map(|it| it.at);
        let holds =
            |at: usize| opened_at.is_none_or(|it| at >= it) && left.is_none_or(|it| at > it);
        let ran = |rule: Option<Rule>, since: usize| {
            let mut moves = self.moves(agent).into_iter();
            moves
                .any(|it| it.0 > since && it.1 == Running && rule.is_none_or(|by| it.2 == Some(by)))
        };
        let own = self.own(agent).into_iter();
        let beats: Vec<_> = own.filter_map(|(at, it)| Some((at, it.beat()?))).collect();
        let beats = beats.into_iter().filter(|(at, _)| holds(*at));
        let (mut drift, mut finished, mut started, mut restarted) = (false, false, false, false);
        for (at, beat) in beats {
            let (then, now) = (self.before(at), self.before(at + 1));
            let lease = now
                .lease_of_epoch(agent)
                .and_then(|lease| self.lease(lease));
            drift |= lease.is_some_and(|lease| lease.manifest_hash != beat.manifest_hash);
            finished = beat.r#final && then.open_intents(agent).is_empty();
            let state = then.state(agent);
            let waits = then
                .openings(agent)
                .pop()
                .is_some_and(|it| it.by == Opener::Lease);
            let begins = waits && then.instance(agent).is_none() && beat.chain.seq == 0;
            let is_same = then.epoch(agent) == beat.chain.epoch;
            started |= begins && state == Stopped && !ran(None, at);
            let may = matches!(state, Stopped | Running | Degraded);
            restarted |= !is_same && may && !ran(Some(Rule::Restarted), at);
        }
        json!({"drift": drift, "finished": finished, "started": started, "restarted": restarted})
    }

    fn healing(self, agent: &Name) -> Value {
        let attempts = self.attempts(agent);
        let began = attempts.last().copied();
        let (mut beats, mut counted_ms) = (0, None);
        for (at, leaf) in self.own(agent) {
            let heals = began.is_some_and(|began| at > began)
                && leaf.beat().is_some()
                && self.is_progress(at)
                && self.before(at).state(agent) == Autohealing;
            let apart_ms = self.before(at).charter().liveness.heartbeat_ms / 2;
            if heals && counted_ms.is_none_or(|last| leaf.received_ms >= last + apart_ms) {
                beats += 1;
                counted_ms = Some(leaf.received_ms);
            }
        }
        json!({
            "attempt": attempts.len(),
            "since_ms": began.map_or(0, |at| self.0[at].received_ms),
            "beats": beats,
            "counted_ms": counted_ms,
        })
    }

    /// Entries into healing by the clock, as far as they are remembered.
    fn heals_kept(self, agent: &Name) -> Vec<u64> {
        let mut kept: Vec<u64> = Vec::new();
        for (at, to, rule) in self.moves(agent) {
            let now_ms = self.0[at].received_ms;
            match rule {
                None if to == Autohealing => kept.clear(),
                Some(Rule::HealDue) => {
                    kept.retain(|then_ms| now_ms - then_ms < DAY_MS);
                    if kept.len() as u64 > self.before(at).charter().liveness.heal_attempts {
                        kept.remove(0);
                    }
                    kept.push(now_ms);
                }
                _ => {}
            }
        }
        kept
    }

    /// What the entries of the leases have, in their order.
    pub(crate) fn lease_entries(self) -> Vec<Value> {
        let leases = self.0.iter().enumerate();
        let leases = leases.filter_map(|(at, leaf)| Some((at, leaf, leaf.lease()?)));
        let told = leases.filter_map(|(at, leaf, lease)| {
            let hash = leaf.hash;
            let ended = self.end_of(hash);
            if ended.is_some() && !self.matters(hash) {
                let (why, ended_ms) = ended?;
                return (!self.is_forgotten(hash)).then(|| {
                    json!({
                        "lease": hash.to_string(), "index": at, "agent": lease.agent.as_str(),
                        "ended": why, "ended_ms": ended_ms,
                    })
                });
            }
            let alone = self.spent_alone(hash);
            Some(json!({
                "lease": hash.to_string(),
                "index": at,
                "version": self.before(at).version(&lease.agent),
                "approval": self.approval(hash),
                "received_ms": leaf.received_ms,
                "expires_ms": self.expires_ms(hash),
                "ended": ended.map(|(why, _)| why),
                "ended_ms": ended.map_or(0, |(_, ended_ms)| ended_ms),
                "own": sums(alone),
                "from_below": sums(self.spent_below(hash)),
                "earned": self.was_earned(hash),
            }))
        });
        told.collect()
    }

    /// Whether its agent made progress under a lease since it was granted or renewed.
    fn was_earned(self, hash: RecordHash) -> bool {
        let renews = |leaf: &Leaf| match &leaf.record.body {
            Body::LeaseRenewal(renewal) => renewal.lease == hash,
            _ => leaf.hash == hash,
        };
        let since = self
            .0
            .iter()
            .rposition(renews)
            .expect("a lease that was granted");
        let holder = &self.lease(hash).expect("a lease").agent;
        let own = self.own(holder).into_iter().filter(|(at, _)| *at > since);
        let under = |at: usize| self.before(at).lease_of(holder) == Some(hash);
        own.into_iter()
            .any(|(at, _)| under(at) && self.is_progress(at))
    }

    /// What the entry of the log has beside the members of its charter.
    pub(crate) fn log_entry(self) -> Value {
        let mut keys: Vec<String> = Vec::new();
        let mut log_keys: Vec<(usize, Vec<String>)> = Vec::new();
        let charters = self.0.iter().enumerate();
        let charters = charters.filter_map(|(at, leaf)| Some((at, leaf.charter()?)));
        for (at, charter) in charters {
            for key in charter.keys.iter().map(|held| held.key.to_string()) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            let own: Vec<String> = charter.log_keys.iter().map(ToString::to_string).collect();
            if log_keys.last().is_none_or(|(_, last)| *last != own) {
                log_keys.push((at, own));
            }
        }
        let log_keys = log_keys
            .iter()
            .map(|(index, keys)| json!({"index": index, "keys": keys}));
        let pulse = self.0.iter().rev();
        let mut pulse = pulse.filter(|leaf| matches!(leaf.record.body, Body::Pulse(_)));
        let last = self.0.len() - 1;
        let gap_end = (1..=last)
            .rev()
            .find(|at| self.before(*at).is_gap(self.0[*at].received_ms));
        json!({
            "log": text(self.log()),
            "size": self.0.len(),
            "charter": text(self.charter_hash()),
            "keys": keys,
            "log_keys": log_keys.collect::<Vec<_>>(),
            "received_ms": self.0[last].received_ms,
            "began_ms": (last > 0).then(|| self.0[0].received_ms),
            "gap_end_ms": gap_end.map_or(0, |at| self.0[at].received_ms),
            "gaps_ms": self.gaps_ms(last),
            "pulses": self.pulses(),
            "pulse_ms": pulse.next().map(|leaf| leaf.received_ms),
            "witnessed_size": 0,
        })
    }
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => unreachable!("an object"),
    }
}

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn sums(spent: Spent) -> Value {
    json!({
        "actions": spent.actions.to_string(),
        "tokens": spent.tokens.to_string(),
        "cost_micros": spent.cost_micros.to_string(),
    })
}
