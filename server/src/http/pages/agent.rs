//! `/agents/{agent}`: how it is, what it may, what it did: drawn over hours or days, and the same facts as tables.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ledger::govern;
use ledger::text::Name;
use serde::Deserialize;
use timeline::goal::{Action, Refusal};
use timeline::leases::LeaseSpan;
use timeline::life::{Beat, Cause, LifeView, StateSpan};
use timeline::{drawing, words};

use super::frame::Frame;
use super::hold::{self, Hold};
use super::respond;
use super::shown::{Row, State, When, last_beat, last_progress, texts, verify, visible};
use crate::history;
use crate::http::parameters::{Decimal, Parameters, Segment, parsed_if_present};
use crate::http::problem::Problem;
use crate::http::{Service, standing};
use crate::log::Published;

/// How many of the newest entries are shown.
const NEWEST: usize = 20;

/// How many rows a table has: of more, the newest.
const IN_A_TABLE: usize = 200;

/// Which part of its life is drawn.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default, deserialize_with = "parsed_if_present")]
    span: Option<Zoom>,
    #[serde(default, deserialize_with = "parsed_if_present")]
    until_ms: Option<Decimal>,
}

/// How much of a life is drawn at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Zoom {
    text: &'static str,
    words: &'static str,
    ms: u64,
}

const HOUR_MS: u64 = 3_600_000;

const ZOOMS: [Zoom; 5] = [
    Zoom::new("1h", "an hour", HOUR_MS),
    Zoom::new("6h", "6 hours", 6 * HOUR_MS),
    Zoom::new("24h", "a day", 24 * HOUR_MS),
    Zoom::new("7d", "a week", 7 * 24 * HOUR_MS),
    Zoom::new("30d", "30 days", 30 * 24 * HOUR_MS),
];

/// What is drawn if nobody says: what happened since yesterday.
const DEFAULT_ZOOM: Zoom = ZOOMS[2];

#[derive(Template)]
#[template(path = "agent.html")]
struct AgentPage {
    frame: Frame,
    agent: Facts,
    lease: Option<LeaseCard>,
    goals: Vec<String>,
    verify: String,
    zooms: Vec<(Zoom, String)>,
    zoom: Zoom,
    earlier: Option<String>,
    later: Option<String>,
    drawing: String,
    drawn: Drawn,
    newest: Vec<Row>,
}

/// How it is.
struct Facts {
    name: String,
    state: State,
    epoch: u64,
    last_beat: Option<String>,
    last_progress: Option<String>,
    hold: Option<Hold>,
    manifest_hash: String,
    registration: Option<u64>,
}

/// Its lease, in what matters of it.
struct LeaseCard {
    index: Option<u64>,
    record: String,
    is_in_force: bool,
    ends: When,
    left: String,
    allow: Vec<String>,
    deny: Vec<String>,
    purpose: String,
    actions: String,
}

/// The facts that are drawn.
struct Drawn {
    from: When,
    to: When,
    is_cut: bool,
    beats_for_each: usize,
    states: Vec<StateRow>,
    leases: Vec<LeaseRow>,
    actions: Vec<ActionRow>,
    refusals: Vec<RefusalRow>,
    beats: Vec<BeatRow>,
    beat_count: usize,
    most: usize,
}

struct StateRow {
    from: When,
    lasted: String,
    state: Option<State>,
    why: String,
    index: Option<u64>,
}

struct LeaseRow {
    index: u64,
    from: When,
    to: When,
    allow: Vec<String>,
    by: Vec<String>,
    renewals: usize,
    ended: Option<(u64, String)>,
}

struct ActionRow {
    index: u64,
    when: When,
    scope: String,
    tool: String,
    goal: String,
    status: &'static str,
    took: Option<(u64, String)>,
}

struct RefusalRow {
    index: u64,
    when: When,
    what: String,
    code: String,
    count: u64,
}

