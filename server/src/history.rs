//! What happened, found in the store and handed to [`timeline`], which tells it.
//!
//! Everything is found by the rows of what leaves are about, and read in pieces of bounded length: an answer costs what it
//! tells, and not what the log is long.

use std::collections::BTreeMap;
use std::ops::Range;

use ledger::digest::RecordHash;
use ledger::record::{Body, Kind, Phase};
use ledger::text::Name;
use store::{Order, Topic};
use timeline::entry::Entry;
use timeline::goal::{GoalStory, Goals};
use timeline::life::{Life, LifeView};
use tlog::LeafIndex;

use crate::log::{Published, ReadError};

/// Rows of an agent that one picture looks at: a heartbeat each minute for six weeks.
const MAX_ROWS: usize = 1 << 16;

/// Heartbeats that a picture reads; of more, every so manyth. It has fewer places to draw them.
const MAX_BEATS: usize = 400;

/// Other entries that a picture reads: of more, the newest.
const MAX_OTHERS: usize = 1_000;

/// Rows after the start of a goal in which refusals are looked for: a heartbeat each minute for almost three days.
const MAX_AFTER_GOAL: usize = 1 << 12;

/// Changes of one lease that are told: a renewal each hour for six weeks.
const MAX_CHANGES: usize = 1_000;

/// Rows that are read at once on the way back to what was in force.
const CHUNK: usize = 64;

/// Rows that are read at once on the way back to what many steps were under.
const LARGE_CHUNK: usize = 1_024;

/// A part of a longer list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is told.
    pub told: T,
    /// Whether there is more behind it.
    pub has_more: bool,
}

/// The life of an agent, and what of it is not told.
#[derive(Clone, Debug)]
pub struct LifeExcerpt {
    /// The life. It begins later than was asked for where the agent did, or if too much was done in so long a time.
    pub life: LifeView,
    /// How many heartbeats there were for each that is told.
    pub beats_for_each: usize,
    /// Whether it leaves out the beginning of what was asked for.
    pub is_cut: bool,
}

/// Reads an entry.
///
/// # Errors
/// [`ReadError::IndexOutOfRange`], [`ReadError::Store`]; [`ReadError::Leaf`] if the store is damaged.
pub fn entry(published: &Published, index: LeafIndex) -> Result<Entry, ReadError> {
    let size = published.size;
    let leaf = published.leaf(index)?;
    let leaf = leaf.ok_or(ReadError::IndexOutOfRange { index, size })?;
    Entry::parse(index, &leaf).map_err(|refusal| ReadError::Leaf { index, refusal })
}

/// The newest entries of the log, newest first.
///
/// # Errors
/// As [`entry`].
pub fn newest(published: &Published, limit: u64) -> Result<Vec<Entry>, ReadError> {
    let size = published.size.get();
    let indices = (size.saturating_sub(limit)..size).rev().map(LeafIndex::new);
    indices.map(|index| entry(published, index)).collect()
}

/// The newest entries that name an agent, newest first.
///
/// # Errors
/// As [`entry`].
pub fn newest_of(
    published: &Published,
    agent: &Name,
    limit: usize,
) -> Result<Vec<Entry>, ReadError> {
    let (topic, all) = (Topic::Agent(agent.clone()), 0..published.size.get());
    let rows = published.mentions(&topic, all, Order::NewestFirst, limit)?;
    read_rows(published, &rows)
}

/// The indices of what the log received from one time up to another, which is not among them.
///
/// # Errors
/// As [`entry`].
pub fn received(published: &Published, span_ms: &Range<u64>) -> Result<Range<u64>, ReadError> {
    let from = first_from(published, span_ms.start)?;
    Ok(from..first_from(published, span_ms.end)?.max(from))
}

