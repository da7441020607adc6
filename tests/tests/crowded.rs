//! Strangers follow an agent in such a crowd that its run loses its stream again and again: it obeys all the same.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tests::{Run, World};

/// Beats are so far apart that an order is not heard by one in time.
const CHARTER: &str =
    r#"{"liveness":{"heartbeat_ms":60000,"degraded_after_ms":300000,"autoheal_after_ms":900000}}"#;
const BY_BEATS: Duration = Duration::from_secs(45);

const CROWD: usize = 600;

/// The crowd goes when this does, also where the test fails.
struct Crowd<'a>(&'a AtomicBool);

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Follows the agent again until it is over, so that each stream that was there before has to go.
fn crowd(service: SocketAddr, is_over: &AtomicBool) {
    let mut streams = std::collections::VecDeque::new();
    while !is_over.load(Ordering::SeqCst) {
        let Ok(mut stream) = TcpStream::connect(service) else {
            continue;
        };
        let ask = b"GET /v1/events?agent=worker HTTP/1.1\r\nhost: localhost\r\n\r\n";
        if stream.write_all(ask).is_ok() {
            streams.push_back(stream);
        }
        if streams.len() > CROWD {
            streams.pop_front();
        }
    }
}

#[test]
fn a_run_whose_stream_is_crowded_out_obeys() {
    let world = World::with_charter(CHARTER, 600_000);
    world.lease();
    let mut run = Run::start(world.shell("echo up; exec tail -f /dev/null"));
    assert_eq!(run.line(), "up\n");
    let (service, is_over) = (world.address().parse().unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _crowd = Crowd(&is_over);
        scope.spawn(|| crowd(service, &is_over));
        let closed = "dragonsd_http_connections_closed_total{doing=\"following\"}";
        while !world.service.metrics().contains(closed) {}
        let ordered = Instant::now();
        world.order("quarantine");
        run.until("the agent is quarantined");
        assert!(ordered.elapsed() < BY_BEATS, "{:?}", ordered.elapsed());
    });
    run.end();
    world.blames_nobody();
}
