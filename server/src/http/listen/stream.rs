//! The bytes of a connection: looked at as they come in, and timed as they go out.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::framing::Framing;
use super::guests::Guest;
use super::outflow::Outflow;

/// A connection's stream.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    guest: Arc<Guest>,
    framing: Framing,
    outflow: Outflow,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, guest: Arc<Guest>, outflow: Outflow) -> Self {
        Self {
            tcp,
            guest,
            framing: Framing::default(),
            outflow,
        }
    }

    fn sent(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let outcome = match written {
            Poll::Ready(Ok(bytes)) => {
                self.outflow.took(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let too_slow = self.outflow.blocked(context);
                too_slow.map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        };
        self.guest.blocked(self.outflow.since());
        outcome
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        self.framing.follow(read);
        if self.framing.is_ambiguous() {
            self.guest.is_ambiguous();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.sent(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(context, pieces);
        self.sent(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
