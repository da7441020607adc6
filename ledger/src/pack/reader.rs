//! The reader of packs: line by line, from chunks of any length.

use tlog::note::MAX_NOTE_BYTES;
use tlog::{LeafIndex, TreeSize};

use crate::codes::{Code, Refusal};
use crate::leaf::MAX_LEAF_BYTES;
use crate::pack::{Header, Line, MAX_HASHES, MAX_WINDOW_HASHES, Selection};

/// The longest line in front of the leaves, in bytes: a checkpoint of which JSON escapes every character, and the
/// hashes and the names beside it.
pub const MAX_HEAD_LINE_BYTES: usize = 2 * MAX_NOTE_BYTES + 16 * 1024;

/// The longest line with a leaf, in bytes: a leaf of which JSON escapes every character, and its index.
pub const MAX_LEAF_LINE_BYTES: usize = 2 * MAX_LEAF_BYTES + 64;

/// The longest line with a list, in bytes: the proof of scattered leaves, of 47 bytes a hash; as much for disclosures.
pub const MAX_LIST_LINE_BYTES: usize = 48 * MAX_HASHES;

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
#[derive(Clone, Debug, Default)]
enum Expected {
    #[default]
    Header,
    Checkpoint(Leaves),
    /// The first of the lines that stand in this order, or one behind it: those in front of the proof may be missing.
    Optional(Part, Leaves),
    Leaves(Leaves),
}

/// The lines between the checkpoint and the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Earlier,
    Disclosures,
    State,
    /// The entries of the state, of which there may be any number, and the proof.
    Entries,
}

/// What the header says about the leaves, and how far they have come.
#[derive(Clone, Debug)]
struct Leaves {
    selection: Selection,
    size: TreeSize,
    count: u64,
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
    /// not in its place, `pack-selection` for a leaf that is not in the range, `pack-count` for one too many.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Line)) -> Result<(), Refusal> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let place = self.lines.saturating_add(1);
            let line = self.extend(piece, Line::parse);
            let line = line.map_err(|refusal| refusal.at(&format!("line {place}")))?;
            line.into_iter().for_each(&mut take);
        }
        Ok(())
    }

    /// Whether the next line is a leaf, and has not begun.
    pub(crate) const fn awaits_leaves(&self) -> bool {
        matches!(self.expected, Expected::Leaves(_)) && self.line.is_empty()
    }

    /// As [`push`](Self::push) with a whole line where none has begun, and what [`Line::parse`] made of it.
    pub(crate) fn push_ahead(
        &mut self,
        bytes: &[u8],
        line: Result<Line, Refusal>,
    ) -> Result<Line, Refusal> {
        let place = self.lines.saturating_add(1);
        let line = self.extend(bytes, |_| line);
        let line = line.and_then(|line| line.ok_or_else(not_ended));
        line.map_err(|refusal| refusal.at(&format!("line {place}")))
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
            Expected::Leaves(leaves) => leaves.finish(),
            _ => Err(Code::PackMalformed.because(format!("it ends after {lines} lines"))),
        }
    }

    /// The line that has not ended, or that could not be read.
    pub(crate) fn held(&self) -> &[u8] {
        &self.line
    }

    /// Takes what is at most the rest of a line, and gives the line if that ends it.
    fn extend(
        &mut self,
        piece: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<Line, Refusal>,
    ) -> Result<Option<Line>, Refusal> {
        let most = self.expected.longest_line();
        if self.line.len().saturating_add(piece.len()) > most {
            return Err(Code::PackMalformed.because(format!("it is longer than {most} bytes")));
        }
        self.line.extend_from_slice(piece);
        if !self.line.ends_with(b"\n") {
            return Ok(None);
        }
        let line = parse(&self.line)?;
        self.line.clear();
        // A long list is in front of the leaves: its room is not kept beside them.
        self.line.shrink_to(MAX_LEAF_LINE_BYTES);
        self.lines = self.lines.saturating_add(1);
        self.expected = std::mem::take(&mut self.expected).after(&line)?;
        Ok(Some(line))
    }
}

fn not_ended() -> Refusal {
    Code::PackMalformed.because("the line has no end")
}

impl Expected {
    const fn longest_line(&self) -> usize {
        match self {
            Self::Leaves(_) => MAX_LEAF_LINE_BYTES,
            Self::Optional(..) => MAX_LIST_LINE_BYTES,
            Self::Header | Self::Checkpoint(_) => MAX_HEAD_LINE_BYTES,
        }
    }

    fn after(self, line: &Line) -> Result<Self, Refusal> {
        Ok(match (self, line) {
            (Self::Header, Line::Header(header)) => Self::Checkpoint(Leaves::of(header)),
            (Self::Checkpoint(leaves), Line::Checkpoint(_)) => {
                Self::Optional(Part::Earlier, leaves)
            }
            (Self::Optional(Part::Earlier, leaves), Line::Earlier(_)) => {
                Self::Optional(Part::Disclosures, leaves)
            }
            (Self::Optional(part, leaves), Line::Disclosures(_)) if part < Part::State => {
                Self::Optional(Part::State, leaves)
            }
            (Self::Optional(part, leaves), Line::State(_)) if part < Part::Entries => {
                Self::Optional(Part::Entries, leaves)
            }
            (Self::Optional(Part::Entries, leaves), Line::StateEntry(_)) => {
                Self::Optional(Part::Entries, leaves)
            }
            (Self::Optional(_, leaves), Line::Proof(proof)) => {
                leaves.check_proof(proof.len())?;
                Self::Leaves(leaves)
            }
            (Self::Leaves(leaves), Line::Leaf(entry)) => Self::Leaves(leaves.after(entry.index)?),
            (expected, line) => {
                let (want, got) = (expected.name(), line.name());
                return Err(Code::PackOrder.because(format!("{got} in the place of {want}")));
            }
        })
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Header => "the header",
            Self::Checkpoint(_) => "the checkpoint",
            Self::Optional(..) => "the proof",
            Self::Leaves(_) => "a leaf",
        }
    }
}

impl Leaves {
    fn of(header: &Header) -> Self {
        Self {
            selection: header.selection.clone(),
            size: header.size,
            count: header.count,
            next: header.selection.first().get(),
            got: 0,
        }
    }

    fn check_proof(&self, got: usize) -> Result<(), Refusal> {
        if matches!(self.selection, Selection::Range(_)) && got > MAX_WINDOW_HASHES {
            return Err(Code::ProofMalformed.because(format!(
                "the proof has {got} hashes, at most {MAX_WINDOW_HASHES} for a window"
            )));
        }
        Ok(())
    }

    /// A leaf that is missing may have been dropped or may come too late: which of the two, the lines that follow say.
    fn after(mut self, index: LeafIndex) -> Result<Self, Refusal> {
        let (first, end) = (self.selection.first(), self.selection.end(self.size));
        if index < first || index >= end {
            return Err(
                Code::PackSelection.because(format!("leaf {index} is not of {first} up to {end}"))
            );
        }
        let next = self.next;
        if index.get() < next {
            return Err(
                Code::PackOrder.because(format!("leaf {index} where {next} is the lowest left"))
            );
        }
        self.next = index.get().saturating_add(1);
        self.got = self.got.saturating_add(1);
        if self.got > self.count {
            let count = self.count;
            return Err(Code::PackCount.because(format!("more than the {count} leaves it says")));
        }
        Ok(self)
    }

    fn finish(&self) -> Result<(), Refusal> {
        let (got, want) = (self.got, self.count);
        if got == want {
            return Ok(());
        }
        Err(Code::PackCount.because(format!("{got} leaves of {want}")))
    }
}
