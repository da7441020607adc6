//! How connections end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream as Client;

use axum::routing::get;
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};

use super::*;

const PLACES: Places = Places {
    all: 64,
    an_address: None,
};
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

async fn start(patience: Patience, router: Router) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopped = async { stopped.await.unwrap_or(()) };
    let server = tokio::spawn(serve_with(patience, listener, router, PLACES, stopped));
    Running {
        address,
        stop,
        server,
    }
}

/// All that the service sends to a client who sends this, and then only listens.
fn conversation(address: std::net::SocketAddr, sent: &'static [u8]) -> JoinHandle<String> {
    spawn_blocking(move || {
        let mut client = Client::connect(address).unwrap();
        client.write_all(sent).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    })
}

#[tokio::test]
async fn what_was_begun_is_finished() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (entered, waiting) = (Arc::clone(&begun), Arc::clone(&go_on));
    let answer = async move || {
        entered.notify_one();
        waiting.notified().await;
        "finished"
    };
    let patience = Patience {
        header: LONG,
        reader: LONG,
        lifetime: LONG,
        drain: LONG,
    };
    let running = start(patience, Router::new().route("/", get(answer))).await;
    let busy = conversation(running.address, REQUEST);
    begun.notified().await;
    running.stop.send(()).unwrap();
    go_on.notify_one();
    let answer = busy.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("finished"),
        "{answer}"
    );
    running.server.await.unwrap();
    assert!(Client::connect(running.address).is_err());
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for() {
    let patience = Patience {
        header: SHORT,
        reader: LONG,
        lifetime: LONG,
        drain: LONG,
    };
    let running = start(patience, Router::new()).await;
    for sent in [
        &b""[..],
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-more: ",
    ] {
        let answer = conversation(running.address, sent).await.unwrap();
        assert!(!answer.contains(" 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_client_who_reads_nothing_is_not_waited_for() {
    let patience = Patience {
        header: LONG,
        reader: SHORT,
        lifetime: LONG,
        drain: LONG,
    };
    let (held, dropped) = oneshot::channel::<()>();
    let endless = axum::body::Body::new(Endless(held));
    let endless = Arc::new(std::sync::Mutex::new(Some(endless)));
    let answer = async move || endless.lock().unwrap().take().unwrap();
    let running = start(patience, Router::new().route("/", get(answer))).await;
    let mut client = Client::connect(running.address).unwrap();
    client.write_all(REQUEST).unwrap();
    let given_up = timeout(LONG / 2, dropped).await;
    assert!(given_up.is_ok(), "the answer is still held");
}

/// A body without end, and whoever wants to know when it is given up.
struct Endless(#[expect(dead_code, reason = "it is there to be dropped")] oneshot::Sender<()>);

impl axum::body::HttpBody for Endless {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        let piece = axum::body::Bytes::from_static(&[b'x'; 65_536]);
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(piece))))
    }
}

#[tokio::test]
async fn no_connection_lives_for_ever() {
    let patience = Patience {
        header: LONG,
        reader: LONG,
        lifetime: SHORT,
        drain: SHORT,
    };
    let running = start(patience, Router::new()).await;
    assert_eq!(conversation(running.address, b"").await.unwrap(), "");
}
