//! Entries as the log has them, from the bytes of a pack: one that the service sends, or one in a file.

use std::io::{self, Write};

use anyhow::Result;
use client::export::{Additions, export};
use client::http::{Service, Wanted};
use client::identity::LogIdentity;
use ledger::codes::Refusal;
use ledger::pack::{Header, Line, Reader};
use timeline::entry::Entry;
use tlog::LeafIndex;

use crate::progress;

/// Fetches a pack and gives its entries to `take`, oldest first, each shown to be in the log. None of them counts before
/// the pack is whole.
///
/// # Errors
///
/// If it cannot be had, or does not show what it holds.
pub(crate) fn fetch(
    service: &Service,
    log: &LogIdentity,
    wanted: &Wanted,
    take: &mut dyn FnMut(Entry),
) -> Result<Header> {
    let mut listener = PackListener::default();
    let mut heard = Hearing(|bytes: &[u8]| {
        listener.hear(bytes, &mut |told| {
            if let PackItem::Entry(entry) = told {
                take(*entry);
            }
        });
    });
    let header = fetch_bytes(service, log, wanted, Additions::default(), &mut heard)?;
    listener.finish().map_err(anyhow::Error::from)?;
    Ok(header)
}

/// Fetches a pack, adds to it, and passes on the bytes of its lines.
///
/// # Errors
///
/// As [`fetch`].
pub(crate) fn fetch_bytes(
    service: &Service,
    log: &LogIdentity,
    wanted: &Wanted,
    additions: Additions,
    out: &mut dyn Write,
) -> Result<Header> {
    let bar = progress::entries();
    let mut tell = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let exported = export(service, log, wanted, additions, out, &mut tell);
    bar.finish_and_clear();
    Ok(exported?.header)
}

/// The shown part of a pack.
#[derive(Debug)]
pub(crate) enum PackItem {
    /// What it is of.
    Header(Box<Header>),
    /// An entry.
    Entry(Box<Entry>),
    /// A leaf that is not a record.
    Unreadable(LeafIndex, Refusal),
}

/// Hears the bytes of a pack and tells what is in it. What comes after bytes that are not a pack is not told.
#[derive(Debug, Default)]
pub(crate) struct PackListener {
    reader: Reader,
    refused: Option<Refusal>,
}

impl PackListener {
    /// Hears more.
    pub(crate) fn hear(&mut self, bytes: &[u8], take: &mut dyn FnMut(PackItem)) {
        if self.refused.is_some() {
            return;
        }
        let read = self.reader.push(bytes, |line| match line {
            Line::Header(header) => take(PackItem::Header(Box::new(header))),
            Line::Leaf(leaf) => take(match Entry::parse(leaf.index, leaf.leaf.as_bytes()) {
                Ok(entry) => PackItem::Entry(Box::new(entry)),
                Err(refusal) => PackItem::Unreadable(leaf.index, refusal),
            }),
            _ => {}
        });
        self.refused = read.err();
    }

    /// Ends the pack.
    ///
    /// # Errors
    ///
    /// What is wrong with it as a pack.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        self.refused.map_or_else(|| self.reader.finish(), Err)
    }
}

/// A function in place of a file.
pub(crate) struct Hearing<F>(pub(crate) F);

impl<F: FnMut(&[u8])> Write for Hearing<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
