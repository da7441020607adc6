//! The running service: opened, wired, stopped.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use store::{Engine, OpenStoreError, Storage, Store};
use tlog::note::{KeyName, ParseKeyError, SigningKey};
use tokio::net::TcpListener;

use crate::anchor::{self, Anchor, AnchorError, Place, PlaceError};
use crate::backup::restored::{Marker, MarkerError};
use crate::backup::snapshot::Snapshots;
use crate::config::Settings;
use crate::files::{Files, TooFewFiles};
use crate::http::{self, Places, Service, Web};
use crate::inbox::Inbox;
use crate::init::{self, InitError, InitOptions, init};
use crate::keys::{self, KeyError, KeyFile};
use crate::log::{
    Clock as _, Fatal, Log, LogKeys, OpenError, Options, Recovered, Sequencer, SystemClock,
};
use crate::messages::Messages;
use crate::metrics;
use crate::signals::Signals;
use crate::trust::{Trust, TrustError};
use crate::webhooks::{WebhookError, Webhooks};

/// The name of a log that `--dev` makes.
const DEV_ORIGIN: &str = "dragons.invalid/dev";

/// How often measured times are put into their buckets.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Serves until a signal comes, then finishes what was accepted.
///
/// # Errors
/// [`ServeError`] if the service cannot start, or its sequencer ended by itself.
pub async fn serve(
    engine: &dyn Engine,
    settings: &Settings,
    messages: &Messages,
) -> Result<(), ServeError> {
    // First of all, so that no signal finds the process without a handler.
    let signals = Signals::new().map_err(ServeError::Signals)?;
    let recorder = metrics::install().map_err(ServeError::Metrics)?;
    http::describe_metrics();
    check_reach(settings)?;
    let files = Files::raise()?;
    if settings.dev {
        make_for_a_look(engine, settings)?;
    }
    let trust = Trust::read(&settings.data)?;
    let may_sign = may_sign(settings)?;
    // What a restored log ends with is not the newest head, until somebody has shown that it is.
    let place = match may_sign {
        true => anchor_place(settings)?,
        false => None,
    };
    let storage = open_storage(engine, settings, files)?;
    let store = Arc::clone(&storage.store);
    let (log, mut sequencer) = open(settings, &trust, storage, place.as_ref(), may_sign).await?;
    let anchor = match place {
        Some(place) => Some(Anchor::keep(place, &log).await),
        None => None,
    };
    let snapshots = offer_snapshots(settings, store);
    let begun = Begun {
        settings,
        messages,
        files,
        log: &log,
        trust: &trust,
        may_sign,
    };
    let outcome = begun.offer(recorder, &mut sequencer, signals).await;
    if let Some(snapshots) = snapshots {
        snapshots.finish().await;
    }
    let closed = tokio::task::spawn_blocking(move || close(&log, sequencer)).await;
    if let Some(anchor) = anchor {
        anchor.finish().await;
    }
    outcome.and(closed.unwrap_or(Err(ServeError::Sequencer(Fatal::Panicked))))
}

/// Whether the log may go on: one that was restored may have gone on behind the backup.
fn may_sign(settings: &Settings) -> Result<bool, ServeError> {
    let marker = Marker::read(&settings.data)?;
    let Some(Marker { size, .. }) = marker.filter(|marker| marker.resumed.is_none()) else {
        return Ok(true);
    };
    let data = settings.data.display();
    tracing::error!(
        "this log was restored from a backup and ends at {size}: it is served, and nothing is signed until `dragonsd backup restore --data {data} --resume-after FILE|URL` has shown it the newest checkpoint that was published"
    );
    Ok(false)
}

/// Opens the storage, which is its owner's alone whatever the umask was when it was made.
fn open_storage(
    engine: &dyn Engine,
    settings: &Settings,
    files: Files,
) -> Result<Storage, ServeError> {
    let path = init::store_path(&settings.data);
    if let Err(error) = fs::set_permissions(&path, Permissions::from_mode(0o700)) {
        tracing::warn!(%error, path = %path.display(), "the store could not be made private");
    }
    Ok(engine.open_within(&path, files.of_store())?)
}

/// Without it backups can be made while the service is stopped.
fn offer_snapshots(settings: &Settings, store: Arc<dyn Store>) -> Option<Snapshots> {
    let offered = Snapshots::offer(&settings.data, store);
    let failed = |error| {
        tracing::warn!(%error, "no backup can be made while this service runs");
    };
    offered.map_err(failed).ok()
}

fn anchor_place(settings: &Settings) -> Result<Option<Place>, ServeError> {
    let place = settings.anchor.as_deref();
    let place = place.map(|place| Place::parse(place, &settings.data));
    place.transpose().map_err(ServeError::AnchorPlace)
}

/// What a service that is open works with.
struct Begun<'a> {
    settings: &'a Settings,
    messages: &'a Messages,
    files: Files,
    log: &'a Log,
    trust: &'a Trust,
    may_sign: bool,
}

