//! The listeners: connections, their limits, and how they end. The API and what operators see are served by the same code.

mod framing;
mod guests;
mod outflow;
mod stream;

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::Service as _;

use super::limits::{
    ACCEPT_PAUSE, CONNECTION_LIFETIME, DRAIN_TIMEOUT, HEADER_TIMEOUT, MAX_HEADER_BYTES,
    MAX_HEADERS, SLOW_READER, SLOWEST_BYTES_PER_S,
};
pub(super) use framing::is_ambiguous;
use guests::{Guests, Place};
use outflow::Outflow;
use stream::Stream;

pub use guests::Places;
pub(super) use guests::{CLOSED, Doing, Guest, Sort};

/// The connection that a request came by. A request that came by none, as in a test, has none.
#[derive(Clone, Debug)]
pub(super) struct CameBy(pub(super) Arc<Guest>);

/// Serves until `stop` resolves, then accepts nothing more and finishes what was begun, for at most
/// `DRAIN_TIMEOUT`.
///
/// Requests under way still need the log while they finish, so the log is stopped after this returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    places: Places,
    stop: impl Future<Output = ()>,
) {
    serve_with(Patience::default(), listener, router, places, stop).await;
}

/// How long a connection is waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For the head of a request.
    header: Duration,
    /// For a client who takes too little of what is sent to it.
    reader: Duration,
    /// For all requests of one connection.
    lifetime: Duration,
    /// For what was begun, once it is to end.
    drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            header: HEADER_TIMEOUT,
            reader: SLOW_READER,
            lifetime: CONNECTION_LIFETIME,
            drain: DRAIN_TIMEOUT,
        }
    }
}

async fn serve_with(
    patience: Patience,
    listener: TcpListener,
    router: Router,
    places: Places,
    stop: impl Future<Output = ()>,
) {
    let guests = Guests::new(places);
    let (stopping, watching) = watch::channel(());
    let mut newest = None;
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            (stream, address) = accept(&listener, &guests, newest) => {
                newest = Some(address);
                let place = guests.enter(address);
                tokio::spawn(connection(patience, stream, place, router.clone(), watching.clone()));
            }
        }
    }
    drop((listener, stopping));
    if timeout(patience.drain, guests.empty()).await.is_err() {
        tracing::warn!("connections were still open when the time to finish was over");
    }
}

/// Accepts a connection, once there is room after whoever came last.
async fn accept(
    listener: &TcpListener,
    guests: &Guests,
    newest: Option<IpAddr>,
) -> (TcpStream, IpAddr) {
    if let Some(newest) = newest {
        guests.settle(newest).await;
    }
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address.ip()),
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends, its time is up, it has to make room, or the service stops.
async fn connection(
    patience: Patience,
    stream: TcpStream,
    place: Place,
    router: Router,
    mut stopping: watch::Receiver<()>,
) {
    let guest = place.guest();
    let _ = stream.set_nodelay(true);
    let outflow = Outflow::new(patience.reader, SLOWEST_BYTES_PER_S);
    let stream = TokioIo::new(Stream::new(stream, Arc::clone(&guest), outflow));
    let service = service_fn(|request| answer(router.clone(), request, Arc::clone(&guest)));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.header)
            .max_buf_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(stream, service)
    );
    let mut leaving = pin!(guest.leaving());
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = &mut leaving => return,
        // The sender is dropped when the service stops; nothing is ever sent.
        _ = stopping.changed() => {}
        () = sleep(patience.lifetime) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = timeout(patience.drain, connection) => {
            if let Ok(ended) = ended {
                note(ended);
            }
        }
        () = &mut leaving => {}
    }
}

async fn answer(
    mut router: Router,
    mut request: Request<Incoming>,
    guest: Arc<Guest>,
) -> Result<Response<Answering>, std::convert::Infallible> {
    request.extensions_mut().insert(CameBy(Arc::clone(&guest)));
    let response = router.call(request).await?;
    Ok(response.map(|body| Answering { body, guest }))
}

/// Clients come and go; how a connection broke is of interest to nobody but a debugger.
fn note(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The body of an answer. Once it is gone, its connection waits for the next request.
struct Answering {
    body: Body,
    guest: Arc<Guest>,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.guest.does(Doing::Waiting);
    }
}

#[cfg(test)]
mod tests;
