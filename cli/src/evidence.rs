//! Evidence from a file or a pipe, given to the verifier a chunk at a time; compressed evidence is unwrapped.
//!
//! Compression is transport, so the verifier never sees it. What is wrong with it is wrong with the evidence: it becomes
//! a finding, `pack-malformed` for bytes that do not unwrap and `too-large` for those that unwrap without end.

use std::fs::File;
use std::io::{self, Chain, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use ledger::codes::{Code, Refusal};
use ledger::verify::{Report, Trust, Verifier};

use crate::progress;

/// How much is read at a time: packs are as long as they like to be.
const CHUNK_BYTES: usize = 64 * 1024;

/// What gzip begins with (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How many bytes one compressed byte may unwrap to. Half of a pack is signatures and hashes, which do not shrink, so a
/// sound one grows by four or five; gzip itself can be made to grow by a thousand.
const MAX_GROWTH: u64 = 100;

/// What may be unwrapped whatever it grew from: a small pack may be of one record over and over.
const ALWAYS_UNWRAPPED_BYTES: u64 = 64 * 1024 * 1024;

/// Verifies a file, or stdin if it is called `-`, in memory that does not grow with it. How old it is, is judged by the
/// time that is given, in milliseconds since the epoch.
///
/// # Errors
///
/// If it cannot be read. Whatever is wrong with its bytes is in the report.
pub(crate) fn verify(path: &Path, trust: Trust, at_ms: Option<u64>) -> io::Result<Report> {
    give(Verifier::new(trust).at(at_ms), path, &mut |_| {})
}

/// Verifies it, and passes its bytes on, unwrapped. What they are worth stands in the report at the end.
///
/// # Errors
///
/// As [`verify`].
pub(crate) fn verify_aloud(
    path: &Path,
    trust: Trust,
    hear: &mut dyn FnMut(&[u8]),
) -> io::Result<Report> {
    give(Verifier::new(trust), path, hear)
}

fn give(mut verifier: Verifier, path: &Path, hear: &mut dyn FnMut(&[u8])) -> io::Result<Report> {
    read_all(path, &mut |read| {
        match read {
            Ok(bytes) => {
                hear(bytes);
                verifier.push(bytes);
            }
            Err(refusal) => verifier.refuse(refusal),
        }
        !verifier.is_settled()
    })?;
    Ok(verifier.finish())
}

/// Passes the bytes of a file on, or of stdin if it is called `-`, unwrapped and unverified.
///
/// # Errors
///
/// If it cannot be read, or does not unwrap.
pub(crate) fn claims(path: &Path, hear: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut refused = None;
    read_all(path, &mut |read| {
        match read {
            Ok(bytes) => hear(bytes),
            Err(refusal) => refused = Some(refusal),
        }
        refused.is_none()
    })?;
    refused.map_or(Ok(()), |refusal| Err(io::Error::other(refusal)))
}

/// Bytes of the evidence, or what is wrong with them.
type Piece<'a> = Result<&'a [u8], Refusal>;

/// Reads on as long as `take` wants more.
fn read_all(path: &Path, take: &mut dyn FnMut(Piece<'_>) -> bool) -> io::Result<()> {
    let bar = progress::bytes(length(path)?);
    let mut source = Source::open(path, bar.clone())?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let wants_more = match source.read(&mut chunk)? {
            Ok(0) => false,
            Ok(length) => take(Ok(&chunk[..length])),
            Err(refusal) => {
                take(Err(refusal));
                false
            }
        };
        if !wants_more {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// How long a file is; nobody knows that of a pipe.
fn length(path: &Path) -> io::Result<u64> {
    match is_stdin(path) {
        true => Ok(0),
        false => Ok(std::fs::metadata(path)?.len()),
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

type Whole = Chain<Cursor<Vec<u8>>, Counted>;

/// Where evidence comes from.
enum Source {
    Plain(Whole),
    Gzip {
        decoder: Box<MultiGzDecoder<Whole>>,
        unwrapped: u64,
    },
}

impl Source {
    fn open(path: &Path, bar: ProgressBar) -> io::Result<Self> {
        let inner: Box<dyn Read> = match is_stdin(path) {
            true => Box::new(io::stdin().lock()),
            false => Box::new(File::open(path)?),
        };
        let count = 0;
        let mut counted = Counted { inner, count, bar };
        let mut start = Vec::new();
        let length = GZIP_MAGIC.len() as u64;
        counted.by_ref().take(length).read_to_end(&mut start)?;
        let is_gzip = start == GZIP_MAGIC;
        let whole = Cursor::new(start).chain(counted);
        Ok(match is_gzip {
            false => Self::Plain(whole),
            true => Self::Gzip {
                decoder: Box::new(MultiGzDecoder::new(whole)),
                unwrapped: 0,
            },
        })
    }

    /// Reads on: what the bytes are to blame for is a refusal, what the machine is to blame for an error.
    fn read(&mut self, chunk: &mut [u8]) -> io::Result<Result<usize, Refusal>> {
        match self {
            Self::Plain(whole) => read(whole, chunk).map(Ok),
            Self::Gzip { decoder, unwrapped } => {
                let length = match read(decoder.as_mut(), chunk) {
                    Ok(length) => length,
                    Err(error) => return not_gzip(error),
                };
                *unwrapped += length as u64;
                let compressed = decoder.get_ref().get_ref().1.count;
                Ok(check_growth(compressed, *unwrapped).map(|()| length))
            }
        }
    }
}

fn read(source: &mut dyn Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn not_gzip(error: io::Error) -> io::Result<Result<usize, Refusal>> {
    let is_content = matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    );
    match is_content {
        true => Ok(Err(Code::PackMalformed.because(format!("gzip: {error}")))),
        false => Err(error),
    }
}

fn check_growth(compressed: u64, unwrapped: u64) -> Result<(), Refusal> {
    let most = ALWAYS_UNWRAPPED_BYTES.max(compressed.saturating_mul(MAX_GROWTH));
    if unwrapped <= most {
        return Ok(());
    }
    Err(Code::TooLarge.because(format!(
        "{compressed} bytes of gzip unwrap to more than {most}"
    )))
}

/// Counts what is read, and shows it.
struct Counted {
    inner: Box<dyn Read>,
    count: u64,
    bar: ProgressBar,
}

impl Read for Counted {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(bytes)?;
        self.count += length as u64;
        self.bar.set_position(self.count);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ledger::codes::Code;

    use super::*;

    const TRUST: &str = include_str!("../tests/cmd/verify.in/trust.json");
    const PACK: &[u8] = include_bytes!("../tests/cmd/verify.in/window.pack.jsonl");

    fn report(bytes: &[u8]) -> Report {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        verify(file.path(), TRUST.parse().unwrap(), None).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn codes(report: &Report) -> Vec<Code> {
        let codes = report.findings.iter().map(|finding| finding.refusal.code);
        codes.collect()
    }

    #[test]
    fn a_compressed_pack_is_the_pack() {
        let plain = report(PACK);
        assert_eq!(codes(&plain), []);
        assert_eq!(report(&gzip(PACK)), plain);
        let (start, end) = PACK.split_at(777);
        let members = [gzip(start), gzip(end)].concat();
        assert_eq!(
            report(&members),
            plain,
            "RFC 1952 §2.2: a file is a series of members"
        );
    }

    #[test]
    fn what_does_not_unwrap_is_malformed() {
        let sound = gzip(PACK);
        let cut = &sound[..sound.len() - 9];
        let mut damaged = sound.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        let trailing = [sound.as_slice(), b"more"].concat();
        for bytes in [cut, &damaged, &trailing, &GZIP_MAGIC] {
            let codes = codes(&report(bytes));
            assert_eq!(codes.first(), Some(&Code::PackMalformed), "{codes:?}");
        }
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        assert_eq!(check_growth(1, ALWAYS_UNWRAPPED_BYTES), Ok(()));
        let over = check_growth(1, ALWAYS_UNWRAPPED_BYTES + 1);
        assert_eq!(over.unwrap_err().code, Code::TooLarge);
        assert_eq!(check_growth(1 << 30, MAX_GROWTH << 30), Ok(()));
        assert!(check_growth(1 << 30, (MAX_GROWTH << 30) + 1).is_err());
        // A line without end is refused as a line, long before.
        let zeros = gzip(&vec![b'0'; 1 << 24]);
        assert_eq!(codes(&report(&zeros)), [Code::PackMalformed]);
        let nested = report(&gzip(&gzip(PACK)));
        assert_eq!(
            codes(&nested),
            [Code::PackMalformed],
            "it is unwrapped once"
        );
    }
}