impl Begun<'_> {
    /// Offers the log until there is a reason to stop.
    async fn offer(
        &self,
        recorder: PrometheusHandle,
        sequencer: &mut Sequencer,
        signals: Signals,
    ) -> Result<(), ServeError> {
        let Settings {
            listen,
            metrics,
            webhooks,
            data,
            host,
            ..
        } = self.settings;
        // A log that does not go on has nothing new to tell.
        let told = if self.may_sign { webhooks } else { &[][..] };
        let webhooks = Webhooks::start(told, data, &self.settings.keys(), self.log)?;
        let listener = bind(*listen).await?;
        let metrics_listener = bind(*metrics).await?;
        announce(self.messages, &listener, &metrics_listener)?;
        let upkeep = tokio::spawn(keep_up(recorder.clone(), self.log.clone()));
        let scraped = http::for_operators(for_operators(recorder, webhooks.report()), host);
        let places = self.places(*metrics, self.files.of_operators());
        let forever = std::future::pending();
        let metrics_server = tokio::spawn(http::serve(metrics_listener, scraped, places, forever));
        let service = self.service()?.telling(webhooks.undelivered());
        self.run(service, sequencer, listener, signals).await;
        metrics_server.abort();
        upkeep.abort();
        Ok(())
    }

    /// Answers requests until there is a reason to stop, and then stops in this order: the streams of events, no new
    /// connections, the requests that are under way. The records that were accepted come after it.
    async fn run(
        &self,
        service: Service,
        sequencer: &mut Sequencer,
        listener: TcpListener,
        mut signals: Signals,
    ) {
        let router = http::router(service.clone());
        let stop = async {
            tokio::select! {
                name = signals.next() => tracing::info!(signal = name, "stopping"),
                () = sequencer.ended() => tracing::error!("the sequencer has ended"),
            }
            service.end_streams();
        };
        let places = self.places(self.settings.listen, self.files.of_connections());
        http::serve(listener, router, places, stop).await;
    }

    fn service(&self) -> Result<Service, ServeError> {
        let settings = self.settings;
        let web = settings.web.clone().map_or(Web::Embedded, Web::Directory);
        let inbox = init::inbox_path(&settings.data);
        let inbox = Inbox::open(inbox, self.log.clock()).map_err(ServeError::Inbox)?;
        Ok(Service::new(self.log.clone(), web)
            .offering(self.trust)
            .keeping(inbox)
            .within(self.files.of_connections())
            .limited(&settings.rates(), settings.queue)
            .behind_proxy(settings.behind_proxy)
            .with_runbook(settings.runbook.clone())
            .named(&settings.host)
            .open_to(&settings.allow_origin))
    }

    /// On this machine, and behind a proxy, many have one address.
    fn places(&self, address: SocketAddr, all: usize) -> Places {
        let is_shared = self.settings.behind_proxy || address.ip().to_canonical().is_loopback();
        Places {
            all,
            an_address: (!is_shared).then_some(all / 4),
        }
    }
}

