//! A server's answer on its way to the client: passed on piece by piece, and looked at.

use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use hyper::Response;
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use super::exchange::{Exchange, Over};
use crate::skim::{Skim, Skimmed};
use crate::sse::Events;

/// An answer on its way.
pub(crate) struct Passing {
    inner: reqwest::Body,
    /// What stands before it: answers of ours to a part of what was asked.
    before: Option<Bytes>,
    sight: Sight,
}

/// What looks at an answer.
struct Sight {
    exchange: Exchange,
    status: StatusCode,
    coding: Coding,
    reader: Reader,
}

/// How an answer is packed.
enum Coding {
    Plain,
    Gzip(MultiGzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
    /// Not one that is read here.
    Other,
}

enum Reader {
    Json(Box<Skim>),
    Events(Box<Events>),
    /// Not a message.
    Other,
}

impl Passing {
    pub(crate) fn new(response: Response<reqwest::Body>, exchange: Exchange) -> Response<Self> {
        let (parts, inner) = response.into_parts();
        let sight = Sight {
            exchange,
            status: parts.status,
            coding: Coding::of(&parts.headers),
            reader: Reader::of(&parts.headers),
        };
        let passing = Self {
            inner,
            before: None,
            sight,
        };
        Response::from_parts(parts, passing)
    }

    /// Puts something before it.
    pub(crate) fn after(mut self, before: Bytes) -> Self {
        self.before = Some(before);
        self
    }
}

impl Coding {
    fn of(headers: &HeaderMap) -> Self {
        match lower(headers, &CONTENT_ENCODING).as_str() {
            "" | "identity" => Self::Plain,
            "gzip" | "x-gzip" => Self::Gzip(MultiGzDecoder::new(Vec::new())),
            "deflate" => Self::Deflate(ZlibDecoder::new(Vec::new())),
            _ => Self::Other,
        }
    }

    /// What is in the next piece.
    fn unpack(&mut self, piece: &[u8]) -> Vec<u8> {
        // What cannot be unpacked ends the looking, never the passing on.
        match self {
            Self::Plain => piece.to_vec(),
            Self::Gzip(decoder) => match decoder.write_all(piece).and_then(|()| decoder.flush()) {
                Ok(()) => std::mem::take(decoder.get_mut()),
                Err(_) => Vec::new(),
            },
            Self::Deflate(decoder) => match decoder.write_all(piece).and_then(|()| decoder.flush())
            {
                Ok(()) => std::mem::take(decoder.get_mut()),
                Err(_) => Vec::new(),
            },
            Self::Other => Vec::new(),
        }
    }
}

impl Reader {
    fn of(headers: &HeaderMap) -> Self {
        let media = lower(headers, &CONTENT_TYPE);
        match media.split(';').next().unwrap_or_default().trim() {
            "text/event-stream" => Self::Events(Box::default()),
            media if media.ends_with("json") => Self::Json(Box::default()),
            _ => Self::Other,
        }
    }
}

pub(crate) fn lower(headers: &HeaderMap, name: &hyper::header::HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim().to_ascii_lowercase()
}

impl Sight {
    fn see(&mut self, piece: &[u8]) {
        let plain = self.coding.unpack(piece);
        match &mut self.reader {
            Reader::Json(skim) => skim.push(&plain),
            Reader::Events(events) => {
                let messages = events.push(&plain);
                self.tell(&messages);
            }
            Reader::Other => {}
        }
    }

    fn tell(&self, messages: &[Skimmed]) {
        for message in messages {
            self.exchange.proxy.told(message, &self.exchange.place);
        }
    }

    /// The answer is whole.
    fn end(&mut self) {
        if let Reader::Json(skim) = &mut self.reader {
            let messages = skim.finish();
            self.tell(&messages);
        }
        let otherwise = match self.coding {
            Coding::Other => Over::Unread,
            _ => Over::Answered,
        };
        let over = self.over(otherwise);
        self.exchange.end(over);
    }

    fn break_off(&mut self) {
        let over = self.over(Over::BrokenOff);
        self.exchange.end(over);
    }

    /// A server that accepts a message answers it by another stream, and one that names its events goes on by another.
    fn over(&self, otherwise: Over) -> Over {
        let can_be_resumed =
            matches!(&self.reader, Reader::Events(events) if events.can_be_resumed);
        match self.status == StatusCode::ACCEPTED || can_be_resumed {
            true => Over::Elsewhere,
            false => otherwise,
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        let this = self.get_mut();
        if let Some(before) = this.before.take() {
            return Poll::Ready(Some(Ok(Frame::data(before))));
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    this.sight.see(piece);
                }
            }
            Some(Err(_)) => this.sight.break_off(),
            None => this.sight.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.before.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.before {
            None => self.inner.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

impl Drop for Passing {
    /// Whoever knows the length of a body does not ask for more once it has all of it. A client that has gone while the
    /// stream could be taken up again may come back for the rest.
    fn drop(&mut self) {
        if self.inner.is_end_stream() {
            self.sight.end();
        } else if self.sight.over(Over::Answered) == Over::Elsewhere {
            self.sight.exchange.end(Over::Elsewhere);
        }
    }
}
