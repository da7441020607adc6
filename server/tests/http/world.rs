//! A service over a log in memory, at a time that stands still.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::Response;
use ledger::digest::{Digest, RecordHash};
use ledger::key::PrivateKey;
use ledger::record::{
    self, AgentState, Amounts, Budget, Chain, Charter, CharterKey, Event, FileSet, Goal, Heartbeat,
    Instance, Intent, Lease, Limits, Liveness, Manifest, Mode, Observation, Order, Phase, Receipt,
    Record, Registration, ResultOf, Role, SignedRecord, Status, Thresholds, ToolUse,
};
use serde_json::Value;
use server::http::{Rates, Service, Web, router};
use server::inbox::Inbox;
use server::log::{Clock, Log, LogKeys, Options, Sequencer, found};
use server::rates::Rate;
use server::trust::Trust;
use store::memory::MemoryStore;
use tlog::note::{KeyName, SigningKey};
use tlog::policy::Policy;
use tower::ServiceExt as _;

pub(crate) const START: u64 = 1_764_000_000_000;
/// The leaves that every log here begins with: its charter, the first pulse, agent `a`.
pub(crate) const BASE: u64 = 3;
pub(crate) const HOUR_MS: u64 = 60 * 60 * 1000;
pub(crate) const JSON: &str = "application/json";
pub(crate) const JSON_LINES: &str = "application/x-ndjson";

const ORIGIN: &str = "example.com/log";

/// Rates that no test comes near.
const BOUNDLESS: Rates = {
    const MUCH: Rate = Rate {
        at_once: 1 << 32,
        per_s: 1 << 32,
    };
    Rates {
        agent_records: MUCH,
        agent_bytes: MUCH,
        source_records: MUCH,
        source_bytes: MUCH,
    }
};

/// A clock that nobody winds.
struct Still;

impl Clock for Still {
    fn wall_ms(&self) -> u64 {
        START
    }

    fn monotonic_ms(&self) -> u64 {
        0
    }
}

/// The service, and whoever signs for it.
pub(crate) struct World {
    pub(crate) log: Log,
    /// The name of the log.
    pub(crate) name: RecordHash,
    pub(crate) service: Service,
    router: Router,
    _sequencer: Sequencer,
}

/// An answer, read to its end.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

pub(crate) fn log_key() -> SigningKey {
    SigningKey::new(KeyName::parse(ORIGIN).unwrap(), &[6; 32])
}

pub(crate) fn agent_key() -> PrivateKey {
    key(5)
}

/// A log of so many entries, most of them what an observer saw of agent `a`.
pub(crate) async fn filled(size: u64) -> World {
    let world = World::new().await;
    let missing = world.size()..size;
    let lines: Vec<String> = missing
        .map(|n| world.observation(n).envelope().to_json())
        .collect();
    assert_eq!(world.post(JSON_LINES, lines.join("\n")).await.status, 200);
    assert_eq!(world.size(), size);
    world
}

impl World {
    /// A log in which agent `a` is registered.
    pub(crate) async fn new() -> Self {
        Self::with(Mode::Enforce, Options::default(), Web::Embedded).await
    }

    pub(crate) async fn with(mode: Mode, options: Options, web: Web) -> Self {
        let store = Arc::new(MemoryStore::new());
        let charter = Record {
            log: None,
            at_ms: START,
            body: body(charter(mode)),
            ext: None,
        };
        let charter = charter.sign(&[&key(1)]).unwrap();
        let keys = LogKeys {
            log: log_key(),
            control: key(3),
        };
        let name = charter.hash();
        found(Arc::clone(&store), &keys, charter, START).unwrap();
        let options = Options {
            clock: Arc::new(Still),
            ..options
        };
        let (log, sequencer) = Log::open(store, keys, options).unwrap();
        let policy = format!("log {}\nquorum none\n", log_key().verifier_key());
        let trust = Trust {
            policy: Policy::parse(&policy).unwrap(),
            charter: name,
        };
        let service = Service::new(log.clone(), web).offering(&trust);
        let service = service.keeping(Inbox::in_memory(Arc::new(Still)));
        let service = service.limited(&BOUNDLESS, 8_192);
        let router = router(service.clone());
        let world = Self {
            log,
            name,
            service,
            router,
            _sequencer: sequencer,
        };
        let registration = record::Body::Manifest(Box::new(registration("a")));
        let registration = world.signed(registration, &[2, 5]);
        assert_eq!(world.submit(&registration).await.status, 200);
        assert_eq!(world.size(), BASE);
        world
    }

