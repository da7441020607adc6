//! The reader of packs: line by line, from chunks of any length.

use tlog::LeafIndex;
use tlog::note::MAX_NOTE_BYTES;

use crate::codes::{Code, Refusal};
use crate::leaf::MAX_LEAF_BYTES;
use crate::pack::{Line, Range};

/// The longest line in front of the leaves, in bytes: a checkpoint of which JSON escapes every character, and the
/// hashes and the names beside it.
pub const MAX_HEAD_LINE_BYTES: usize = 2 * MAX_NOTE_BYTES + 16 * 1024;

/// The longest line with a leaf, in bytes: a leaf of which JSON escapes every character, and its index.
pub const MAX_LEAF_LINE_BYTES: usize = 2 * MAX_LEAF_BYTES + 64;

/// Reads a pack from chunks of bytes, and holds one line of it at a time.
///
/// The first error is the last word: what comes after it is not to be read.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    /// How many lines have ended.
    lines: u64,
    expected: Expected,
}

/// The lines that may come next.
#[derive(Clone, Copy, Debug, Default)]
enum Expected {
    #[default]
    Header,
    Checkpoint(Range),
    EarlierOrProof(Range),
    Proof(Range),
    Leaves(Progress),
}

/// How far the leaves have come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    range: Range,
    /// The lowest index that can still come.
    next: u64,
    /// How many have come.
    got: u64,
}

impl Reader {
    /// Reads on, and gives every line that has ended to `take`.
    ///
    /// # Errors
    /// Those of [`Line::parse`], `pack-malformed` for a line that is too long, `pack-order` for a line or a leaf that is
    /// not in its place, `pack-selection` for a leaf that is not in the range.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Line)) -> Result<(), Refusal> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let place = self.lines.saturating_add(1);
            let line = self.extend(piece);
            let line = line.map_err(|refusal| refusal.at(&format!("line {place}")))?;
            line.into_iter().for_each(&mut take);
        }
        Ok(())
    }

    /// Ends the pack.
    ///
    /// # Errors
    /// `pack-malformed` if it ends within a line or in front of the leaves, `pack-count` if leaves are missing.
    pub fn finish(self) -> Result<(), Refusal> {
        let lines = self.lines;
        if !self.line.is_empty() {
            return Err(Code::PackMalformed.because(format!("no line ends after line {lines}")));
        }
        match self.expected {
            Expected::Leaves(progress) => progress.finish(),
            _ => Err(Code::PackMalformed.because(format!("it ends after {lines} lines"))),
        }
    }

    /// Takes what is at most the rest of a line, and gives the line if that ends it.
    fn extend(&mut self, piece: &[u8]) -> Result<Option<Line>, Refusal> {
        let most = self.expected.longest_line();
        if self.line.len().saturating_add(piece.len()) > most {
            return Err(Code::PackMalformed.because(format!("it is longer than {most} bytes")));
        }
        self.line.extend_from_slice(piece);
        if !self.line.ends_with(b"\n") {
            return Ok(None);
        }
        let line = Line::parse(&self.line)?;
        self.line.clear();
        self.lines = self.lines.saturating_add(1);
        self.expected = self.expected.after(&line)?;
        Ok(Some(line))
    }
}

impl Expected {
    const fn longest_line(self) -> usize {
        match self {
            Self::Leaves(_) => MAX_LEAF_LINE_BYTES,
            _ => MAX_HEAD_LINE_BYTES,
        }
    }

    fn after(self, line: &Line) -> Result<Self, Refusal> {
        Ok(match (self, line) {
            (Self::Header, Line::Header(header)) => Self::Checkpoint(header.range),
            (Self::Checkpoint(range), Line::Checkpoint(_)) => Self::EarlierOrProof(range),
            (Self::EarlierOrProof(range), Line::Earlier(_)) => Self::Proof(range),
            (Self::EarlierOrProof(range) | Self::Proof(range), Line::Proof(_)) => {
                Self::Leaves(Progress::new(range))
            }
            (Self::Leaves(progress), Line::Leaf(entry)) => {
                Self::Leaves(progress.after(entry.index)?)
            }
            _ => {
                let (want, got) = (self.name(), line.name());
                return Err(Code::PackOrder.because(format!("{got} in the place of {want}")));
            }
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Header => "the header",
            Self::Checkpoint(_) => "the checkpoint",
            Self::EarlierOrProof(_) | Self::Proof(_) => "the proof",
            Self::Leaves(_) => "a leaf",
        }
    }
}

impl Progress {
    const fn new(range: Range) -> Self {
        Self {
            range,
            next: range.from().get(),
            got: 0,
        }
    }

    /// A leaf that is missing may have been dropped or may come too late: which of the two, the lines that follow say.
    fn after(self, index: LeafIndex) -> Result<Self, Refusal> {
        let (range, next) = (self.range, self.next);
        if index < range.from() || index >= range.to() {
            let (from, to) = (range.from(), range.to());
            return Err(
                Code::PackSelection.because(format!("leaf {index} is not of {from} up to {to}"))
            );
        }
        if index.get() < next {
            return Err(
                Code::PackOrder.because(format!("leaf {index} where {next} is the lowest left"))
            );
        }
        Ok(Self {
            next: index.get().saturating_add(1),
            got: self.got.saturating_add(1),
            range,
        })
    }

    fn finish(self) -> Result<(), Refusal> {
        let (got, want) = (self.got, self.range.count());
        if got == want {
            return Ok(());
        }
        Err(Code::PackCount.because(format!("{got} leaves of {want}")))
    }
}