/// What operators see, on a listener of its own.
fn for_operators(
    recorder: PrometheusHandle,
    webhooks: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router {
    let webhooks = async move || {
        // The dead letters are read from the disk.
        let report = tokio::task::spawn_blocking(webhooks).await;
        (
            [("content-type", "application/json")],
            report.unwrap_or_default(),
        )
    };
    Router::new()
        .route("/metrics", get(async move || recorder.render()))
        .route("/webhooks", get(webhooks))
}

/// Finishes what was accepted, and closes the store. RocksDB aborts a process that ends while it is open.
fn close(log: &Log, sequencer: Sequencer) -> Result<(), ServeError> {
    log.stop();
    sequencer.join().map_err(ServeError::Sequencer)?;
    tracing::info!(size = log.published().size.get(), "stopped");
    Ok(())
}

/// Opens the log in the data folder, with the two keys that the service signs with and no other.
async fn open(
    settings: &Settings,
    trust: &Trust,
    storage: Storage,
    place: Option<&Place>,
    may_sign: bool,
) -> Result<(Log, Sequencer), ServeError> {
    let keys = read_keys(settings, trust)?;
    let options = Options {
        queue: settings.queue,
        min_free_bytes: settings.min_free_bytes,
        reserve_bytes: settings.reserve_bytes,
        // For a first look there is nobody who could vouch for the clock.
        accept_clock_jump: settings.accept_clock_jump || settings.dev,
        may_sign,
        snapshots: Some(init::snapshots_path(&settings.data)),
        ..Options::default()
    };
    let recovered = Recovered::recover(storage, keys, &options)?;
    let head = recovered.published();
    if head.state.log() != Some(trust.charter) {
        return Err(ServeError::OtherLog);
    }
    match place {
        Some(place) => compare(place, &head).await?,
        None if !may_sign => {}
        None => tracing::warn!(
            "no --anchor: if this data folder is an older copy of itself, nothing here notices it"
        ),
    }
    tracing::info!(origin = %head.origin(), size = head.size.get(), "the log is open");
    Ok(recovered.start()?)
}

/// Compares the log with its anchor. A place where there is nothing yet knows nothing.
async fn compare(place: &Place, head: &crate::log::Published) -> Result<(), ServeError> {
    match anchor::read(place).await? {
        Some(anchored) => Ok(anchor::compare(&anchored, head)?),
        None => {
            tracing::warn!(anchor = %place, "nothing is there yet: an older copy is noticed from now on");
            Ok(())
        }
    }
}

fn read_keys(settings: &Settings, trust: &Trust) -> Result<LogKeys, ServeError> {
    let folder = settings.keys();
    let log = trust
        .policy
        .logs()
        .first()
        .ok_or(ServeError::NoLogInPolicy)?;
    let name = KeyName::parse(log.key.name().as_str())?;
    let seed = keys::read(&KeyFile::Log.path(&folder))?.seed();
    let control = keys::read(&KeyFile::Control.path(&folder))?;
    for path in keys::exposed(&folder) {
        tracing::warn!(path = %path.display(), "this key is not the service's and should not lie where it can be read");
    }
    Ok(LogKeys {
        log: SigningKey::new(name, &seed),
        control,
    })
}

/// `--dev`: a log in an empty folder, with all keys beside it.
fn make_for_a_look(engine: &dyn Engine, settings: &Settings) -> Result<(), ServeError> {
    tracing::warn!("--dev: for a first look only. All keys lie where the service can read them");
    if !init::is_vacant(&settings.data)? {
        return Ok(());
    }
    let founding = InitOptions {
        data: settings.data.clone(),
        origin: DEV_ORIGIN.to_owned(),
        mode: None,
        keys: settings.keys.clone(),
        charter: None,
    };
    let charter = init(engine, &founding, SystemClock::new().wall_ms())?;
    tracing::warn!(%charter, data = %settings.data.display(), "--dev: made a new log");
    Ok(())
}

/// Whoever can reach the service may write to it, and reads all of it: beyond this machine that takes TLS.
fn check_reach(settings: &Settings) -> Result<(), ServeError> {
    let addresses = [settings.listen, settings.metrics];
    let beyond = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
    match addresses.into_iter().find(beyond) {
        Some(address) if !settings.behind_proxy => Err(ServeError::Exposed { address }),
        _ => Ok(()),
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| ServeError::Bind { address, error })
}

/// The one line on stdout, with the port that was really taken. Everything else is on stderr.
fn announce(
    messages: &Messages,
    listener: &TcpListener,
    metrics: &TcpListener,
) -> Result<(), ServeError> {
    let metrics = metrics.local_addr().map_err(ServeError::Address)?;
    tracing::info!("metrics on http://{metrics}/metrics");
    let address = listener.local_addr().map_err(ServeError::Address)?;
    messages.announce(format!("listening on http://{address}"));
    Ok(())
}

/// Measured times pile up until they are put into their buckets, and nobody may ever scrape. Agents are counted as
/// often.
async fn keep_up(recorder: PrometheusHandle, log: Log) {
    let mut ticks = tokio::time::interval(METRICS_UPKEEP);
    loop {
        ticks.tick().await;
        metrics::agents(&log.published().state);
        recorder.run_upkeep();
    }
}

/// Why the service did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder is not a finished log.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The policy names no log.
    #[error("the policy in the trust file names no log")]
    NoLogInPolicy,
    /// The policy's log has a name that no key can have.
    #[error("the log in the policy has a name that no key can have")]
    KeyName(#[from] ParseKeyError),
    /// A key file is wrong.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The mark of a restored folder cannot be read.
    #[error(transparent)]
    Marker(#[from] MarkerError),
    /// The requests for leases cannot be kept.
    #[error("the inbox cannot be opened")]
    Inbox(#[source] std::io::Error),
    /// The log cannot be opened.
    #[error("the log cannot be opened")]
    Log(#[from] OpenError),
    /// The setting of the anchor names no place for one.
    #[error("--anchor {0}")]
    AnchorPlace(String),
    /// Nobody knows what the anchor says.
    #[error("the anchor cannot be read, so nobody knows whether this log may go on")]
    AnchorUnread(#[from] PlaceError),
    /// The log must not go on from here.
    #[error("this log is not the one that its anchor has seen")]
    Anchor(#[from] AnchorError),
    /// The trust file is another log's.
    #[error("the log does not begin with the charter that the trust file names")]
    OtherLog,
    /// `--dev` could not make a log.
    #[error("--dev could not make a log")]
    Init(#[from] InitError),
    /// A webhook cannot be sent.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// Too few files may be open.
    #[error(transparent)]
    Files(#[from] TooFewFiles),
    /// An address can be reached from elsewhere, and nobody said that there is TLS in front of it.
    #[error(
        "{address} can be reached from other machines, and the service does not speak TLS: listen on 127.0.0.1, or put a proxy in front that ends TLS and say so with --behind-proxy"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A listener does not know its address.
    #[error("a listener has no address")]
    Address(#[source] std::io::Error),
    /// Signals cannot be received.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    /// There is a recorder of metrics already.
    #[error("metrics cannot be recorded")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// The sequencer ended by itself.
    #[error("the sequencer has ended")]
    Sequencer(#[source] Fatal),
}