    /// A log in which agent `a` has a lease of an hour and has not begun.
    pub(crate) async fn leased(mode: Mode) -> (Self, RecordHash) {
        let world = Self::with(mode, Options::default(), Web::Embedded).await;
        let lease = world.signed(record::Body::Lease(Box::new(lease("a"))), &[2]);
        assert_eq!(world.submit(&lease).await.status, 200);
        (world, lease.hash())
    }

    /// A log in which agent `a` runs; its chain goes on from the chain given.
    pub(crate) async fn running(mode: Mode) -> (Self, Chain) {
        let (world, lease) = Self::leased(mode).await;
        let chain = Chain {
            agent: "a".parse().unwrap(),
            epoch: 1,
            instance: Instance::from_bytes([1; 8]),
            seq: 0,
            prev: lease,
        };
        let first = world.beat(&chain);
        assert_eq!(world.submit(&first).await.status, 200);
        (world, after(&chain, &first))
    }

    pub(crate) fn size(&self) -> u64 {
        self.log.published().size.get()
    }

    pub(crate) fn signed(&self, body: record::Body, seeds: &[u8]) -> SignedRecord {
        let keys: Vec<PrivateKey> = seeds.iter().map(|seed| key(*seed)).collect();
        let keys: Vec<&PrivateKey> = keys.iter().collect();
        self.record(body).sign(&keys).unwrap()
    }

    pub(crate) fn record(&self, body: record::Body) -> Record {
        Record {
            log: Some(self.name),
            at_ms: START,
            body,
            ext: None,
        }
    }

    /// What an observer saw; each number makes another record.
    pub(crate) fn observation(&self, n: u64) -> SignedRecord {
        let text = |text: &str| text.parse().unwrap();
        let seen = Observation {
            source: "test".parse().unwrap(),
            source_id: text(&n.to_string()),
            agent: "a".parse().unwrap(),
            event: Event::AlertOpened,
            call: None,
            status: None,
            began_ms: None,
            ended_ms: None,
            digest: None,
            detail: text(""),
        };
        self.signed(record::Body::Observation(Box::new(seen)), &[4])
    }

    pub(crate) fn beat(&self, chain: &Chain) -> SignedRecord {
        let heartbeat = Heartbeat {
            chain: chain.clone(),
            progress: chain.seq,
            r#final: false,
            manifest_hash: registration("a").manifest_hash,
            before: None,
            seen: None,
        };
        self.signed(record::Body::Heartbeat(Box::new(heartbeat)), &[5])
    }

    pub(crate) fn goal(&self, chain: &Chain) -> SignedRecord {
        let goal = Goal {
            title: "test".parse().unwrap(),
            requester: "me".parse().unwrap(),
        };
        self.receipt(chain, Phase::Goal(goal))
    }

    pub(crate) fn intent(&self, chain: &Chain, goal: RecordHash, scope: &str) -> SignedRecord {
        let intent = Intent {
            goal,
            scope: scope.parse().unwrap(),
            tool: ToolUse {
                name: "t".parse().unwrap(),
                digest: Digest::of(&[b"tool"]),
            },
            inputs: vec![],
            parents: vec![],
            reserve: Amounts::default(),
        };
        self.receipt(chain, Phase::Intent(Box::new(intent)))
    }

    pub(crate) fn result(&self, chain: &Chain, intent: RecordHash) -> SignedRecord {
        let result = ResultOf {
            intent,
            status: Status::Ok,
            outputs: vec![],
            duration_ms: 1,
            usage: Amounts::default(),
            refs: vec![],
        };
        self.receipt(chain, Phase::Result(result))
    }

    /// An order that names nothing that it follows.
    pub(crate) fn order(&self, agent: &str, to: AgentState) -> SignedRecord {
        self.order_after(agent, to, None)
    }

    pub(crate) fn order_after(
        &self,
        agent: &str,
        to: AgentState,
        after: Option<RecordHash>,
    ) -> SignedRecord {
        let order = Order {
            agent: agent.parse().unwrap(),
            to,
            after,
            reason: "test".parse().unwrap(),
        };
        self.signed(record::Body::Order(order), &[2])
    }

