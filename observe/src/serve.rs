//! The receiver as a whole: the spool, the thread that writes it, the thread that posts, the listener.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use client::http::Service;
use host::bounded;
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use watchdogs::config::{Observe, ObserveSource};
use watchdogs::import::SourceKind;

use crate::desk::Desk;
use crate::intake::Intake;
use crate::otlp::Signal;
use crate::post::{self, Poster, Stop};
use crate::receive::{self, Forward, Hook, Intakes, Shared};
use crate::spool::{Posted, Spool, SpoolError, Writer};

/// The longest secret.
const MAX_SECRET_BYTES: usize = 4096;

/// What a receiver is made of.
#[derive(Debug)]
pub struct Settings {
    /// The configuration.
    pub observe: Observe,
    /// Where the spool is.
    pub spool: PathBuf,
    /// Where the configuration's own files are.
    pub folder: PathBuf,
    /// What signs.
    pub key: PrivateKey,
    /// The log that it signs for.
    pub log: RecordHash,
    /// Where that log is served.
    pub service: Service,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where everything goes first.
    pub forward: Option<String>,
    /// Says something to the process that started it.
    pub tell: fn(&str),
}

/// Why a receiver does not run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Several sources of OTLP cannot be told apart.
    #[error("several [[source]] of kind otlp have no path of their own")]
    SeveralOtlp,
    /// A source sends no webhooks, and has a path for them.
    #[error("[[source]] {name}: {kind} sends no webhooks, so it has no path")]
    NoWebhook {
        /// Whose path it is.
        name: String,
        /// What it is.
        kind: SourceKind,
    },
    /// A secret cannot be read.
    #[error("[[source]] {name}: its secret_file")]
    Secret {
        /// Whose secret it is.
        name: String,
        /// Why.
        source: bounded::ReadError,
    },
    /// A secret is empty.
    #[error("[[source]] {name}: its secret_file is empty")]
    NoSecret {
        /// Whose secret it is.
        name: String,
    },
    /// The spool is of no use, or broke.
    #[error("the spool")]
    Spool(#[from] SpoolError),
    /// The address to listen at, or the signals of the process.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// No connections can be made.
    #[error("connections to the incumbent cannot be set up")]
    Forward(#[from] reqwest::Error),
    /// A thread broke.
    #[error("a thread of the receiver failed")]
    Broken,
}

/// Receives until it is asked to stop (SIGTERM, SIGINT), then finishes what was answered.
///
/// `listening` is called once, with where it listens.
///
/// # Errors
///
/// [`ServeError`].
pub fn run(settings: Settings, listening: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let intakes = intakes(&settings.observe)?;
    let hooks = hooks(&settings)?;
    let (log, rules) = (settings.log, settings.observe.rules.clone());
    let desk = |kept| Desk::new(rules, log, kept);
    let most = settings.observe.spool_max_bytes;
    let (spool, desk) = Spool::open(&settings.spool, most, desk)?;
    let posted = post::posted(&settings.spool)?;
    let (writer, writing) = Writer::start(spool, desk, posted, now_ms);
    let stop = Stop::default();
    let poster = Poster {
        service: settings.service.clone(),
        key: settings.key,
        folder: settings.spool,
        records_per_s: settings.observe.records_per_s,
        now_ms,
        tell: settings.tell,
    };
    let posting = start_posting(poster, &writer, posted, &stop);
    let forward = settings.forward.as_deref().map(Forward::to).transpose()?;
    let shared = Arc::new(Shared::new(intakes, writer, hooks, forward));
    let served = listen(settings.listen, shared, listening, &[&writing, &posting]);
    stop.ask();
    joined(posting)?;
    // The last ways to it went with the handlers and the poster.
    joined(writing)?;
    served
}

fn start_posting(
    poster: Poster,
    writer: &Writer,
    posted: Posted,
    stop: &Stop,
) -> JoinHandle<Result<(), SpoolError>> {
    post::start(poster, writer.clone(), posted, stop.clone())
}

/// Serves on a runtime that ends with it. It also ends when a thread has: what is answered must be on the disk.
fn listen(
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: impl FnOnce(SocketAddr),
    threads: &[&JoinHandle<Result<(), SpoolError>>],
) -> Result<(), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        listening(listener.local_addr().map_err(failed)?);
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let (ask, asked) = tokio::sync::oneshot::channel::<()>();
        let server = axum::serve(listener, receive::router(shared));
        let server = server.with_graceful_shutdown(async {
            // The other end goes away where it does not ask.
            let _ = asked.await;
        });
        let mut server = tokio::spawn(server.into_future());
        let mut tick = tokio::time::interval(WATCH);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = tick.tick() => if threads.iter().any(|it| it.is_finished()) { break },
                ended = &mut server => return ended.map_err(|_| ServeError::Broken)?.map_err(failed),
            }
        }
        drop(ask);
        // Connections that are kept alive and idle end with the process.
        let _ = tokio::time::timeout(GRACE, server).await;
        Ok(())
    })
}

/// How often it is looked whether the threads run.
const WATCH: std::time::Duration = std::time::Duration::from_millis(500);

/// How long requests that were accepted may take once it is asked to stop.
const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

fn joined(thread: JoinHandle<Result<(), SpoolError>>) -> Result<(), ServeError> {
    Ok(thread.join().map_err(|_| ServeError::Broken)??)
}

/// Whose messages come on each path.
fn intakes(observe: &Observe) -> Result<Intakes, ServeError> {
    let intake = |signal: Signal| {
        let name = observe.otlp(signal.path()).ok_or(ServeError::SeveralOtlp)?;
        Ok::<_, ServeError>(Intake::new(name, &observe.rules))
    };
    Ok(Intakes {
        traces: intake(Signal::Traces)?,
        logs: intake(Signal::Logs)?,
        metrics: intake(Signal::Metrics)?,
    })
}

fn hooks(settings: &Settings) -> Result<BTreeMap<String, Hook>, ServeError> {
    let sources = settings.observe.sources.iter();
    let with_paths = sources.filter(|source| source.kind != SourceKind::Otlp);
    let with_paths = with_paths.filter_map(|source| Some((source, source.path.clone()?)));
    let hooks = with_paths.map(|(source, path)| {
        let name = source.name.to_string();
        let kind = source.kind;
        let form = kind.webhook().ok_or(ServeError::NoWebhook { name, kind })?;
        let hook = Hook {
            source: source.name.clone(),
            form,
            secret: secret(settings, source)?,
        };
        Ok((path, hook))
    });
    hooks.collect()
}

fn secret(settings: &Settings, source: &ObserveSource) -> Result<Option<Vec<u8>>, ServeError> {
    let Some(file) = &source.secret_file else {
        return Ok(None);
    };
    let name = source.name.to_string();
    let read = bounded::read(&settings.folder.join(file), MAX_SECRET_BYTES);
    let bytes = read.map_err(|source| ServeError::Secret {
        name: name.clone(),
        source,
    })?;
    match bytes.trim_ascii() {
        [] => Err(ServeError::NoSecret { name }),
        secret => Ok(Some(secret.to_vec())),
    }
}

/// What time it is; 0 on a machine whose clock stands before 1970, where nothing that is signed is taken anyway.
fn now_ms() -> u64 {
    host::clock::wall_ms().unwrap_or_default()
}
