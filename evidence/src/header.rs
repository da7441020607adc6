//! The header of a gzip member (RFC 1952 §2.3).

use crate::crc32::Crc32;
use crate::{GZIP_MAGIC, GunzipError};

/// The longest header: an extra field of 64 KiB, and names as long as that.
pub(crate) const MAX_HEADER_BYTES: usize = 256 * 1024;

const DEFLATE: u8 = 8;
const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// How long the header is that begins here; `None` if it does not end here.
///
/// # Errors
///
/// [`GunzipError::Header`] if it is not one.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, GunzipError> {
    if !GZIP_MAGIC.iter().zip(bytes).all(|(want, got)| want == got) {
        return Err(GunzipError::Header);
    }
    let length = Fields { bytes, at: 0 }.pass();
    match length {
        Some(length) => length.map(Some),
        None if bytes.len() > MAX_HEADER_BYTES => Err(GunzipError::Header),
        None => Ok(None),
    }
}

/// The fields, one after another. `None` is that they do not end here.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn pass(mut self) -> Option<Result<usize, GunzipError>> {
        let [_, _, method, flags, ..] = *self.take(10)? else {
            return None;
        };
        if method != DEFLATE || flags & RESERVED != 0 {
            return Some(Err(GunzipError::Header));
        }
        if flags & EXTRA != 0 {
            let [low, high] = *self.take(2)? else {
                return None;
            };
            self.take(usize::from(u16::from_le_bytes([low, high])))?;
        }
        for flag in [NAME, COMMENT] {
            if flags & flag != 0 {
                self.pass_text()?;
            }
        }
        if flags & HEADER_CRC != 0 && !self.has_its_checksum()? {
            return Some(Err(GunzipError::Header));
        }
        Some(Ok(self.at))
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn pass_text(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        self.at = self.at.checked_add(end)?.checked_add(1)?;
        Some(())
    }

    fn has_its_checksum(&mut self) -> Option<bool> {
        let mut crc = Crc32::default();
        crc.update(self.bytes.get(..self.at)?);
        let [one, two, ..] = crc.take().to_le_bytes();
        Some(self.take(2)? == [one, two])
    }
}
