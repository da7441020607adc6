//! `/entries`: all entries, newest first, narrowed by kind and agent; and a search by what people have at hand: a number, a
//! record, an agent's name or the beginning of it, a word of what was signed.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Redirect, Response};
use ledger::digest::RecordHash;
use ledger::record::Kind;
use ledger::text::Name;
use serde::Deserialize;
use store::{Order, Topic};
use timeline::entry::Entry;
use tlog::LeafIndex;

use super::frame::Frame;
use super::respond;
use super::shown::{Row, in_query, visible};
use crate::history;
use crate::http::Service;
use crate::http::parameters::{Decimal, Parameters, parsed_if_present};
use crate::http::problem::Problem;
use crate::log::Published;

/// How many entries a page has.
const ON_A_PAGE: usize = 100;

/// How many entries one search for a word reads.
const SEARCHED: u64 = 5_000;

/// How many agents are offered whose names begin with what was typed.
const OFFERED: usize = 20;

/// Which entries are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default, deserialize_with = "any_or_parsed")]
    kind: Option<Kind>,
    #[serde(default, deserialize_with = "any_or_parsed")]
    agent: Option<Name>,
    /// What is sought.
    #[serde(default)]
    find: Option<String>,
    /// Only entries in front of this one.
    #[serde(default, deserialize_with = "parsed_if_present")]
    before: Option<Decimal>,
}

#[derive(Template)]
#[template(path = "entries.html")]
struct Entries {
    frame: Frame,
    kinds: &'static [Kind],
    kind: Option<Kind>,
    agent: String,
    find: String,
    /// Agents whose names begin with what was typed.
    agents: Vec<String>,
    rows: Vec<Row>,
    /// From which entry on a search has read; `None` without one.
    searched_from: Option<u64>,
    /// The address of what is older.
    older: Option<String>,
}

/// What was found, and from where to go on.
struct Found {
    entries: Vec<Entry>,
    before: Option<u64>,
    searched_from: Option<u64>,
}

/// `GET /entries`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| {
            if let Some(index) = wanted.named(&published)? {
                return Ok(Redirect::to(&format!("/entries/{index}")).into_response());
            }
            respond(&build(&published, &wanted)?)
        })
        .await
}

fn build(published: &Published, wanted: &Wanted) -> Result<Entries, Problem> {
    let found = match wanted.word() {
        Some(word) => search(published, wanted, word)?,
        None => list(published, wanted)?,
    };
    let find = wanted.word().unwrap_or_default();
    let begins = |agent: &&ledger::govern::Agent| agent.name().as_str().starts_with(find);
    let agents = published.state.agents().filter(begins).take(OFFERED);
    let agents = agents.map(|agent| agent.name().to_string());
    Ok(Entries {
        // A list that somebody reads does not move.
        frame: Frame::of(published, "Entries"),
        kinds: Kind::ALL,
        kind: wanted.kind,
        agent: wanted
            .agent
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        find: visible(find),
        agents: match find {
            "" => Vec::new(),
            _ => agents.collect(),
        },
        rows: found.entries.iter().map(Row::of).collect(),
        searched_from: found.searched_from,
        older: found.before.map(|before| wanted.address(before)),
    })
}

/// A page of the entries, newest first.
fn list(published: &Published, wanted: &Wanted) -> Result<Found, Problem> {
    let end = wanted.end(published);
    let topic = match (&wanted.agent, wanted.kind) {
        (Some(agent), _) => Topic::Agent(agent.clone()),
        (None, Some(kind)) => Topic::Kind(kind),
        (None, None) => return newest(published, end),
    };
    let mut indices = Vec::new();
    let mut end = end;
    // Of an agent the rows of other kinds are passed over; all of them are bounded by what one read may take.
    while indices.len() <= ON_A_PAGE {
        let rows = published.mentions(&topic, 0..end, Order::NewestFirst, ON_A_PAGE + 1)?;
        let is_of_kind = |kind| wanted.kind.is_none_or(|wanted| wanted == kind);
        indices.extend(
            rows.iter()
                .filter(|row| is_of_kind(row.1))
                .map(|row| row.0.get()),
        );
        match rows.last() {
            Some((oldest, _)) if rows.len() > ON_A_PAGE => end = oldest.get(),
            _ => break,
        }
    }
    let has_more = indices.len() > ON_A_PAGE;
    indices.truncate(ON_A_PAGE);
    Ok(Found {
        entries: read(published, &indices)?,
        before: indices.last().copied().filter(|_| has_more),
        searched_from: None,
    })
}

