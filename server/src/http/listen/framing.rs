//! Where one request ends and the next begins, followed beside the HTTP library to see what it does not say.
//!
//! A request with both `Content-Length` and `Transfer-Encoding` may be two requests to somebody on the way (RFC 9112
//! §6.3: "ought to be handled as an error"). The library drops one of the two headers before it shows the request, so the
//! bytes themselves are looked at: the heads in full, and of bodies no more than their ends.

/// The longest head that is followed. The library refuses one as long.
const MAX_HEAD_BYTES: usize = super::super::limits::MAX_HEADER_BYTES + 1_024;

/// The longest line that says how long a chunk is, extensions included.
const MAX_CHUNK_LINE: usize = 1_024;

/// What was seen of the bytes of a connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    at: At,
    /// The line that has begun.
    line: Vec<u8>,
    head: Head,
    is_ambiguous: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum At {
    #[default]
    Head,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    Trailers,
    /// The bytes are not HTTP that this follows; the library refuses them, or closes behind them.
    Lost,
}

/// What a head said of its body so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    bytes: usize,
    has_line: bool,
    length: Option<u64>,
    is_coded: bool,
}

/// Whether one of the requests in these bytes says in two ways how long it is.
pub(in crate::http) fn is_ambiguous<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut framing = Framing::default();
    for piece in pieces {
        framing.follow(piece);
    }
    framing.is_ambiguous()
}

impl Framing {
    /// Whether a request said in two ways how long it is.
    pub(super) const fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// Looks at the next bytes.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.at {
                At::Lost => return,
                At::Body(left) => self.skip(bytes, left, At::Body, At::Head),
                // The line break behind a chunk is read as an empty line before the next size.
                At::Chunk(left) => self.skip(bytes, left, At::Chunk, At::ChunkSize),
                At::Head | At::ChunkSize | At::Trailers => self.read_line(bytes),
            };
        }
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, rest: fn(u64) -> At, then: At) -> &'a [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - here as u64;
        self.at = if left == 0 { then } else { rest(left) };
        bytes.get(here..).unwrap_or_default()
    }

    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (here, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        let most = match self.at {
            At::ChunkSize => MAX_CHUNK_LINE,
            _ => MAX_HEAD_BYTES,
        };
        self.head.bytes += here.len();
        if self.line.len() + here.len() > most || self.head.bytes > MAX_HEAD_BYTES {
            self.at = At::Lost;
            return &[];
        }
        self.line.extend_from_slice(here);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            self.take_line(line.strip_suffix(b"\r").unwrap_or(line));
        }
        rest
    }

    fn take_line(&mut self, line: &[u8]) {
        match self.at {
            At::Head if line.is_empty() && self.head.has_line => self.end_head(),
            At::Head => self.take_header(line),
            At::ChunkSize => self.take_size(line),
            At::Trailers if line.is_empty() => self.begin(At::Head),
            At::Trailers | At::Body(_) | At::Chunk(_) | At::Lost => {}
        }
    }

    fn take_header(&mut self, line: &[u8]) {
        self.head.has_line |= !line.is_empty();
        let text = String::from_utf8_lossy(line).to_ascii_lowercase();
        match text.split_once(':') {
            Some(("content-length", length)) => {
                self.head.length = Some(length.trim().parse().unwrap_or_default());
            }
            Some(("transfer-encoding", _)) => self.head.is_coded = true,
            _ => {}
        }
    }

    fn end_head(&mut self) {
        self.is_ambiguous |= self.head.is_coded && self.head.length.is_some();
        let next = match self.head {
            Head { is_coded: true, .. } => At::ChunkSize,
            Head {
                length: Some(length @ 1..),
                ..
            } => At::Body(length),
            Head { .. } => At::Head,
        };
        self.begin(next);
    }

    fn take_size(&mut self, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(line);
        let size = text.split(';').next().unwrap_or_default().trim();
        let next = match u64::from_str_radix(size, 16) {
            Ok(0) => At::Trailers,
            Ok(size) => At::Chunk(size),
            Err(_) => At::Lost,
        };
        self.begin(next);
    }

    fn begin(&mut self, next: At) {
        self.at = next;
        self.head = Head::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the bytes are ambiguous, however they are cut.
    fn is_ambiguous(bytes: &str) -> bool {
        let whole = |piece: usize| super::is_ambiguous(bytes.as_bytes().chunks(piece));
        let first = whole(1);
        assert!(
            [2, 3, 7, 64, 4096]
                .iter()
                .all(|piece| whole(*piece) == first)
        );
        first
    }

    const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const BOTH: &str =
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

    #[test]
    fn both_lengths_are_seen_wherever_they_stand() {
        let reversed = "POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\ncontent-length:4\r\n\r\n";
        assert!(is_ambiguous(BOTH));
        assert!(is_ambiguous(reversed));
        assert!(is_ambiguous(&BOTH.replace("\r\n", "\n")), "bare line feeds");
        assert!(is_ambiguous(&format!("\r\n{BOTH}")), "an empty line first");
        for before in [
            GET.to_owned(),
            "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\na\n\n".to_owned(),
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\na\n\n\r\nA\r\n0123456789\r\n0\r\na: b\r\n\r\n"
                .to_owned(),
        ] {
            assert!(!is_ambiguous(&before), "{before}");
            assert!(is_ambiguous(&format!("{before}{BOTH}")), "{before}");
        }
    }

    #[test]
    fn what_a_body_says_is_no_header() {
        let body = format!(
            "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{BOTH}{GET}",
            BOTH.len()
        );
        assert!(!is_ambiguous(&body));
        let chunk = format!(
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{BOTH}\r\n0\r\n\r\n{GET}",
            BOTH.len()
        );
        assert!(!is_ambiguous(&chunk));
    }

    #[test]
    fn nothing_grows_without_a_bound() {
        let mut framing = Framing::default();
        for _ in 0..100_000 {
            framing.follow(&[b'x'; 64]);
        }
        assert!(framing.line.len() <= MAX_HEAD_BYTES);
    }
}
