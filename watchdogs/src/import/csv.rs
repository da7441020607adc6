//! A table for whatever has no form of its own (RFC 4180): `ts,agent,event[,id,until,severity,detail]`.
//!
//! | column | what |
//! | --- | --- |
//! | `ts` | when it began, with an offset |
//! | `agent` | the agent that it is about |
//! | `event` | a class such as `stall`, an event of an observation such as `restarted`, or whatever the tool calls it |
//! | `id` | the tool's own name for it; made of the row where it is empty |
//! | `until` | when it ended |
//! | `severity`, `detail` | as the tool says it; rules may ask for them |
//!
//! The first row names the columns. Without such a row they are in the order above.

use std::collections::BTreeMap;

use ledger::digest::Digest;
use ledger::escape;
use ledger::record::{Event, SeenStatus};
use ledger::text::Name;

use super::{ImportError, malformed, timed};
use crate::alert::{Alert, Kind, Labels, Notice, id};
use crate::time;

const COLUMNS: [&str; 7] = ["ts", "agent", "event", "id", "until", "severity", "detail"];

/// Those that every table has.
const NEEDED: usize = 3;

/// Whether the first row is one of such a table.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let first = rows(bytes).into_records().next();
    let Some(Ok(first)) = first else {
        return false;
    };
    Columns::named(&first).is_some() || Columns::unnamed(&first).is_some()
}

pub(super) fn read(source: &Name, bytes: &[u8]) -> Result<Vec<Notice>, ImportError> {
    let mut records = rows(bytes).into_records();
    let Some(first) = records.next().transpose()? else {
        return Ok(Vec::new());
    };
    let (columns, first) = match Columns::named(&first) {
        Some(columns) => (columns, None),
        None => {
            let columns = Columns::unnamed(&first).ok_or_else(|| {
                let what = format!("its columns are not {}", COLUMNS.join(","));
                malformed("the first row", what)
            })?;
            (columns, Some(Ok(first)))
        }
    };
    let rows = first.into_iter().chain(records);
    let rows = rows.filter(|row| !matches!(row, Ok(row) if row.iter().all(str::is_empty)));
    let notices = rows.map(|row| notice(source, &columns, &row?));
    Ok(joined(notices.collect::<Result<_, _>>()?))
}

/// A row `alert-closed` ends the row `alert-opened` of the same id before it.
fn joined(notices: Vec<Notice>) -> Vec<Notice> {
    let mut out: Vec<Notice> = Vec::with_capacity(notices.len());
    let mut open = BTreeMap::new();
    for notice in notices {
        let is = |event: Event| {
            notice
                .labels
                .get("event")
                .is_some_and(|it| it == event.as_str())
        };
        let id = notice.alert.source_id.clone();
        if is(Event::AlertOpened) && notice.alert.closed_ms.is_none() {
            open.insert(id, out.len());
        } else if is(Event::AlertClosed)
            && let Some(opened) = open.remove(&id).and_then(|place| out.get_mut(place))
        {
            opened.alert.closed_ms = notice.alert.closed_ms;
            continue;
        }
        out.push(notice);
    }
    out
}

fn rows(bytes: &[u8]) -> csv::Reader<&[u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes)
}

/// Where each of the columns is.
struct Columns([Option<usize>; COLUMNS.len()]);

impl Columns {
    /// By a row of names, each known and none twice.
    fn named(row: &csv::StringRecord) -> Option<Self> {
        let places = COLUMNS.map(|column| row.iter().position(|name| name == column));
        let known = places.iter().flatten().count();
        let has_needed = places.iter().take(NEEDED).all(Option::is_some);
        (has_needed && known == row.len()).then_some(Self(places))
    }

    /// By their order, if the first row can be a row of them.
    fn unnamed(row: &csv::StringRecord) -> Option<Self> {
        let is_time = row.get(0).is_some_and(|ts| time::with_offset(ts).is_ok());
        let fits = (NEEDED..=COLUMNS.len()).contains(&row.len());
        (is_time && fits).then(|| Self(std::array::from_fn(Some)))
    }

    fn cell<'a>(&self, row: &'a csv::StringRecord, column: &str) -> &'a str {
        let place = COLUMNS.iter().position(|known| *known == column);
        let place = place.and_then(|place| self.0.get(place).copied().flatten());
        place.and_then(|place| row.get(place)).unwrap_or_default()
    }
}

fn notice(
    source: &Name,
    columns: &Columns,
    row: &csv::StringRecord,
) -> Result<Notice, ImportError> {
    let line = row.position().map_or(0, csv::Position::line);
    let place = format!("line {line}");
    if row.len() > COLUMNS.len() {
        return Err(malformed(
            &place,
            "it has more cells than there are columns",
        ));
    }
    let cell = |column| columns.cell(row, column);
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let opened_ms = timed(&place, time::with_offset(cell("ts")))?;
    let until = some(cell("until")).map(|until| timed(&place, time::with_offset(&until)));
    let event = cell("event");
    if event.is_empty() {
        return Err(malformed(&place, "no event"));
    }
    let until_ms = until.transpose()?;
    if until_ms.is_some_and(|until_ms| until_ms < opened_ms) {
        return Err(malformed(&place, "until is before ts"));
    }
    let class = event.parse().ok();
    let kind = kind(event);
    // What happened once, at `ts`, has ended then, unless the row says otherwise.
    let is_end = matches!(event.parse(), Ok(Event::AlertClosed));
    let closed_ms = until_ms.or((is_end || kind != Kind::Alert).then_some(opened_ms));
    let columns = COLUMNS.iter().skip(1).filter(|column| **column != "until");
    let labels: Labels = columns
        .filter_map(|column| Some(((*column).to_owned(), some(cell(column))?)))
        .collect();
    Ok(Notice {
        alert: Alert {
            source: source.clone(),
            source_id: id(&some(cell("id")).unwrap_or_else(|| made(opened_ms, row))),
            monitor: event.to_owned(),
            agent: escape::name(cell("agent")),
            kind,
            opened_ms,
            closed_ms,
            severity: some(cell("severity")),
        },
        labels,
        class,
        muted: None,
        by_name: false,
    })
}

/// An id for a row without one. Two rows that say the same are one thing.
fn made(opened_ms: u64, row: &csv::StringRecord) -> String {
    let written = serde_json::to_string(&row.iter().collect::<Vec<_>>()).unwrap_or_default();
    let digest = Digest::of(&[written.as_bytes()]).to_string();
    let short = digest.get("sha256:".len()..).and_then(|hex| hex.get(..16));
    format!("{opened_ms}/{}", short.unwrap_or_default())
}

fn kind(event: &str) -> Kind {
    match event.parse::<Event>() {
        Ok(Event::AlertOpened | Event::AlertClosed) | Err(_) => Kind::Alert,
        Ok(event) => Kind::Event {
            event,
            call: None,
            status: (event == Event::ToolDenied).then_some(SeenStatus::Denied),
        },
    }
}
