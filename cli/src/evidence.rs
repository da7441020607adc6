//! Evidence from a file or a pipe, given to the verifier a chunk at a time. It is unwrapped, where it is compressed, by the
//! same code as in a browser: see [`::evidence`].

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use ::evidence::{Crew, Intake, Unwrapper};
use anyhow::{Context as _, Result};
use ledger::digest::Digest;
use ledger::verify::Report;
use tlog::proof::MAX_PROOF_FILE_BYTES;

use crate::progress;

/// How much is read at a time: packs are as long as they like to be.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a file came to.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) report: Report,
    /// The digest of the file; none if the report was settled before its end, since evidence may have no end.
    pub(crate) digest: Option<Digest>,
}

/// Verifies a file, or stdin if it is called `-`, in memory that does not grow with it.
///
/// # Errors
///
/// If it cannot be read. Whatever is wrong with its bytes is in the report.
pub(crate) fn verify(path: &Path, verifier: Crew) -> io::Result<Verified> {
    give(verifier, path, &mut |_| {})
}

/// Verifies files that are one piece of evidence together: two checkpoints, and behind them their consistency proof, which
/// is JSON. The digest is that of all of them, one after another.
///
/// # Errors
///
/// If one cannot be read.
pub(crate) fn verify_together(paths: &[PathBuf], verifier: Crew) -> Result<Verified> {
    let read = |path: &PathBuf| {
        let mut held = Vec::new();
        read_all(path, &mut |bytes| {
            held.extend_from_slice(bytes);
            held.len() <= MAX_PROOF_FILE_BYTES
        })
        .with_context(|| format!("{path:?} could not be read"))?;
        Ok(held)
    };
    let mut files = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
    files.sort_by_key(|file| file.starts_with(b"{"));
    let mut intake = Intake::new(verifier);
    for file in &files {
        intake.push(file, &mut |_| {});
    }
    let digest = Some(intake.digest());
    let (report, _) = intake.finish(&mut |_| {});
    Ok(Verified { report, digest })
}

/// Verifies it, and passes its bytes on, unwrapped. What they are worth is in the report at the end.
///
/// # Errors
///
/// As [`verify`].
pub(crate) fn verify_aloud(
    path: &Path,
    verifier: Crew,
    hear: &mut dyn FnMut(&[u8]),
) -> io::Result<Report> {
    give(verifier, path, hear).map(|verified| verified.report)
}

fn give(verifier: Crew, path: &Path, hear: &mut dyn FnMut(&[u8])) -> io::Result<Verified> {
    let mut intake = Intake::new(verifier);
    read_all(path, &mut |bytes| !intake.push(bytes, hear))?;
    let digest = (!intake.catch_up()).then(|| intake.digest());
    let (report, _) = intake.finish(hear);
    Ok(Verified { report, digest })
}

/// Passes the bytes of a file on, or of stdin if it is called `-`, unwrapped and unverified.
///
/// # Errors
///
/// If it cannot be read, or does not unwrap.
pub(crate) fn claims(path: &Path, hear: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let (mut unwrapper, mut taken) = (Unwrapper::default(), Ok(()));
    read_all(path, &mut |bytes| {
        taken = unwrapper.push(bytes, hear);
        taken.is_ok()
    })?;
    taken
        .and_then(|()| unwrapper.finish(hear))
        .map_err(io::Error::other)
}

/// Reads on as long as `take` wants more.
fn read_all(path: &Path, take: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
    let bar = progress::bytes(length(path)?);
    let mut source = open(path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = read(source.as_mut(), &mut chunk)?;
        bar.inc(length as u64);
        if length == 0 || !take(&chunk[..length]) {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(match is_stdin(path) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path)?),
    })
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

fn read(source: &mut dyn Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ledger::codes::Code;
    use ledger::verify::Verifier;

    use crate::options::Threads;

    use super::*;

    const TRUST: &str = include_str!("../tests/cmd/verify.in/trust.json");
    const PACK: &[u8] = include_bytes!("../tests/cmd/verify.in/window.pack.jsonl");

    fn report(bytes: &[u8]) -> Report {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let verifier = Verifier::new(TRUST.parse().unwrap());
        let verified = verify(file.path(), Threads::default().crew(verifier));
        verified.unwrap().report
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
        for bytes in [cut, &damaged, &trailing, &[0x1f, 0x8b]] {
            let codes = codes(&report(bytes));
            assert_eq!(codes.first(), Some(&Code::PackMalformed), "{codes:?}");
        }
    }

    #[test]
    fn what_is_no_line_of_a_pack_is_refused() {
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
