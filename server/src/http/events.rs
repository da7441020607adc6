//! What is logged, as it is logged: server-sent events (WHATWG HTML §9.2).
//!
//! ```text
//! id: 17
//! event: transition
//! data: {"index":17,"received_ms":…,"record":"sha256:…","kind":"transition","agent":"a","payload":{…}}
//! ```
//!
//! Each entry is one event, and its index is the event's id. Nothing is kept for a client: a stream remembers the next
//! index and reads the log from there, so one that is slow, or comes back with `Last-Event-ID`, misses nothing and costs
//! no more than one piece of the log. Who takes nothing at all loses the connection.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use ledger::codes::Refusal;
use ledger::govern::Agent;
use ledger::json::Value;
use ledger::leaf::Leaf;
use ledger::record::{Kind, SignedRecord};
use ledger::text::Name;
use serde::Deserialize;
use store::{Order, Topic};
use tlog::TreeSize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use utoipa::IntoParams;
use wire::{EventBody, schema};

use super::limits::{EVENTS_AT_ONCE, EVENTS_SILENCE};
use super::listen::{CameBy, Doing};
use super::media::UNBUFFERED;
use super::parameters::{Decimal, Parameters, parsed_if_present};
use super::problem::Problem;
use super::reading::Readers;
use super::turns::{self, Came};
use super::{Service, openapi};
use crate::history;
use crate::log::{Log, Published};

const LAST_EVENT_ID: &str = "last-event-id";

/// The streams that are open, and their common end: they would outlast any time to finish.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    over: watch::Sender<bool>,
}

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Begin with the entry after this one, as `Last-Event-ID` says it, which goes before. If neither is
    /// there, with the next that is logged.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    after: Option<Decimal>,
    /// Only what is about this agent.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::AgentName>)]
    agent: Option<Name>,
    /// Only what is of one of these kinds, with commas between them.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Kinds>)]
    kind: Option<Kinds>,
}

/// Some kinds of record: a list with commas.
#[derive(Clone, Debug)]
struct Kinds(Vec<Kind>);

/// Entries as they are logged. The event is `transition` for a transition and `entry` for all else.
#[utoipa::path(
    get, path = "/v1/events", tag = "state",
    params(Wanted, ("last-event-id" = inline(Option<schema::Count>), Header, description = "The index of the last entry that was seen.")),
    responses(
        (status = 200, description = "Server-sent events without end; the data of each is one such object.",
            body = EventBody, content_type = "text/event-stream"),
        openapi::NotFound,
    )
)]
pub(super) async fn events(
    State(service): State<Service>,
    Parameters(wanted): Parameters<Wanted>,
    headers: HeaderMap,
    came: Came,
) -> Result<Response, Problem> {
    let head = service.log.published();
    if let (Some(Extension(CameBy(guest))), Some(agent)) = (&came, &wanted.agent)
        && head.state.agent(agent).is_some()
    {
        guest.follows(agent.clone());
    }
    let place = turns::place(&service.streams.places, came, Doing::Following).await?;
    let follower = Follower {
        next: wanted.first(&headers, head.size)?,
        heads: service.log.heads(),
        over: service.streams.over.subscribe(),
        log: service.log.clone(),
        readers: service.readers.clone(),
        agent: wanted.agent,
        kinds: wanted.kind,
        read: VecDeque::new(),
        _place: place,
    };
    let keep_alive = KeepAlive::new().interval(EVENTS_SILENCE);
    // A client, and each proxy on the way, sees at once that the stream has begun.
    let begun = stream::once(async { Ok(Event::default().comment("")) });
    let events = Sse::new(begun.chain(stream::unfold(follower, Follower::follow)));
    Ok((UNBUFFERED, events.keep_alive(keep_alive)).into_response())
}

impl Streams {
    /// So many at most.
    pub(super) fn of(most: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            over: watch::Sender::new(false),
        }
    }

    /// Ends them all, and every later one as it begins.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }
}

