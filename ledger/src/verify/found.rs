//! What was found of lines that were read ahead, as bytes: for a verifier that shares no memory with those who read them,
//! as in a browser.
//!
//! Whoever gives these bytes to a verifier is trusted as much as the verifier itself: they come from the same program.
//! Bytes that are not of these lines are passed over, and what they would have said is worked out anew.
//!
//! First come the logs that are named: a byte says how many, and of each there are the origin and the key, as texts of so
//! many bytes as the two bytes in front say. Then each line has a byte: 0 if nothing was found of it, or 1. Behind the 1 are
//! the hash of the leaf, a byte that counts the signatures, each of these, and a byte for the head that was seen: 0, or the
//! place of its log, from 1 on. A signature is a byte: 0 if it was not checked, 1 if it does not verify and 2 if it
//! does; behind the last two is the key.

use tlog::note::VerifierKey;
use tlog::{Hash, leaf_hash};

use crate::key::PublicKey;
use crate::pack::Line;
use crate::record::{Ahead, SignedRecord};
use crate::verify::ahead::{LeafAhead, LikelyKeys, LineAhead, LinesAhead};
use crate::verify::records::read_leaf;

type Log = (String, VerifierKey);

impl LinesAhead {
    /// What was found of them, for [`Self::read_with`].
    #[must_use]
    pub fn found(&self) -> Vec<u8> {
        let (mut logs, mut lines) = (Vec::new(), Vec::new());
        for line in self.lines() {
            match line.leaf.as_ref().map(|leaf| (leaf.hash, &leaf.record)) {
                Some((hash, Ok((_, record)))) => write_leaf(hash, record, &mut logs, &mut lines),
                _ => lines.push(0),
            }
        }
        let mut found = logs_as_bytes(&logs);
        found.append(&mut lines);
        found
    }

    /// Reads lines, the last of which has its end, without doing again what was found of them.
    #[must_use]
    pub fn read_with(bytes: Vec<u8>, found: &[u8]) -> Self {
        let mut found = Found(found);
        let logs = found.logs().unwrap_or_default();
        let mut next = || found.leaf(&logs);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let lines = lines.map(|line| read_line(line, next())).collect();
        Self::of(bytes, lines)
    }
}

impl LikelyKeys {
    /// The keys as bytes, for [`Self::learn`]: the logs as in what was found, then the keys of signers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = logs_as_bytes(self.logs());
        self.each(|key| bytes.extend_from_slice(key.as_bytes()));
        bytes
    }

    /// Takes up keys that were told as bytes, as far as they can be read.
    pub fn learn(&mut self, bytes: &[u8]) {
        let mut bytes = Found(bytes);
        let logs = bytes.logs().unwrap_or_default();
        logs.into_iter().for_each(|log| self.put_log(log));
        while let Some(key) = bytes.array() {
            if let Ok(key) = PublicKey::from_bytes(&key) {
                self.put(key);
            }
        }
    }
}

fn write_leaf(hash: Hash, record: &SignedRecord, logs: &mut Vec<Log>, into: &mut Vec<u8>) {
    let none = Ahead::default();
    let Ahead { signatures, seen } = record.ahead().unwrap_or(&none);
    let Ok(count) = u8::try_from(signatures.len()) else {
        return into.push(0);
    };
    into.push(1);
    into.extend_from_slice(hash.as_bytes());
    into.push(count);
    for signature in signatures {
        let Some((key, verifies)) = signature else {
            into.push(0);
            continue;
        };
        into.push(if *verifies { 2 } else { 1 });
        into.extend_from_slice(key);
    }
    into.push(seen.as_ref().map_or(0, |log| place(log, logs)));
}

/// The place of a log among those that are named, from 1 on; 0 if they are too many.
fn place(log: &Log, logs: &mut Vec<Log>) -> u8 {
    let at = logs.iter().position(|known| known == log);
    let at = at.unwrap_or_else(|| {
        logs.push(log.clone());
        logs.len().saturating_sub(1)
    });
    u8::try_from(at.saturating_add(1)).unwrap_or(0)
}

fn logs_as_bytes(logs: &[Log]) -> Vec<u8> {
    let mut bytes = vec![0];
    for (origin, key) in logs.iter().take(usize::from(u8::MAX)) {
        let texts = [origin.clone(), key.to_string()];
        let lengths = texts.each_ref().map(|text| u16::try_from(text.len()));
        let [Ok(first), Ok(second)] = lengths else {
            break;
        };
        for (length, text) in [first, second].into_iter().zip(&texts) {
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        if let Some(count) = bytes.first_mut() {
            *count = count.saturating_add(1);
        }
    }
    bytes
}

fn read_line(bytes: &[u8], found: Option<(Hash, Ahead)>) -> LineAhead {
    let line = Line::parse(bytes);
    let leaf = match &line {
        Ok(Line::Leaf(entry)) => Some(read_leaf_with(entry.leaf.as_bytes(), found)),
        _ => None,
    };
    LineAhead { line, leaf }
}

fn read_leaf_with(bytes: &[u8], found: Option<(Hash, Ahead)>) -> LeafAhead {
    let (hash, ahead) = found.unwrap_or_else(|| (leaf_hash(bytes), Ahead::default()));
    let record = read_leaf(bytes).map(|(received_ms, mut record)| {
        record.know(ahead);
        (received_ms, record)
    });
    LeafAhead { hash, record }
}

/// Bytes that are read from the front. What is cut off or out of place is nothing.
struct Found<'a>(&'a [u8]);

impl<'a> Found<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        let [byte] = self.array()?;
        Some(byte)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_be_bytes(self.array()?);
        std::str::from_utf8(self.take(usize::from(length))?).ok()
    }

    fn logs(&mut self) -> Option<Vec<Log>> {
        let count = self.byte()?;
        let log = |_| Some((self.text()?.to_owned(), self.text()?.parse().ok()?));
        (0..count).map(log).collect()
    }

    fn leaf(&mut self, logs: &[Log]) -> Option<(Hash, Ahead)> {
        if self.byte()? == 0 {
            return None;
        }
        let hash = Hash::from_bytes(self.array()?);
        let count = self.byte()?;
        let signatures: Option<_> = (0..count).map(|_| self.signature()).collect();
        let place = usize::from(self.byte()?).checked_sub(1);
        let seen = place.and_then(|place| logs.get(place)).cloned();
        let signatures = signatures?;
        Some((hash, Ahead { signatures, seen }))
    }

    fn signature(&mut self) -> Option<Option<([u8; 32], bool)>> {
        Some(match self.byte()? {
            0 => None,
            verifies => Some((self.array()?, verifies == 2)),
        })
    }
}

#[cfg(test)]
mod tests;
