//! The listener: connections, their limits, and how they end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::limits::{
    ACCEPT_PAUSE, CONNECTION_LIFETIME, DRAIN_TIMEOUT, HEADER_TIMEOUT, MAX_CONNECTIONS,
    MAX_HEADER_BYTES, MAX_HEADERS, WRITE_TIMEOUT,
};

/// Serves until `stop` resolves, then accepts nothing more and finishes what was begun, for at most
/// `DRAIN_TIMEOUT`.
///
/// Requests under way still need the log while they finish, so the log is stopped after this returns.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    serve_with(Patience::default(), listener, router, stop).await;
}

/// How long a connection is waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For the head of a request.
    header: Duration,
    /// For a client who takes nothing of what is sent to it.
    write: Duration,
    /// For all requests of one connection.
    lifetime: Duration,
    /// For what was begun, once it is to end.
    drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            header: HEADER_TIMEOUT,
            write: WRITE_TIMEOUT,
            lifetime: CONNECTION_LIFETIME,
            drain: DRAIN_TIMEOUT,
        }
    }
}

async fn serve_with(
    patience: Patience,
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stopping, watching) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => {
                tokio::spawn(connection(patience, accepted, router.clone(), watching.clone()));
            }
        }
    }
    drop((listener, stopping));
    finished(&slots, patience.drain).await;
}

/// A connection and the place that it takes.
struct Accepted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

/// Waits for a free place before it accepts: who finds none waits in the system's backlog.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Accepted {
    let place = Arc::clone(slots).acquire_owned().await;
    let place = place.expect("the semaphore of connections is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                return Accepted {
                    stream,
                    _place: place,
                };
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends, its time is up, or the service stops.
async fn connection(
    patience: Patience,
    accepted: Accepted,
    router: Router,
    mut stopping: watch::Receiver<()>,
) {
    let service = TowerToHyperService::new(router);
    let _ = accepted.stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(accepted.stream);
    stream.set_write_timeout(Some(patience.write));
    let stream = TokioIo::new(Box::pin(stream));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.header)
            .max_buf_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(stream, service)
    );
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        // The sender is dropped when the service stops; nothing is ever sent.
        _ = stopping.changed() => {}
        () = sleep(patience.lifetime) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(patience.drain, connection).await {
        note(ended);
    }
}

/// Clients come and go; how a connection broke is of interest to nobody but a debugger.
fn note(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits until every place is free again: each connection keeps its own to its end.
async fn finished(slots: &Semaphore, drain: Duration) {
    let all = u32::try_from(MAX_CONNECTIONS).expect("the limit of connections fits");
    if timeout(drain, slots.acquire_many(all)).await.is_err() {
        tracing::warn!("connections were still open when the time to finish was over");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream as Client;

    use axum::routing::get;
    use tokio::sync::{Notify, oneshot};
    use tokio::task::{JoinHandle, spawn_blocking};

    use super::*;

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
        let server = tokio::spawn(serve_with(patience, listener, router, stopped));
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
            write: LONG,
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
            write: LONG,
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
            write: SHORT,
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
            write: LONG,
            lifetime: SHORT,
            drain: SHORT,
        };
        let running = start(patience, Router::new()).await;
        assert_eq!(conversation(running.address, b"").await.unwrap(), "");
    }
}
