//! The stream of what is logged.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use ledger::record::{AgentState, Chain, Instance, Mode};
use serde_json::{Value, json};

use crate::world::{BASE, START, World, registration};

/// An open stream, read event by event.
struct Stream {
    body: Body,
    read: String,
}

/// One event of it.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    id: u64,
    name: String,
    data: Value,
}

impl Stream {
    async fn open(world: &World, request: axum::http::request::Builder) -> Self {
        let response = world.response(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        Self {
            body: response.into_body(),
            read: String::new(),
        }
    }

    async fn get(world: &World, uri: &str) -> Self {
        Self::open(world, Request::get(uri)).await
    }

    /// The next event; `None` if the stream has ended. Comments, of which one comes first, are passed over.
    async fn next(&mut self) -> Option<Event> {
        while !self.read.contains("\n\n") || self.read.starts_with(':') {
            if let Some((_, rest)) = self.read.split_once("\n\n") {
                self.read = rest.to_owned();
                continue;
            }
            let frame = self.body.frame().await?.unwrap();
            let bytes = frame.into_data().unwrap();
            self.read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        let (event, rest) = self.read.split_once("\n\n").unwrap();
        let field = |name: &str| {
            let mut lines = event.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or_else(|| panic!("no {name} in {event}"))
        };
        let event = Event {
            id: field("id").parse().unwrap(),
            name: field("event").to_owned(),
            data: serde_json::from_str(field("data")).unwrap(),
        };
        self.read = rest.to_owned();
        Some(event)
    }
}

fn chain(lease: ledger::digest::RecordHash) -> Chain {
    Chain {
        agent: "a".parse().unwrap(),
        epoch: 1,
        instance: Instance::from_bytes([1; 8]),
        seq: 0,
        prev: lease,
    }
}

#[tokio::test]
async fn entries_and_transitions_come_as_they_are_logged() {
    let (world, lease) = World::leased(Mode::Enforce).await;
    let mut stream = Stream::get(&world, "/v1/events").await;
    let beat = world.beat(&chain(lease));
    assert_eq!(world.submit(&beat).await.status, 200);
    let event = stream.next().await.unwrap();
    assert_eq!((event.id, event.name.as_str()), (BASE + 1, "entry"));
    let want = json!({
        "index": BASE + 1, "received_ms": START, "record": beat.hash().to_string(), "kind": "heartbeat",
        "agent": "a", "payload": serde_json::from_slice::<Value>(beat.envelope().payload()).unwrap(),
    });
    assert_eq!(event.data, want);
    let event = stream.next().await.unwrap();
    assert_eq!((event.id, event.name.as_str()), (BASE + 2, "transition"));
    assert_eq!(event.data["payload"]["rule"], "started");
}

#[tokio::test]
async fn a_stream_is_taken_up_again_where_it_ended() {
    let (world, _) = World::running(Mode::Enforce).await;
    let seen = |id: &str| Request::get("/v1/events?after=3").header("last-event-id", id);
    let mut stream = Stream::open(&world, seen("1")).await;
    for id in 2..world.size() {
        assert_eq!(stream.next().await.unwrap().id, id);
    }
    let mut stream = Stream::get(&world, "/v1/events?after=0").await;
    assert_eq!(stream.next().await.unwrap().data["kind"], "pulse");
    for (id, status, code) in [
        ("x", 400, "malformed"),
        ("01", 400, "malformed"),
        ("99", 404, "not-found"),
    ] {
        let reply = world.ask(seen(id).body(Body::empty()).unwrap()).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (status, code),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_stream_may_be_of_one_agent() {
    let (world, _) = World::running(Mode::Enforce).await;
    let mut other = registration("b");
    other.key = crate::world::key(7).public();
    let other = world.signed(ledger::record::Body::Manifest(Box::new(other)), &[2, 7]);
    assert_eq!(world.submit(&other).await.status, 200);
    let order = world.order("a", AgentState::Stopped);
    assert_eq!(world.submit(&order).await.status, 200);
    let mut stream = Stream::get(&world, "/v1/events?after=0&agent=a").await;
    let mut kinds = Vec::new();
    while kinds.last() != Some(&json!("order")) {
        let event = stream.next().await.unwrap();
        assert_eq!(event.data["agent"], "a");
        kinds.push(event.data["kind"].clone());
    }
    assert_eq!(
        kinds,
        ["manifest", "lease", "heartbeat", "transition", "order"]
    );
}

#[tokio::test]
async fn streams_are_bounded_and_end_when_the_service_stops() {
    let world = World::new().await;
    let mut streams = Vec::new();
    for _ in 0..512 {
        streams.push(Stream::get(&world, "/v1/events").await);
    }
    let reply = world.get("/v1/events").await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (503, "overloaded")
    );
    streams.pop();
    streams.push(Stream::get(&world, "/v1/events").await);
    world.service.end_streams();
    for mut stream in streams {
        assert_eq!(stream.next().await, None);
    }
    let mut late = Stream::get(&world, "/v1/events").await;
    assert_eq!(late.next().await, None);
}
