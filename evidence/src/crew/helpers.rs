//! Helpers that read ahead and share no memory: pieces go out as messages, and what was found of them comes back.
//!
//! What does not come back is not waited for: at the end the verifier works it out itself.

use std::collections::VecDeque;

use ledger::verify::{LikelyKeys, LinesAhead};

use super::ReadAhead;

/// The verifier's side.
#[derive(Debug, Default)]
pub struct Helpers {
    are_there: bool,
    keys: Option<Vec<u8>>,
    pieces: VecDeque<Piece>,
    /// The number of the first piece, and of the first that was not handed out.
    first: u64,
    next: u64,
}

/// Lines, and what was found of them as soon as that is known.
#[derive(Debug)]
struct Piece {
    lines: Vec<u8>,
    found: Option<Vec<u8>>,
}

impl Helpers {
    pub(super) const fn new() -> Self {
        Self {
            are_there: false,
            keys: None,
            pieces: VecDeque::new(),
            first: 0,
            next: 0,
        }
    }

    /// Says that there are helpers.
    pub const fn invite(&mut self) {
        self.are_there = true;
    }

    /// The keys that are known in front of the leaves, for a [`Helper`]: once the leaves have begun, and if anybody asks
    /// who signed them.
    pub fn keys(&self) -> Option<&[u8]> {
        self.keys.as_deref()
    }

    /// The next piece to be read, with its number.
    pub fn hand_out(&mut self) -> Option<(u64, &[u8])> {
        let place = usize::try_from(self.next - self.first).ok()?;
        let piece = self.pieces.get(place)?;
        self.next += 1;
        Some((self.next - 1, &piece.lines))
    }

    /// How many pieces were handed out and are not judged.
    pub const fn ahead(&self) -> u64 {
        self.next - self.first
    }

    pub(super) fn take_found(&mut self, number: u64, found: Vec<u8>) {
        let place = number.checked_sub(self.first);
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(piece) = place.and_then(|place| self.pieces.get_mut(place)) {
            piece.found = Some(found);
        }
    }

    fn pop(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.first += 1;
        self.next = self.next.max(self.first);
        Some(piece)
    }
}

impl ReadAhead for Helpers {
    fn is_nobody(&self) -> bool {
        !self.are_there
    }

    /// Only signatures are worth a message.
    fn start(&mut self, keys: Option<LikelyKeys>) {
        self.keys = keys.map(|keys| keys.to_bytes());
    }

    fn read(&mut self, lines: Vec<u8>) {
        let found = self.keys.is_none().then(Vec::new);
        self.pieces.push_back(Piece { lines, found });
    }

    fn ready(&mut self) -> Option<LinesAhead> {
        self.pieces.front()?.found.as_ref()?;
        self.next()
    }

    fn next(&mut self) -> Option<LinesAhead> {
        let Piece { lines, found } = self.pop()?;
        Some(match found {
            Some(found) => LinesAhead::read_with(lines, &found),
            None => LinesAhead::read(lines),
        })
    }
}

/// A helper's side: it reads pieces, and knows the keys that were told.
#[derive(Debug, Default)]
pub struct Helper {
    keys: LikelyKeys,
}

/// What a helper says of a piece.
#[derive(Debug)]
pub struct Read {
    /// What it found, for the crew's `take_found`.
    pub found: Vec<u8>,
    /// The keys that the piece brings, for the other helpers; empty if it brings none.
    pub keys: Vec<u8>,
}

impl Helper {
    /// Takes up keys, as [`Helpers::keys`] or another helper said them.
    pub fn learn(&mut self, keys: &[u8]) {
        self.keys.learn(keys);
    }

    /// Reads a piece.
    pub fn read(&mut self, piece: &[u8]) -> Read {
        let mut lines = LinesAhead::read(piece.to_vec());
        let mut keys = Vec::new();
        if lines.bring_keys() {
            self.keys.take(&lines);
            let mut brought = LikelyKeys::default();
            brought.take(&lines);
            keys = brought.to_bytes();
        }
        let logs = self.keys.logs().to_vec();
        lines.check(&|id| self.keys.key(id), &logs);
        let found = lines.found();
        Read { found, keys }
    }
}
