//! From the entries of a state back to the state.

use std::sync::Arc;

use super::agent::{Agent, AgentKey, Causes, Healing, OpenIntent, Opening, SinceDegraded, Version};
use super::charter::Approval;
use super::entries::{Put, of_log};
use super::heads::LogKeys;
use super::lease::{LeaseState, Over, Slot, Spent};
use super::owed::{Owed, OwedTransitions, Waiting};
use super::state::{CharterInForce, Known, State};
use crate::codes::Refusal;
use crate::digest::RecordHash;
use crate::json::{Members, Value, boolean, expected, integer, parsed, string};
use crate::key::PublicKey;
use crate::record::{Amounts, Charter, Lease};
use crate::text::Name;

/// A state that is being read from its entries, one after another. Whether they are those of a log, only the root tells.
#[derive(Debug, Default)]
pub struct Restoring {
    state: State,
    last: Option<Last>,
}

/// The entry before: each kind has its order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Last {
    Log,
    Agent(Name),
    Lease(u64),
}

impl Restoring {
    /// Takes the next entry, without an end of line.
    ///
    /// # Errors
    /// `not-strict-json`, `malformed`, `unknown-member`: it is not an entry, is in another place, or is spelled in
    /// another way.
    pub fn push(&mut self, entry: &str) -> Result<(), Refusal> {
        let value = Value::parse(entry.as_bytes())?;
        let first = match &value {
            Value::Object(members) => members.first().map(|(name, _)| name.clone()),
            _ => None,
        };
        let mut members = Members::open("", value)?;
        let (last, written) = match first.as_deref() {
            Some("log") => (Last::Log, self.take_log(&mut members)?),
            Some("agent") => self.take_agent(&mut members)?,
            Some("lease") => self.take_lease(&mut members)?,
            _ => return Err(expected("", "an entry of a state")),
        };
        members.finish()?;
        if written != entry {
            return Err(expected("", "spelled as entries are"));
        }
        if self.last.as_ref() >= Some(&last) {
            return Err(expected("", "in its place among the entries"));
        }
        self.last = Some(last);
        Ok(())
    }

    /// The state.
    ///
    /// # Errors
    /// `malformed` if there is no entry of the log.
    pub fn finish(mut self) -> Result<State, Refusal> {
        let state = &mut self.state;
        if state.constitution.is_none() {
            return Err(expected("", "a state: it has no entry of the log"));
        }
        let under = |lease: &LeaseState| Some((lease.terms.parent?, lease.hash));
        let children: Vec<_> = state.leases().filter_map(under).collect();
        for (parent, child) in children {
            state.change_lease(parent, |parent| parent.children.insert_mut(child));
        }
        Ok(self.state)
    }

    fn take_log(&mut self, members: &mut Members) -> Result<String, Refusal> {
        let state = &mut self.state;
        let log = members.required("log", parsed)?;
        state.size = members.required("size", integer)?;
        let hash = members.required("charter", parsed)?;
        let charter = members.required("terms", |path, value| whole(path, value, Charter::read))?;
        state.constitution = Some(Arc::new(CharterInForce { log, hash, charter }));
        let keys: Vec<PublicKey> = members.list("keys", parsed)?;
        for key in &keys {
            let (key, owner) = (*key, None);
            state.keys.insert_mut(key.id(), Known { key, owner });
        }
        state.charter_keys = Arc::new(keys);
        state.log_keys = Arc::new(members.list("log_keys", LogKeys::read)?);
        state.last_received_ms = members.required("received_ms", integer)?;
        let began_ms = members.nullable("began_ms", integer)?;
        state.gap_end_ms = members.required("gap_end_ms", integer)?;
        state.gaps_ms = members.required("gaps_ms", integer)?;
        state.pulses = members.required("pulses", integer)?;
        state.last_pulse_ms = members.nullable("pulse_ms", integer)?;
        let missed = members.required("missed_pulse", boolean)?;
        state.owed = Owed::restored(began_ms, missed, state.last_received_ms);
        state.witnessed_size = members.required("witnessed_size", integer)?;
        Ok(of_log(state))
    }