struct BeatRow {
    index: u64,
    when: When,
    epoch: u64,
    progress: u64,
}

/// `GET /agents/{agent}`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Segment(name): Segment<Name>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let (published, now_ms) = (service.log.published(), service.log.now_ms());
    service
        .readers
        .read(published, move |published| {
            let agent = published.state.agent(&name);
            let agent = agent.ok_or_else(|| Problem::not_found(format!("agent {name}")))?;
            respond(&build(&published, agent, &wanted, now_ms)?)
        })
        .await
}

fn build(
    published: &Published,
    agent: &govern::Agent,
    wanted: &Wanted,
    now_ms: u64,
) -> Result<AgentPage, Problem> {
    let (name, zoom) = (agent.name(), wanted.span.unwrap_or(DEFAULT_ZOOM));
    let span_ms = wanted.times(published, zoom);
    let portrait = history::portrait(published, name, span_ms.clone())?;
    let newest = history::newest_of(published, name, NEWEST)?;
    let frame = Frame::of(published, name.as_str());
    let is_now = span_ms.end > published.time_ms;
    let frame = match is_now {
        true => frame.following(&format!("agent={name}")),
        false => frame,
    };
    let address = |zoom: Zoom| format!("/agents/{name}?span={zoom}");
    let turned = |until_ms: u64| format!("{}&until_ms={until_ms}", address(zoom));
    // What was cut off stands on the page before; before an agent's first registration stands nothing.
    let has_earlier = portrait.is_cut || portrait.life.from_ms == span_ms.start;
    let later_ms = span_ms.end.saturating_add(zoom.ms);
    let later = match later_ms <= published.time_ms {
        true => turned(later_ms),
        false => address(zoom),
    };
    Ok(AgentPage {
        frame,
        agent: Facts::of(published, agent, now_ms)?,
        lease: LeaseCard::of(published, agent)?,
        goals: agent.open_goals().map(ToString::to_string).collect(),
        verify: verify(&format!("/v1/pack?agent={name}")),
        zooms: ZOOMS.map(|zoom| (zoom, address(zoom))).into(),
        zoom,
        earlier: has_earlier.then(|| turned(span_ms.start)),
        later: (!is_now).then_some(later),
        drawing: drawing::svg(&portrait.life),
        drawn: Drawn::of(&portrait),
        newest: newest.iter().map(Row::of).collect(),
    })
}

impl Facts {
    fn of(published: &Published, agent: &govern::Agent, now_ms: u64) -> Result<Self, Problem> {
        let registration = published.index_of(&agent.registration())?;
        Ok(Self {
            name: agent.name().to_string(),
            state: State(agent.state()),
            epoch: agent.epoch(),
            last_beat: last_beat(agent, now_ms),
            last_progress: last_progress(published, agent, now_ms),
            hold: hold::of(published, agent, now_ms),
            manifest_hash: agent.manifest_hash().to_string(),
            registration: registration.map(tlog::LeafIndex::get),
        })
    }
}

impl LeaseCard {
    fn of(published: &Published, agent: &govern::Agent) -> Result<Option<Self>, Problem> {
        let lease = agent.lease();
        let Some(lease) = lease.and_then(|lease| published.state.lease(&lease)) else {
            return Ok(None);
        };
        let (terms, ends_ms) = (lease.terms(), standing::lease_ends_ms(published, agent));
        let left_ms = ends_ms.map_or(0, |ends| ends.saturating_sub(published.time_ms));
        let used = lease.spent().actions;
        let actions = match terms.budget.actions {
            Some(most) => format!("{used} of {most}"),
            None => format!("{used}, without a limit"),
        };
        Ok(Some(Self {
            index: published.index_of(&lease.hash())?.map(tlog::LeafIndex::get),
            record: lease.hash().to_string(),
            is_in_force: ends_ms.is_some(),
            ends: When(ends_ms.unwrap_or_else(|| lease.expires_ms())),
            left: words::span(left_ms),
            allow: texts(&terms.allow),
            deny: texts(&terms.deny),
            purpose: visible(terms.purpose.as_str()),
            actions,
        }))
    }
}