/// The entries about an agent within a range, oldest first: those that name it, and what became of its leases.
///
/// # Errors
/// As [`entry`].
pub fn entries(
    published: &Published,
    agent: &Name,
    range: Range<u64>,
    limit: usize,
) -> Result<Page<Vec<Entry>>, ReadError> {
    let (topic, order) = (Topic::Agent(agent.clone()), Order::OldestFirst);
    let rows = published.mentions(&topic, range.clone(), order, limit + 1)?;
    let end = match rows.get(limit) {
        Some((beyond, _)) => beyond.get(),
        None => range.end,
    };
    let mut told = read_rows(published, &rows)?;
    let before = scene(published, agent, range.start)?;
    let leases = leases_in(before.iter().chain(&told));
    told.extend(changes(published, &leases, range.start..end)?);
    told.sort_by_key(|entry| entry.index);
    let has_more = told.len() > limit;
    told.truncate(limit);
    Ok(Page { told, has_more })
}

/// The life of an agent between two times, told by these entries.
///
/// # Errors
/// As [`entry`].
pub fn life(
    published: &Published,
    agent: &Name,
    span_ms: Range<u64>,
    from: u64,
    entries: &[Entry],
) -> Result<LifeView, ReadError> {
    let before = scene(published, agent, from)?;
    let earlier = changes(published, &leases_in(before.iter()), 0..from)?;
    let mut scene: Vec<Entry> = before.into_iter().chain(earlier).collect();
    scene.sort_by_key(|entry| entry.index);
    let mut life = Life::of(agent.clone(), span_ms);
    let all = scene.iter().chain(entries);
    all.for_each(|entry| life.hear(entry));
    Ok(life.told())
}

/// The life of an agent between two times, as much of it as a picture shows.
///
/// # Errors
/// As [`entry`].
pub fn portrait(
    published: &Published,
    agent: &Name,
    span_ms: Range<u64>,
) -> Result<LifeExcerpt, ReadError> {
    let range = received(published, &span_ms)?;
    let topic = Topic::Agent(agent.clone());
    let rows = published.mentions(&topic, range.clone(), Order::NewestFirst, MAX_ROWS)?;
    let is_beat = |row: &(LeafIndex, Kind)| row.1 == Kind::Heartbeat;
    let (beats, others): (Vec<_>, Vec<_>) = rows.iter().copied().partition(is_beat);
    // Rows come newest first, so what is cut off is the beginning.
    let cut = others.get(MAX_OTHERS).or(rows.get(MAX_ROWS - 1)).copied();
    let from = cut.map_or(range.start, |(index, _)| index.get() + 1);
    let beats_for_each = beats.len().div_ceil(MAX_BEATS).max(1);
    let told = beats.into_iter().step_by(beats_for_each);
    let told: Vec<_> = told
        .chain(others)
        .filter(|row| row.0.get() >= from)
        .collect();
    let mut entries = read_rows(published, &told)?;
    let leases = leases_in(scene(published, agent, from)?.iter().chain(&entries));
    entries.extend(changes(published, &leases, from..range.end)?);
    entries.sort_by_key(|entry| entry.index);
    let begins_ms = match cut {
        Some((index, _)) => entry(published, index)?.received_ms,
        None => first_of(published, agent)?.unwrap_or_default(),
    };
    let from_ms = begins_ms.clamp(span_ms.start, span_ms.end);
    Ok(LifeExcerpt {
        life: life(published, agent, from_ms..span_ms.end, from, &entries)?,
        beats_for_each,
        is_cut: cut.is_some(),
    })
}

/// A goal and its steps behind an index.
///
/// # Errors
/// [`ReadError::NothingToSelect`] if the record is not a goal of this log; as [`entry`].
pub fn goal(
    published: &Published,
    goal: RecordHash,
    from: u64,
    limit: usize,
) -> Result<Page<GoalStory>, ReadError> {
    let first = at(published, goal, "goal")?;
    let all = from..published.size.get();
    let order = Order::OldestFirst;
    let rows = published.mentions(&Topic::Record(goal), all, order, limit + 1)?;
    let has_more = rows.len() > limit;
    let steps = read_rows(published, rows.get(..limit).unwrap_or(&rows))?;
    let mut entries = vec![first];
    for step in steps {
        entries.extend(result_of(published, &step)?);
        entries.push(step);
    }
    entries.extend(authority_of(published, &entries)?);
    entries.extend(refusals_since(published, &entries)?);
    entries.sort_by_key(|entry| entry.index);
    entries.dedup_by_key(|entry| entry.index);
    let mut goals = Goals::new();
    entries.iter().for_each(|entry| goals.hear(entry));
    let story = goals.told().into_iter().find(|story| story.goal == goal);
    let told = story.ok_or_else(|| nothing(published, "goal", goal))?;
    Ok(Page { told, has_more })
}