    fn take_agent(&mut self, members: &mut Members) -> Result<(Last, String), Refusal> {
        let agent = Agent::read(members)?;
        let name = agent.name().clone();
        let state = &mut self.state;
        for AgentKey { id, key, is_own } in agent.keys.iter().copied() {
            if is_own {
                let owner = Some(name.clone());
                state.keys.insert_mut(id, Known { key, owner });
            }
        }
        if let Some(deadline_ms) = agent.deadline_ms {
            state.deadlines.insert_mut((deadline_ms, name.clone()));
        }
        state.owed.take_up(&agent);
        state.move_between_states(&name, None, agent.state);
        let written = written(&agent);
        state.agents.insert_mut(name.clone(), Arc::new(agent));
        Ok((Last::Agent(name), written))
    }

    fn take_lease(&mut self, members: &mut Members) -> Result<(Last, String), Refusal> {
        let hash = members.required("lease", parsed)?;
        let index = members.required("index", integer)?;
        let state = &mut self.state;
        if state.leases.contains_key(&hash) {
            return Err(expected("", "a lease that stands there once"));
        }
        let written = match members.take_if_present("agent") {
            Some(agent) => {
                let over = Over {
                    hash,
                    index,
                    agent: Name::read("agent", agent)?,
                    why: members.required("ended", parsed)?,
                    ended_ms: members.required("ended_ms", integer)?,
                };
                let written = written(&over);
                state.over.insert_mut((over.ended_ms, index));
                state.lease_order.insert_mut(index, hash);
                state.leases.insert_mut(hash, Slot::Over(Arc::new(over)));
                written
            }
            None => {
                let lease = LeaseState::read(members, hash, index)?;
                let written = written(&lease);
                state.insert_lease(lease);
                written
            }
        };
        Ok((Last::Lease(index), written))
    }
}

fn written(entry: &dyn Put) -> String {
    let mut text = String::new();
    entry.put(&mut text);
    text
}

/// Reads an object that has nothing but what `read` takes.
fn whole<T>(
    path: &str,
    value: Value,
    read: impl FnOnce(&mut Members) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut members = Members::open(path, value)?;
    let read = read(&mut members)?;
    members.finish().map(|()| read)
}

impl Agent {
    fn read(members: &mut Members) -> Result<Self, Refusal> {
        let name = members.required("agent", Name::read)?;
        let version = Arc::new(members.required("version", Version::read)?);
        let is_registered = members.required("is_registered", boolean)?;
        let keys = members.list("keys", AgentKey::read)?;
        let mut agent = Self::new(name, version, keys);
        agent.is_registered = is_registered;
        agent.state = members.required("state", parsed)?;
        agent.said_goodbye = members.required("said_goodbye", boolean)?;
        agent.transitions = members.required("transitions", integer)?;
        agent.read_chain(members)?;
        agent.read_clocks(members)?;
        agent.read_work(members)?;
        Ok(agent)
    }

    fn read_chain(&mut self, members: &mut Members) -> Result<(), Refusal> {
        self.epoch = members.required("epoch", integer)?;
        self.opening = members.nullable("opening", Opening::read)?;
        self.opened_by_lease = members.required("opened_by_lease", |path, value| {
            let bits = u64::from_str_radix(&string(path, value)?, 16);
            bits.map_err(|_| expected(path, "16 hex digits"))
        })?;
        self.instance = members.nullable("instance", parsed)?;
        self.goes_on = members.nullable("goes_on", parsed)?;
        for (instance, seen_ms) in dated(members, "past_instances")? {
            let instance = parsed("past_instances", instance)?;
            self.past_instances.restore(seen_ms, instance);
        }
        self.next_seq = members.required("next_seq", integer)?;
        self.head = members.nullable("head", parsed)?;
        self.last = members.nullable("last", parsed)?;
        self.chain_at_ms = members.required("chain_at_ms", integer)?;
        self.lease = members.nullable("lease", parsed)?;
        self.epoch_lease = members.nullable("epoch_lease", parsed)?;
        self.after = members.nullable("after", parsed)?;
        Ok(())
    }

    fn read_clocks(&mut self, members: &mut Members) -> Result<(), Refusal> {
        self.progress = members.required("progress", integer)?;
        self.beat_ms = members.required("beat_ms", integer)?;
        self.progress_ms = members.required("progress_ms", integer)?;
        self.seen_size = members.required("seen_size", integer)?;
        self.causes = members.required("causes", Causes::read)?;
        self.since_degraded = members.required("since_degraded", SinceDegraded::read)?;
        self.healing = members.required("healing", Healing::read)?;
        self.heals_ms = members.list("heals_ms", integer)?;
        for (refused, then_ms) in dated(members, "denials")? {
            self.denials.restore(then_ms, parsed("denials", refused)?);
        }
        self.deadline_ms = members.nullable("deadline_ms", integer)?;
        Ok(())
    }

