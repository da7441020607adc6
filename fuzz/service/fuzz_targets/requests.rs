//! Requests of strangers, by the whole router over a log in memory. Whatever is asked, the answer is none of a fault of
//! the service, a refusal is a problem with a code, the log stays as it is, and the same question has the same answer.

#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use store::memory::MemoryStore;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use ledger::codes::Code;
use ledger::key::PrivateKey;
use ledger::record::{
    Body as Content, Charter, CharterKey, Limits, Liveness, Mode, RULES, Record, Role, Thresholds,
};
use libfuzzer_sys::fuzz_target;
use server::http::{Service, Web, router};
use server::log::{Clock, Log, LogKeys, Options, Sequencer, found};
use tlog::note::{KeyName, SigningKey};
use tower::ServiceExt as _;

const ORIGIN: &str = "example.com/log";
const NOW_MS: u64 = 1_764_000_000_000;

/// The longest answer that is read.
const MOST: usize = 16 << 20;

/// A clock that nobody winds.
struct Still;

impl Clock for Still {
    fn wall_ms(&self) -> u64 {
        NOW_MS
    }

    fn monotonic_ms(&self) -> u64 {
        0
    }
}

/// A service, on a runtime of its own.
struct World {
    runtime: tokio::runtime::Runtime,
    router: Router,
    log: Log,
    _sequencer: Sequencer,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|input: &[u8]| {
    let Some(request) = parse(input) else { return };
    WORLD.with_borrow(|world| {
        let size = world.log.published().size;
        let first = world.ask(request);
        assert_eq!(world.log.published().size, size, "a stranger wrote");
        let again = world.ask(parse(input).expect("it was parsed before"));
        assert_eq!(first, again);
    });
});

/// A request as HTTP/1.1 writes it; its body is what follows the head.
fn parse(input: &[u8]) -> Option<Request<Body>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(end) = head.parse(input).ok()? else {
        return None;
    };
    let mut request = Request::builder().method(head.method?).uri(head.path?);
    for header in head.headers.iter() {
        request = request.header(header.name, header.value);
    }
    request.body(Body::from(input[end..].to_vec())).ok()
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().expect("a runtime");
        let (log, sequencer) = open();
        let router = {
            // What reads for whoever asks are threads of a runtime.
            let _within = runtime.enter();
            router(Service::new(log.clone(), Web::Embedded))
        };
        Self {
            runtime,
            router,
            log,
            _sequencer: sequencer,
        }
    }

    /// The status and the body of an answer; of a stream, which has no end, no body.
    fn ask(&self, request: Request<Body>) -> (u16, Vec<u8>) {
        let path = request.uri().path().to_owned();
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await;
            let answer = answer.expect("a router answers always");
            let status = answer.status().as_u16();
            assert_ne!(status, 500, "{path}");
            let content = answer.headers().get("content-type");
            let content = content.and_then(|content| content.to_str().ok());
            let content = content.unwrap_or_default().to_owned();
            if content.starts_with("text/event-stream") {
                return (status, Vec::new());
            }
            let body = to_bytes(answer.into_body(), MOST).await;
            let body = body.expect("an answer of some length").to_vec();
            if content.starts_with("application/problem+json") {
                check_problem(&body);
                return (status, Vec::new());
            }
            (status, body)
        })
    }
}

fn check_problem(body: &[u8]) {
    let problem: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    let code = problem["code"].as_str().expect("a code");
    code.parse::<Code>().expect("one of the codes");
}

/// A log with its charter, whose first pulse is logged.
fn open() -> (Log, Sequencer) {
    let keys = LogKeys {
        log: SigningKey::new(KeyName::parse(ORIGIN).expect("a name"), &[6; 32]),
        control: PrivateKey::from_seed(&[3; 32]),
    };
    let store = Arc::new(MemoryStore::new());
    let charter = Record {
        log: None,
        at_ms: NOW_MS,
        body: Content::Charter(Box::new(charter(&keys))),
        ext: None,
    };
    let charter = charter.sign(&[&PrivateKey::from_seed(&[1; 32])]).expect("a charter");
    found(Arc::clone(&store), &keys, charter, NOW_MS).expect("a log");
    let options = Options {
        clock: Arc::new(Still),
        ..Options::default()
    };
    let (log, sequencer) = Log::open(store, keys, options).expect("a log");
    while log.published().size.get() < 2 {
        std::thread::yield_now();
    }
    (log, sequencer)
}

fn charter(keys: &LogKeys) -> Charter {
    let member = |name: &str, seed: u8, role| CharterKey {
        key: PrivateKey::from_seed(&[seed; 32]).public(),
        name: name.parse().expect("a name"),
        roles: vec![role],
    };
    Charter {
        version: 1,
        rules: RULES,
        origin: ORIGIN.to_owned(),
        log_keys: vec![keys.log.verifier_key()],
        previous: None,
        mode: Mode::Enforce,
        thresholds: Thresholds::default(),
        keys: vec![
            member("root", 1, Role::Root),
            member("operator", 2, Role::Operator),
            member("control", 3, Role::Control),
            member("observer", 4, Role::Observer),
        ],
        distrusted: Vec::new(),
        limits: Limits::default(),
        liveness: Liveness::default(),
    }
}