/// A lease, and what became of it behind an index: renewals, its revocation, its parts.
///
/// # Errors
/// [`ReadError::NothingToSelect`] if the record is not a lease of this log; as [`entry`].
pub fn lease(
    published: &Published,
    lease: RecordHash,
    from: u64,
    limit: usize,
) -> Result<(Entry, Page<Vec<Entry>>), ReadError> {
    let first = at(published, lease, "lease")?;
    if first.record.kind() != Kind::Lease {
        return Err(nothing(published, "lease", lease));
    }
    let (topic, all) = (Topic::Record(lease), from..published.size.get());
    let rows = published.mentions(&topic, all, Order::OldestFirst, limit + 1)?;
    let told = read_rows(published, rows.get(..limit).unwrap_or(&rows))?;
    let has_more = rows.len() > limit;
    Ok((first, Page { told, has_more }))
}

/// What an agent stood under when an entry was logged, oldest first: the last change of its state or its first
/// registration, and its lease.
fn scene(published: &Published, agent: &Name, before: u64) -> Result<Vec<Entry>, ReadError> {
    let topic = Topic::Authority(agent.clone());
    let (mut end, mut state, mut lease) = (before, None, None);
    let mut walked = 0;
    while walked < MAX_ROWS && (state.is_none() || lease.is_none()) {
        let rows = published.mentions(&topic, 0..end, Order::NewestFirst, CHUNK)?;
        walked += rows.len();
        let Some((oldest, kind)) = rows.last() else {
            break;
        };
        end = oldest.get();
        let newest = |wanted: fn(Kind) -> bool| rows.iter().find(|row| wanted(row.1)).copied();
        state = state.or(newest(|kind| {
            matches!(kind, Kind::Transition | Kind::Order)
        }));
        lease = lease.or(newest(|kind| kind == Kind::Lease));
        if state.is_none() && rows.len() < CHUNK && *kind == Kind::Manifest {
            state = Some((*oldest, *kind));
        }
    }
    let mut rows: Vec<_> = state.into_iter().chain(lease).collect();
    rows.sort_unstable_by_key(|row| row.0);
    read_rows(published, &rows)
}

/// When the first entry about an agent was received.
fn first_of(published: &Published, agent: &Name) -> Result<Option<u64>, ReadError> {
    let (topic, all) = (Topic::Agent(agent.clone()), 0..published.size.get());
    let rows = published.mentions(&topic, all, Order::OldestFirst, 1)?;
    let first = rows.first().map(|(index, _)| entry(published, *index));
    Ok(first.transpose()?.map(|entry| entry.received_ms))
}

/// What became of leases within a range.
fn changes(
    published: &Published,
    leases: &[RecordHash],
    range: Range<u64>,
) -> Result<Vec<Entry>, ReadError> {
    let mut found = Vec::new();
    for lease in leases {
        let (topic, range) = (Topic::Record(*lease), range.clone());
        let rows = published.mentions(&topic, range, Order::NewestFirst, MAX_CHANGES)?;
        let changes = |kind| matches!(kind, Kind::LeaseRenewal | Kind::LeaseRevocation);
        found.extend(rows.into_iter().filter(|row| changes(row.1)));
    }
    read_rows(published, &found)
}

/// The result of a step, if it is an intent that has one.
fn result_of(published: &Published, step: &Entry) -> Result<Vec<Entry>, ReadError> {
    match step.body() {
        Body::Receipt(receipt) if matches!(receipt.phase, Phase::Intent(_)) => {
            let topic = Topic::Record(step.record.hash());
            let all = 0..published.size.get();
            let rows = published.mentions(&topic, all, Order::OldestFirst, 1)?;
            read_rows(published, &rows)
        }
        _ => Ok(Vec::new()),
    }
}

