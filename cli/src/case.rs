//! A sealed case: the verifier's page with evidence inside, in one file that opens from a disk. It holds no trust: whoever
//! opens it types the fingerprint that came by another way.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use host::output::Output;

use crate::page::{self, Page};

/// A case that is being made. The compressed evidence is held until it is whole.
pub(crate) struct Case {
    out: Output,
    evidence: Evidence,
}

/// Evidence on its way into a case.
pub(crate) struct Evidence(GzEncoder<Vec<u8>>);

impl Case {
    /// Begins one.
    ///
    /// # Errors
    ///
    /// If this program has no page, or the file cannot be written.
    pub(crate) fn begin(path: &Path) -> Result<Self> {
        Ok(Self {
            evidence: Evidence::begin()?,
            out: Output::to(path).with_context(|| format!("{path:?} could not be written"))?,
        })
    }

    /// Ends it, under its name; gives how many bytes it has.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) fn finish(mut self) -> Result<u64> {
        let case = self.evidence.finish()?;
        let written = self.out.write_all(case.as_bytes());
        written
            .and_then(|()| self.out.finish())
            .context("the case could not be written")?;
        Ok(case.len() as u64)
    }
}

impl Evidence {
    /// Begins with none.
    ///
    /// # Errors
    ///
    /// If this program has no page to put it into.
    pub(crate) fn begin() -> Result<Self> {
        page::whole()?;
        Ok(Self(GzEncoder::new(Vec::new(), Compression::best())))
    }

    /// The page with all of it inside.
    ///
    /// # Errors
    ///
    /// If this program has no page to put it into.
    pub(crate) fn finish(self) -> Result<String> {
        let gzipped = self.0.finish()?;
        Ok(Page::of(&page::whole()?).with(&gzipped))
    }
}

impl Write for Evidence {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Case {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.evidence.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
