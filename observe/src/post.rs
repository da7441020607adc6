//! From the spool to the log: signed, in batches, no faster than the observer's rate.
//!
//! A batch is signed when it goes out, since a record that was signed a day ago is stale. Before it goes out it is kept as it
//! is, so that after a crash the same bytes are sent again, and the log answers that it has them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use client::http::{LineAnswer, Service};
use client::transport::{Problem, ServiceError};
use ledger::codes::Code;
use ledger::key::PrivateKey;
use ledger::record::{Body, Kind, Record, SignedRecord};
use serde::{Deserialize, Serialize};

use crate::desk::Line;
use crate::spool::{self, List, Place, Posted, SpoolError, Writer};

/// How many lines of the spool are read at once, which bounds a batch: half of what the service takes in one body.
const MAX_BATCH_LINES: usize = 500;

/// How long to wait for lines before it is asked again whether to stop.
const IDLE: Duration = Duration::from_millis(500);

/// How long to wait after the service did not answer, doubled each time up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LAST_WAIT: Duration = Duration::from_secs(30);

/// What signs, for which log, how fast.
pub(crate) struct Poster {
    pub(crate) service: Service,
    pub(crate) key: PrivateKey,
    pub(crate) folder: PathBuf,
    pub(crate) records_per_s: u64,
    pub(crate) now_ms: fn() -> u64,
    pub(crate) tell: fn(&str),
}

/// Asks the thread to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<(AtomicBool, Mutex<()>, Condvar)>);

/// Records on their way, as they are kept.
#[derive(Serialize, Deserialize)]
struct Batch {
    to: Place,
    envelopes: Vec<String>,
}

/// A record that the log did not take, for a person to read.
#[derive(Serialize)]
struct RefusedRow {
    code: String,
    detail: String,
    payload: String,
}

struct Thread {
    poster: Poster,
    writer: Writer,
    stop: Stop,
    refused: List,
    posted: Posted,
    wait: Duration,
}

impl Stop {
    /// Asks.
    pub(crate) fn ask(&self) {
        let (asked, lock, condition) = &*self.0;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        asked.store(true, Ordering::SeqCst);
        drop(guard);
        condition.notify_all();
    }

    fn is_asked(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    /// Waits, unless it was asked.
    fn wait(&self, at_most: Duration) {
        let (asked, lock, condition) = &*self.0;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            condition.wait_timeout_while(guard, at_most, |()| !asked.load(Ordering::SeqCst));
        drop(waited);
    }
}

/// Up to where the log has everything.
pub(crate) fn posted(folder: &Path) -> Result<Posted, SpoolError> {
    let place = spool::read_json(&folder.join("posted.json"))?;
    Ok(Posted {
        place: place.unwrap_or_default(),
        ..Posted::default()
    })
}

/// Starts the thread.
pub(crate) fn start(
    poster: Poster,
    writer: Writer,
    posted: Posted,
    stop: Stop,
) -> JoinHandle<Result<(), SpoolError>> {
    let thread = Thread {
        refused: List::of(&poster.folder, "refused"),
        poster,
        writer,
        stop,
        posted,
        wait: FIRST_WAIT,
    };
    thread::spawn(move || thread.run())
}

impl Thread {
    fn run(mut self) -> Result<(), SpoolError> {
        let batch = self.poster.folder.join("batch.json");
        if let Some(kept) = spool::read_json::<Batch>(&batch)?
            && kept.to > self.posted.place
        {
            let records = kept.envelopes.iter().filter_map(|it| read(it)).collect();
            self.send(records, kept.to)?;
        }
        while !self.stop.is_asked() {
            let end = self.writer.wait_behind(self.posted.place, IDLE);
            let place = self.posted.place;
            let (lines, to) = spool::read(&self.poster.folder, place, end, MAX_BATCH_LINES)?;
            if to == place {
                continue;
            }
            let records: Vec<SignedRecord> =
                lines.iter().filter_map(|line| self.sign(line)).collect();
            if !records.is_empty() {
                let envelopes = records.iter().map(|it| it.envelope().to_json()).collect();
                spool::write_json(&batch, &Batch { to, envelopes })?;
            }
            self.send(records, to)?;
        }
        Ok(())
    }

