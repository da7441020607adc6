//! Who may bring records, and how fast: what is asked between the signatures and the queue.
//!
//! | who signed | what is asked |
//! | --- | --- |
//! | a key of the charter | nothing: an operator's stop has a place in the queue that nobody else can take |
//! | an agent's key | the agent's rate, and a place in the queue; for a heartbeat there is one that nothing else takes |
//! | nobody that the log knows | one of a few places: such a record is refused, and only the sequencer can say so |
//!
//! A signature that was only claimed counts for nobody, so no stranger uses up an agent's rate.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::http::HeaderMap;
use ledger::codes::Code;
use ledger::envelope::Validity;
use ledger::govern::State;
use ledger::record::{CheckedRecord, Kind, SignedRecord};
use ledger::text::Name;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Service;
use super::limits::{MAX_RATED, MAX_STRANGERS};
use super::listen::CameBy;
use super::problem::Problem;
use crate::metrics;
use crate::rates::{Buckets, Rate};

/// How fast an agent, and an address that is not of this machine, may bring records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Records of an agent.
    pub agent_records: Rate,
    /// Bytes of an agent's records.
    pub agent_bytes: Rate,
    /// Records from an address.
    pub source_records: Rate,
    /// Bytes of records from an address.
    pub source_bytes: Rate,
}

impl Rates {
    /// Each with the name that it has in the settings.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Rate); 4] {
        [
            ("agent_records", self.agent_records),
            ("agent_bytes", self.agent_bytes),
            ("source_records", self.source_records),
            ("source_bytes", self.source_bytes),
        ]
    }
}

impl Default for Rates {
    fn default() -> Self {
        let rate = |at_once, per_s| Rate { at_once, per_s };
        Self {
            agent_records: rate(1_000, 200),
            agent_bytes: rate(16 << 20, 1 << 20),
            source_records: rate(20_000, 4_000),
            source_bytes: rate(256 << 20, 32 << 20),
        }
    }
}

/// Lets records through to the queue. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Admission(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    agents: Rated<Name>,
    sources: Rated<IpAddr>,
    strangers: Arc<Semaphore>,
    crowd: Arc<Semaphore>,
    beats: Beats,
}

/// Places in the queue for heartbeats of open agents, one an agent: however much others send, nobody is taken for lost.
#[derive(Debug)]
struct Beats {
    most: usize,
    waiting: Mutex<HashSet<Name>>,
}

/// Rates of records and of bytes.
#[derive(Debug)]
struct Rated<K> {
    records: Mutex<Buckets<K>>,
    bytes: Mutex<Buckets<K>>,
}

/// The right to be in the queue, given back once the record was judged.
#[derive(Debug)]
pub(super) struct Pass(#[expect(dead_code, reason = "held for its end")] Place);

/// A place in the queue.
#[derive(Debug)]
enum Place {
    /// That nobody has to ask for.
    Free,
    /// One of many that are alike.
    Permitted(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit),
    /// The one for an agent's heartbeat.
    OfBeat(#[expect(dead_code, reason = "held for its end")] Beat),
}

/// That a heartbeat of an agent waits.
#[derive(Debug)]
struct Beat {
    agent: Name,
    shared: Arc<Shared>,
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.shared.beats.waiting().remove(&self.agent);
    }
}

/// On whose authority a record comes.
enum By<'a> {
    Charter,
    Agent(&'a Name),
    Stranger,
}

impl Admission {
    /// For a queue of so many records.
    pub(super) fn new(rates: &Rates, queue: usize) -> Self {
        // One place in sixteen is for those whom the charter names, and one for heartbeats.
        let reserve = queue / 16;
        let crowd = queue - 2 * reserve;
        Self(Arc::new(Shared {
            agents: Rated::new(rates.agent_records, rates.agent_bytes),
            sources: Rated::new(rates.source_records, rates.source_bytes),
            strangers: Arc::new(Semaphore::new(MAX_STRANGERS.min(crowd.max(1)))),
            crowd: Arc::new(Semaphore::new(crowd.max(1))),
            beats: Beats {
                most: reserve,
                waiting: Mutex::default(),
            },
        }))
    }

    /// Counts what an address sends, before anything is asked of it.
    ///
    /// # Errors
    /// `rate-limited`.
    pub(super) fn count(
        &self,
        source: Option<IpAddr>,
        records: u64,
        bytes: u64,
    ) -> Result<(), Problem> {
        let Some(source) = source else { return Ok(()) };
        let counted = self.0.sources.take(source, records, bytes);
        counted.map_err(|wait| too_fast("this address", wait))
    }

    /// Lets a record into the queue.
    ///
    /// # Errors
    /// `rate-limited` and `overloaded`.
    pub(super) fn admit(&self, record: &CheckedRecord, state: &State) -> Result<Pass, Problem> {
        let passed = match by(record, state) {
            By::Charter => return Ok(Pass(Place::Free)),
            By::Agent(agent) => self.agent(agent, record.signed(), state),
            By::Stranger => self.stranger(),
        };
        passed.inspect_err(|problem| metrics::judged(record.signed().kind(), problem.code()))
    }

    fn agent(&self, agent: &Name, record: &SignedRecord, state: &State) -> Result<Pass, Problem> {
        let bytes = record.envelope().payload().len() as u64;
        let counted = self.0.agents.take(agent.clone(), 1, bytes);
        counted.map_err(|wait| too_fast(&format!("agent {agent}"), wait))?;
        let place = Arc::clone(&self.0.crowd).try_acquire_owned();
        let place = place.ok().map(Place::Permitted);
        let is_open = state.agent(agent).is_some_and(|it| it.instance().is_some());
        let place = match is_open && record.kind() == Kind::Heartbeat {
            true => place.or_else(|| self.beat(agent)),
            false => place,
        };
        let full = || Code::Overloaded.because("the queue is full").into();
        place.map(Pass).ok_or_else(full)
    }

    /// The place for an agent's heartbeat, unless one waits already.
    fn beat(&self, agent: &Name) -> Option<Place> {
        let Beats { most, .. } = self.0.beats;
        let mut waiting = self.0.beats.waiting();
        let is_let_in = waiting.len() < most && waiting.insert(agent.clone());
        is_let_in.then(|| {
            Place::OfBeat(Beat {
                agent: agent.clone(),
                shared: Arc::clone(&self.0),
            })
        })
    }

    fn stranger(&self) -> Result<Pass, Problem> {
        let place = Arc::clone(&self.0.strangers).try_acquire_owned();
        let full = |_| {
            too_fast(
                "a sender with a key that the log does not know",
                Duration::ZERO,
            )
        };
        place
            .map(|place| Pass(Place::Permitted(place)))
            .map_err(full)
    }
}

impl Beats {
    /// Whoever panicked with it in hand left a whole set behind.
    fn waiting(&self) -> MutexGuard<'_, HashSet<Name>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: std::hash::Hash + Eq + Clone> Rated<K> {
    fn new(records: Rate, bytes: Rate) -> Self {
        Self {
            records: Mutex::new(Buckets::new(records, MAX_RATED)),
            bytes: Mutex::new(Buckets::new(bytes, MAX_RATED)),
        }
    }

    fn take(&self, whose: K, records: u64, bytes: u64) -> Result<(), Duration> {
        let now = Instant::now();
        let lock = |buckets: &Mutex<Buckets<K>>, whose, count| {
            let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
            buckets.take(whose, count, now)
        };
        lock(&self.records, whose.clone(), records)?;
        lock(&self.bytes, whose, bytes)
    }
}

/// From where a request comes, if that is not this machine. Behind a proxy it is the address that the proxy saw: the last
/// that it wrote down, for those before came along with the request.
pub(super) fn source(
    service: &Service,
    came: Option<&Extension<CameBy>>,
    headers: &HeaderMap,
) -> Option<IpAddr> {
    let address = match service.is_behind_proxy {
        true => forwarded_for(headers)?,
        false => came?.0.0.address(),
    };
    (!address.is_loopback()).then_some(address)
}

fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

/// Whose signature on the record holds.
fn by<'a>(record: &CheckedRecord, state: &'a State) -> By<'a> {
    let valid = record.signatures().iter();
    let valid = valid.filter(|signature| signature.validity == Validity::Valid);
    let mut agent = None;
    for signature in valid {
        match state.owner(&signature.keyid) {
            Some(owner) => agent = Some(owner),
            None if state.key(&signature.keyid).is_some() => return By::Charter,
            None => {}
        }
    }
    agent.map_or(By::Stranger, By::Agent)
}