/// What the agent of a goal was refused since it set out, among the rows that follow. Those for other goals are among
/// them: [`Goals`] tells them apart.
fn refusals_since(published: &Published, steps: &[Entry]) -> Result<Vec<Entry>, ReadError> {
    let Some((first, agent)) = steps
        .first()
        .and_then(|first| Some((first, first.record.record().agent()?)))
    else {
        return Ok(Vec::new());
    };
    let (topic, all) = (
        Topic::Agent(agent.clone()),
        first.index.get()..published.size.get(),
    );
    let rows = published.mentions(&topic, all, Order::OldestFirst, MAX_AFTER_GOAL)?;
    let refusals = rows.into_iter().filter(|row| row.1 == Kind::Refusal);
    let refusals: Vec<_> = refusals.take(MAX_OTHERS).collect();
    read_rows(published, &refusals)
}

/// The leases under which steps were taken, and the registrations of the versions that they were for. The rows of an
/// agent are walked through once, from its last step back to what its first one was under.
fn authority_of(published: &Published, steps: &[Entry]) -> Result<Vec<Entry>, ReadError> {
    let mut steps_of: BTreeMap<&Name, Vec<u64>> = BTreeMap::new();
    for step in steps {
        if let Some(agent) = step.record.record().agent() {
            steps_of.entry(agent).or_default().push(step.index.get());
        }
    }
    let mut rows = BTreeMap::new();
    for (agent, mut steps) in steps_of {
        steps.sort_unstable();
        let known = authority_before(published, agent, &steps)?;
        for (step, wanted) in steps
            .iter()
            .flat_map(|step| [(step, Kind::Lease), (step, Kind::Manifest)])
        {
            let newest = known
                .iter()
                .find(|(index, kind)| index.get() < *step && *kind == wanted);
            rows.extend(newest.copied());
        }
    }
    read_rows(published, &rows.into_iter().collect::<Vec<_>>())
}

/// The grants and registrations of an agent before its last step, newest first, back to those that its first step was under.
fn authority_before(
    published: &Published,
    agent: &Name,
    steps: &[u64],
) -> Result<Vec<(LeafIndex, Kind)>, ReadError> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return Ok(Vec::new());
    };
    let topic = Topic::Authority(agent.clone());
    let (mut end, mut known, mut walked) = (*last, Vec::new(), 0);
    let is_known = |known: &[(LeafIndex, Kind)], wanted: Kind| {
        let mut before = known.iter().filter(|(index, _)| index.get() < *first);
        before.any(|(_, kind)| *kind == wanted)
    };
    while walked < MAX_ROWS && !(is_known(&known, Kind::Lease) && is_known(&known, Kind::Manifest))
    {
        let rows = published.mentions(&topic, 0..end, Order::NewestFirst, LARGE_CHUNK)?;
        let Some((oldest, _)) = rows.last() else {
            break;
        };
        (end, walked) = (oldest.get(), walked + rows.len());
        let grants = |kind| matches!(kind, Kind::Lease | Kind::Manifest);
        known.extend(rows.into_iter().filter(|row| grants(row.1)));
    }
    Ok(known)
}

fn leases_in<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<RecordHash> {
    let leases = entries.filter(|entry| entry.record.kind() == Kind::Lease);
    leases.map(|entry| entry.record.hash()).collect()
}

fn read_rows(published: &Published, rows: &[(LeafIndex, Kind)]) -> Result<Vec<Entry>, ReadError> {
    let read = rows.iter().map(|(index, _)| entry(published, *index));
    read.collect()
}

/// The first entry that was received at or after a time: times never go back, so it is found by halving.
fn first_from(published: &Published, at_ms: u64) -> Result<u64, ReadError> {
    if at_ms > published.time_ms {
        return Ok(published.size.get());
    }
    let (mut low, mut high) = (0, published.size.get());
    while low < high {
        let middle = low + (high - low) / 2;
        match entry(published, LeafIndex::new(middle))?.received_ms < at_ms {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

fn at(published: &Published, record: RecordHash, what: &str) -> Result<Entry, ReadError> {
    let index = published.index_of(&record)?;
    let index = index.ok_or_else(|| nothing(published, what, record))?;
    entry(published, index)
}

fn nothing(published: &Published, what: &str, record: RecordHash) -> ReadError {
    ReadError::NothingToSelect {
        what: format!("{what} {record}"),
        size: published.size,
    }
}