    fn receipt(&self, chain: &Chain, phase: Phase) -> SignedRecord {
        let receipt = Receipt {
            chain: chain.clone(),
            phase,
        };
        self.signed(record::Body::Receipt(Box::new(receipt)), &[5])
    }

    pub(crate) async fn submit(&self, record: &SignedRecord) -> Reply {
        self.post(JSON, record.envelope().to_json()).await
    }

    pub(crate) async fn post(&self, content_type: &str, body: impl Into<Body>) -> Reply {
        let request = Request::post("/v1/entries").header("content-type", content_type);
        self.ask(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, uri: &str) -> Reply {
        self.ask(Request::get(uri).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn response(&self, mut request: Request<Body>) -> Response {
        let host = request.headers_mut().entry("host");
        host.or_insert_with(|| HeaderValue::from_static("localhost"));
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Reply {
        self.begin(request).await.read().await.unwrap()
    }

    /// Asks, and leaves the answer's body to be read.
    pub(crate) async fn begin(&self, request: Request<Body>) -> Begun {
        Begun(self.response(request).await)
    }
}

/// An answer whose body is still to be read.
pub(crate) struct Begun(Response);

impl Begun {
    /// Reads it to its end, if it does not break off.
    pub(crate) async fn read(self) -> Result<Reply, axum::Error> {
        let (parts, body) = self.0.into_parts();
        Ok(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: to_bytes(body, usize::MAX).await?,
        })
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Shows that this is a problem document in full, and gives its code.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text()
        );
        assert_eq!(self.header("cache-control"), "no-store");
        let (document, status) = (self.json(), StatusCode::from_u16(self.status).unwrap());
        assert_eq!(document["status"], self.status);
        assert_eq!(document["title"], status.canonical_reason().unwrap());
        assert!(!document["detail"].as_str().unwrap().is_empty());
        document["code"].as_str().unwrap().to_owned()
    }
}

/// Where the record after this one stands.
pub(crate) fn after(chain: &Chain, record: &SignedRecord) -> Chain {
    Chain {
        seq: chain.seq + 1,
        prev: record.hash(),
        ..chain.clone()
    }
}

fn body(charter: Charter) -> record::Body {
    record::Body::Charter(Box::new(charter))
}

fn charter(mode: Mode) -> Charter {
    let charter_key = |seed, role: Role| CharterKey {
        key: key(seed).public(),
        name: role.as_str().parse().unwrap(),
        roles: vec![role],
    };
    Charter {
        version: 1,
        rules: 1,
        origin: ORIGIN.to_owned(),
        log_keys: vec![log_key().verifier_key()],
        previous: None,
        mode,
        thresholds: Thresholds::default(),
        keys: vec![
            charter_key(1, Role::Root),
            charter_key(2, Role::Operator),
            charter_key(3, Role::Control),
            charter_key(4, Role::Observer),
        ],
        distrusted: vec![],
        limits: Limits::default(),
        liveness: Liveness::default(),
    }
}

/// The first version of an agent; key 5 signs for it.
pub(crate) fn registration(agent: &str) -> Registration {
    let nothing = FileSet {
        root: Digest::of(&[]),
        files: 0,
        bytes: 0,
        ignore: vec![],
    };
    let manifest = Manifest {
        agent: agent.parse().unwrap(),
        version: "v1".parse().unwrap(),
        code: nothing.clone(),
        config: nothing,
        models: vec![],
        prompts: vec![],
        tools: vec![],
        capabilities: vec!["read:**".parse().unwrap()],
        max_inflight_ms: 60_000,
    };
    Registration {
        agent: manifest.agent.clone(),
        key: agent_key().public(),
        manifest_hash: manifest.hash(),
        manifest,
        replaces: None,
        reason: "test".parse().unwrap(),
    }
}

/// A lease of an hour.
pub(crate) fn lease(agent: &str) -> Lease {
    Lease {
        agent: agent.parse().unwrap(),
        manifest_hash: registration(agent).manifest_hash,
        allow: vec!["read:**".parse().unwrap()],
        deny: vec!["read:secret/**".parse().unwrap()],
        budget: Budget::default(),
        not_before_ms: START,
        expires_ms: START + HOUR_MS,
        renew_until_ms: None,
        parent: None,
        after: None,
        purpose: "test".parse().unwrap(),
    }
}