    fn sign(&self, line: &Line) -> Option<SignedRecord> {
        let Line::Observation { payload, .. } = line else {
            return None;
        };
        self.sign_now(Record::parse(Kind::Observation, payload.as_bytes()).ok()?)
    }

    fn sign_now(&self, record: Record) -> Option<SignedRecord> {
        let at_ms = (self.poster.now_ms)();
        let record = Record { at_ms, ..record };
        record.sign(&[&self.poster.key]).ok()
    }

    /// Hands records in until the log has judged each, or it is asked to stop; then takes note of the place.
    fn send(&mut self, mut records: Vec<SignedRecord>, to: Place) -> Result<(), SpoolError> {
        while !records.is_empty() {
            if self.stop.is_asked() {
                return Ok(());
            }
            let begun = Instant::now();
            let envelopes = records.iter().map(SignedRecord::envelope);
            match self.poster.service.submit_lines(envelopes) {
                Ok(answers) => {
                    let before = records.len();
                    records = self.judged(records, answers)?;
                    self.pace(before - records.len(), begun);
                    if !records.is_empty() {
                        self.back_off(None);
                    }
                }
                Err(error) => self.back_off(Some(&error)),
            }
        }
        self.wait = FIRST_WAIT;
        self.posted.place = to;
        spool::write_json(&self.poster.folder.join("posted.json"), &to)?;
        self.writer.posted(self.posted);
        Ok(())
    }

    /// Takes note of what the log said. Gives the records that it has not judged.
    fn judged(
        &mut self,
        records: Vec<SignedRecord>,
        answers: Vec<LineAnswer>,
    ) -> Result<Vec<SignedRecord>, SpoolError> {
        let mut again = Vec::new();
        let mut rows = Vec::new();
        for (record, answer) in records.into_iter().zip(answers) {
            match answer {
                LineAnswer::Logged { .. } => self.posted.logged += 1,
                LineAnswer::Refused(problem) if problem.says(Code::Stale.as_str()) => {
                    again.extend(self.sign_now(record.record().clone()));
                }
                LineAnswer::Refused(problem) if is_final(&problem) => {
                    self.posted.refused += 1;
                    rows.push(row(&record, &problem));
                }
                LineAnswer::Refused(_) => again.push(record),
            }
        }
        self.refused.add(rows.into_iter())?;
        Ok(again)
    }

    /// Sleeps as long as so many records take at the observer's rate.
    fn pace(&self, count: usize, begun: Instant) {
        let micros = (count as u64).saturating_mul(1_000_000) / self.poster.records_per_s.max(1);
        let due = Duration::from_micros(micros);
        self.stop.wait(due.saturating_sub(begun.elapsed()));
    }

    /// Waits as long as the service asked, or longer each time.
    fn back_off(&mut self, error: Option<&ServiceError>) {
        let asked = match error {
            Some(ServiceError::Refused(problem)) => problem.retry_after_s,
            _ => None,
        };
        let asked = asked.map(Duration::from_secs);
        if self.wait == FIRST_WAIT {
            let why = error.map_or_else(|| "it is busy".to_owned(), ToString::to_string);
            let url = self.poster.service.url();
            (self.poster.tell)(&format!("nothing goes to the log at {url} for now: {why}"));
        }
        self.stop
            .wait(asked.map_or(self.wait, |asked| asked.min(LAST_WAIT)));
        self.wait = (self.wait * 2).min(LAST_WAIT);
    }
}

/// Whether the log will not judge the same record otherwise. A rate and a queue that is full are no judgement.
fn is_final(problem: &Problem) -> bool {
    const TOO_MANY_REQUESTS: u16 = 429;
    problem.is_judgement() && problem.status != TOO_MANY_REQUESTS
}

fn row(record: &SignedRecord, problem: &Problem) -> RefusedRow {
    let refusal = problem.refusal();
    RefusedRow {
        code: refusal.code.as_str().to_owned(),
        detail: refusal.detail,
        payload: record.record().to_payload(),
    }
}

fn read(envelope: &str) -> Option<SignedRecord> {
    let signed = SignedRecord::parse(envelope.as_bytes()).ok()?;
    let is_observation = matches!(signed.record().body, Body::Observation(_));
    is_observation.then_some(signed)
}