fn too_fast(who: &str, wait: Duration) -> Problem {
    let problem = Problem::from(Code::RateLimited.because(format!("{who} sends too fast")));
    problem.retried_after(wait)
}

#[cfg(test)]
mod tests {
    use ledger::record::SignedRecord;

    use super::*;
    use crate::log::testing::{ManualClock, START_MS, Speaker, charter, founded, keys, options};
    use crate::log::{Log, Sequencer};

    /// A log in which agents of these names are open, and who speaks for them.
    fn opened(names: &[&str]) -> (Log, Sequencer, Vec<Speaker>) {
        let (store, trust) = founded(charter());
        let clock = Arc::new(ManualClock::at(START_MS));
        let (log, sequencer) = Log::open(store, keys(), options(&clock)).unwrap();
        let mut speakers = Vec::new();
        for (name, seed) in names.iter().zip(40..) {
            let (mut speaker, registration, lease) =
                Speaker::introduced(&trust, name, seed, START_MS);
            for record in [registration, lease, speaker.beat(1)] {
                wait_for(log.submit(record)).unwrap();
            }
            speakers.push(speaker);
        }
        (log, sequencer, speakers)
    }

    fn wait_for<T>(work: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.build().unwrap().block_on(work)
    }

    #[test]
    fn a_heartbeat_has_a_place_however_much_other_agents_send() {
        let (log, sequencer, mut speakers) = opened(&["crowd", "b", "c", "d"]);
        let admission = Admission::new(&Rates::default(), 32);
        let admit = |record: SignedRecord| {
            let checked = wait_for(log.check(vec![record])).unwrap().remove(0);
            admission.admit(&checked, &log.published().state)
        };
        let code = |outcome: Result<Pass, Problem>| outcome.err().map(|problem| problem.code());
        let mut held = Vec::new();
        while let Ok(pass) = admit(speakers[0].goal()) {
            held.push(pass);
        }
        assert_eq!(held.len(), 28);
        let first = admit(speakers[1].beat(2)).unwrap();
        assert_eq!(code(admit(speakers[1].goal())), Some("overloaded"));
        assert_eq!(
            code(admit(speakers[1].beat(3))),
            Some("overloaded"),
            "one an agent"
        );
        let second = admit(speakers[2].beat(2)).unwrap();
        assert_eq!(code(admit(speakers[3].beat(2))), Some("overloaded"), "full");
        drop(first);
        drop(second);
        for speaker in &mut speakers[2..] {
            held.push(admit(speaker.beat(3)).unwrap());
        }
        log.stop();
        sequencer.join().unwrap();
    }
}