fn newest(published: &Published, end: u64) -> Result<Found, Problem> {
    let from = end.saturating_sub(ON_A_PAGE as u64);
    let indices: Vec<u64> = (from..end).rev().collect();
    Ok(Found {
        entries: read(published, &indices)?,
        before: Some(from).filter(|from| *from > 0),
        searched_from: None,
    })
}

/// The entries that hold a word in what was signed, among so many in front of one.
fn search(published: &Published, wanted: &Wanted, word: &str) -> Result<Found, Problem> {
    let end = wanted.end(published);
    let from = end.saturating_sub(SEARCHED);
    let mut found = Vec::new();
    for index in (from..end).rev() {
        let entry = history::entry(published, LeafIndex::new(index))?;
        if wanted.takes(&entry) && holds(&entry, word) {
            found.push(entry);
        }
        if found.len() == ON_A_PAGE {
            return Ok(Found {
                entries: found,
                before: Some(index).filter(|index| *index > 0),
                searched_from: Some(index),
            });
        }
    }
    Ok(Found {
        entries: found,
        before: Some(from).filter(|from| *from > 0),
        searched_from: Some(from),
    })
}

fn read(published: &Published, indices: &[u64]) -> Result<Vec<Entry>, Problem> {
    let entry = |index: &u64| history::entry(published, LeafIndex::new(*index));
    Ok(indices.iter().map(entry).collect::<Result<_, _>>()?)
}

/// Whether what was signed has these letters in it, or the record is called so.
fn holds(entry: &Entry, word: &str) -> bool {
    let payload = String::from_utf8_lossy(entry.record.envelope().payload());
    payload.contains(word) || entry.record.hash().to_string().contains(word)
}

impl Wanted {
    /// What is sought, without the space around it.
    fn word(&self) -> Option<&str> {
        self.find
            .as_deref()
            .map(str::trim)
            .filter(|word| !word.is_empty())
    }

    /// The one entry that a number or a whole record hash names.
    fn named(&self, published: &Published) -> Result<Option<u64>, Problem> {
        let Some(word) = self.word() else {
            return Ok(None);
        };
        if let Ok(Decimal(index)) = word.parse() {
            return Ok(Some(index).filter(|index| *index < published.size.get()));
        }
        let Ok(record) = word.parse::<RecordHash>() else {
            return Ok(None);
        };
        Ok(published.index_of(&record)?.map(LeafIndex::get))
    }

    fn end(&self, published: &Published) -> u64 {
        let size = published.size.get();
        self.before.map_or(size, |Decimal(before)| before.min(size))
    }

    fn takes(&self, entry: &Entry) -> bool {
        let agent = entry.record.record().agent();
        self.kind.is_none_or(|kind| entry.record.kind() == kind)
            && self
                .agent
                .as_ref()
                .is_none_or(|wanted| agent == Some(wanted))
    }

    /// The address of what stands in front of an entry.
    fn address(&self, before: u64) -> String {
        let kind = self.kind.map(|kind| format!("kind={kind}&"));
        let agent = self
            .agent
            .as_ref()
            .map(|agent| format!("agent={}&", in_query(agent.as_str())));
        let find = self.word().map(|word| format!("find={}&", in_query(word)));
        let parts: String = kind.into_iter().chain(agent).chain(find).collect();
        format!("/entries?{parts}before={before}")
    }
}

/// A choice of a form: the empty text is that nothing was chosen.
fn any_or_parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    let parse = |text: &str| text.parse().map_err(serde::de::Error::custom);
    match text.trim() {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}