impl Wanted {
    /// The index of the first entry.
    fn first(&self, headers: &HeaderMap, size: TreeSize) -> Result<u64, Problem> {
        let seen = match headers.get(LAST_EVENT_ID) {
            None => self.after,
            Some(id) => {
                let text = id.to_str().unwrap_or_default();
                let id = text.parse();
                Some(id.map_err(|error| Problem::malformed(format!("Last-Event-ID: {error}")))?)
            }
        };
        match seen {
            None => Ok(size.get()),
            Some(Decimal(index)) if index < size.get() => Ok(index + 1),
            // Whoever saw more than there is has followed another log.
            Some(Decimal(index)) => Err(Problem::not_found(format!(
                "entry {index} of a log of {size}"
            ))),
        }
    }
}

/// One client's place in the log.
struct Follower {
    log: Log,
    readers: Readers,
    heads: watch::Receiver<TreeSize>,
    over: watch::Receiver<bool>,
    next: u64,
    agent: Option<Name>,
    kinds: Option<Kinds>,
    read: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event, once there is one; `None` when the service stops, or cannot read its log.
    async fn follow(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Some((Ok(event), self));
            }
            let next = self.next;
            tokio::select! {
                biased;
                _ = self.over.wait_for(|over| *over) => return None,
                // No sender is left when the sequencer has ended.
                grown = self.heads.wait_for(|size| size.get() > next) => drop(grown.ok()?),
            }
            self.read_on().await?;
        }
    }

    async fn read_on(&mut self) -> Option<()> {
        let wanted = Piece {
            next: self.next,
            agent: self.agent.clone(),
            kinds: self.kinds.clone(),
        };
        let published = self.log.published();
        let read = self
            .readers
            .read_on(published, move |head| wanted.read(&head));
        match read.await {
            Ok((events, next)) => (self.read, self.next) = (events, next),
            Err(problem) => {
                tracing::error!(?problem, next = self.next, "a stream of events broke off");
                return None;
            }
        }
        Some(())
    }
}

/// What is to be read next.
struct Piece {
    next: u64,
    agent: Option<Name>,
    kinds: Option<Kinds>,
}

impl Piece {
    /// The next events, and the index to go on with. Of an agent, and of kinds, no more is read than that, however long
    /// the log is.
    fn read(&self, published: &Published) -> Result<(VecDeque<Event>, u64), Problem> {
        let size = published.size.get();
        match &self.agent {
            Some(agent) if size - self.next > EVENTS_AT_ONCE => self.by_rows(published, agent),
            None if size - self.next > EVENTS_AT_ONCE => self.by_kinds(published),
            _ => self.one_by_one(published),
        }
    }

    fn one_by_one(&self, published: &Published) -> Result<(VecDeque<Event>, u64), Problem> {
        let to = published.size.get().min(self.next + EVENTS_AT_ONCE);
        let leaves = (self.next..to).zip(published.leaves(self.next..to)?);
        let told = leaves.map(|(index, leaf)| self.tell(published, index, &leaf));
        let events: Result<_, Problem> = told.filter_map(Result::transpose).collect();
        Ok((events?, to))
    }

    fn by_rows(
        &self,
        published: &Published,
        agent: &Name,
    ) -> Result<(VecDeque<Event>, u64), Problem> {
        let size = published.size.get();
        let most = usize::try_from(EVENTS_AT_ONCE).unwrap_or(usize::MAX);
        let page = history::entries(published, agent, self.next..size, most)?;
        let to = match page.told.last() {
            Some(last) if page.has_more => last.index.get() + 1,
            _ => size,
        };
        let mut events = VecDeque::new();
        for entry in &page.told {
            let leaf = published.leaf(entry.index)?.unwrap_or_default();
            events.extend(self.tell(published, entry.index.get(), &leaf)?);
        }
        Ok((events, to))
    }

