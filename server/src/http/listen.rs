//! The listener: connections, their limits, and how they end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::limits::{
    ACCEPT_PAUSE, CONNECTION_LIFETIME, DRAIN_TIMEOUT, HEADER_TIMEOUT, MAX_CONNECTIONS,
    MAX_HEADER_BYTES, MAX_HEADERS,
};

/// Serves until `stop` resolves, then accepts nothing more and finishes what was begun, for at most
/// [`DRAIN_TIMEOUT`].
///
/// Requests under way still need the log while they finish, so the log is stopped after this returns.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stopping, watching) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => {
                tokio::spawn(connection(accepted, router.clone(), watching.clone()));
            }
        }
    }
    drop((listener, stopping));
    finished(&slots).await;
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
async fn connection(accepted: Accepted, router: Router, mut stopping: watch::Receiver<()>) {
    let service = TowerToHyperService::new(router);
    let _ = accepted.stream.set_nodelay(true);
    let stream = TokioIo::new(accepted.stream);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(stream, service)
    );
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        // The sender is dropped when the service stops; nothing is ever sent.
        _ = stopping.changed() => {}
        () = sleep(CONNECTION_LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(DRAIN_TIMEOUT, connection).await {
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
async fn finished(slots: &Semaphore) {
    let all = u32::try_from(MAX_CONNECTIONS).expect("the limit of connections fits");
    if timeout(DRAIN_TIMEOUT, slots.acquire_many(all))
        .await
        .is_err()
    {
        tracing::warn!("connections were still open when the time to finish was over");
    }
}

/// The router's requests never fail: a failure is an answer.
const _: fn() = || {
    fn infallible<S: tower::Service<R, Error = Infallible>, R>() {}
    infallible::<Router, axum::extract::Request>();
};
