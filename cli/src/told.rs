//! Entries as the log has them, from a pack that the service sends: each shown to be in the log, one after another.

use std::io::{self, Write};

use anyhow::Result;
use client::export::{Additions, export};
use client::http::{Service, Wanted};
use client::identity::LogIdentity;
use ledger::pack::{Header, Line, Reader};
use timeline::entry::Entry;

use crate::progress;

/// Fetches a pack and gives its entries to `take`, oldest first. None of them counts before the pack is whole.
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
    let mut listener = Listener {
        reader: Reader::default(),
        take,
    };
    let bar = progress::entries();
    let header = export(
        service,
        log,
        wanted,
        Additions::default(),
        &mut listener,
        &mut |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        },
    )?;
    bar.finish_and_clear();
    Ok(header)
}

/// Reads the pack that is written to it.
struct Listener<'a> {
    reader: Reader,
    take: &'a mut dyn FnMut(Entry),
}

impl Write for Listener<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wrong = None;
        let take = &mut self.take;
        let read = self.reader.push(bytes, |line| {
            let Line::Leaf(leaf) = line else {
                return;
            };
            match Entry::parse(leaf.index, leaf.leaf.as_bytes()) {
                Ok(entry) => take(entry),
                Err(refusal) => wrong = Some(refusal),
            }
        });
        read.map_err(io::Error::other)?;
        wrong.map_or(Ok(bytes.len()), |refusal| Err(io::Error::other(refusal)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