impl Drawn {
    fn of(portrait: &history::LifeExcerpt) -> Self {
        let life: &LifeView = &portrait.life;
        Self {
            from: When(life.from_ms),
            to: When(life.to_ms),
            is_cut: portrait.is_cut,
            beats_for_each: portrait.beats_for_each,
            states: newest_first(&life.states, StateRow::of),
            leases: newest_first(&life.leases, LeaseRow::of),
            actions: newest_first(&life.actions, ActionRow::of),
            refusals: newest_first(&life.refusals, RefusalRow::of),
            beats: newest_first(&life.beats, BeatRow::of),
            beat_count: life.beats.len(),
            most: IN_A_TABLE,
        }
    }
}

fn newest_first<T, R>(told: &[T], row: impl Fn(&T) -> R) -> Vec<R> {
    told.iter().rev().take(IN_A_TABLE).map(row).collect()
}

impl StateRow {
    fn of(span: &StateSpan) -> Self {
        let cause = span.cause.as_ref();
        let why = cause.map(Cause::in_words);
        Self {
            from: When(span.from_ms),
            lasted: words::span(span.to_ms - span.from_ms),
            state: span.state.map(State),
            why: why.unwrap_or_else(|| "since before".to_owned()),
            index: cause.map(|cause| cause.index.get()),
        }
    }
}

impl LeaseRow {
    fn of(lease: &LeaseSpan) -> Self {
        let ended = lease.ended.as_ref();
        Self {
            index: lease.index.get(),
            from: When(lease.from_ms),
            to: When(lease.to_ms),
            allow: texts(&lease.allow),
            by: texts(&lease.granted_by),
            renewals: lease.renewals.len(),
            ended: ended.map(|end| (end.index.get(), end.in_words())),
        }
    }
}

impl ActionRow {
    fn of(action: &Action) -> Self {
        let result = action.result.as_ref();
        Self {
            index: action.index.get(),
            when: When(action.received_ms),
            scope: action.scope.to_string(),
            tool: action.tool.to_string(),
            goal: action.goal.to_string(),
            status: result.map_or("no result yet", |result| result.status.as_str()),
            took: result.map(|result| (result.index.get(), words::span(result.duration_ms))),
        }
    }
}

impl RefusalRow {
    fn of(refusal: &Refusal) -> Self {
        Self {
            index: refusal.index.get(),
            when: When(refusal.received_ms),
            what: refusal.what(),
            code: refusal.code.to_string(),
            count: refusal.count,
        }
    }
}

impl BeatRow {
    fn of(beat: &Beat) -> Self {
        Self {
            index: beat.index.get(),
            when: When(beat.received_ms),
            epoch: beat.epoch,
            progress: beat.progress,
        }
    }
}

impl Wanted {
    fn times(&self, published: &Published, zoom: Zoom) -> Range<u64> {
        // The newest entry is in it.
        let now_ms = published.time_ms + 1;
        let until_ms = self.until_ms.map_or(now_ms, |Decimal(ms)| ms.min(now_ms));
        until_ms.saturating_sub(zoom.ms)..until_ms
    }
}

impl Zoom {
    const fn new(text: &'static str, words: &'static str, ms: u64) -> Self {
        Self { text, words, ms }
    }
}

impl fmt::Display for Zoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl FromStr for Zoom {
    type Err = NoZoom;

    fn from_str(text: &str) -> Result<Self, NoZoom> {
        let known = ZOOMS.into_iter().find(|zoom| zoom.text == text);
        known.ok_or(NoZoom)
    }
}

/// A text that names no span.
#[derive(Debug, thiserror::Error)]
#[error("not one of 1h, 6h, 24h, 7d, 30d")]
struct NoZoom;