    fn by_kinds(&self, published: &Published) -> Result<(VecDeque<Event>, u64), Problem> {
        let Some(Kinds(kinds)) = &self.kinds else {
            return self.one_by_one(published);
        };
        let size = published.size.get();
        let most = usize::try_from(EVENTS_AT_ONCE).unwrap_or(usize::MAX);
        let (range, order) = (self.next..size, Order::OldestFirst);
        let mut indices = BTreeSet::new();
        for kind in kinds {
            let rows = published.mentions(&Topic::Kind(*kind), range.clone(), order, most + 1)?;
            indices.extend(rows.into_iter().map(|(index, _)| index));
        }
        let to = indices.iter().nth(most).map_or(size, |index| index.get());
        let mut events = VecDeque::new();
        for index in indices.into_iter().take(most) {
            let leaf = published.leaf(index)?.unwrap_or_default();
            events.extend(self.tell(published, index.get(), &leaf)?);
        }
        Ok((events, to))
    }

    fn tell(
        &self,
        published: &Published,
        index: u64,
        leaf: &[u8],
    ) -> Result<Option<Event>, Problem> {
        tell(
            published,
            self.agent.as_ref(),
            self.kinds.as_ref(),
            index,
            leaf,
        )
    }
}

impl FromStr for Kinds {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let kinds: Result<_, Refusal> = text.split(',').map(str::parse).collect();
        kinds.map(Self)
    }
}

/// An entry as an event, if it is about the agent and of a kind that are wanted.
fn tell(
    published: &Published,
    wanted: Option<&Name>,
    kinds: Option<&Kinds>,
    index: u64,
    leaf: &[u8],
) -> Result<Option<Event>, Problem> {
    let leaf = Leaf::parse(leaf).map_err(Problem::internal)?;
    let kind = leaf.envelope().kind();
    if kinds.is_some_and(|kinds| !kinds.0.contains(&kind)) {
        return Ok(None);
    }
    let received_ms = leaf.received_ms();
    let record = SignedRecord::from_envelope(leaf.into_envelope()).map_err(Problem::internal)?;
    let payload = Value::parse(record.envelope().payload()).map_err(Problem::internal)?;
    let record = record.admitted_before();
    let agent = published.state.agent_of(&record).map(Agent::name);
    if wanted.is_some() && wanted != agent {
        return Ok(None);
    }
    let event = match kind {
        Kind::Transition => "transition",
        _ => "entry",
    };
    let told = EventBody {
        index,
        received_ms,
        record: record.hash(),
        kind,
        agent: agent.cloned(),
        payload,
    };
    let event = Event::default().id(index.to_string()).event(event);
    event.json_data(told).map(Some).map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::{ManualClock, START_MS, Speaker, charter, founded, keys, options};

    #[test]
    fn of_a_kind_no_more_is_read_than_that_however_long_the_log_is() {
        let (store, trust) = founded(charter());
        let clock = Arc::new(ManualClock::at(START_MS));
        let (log, sequencer) = Log::open(store, keys(), options(&clock)).unwrap();
        let (mut speaker, registration, lease) = Speaker::introduced(&trust, "a", 5, START_MS);
        let mut records = vec![registration, lease];
        records.extend((1..=300).map(|progress| speaker.beat(progress)));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.build().unwrap().block_on(async {
            for pending in log.enqueue_all(records).await {
                pending.unwrap().outcome().await.unwrap();
            }
        });
        let head = log.published();
        let read = |kinds: &str, next: u64| {
            let kinds = Some(kinds.parse().unwrap());
            let agent = None;
            let piece = Piece { next, agent, kinds };
            let (events, next) = piece.read(&head).unwrap();
            (events.len(), next)
        };
        let size = head.size.get();
        assert_eq!(read("lease,manifest,lease", 0), (2, size), "in one piece");
        assert_eq!(read("order", 0), (0, size));
        let (mut told, mut next) = (0, 0);
        while next < size {
            let (count, to) = read("heartbeat", next);
            assert!(count <= 64 && to > next);
            (told, next) = (told + count, to);
        }
        assert_eq!(told, 300);
        log.stop();
        sequencer.join().unwrap();
    }
}
