//! The transport over HTTP (Streamable HTTP, and the older one with two addresses): a listener that stands before one
//! server.
//!
//! A request is read whole and decided on like any message; what the server answers passes piece by piece, as it comes.
//! Headers pass in both directions but for those that belong to one connection (RFC 9110, section 7.6.1) and `Host`.
//! Nothing of a header is ever logged.

mod answering;
mod exchange;
mod gate;
mod list;
mod passing;
mod upstream;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Receiver;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::proxy::Proxy;

pub use gate::Gate;
pub use list::tools_by_http;
pub use upstream::{Upstream, UpstreamError};

/// Stands before one server.
pub struct Gateway {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) upstream: Upstream,
    pub(crate) gate: Gate,
    pub(crate) exchanges: AtomicU64,
}

impl Gateway {
    /// A gateway to a server that is reached by `upstream`, for those whom the gate lets in.
    pub fn new(proxy: Arc<Proxy>, upstream: Upstream, gate: Gate) -> Self {
        Self {
            proxy,
            upstream,
            gate,
            // 0 is the exchange of streams of lines.
            exchanges: AtomicU64::new(1),
        }
    }

    /// Answers until `stop` says something, or nobody can any more.
    ///
    /// # Errors
    ///
    /// If the listener fails.
    pub fn run(self, listener: std::net::TcpListener, stop: Receiver<()>) -> io::Result<()> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(async {
            listener.set_nonblocking(true)?;
            let stopped = tokio::task::spawn_blocking(move || stop.recv());
            let stopped = async { drop(stopped.await) };
            Arc::new(self)
                .serve(TcpListener::from_std(listener)?, stopped)
                .await
        });
        // Streams that go on are cut: their clients may be there for days.
        runtime.shutdown_background();
        served
    }

    async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => return Ok(()),
            };
            let (stream, _) = accepted?;
            // Events are small, and each is to arrive at once.
            let _ = stream.set_nodelay(true);
            let gateway = Arc::clone(&self);
            let service = service_fn(move |request| Arc::clone(&gateway).answer(request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                // A client that hangs up has what it wanted.
                let _ = connection.await;
            });
        }
    }
}

#[cfg(test)]
mod tests;