    fn read_work(&mut self, members: &mut Members) -> Result<(), Refusal> {
        for goal in members.list("goals", parsed::<RecordHash>)? {
            self.goals.insert(goal, ());
        }
        for (intent, open) in members.list("intents", OpenIntent::read)? {
            self.intents.insert(intent, open);
        }
        self.owed = OwedTransitions {
            waiting: members.list("waiting", Waiting::read)?,
            missed: members.list("missed", parsed)?,
        };
        Ok(())
    }
}

/// An object of things and when they were seen.
fn dated(members: &mut Members, name: &str) -> Result<Vec<(Value, u64)>, Refusal> {
    let Value::Object(dated) = members.take(name)? else {
        return Err(expected(name, "an object"));
    };
    let pair = |(thing, seen_ms)| Ok((Value::Text(thing), integer(name, seen_ms)?));
    dated.into_iter().map(pair).collect()
}

impl LeaseState {
    fn read(members: &mut Members, hash: RecordHash, index: u64) -> Result<Self, Refusal> {
        let terms = members.required("terms", |path, value| whole(path, value, Lease::read))?;
        let version = Arc::new(members.required("version", Version::read)?);
        let approval = members.required("approval", Approval::read)?;
        let received_ms = members.required("received_ms", integer)?;
        let mut lease = Self::new(hash, (index, received_ms), terms, version, approval);
        lease.expires_ms = members.required("expires_ms", integer)?;
        lease.ended = members.nullable("ended", parsed)?;
        lease.ended_ms = members.required("ended_ms", integer)?;
        lease.own = members.required("own", Spent::read)?;
        lease.from_below = members.required("from_below", Spent::read)?;
        lease.earned = members.required("earned", boolean)?;
        Ok(lease)
    }
}

/// Reads an object of these members.
macro_rules! read_members {
    ($($type:ident { $($member:ident: $how:ident $read:expr,)* })*) => {$(
        impl $type {
            fn read(path: &str, value: Value) -> Result<Self, Refusal> {
                let mut members = Members::open(path, value)?;
                let read = Self { $($member: members.$how(stringify!($member), $read)?,)* };
                members.finish().map(|()| read)
            }
        }
    )*};
}

read_members! {
    Version {
        registration: required parsed,
        key: required parsed,
        manifest_hash: required parsed,
        capabilities: list parsed,
        max_inflight_ms: required integer,
        approval: required Approval::read,
    }
    Opening {
        record: required parsed,
        received_ms: required integer,
        by: required parsed,
    }
    Causes {
        drift: required boolean,
        finished: required boolean,
        started: required boolean,
        restarted: required boolean,
    }
    SinceDegraded {
        beat: required boolean,
        progress: required boolean,
    }
    Healing {
        attempt: required integer,
        since_ms: required integer,
        beats: required integer,
        counted_ms: nullable integer,
    }
    Waiting {
        rule: required parsed,
        since_ms: required integer,
        end_ms: required integer,
    }
    Spent {
        actions: required parsed,
        tokens: required parsed,
        cost_micros: required parsed,
    }
    LogKeys {
        index: required integer,
        keys: list parsed,
    }
}

impl Approval {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let operators = members.list("operators", parsed)?.into();
        let threshold = members.required("threshold", integer)?;
        members.finish().map(|()| Self {
            operators,
            threshold,
        })
    }
}

impl AgentKey {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let key: PublicKey = members.required("key", parsed)?;
        let (id, is_own) = (key.id(), members.required("is_own", boolean)?);
        members.finish().map(|()| Self { id, key, is_own })
    }
}

impl OpenIntent {
    fn read(path: &str, value: Value) -> Result<(RecordHash, Self), Refusal> {
        let mut members = Members::open(path, value)?;
        let intent = members.required("intent", parsed)?;
        let open = Self {
            lease: members.required("lease", parsed)?,
            lapses_ms: members.required("lapses_ms", integer)?,
            due_ms: members.nullable("due_ms", integer)?,
            reserve: Amounts {
                tokens: members.required("tokens", integer)?,
                cost_micros: members.required("cost_micros", integer)?,
            },
        };
        members.finish().map(|()| (intent, open))
    }
}
