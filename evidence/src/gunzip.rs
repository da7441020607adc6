//! gzip (RFC 1952): members one after another, and nothing behind the last.
//!
//! The bytes are taken in blocks of one size, wherever they were cut on the way here: so what comes out before something is
//! found to be wrong is always the same.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::crc32::Crc32;
use crate::header;

/// How many bytes one compressed byte may unwrap to. Half of a pack is signatures and hashes, which do not shrink, so a
/// sound one grows by four or five; gzip itself can be made to grow by a thousand.
pub const MAX_GROWTH: u64 = 100;

/// What may be unwrapped whatever it grew from: a small pack may be of one record over and over.
pub const ALWAYS_UNWRAPPED_BYTES: u64 = 64 * 1024 * 1024;

/// How much is unwrapped at a time.
const BLOCK_BYTES: usize = 16 * 1024;

/// How far back a member refers (RFC 1951 §2).
const WINDOW_BYTES: usize = 32 * 1024;

/// Checksum and length.
const TRAILER_BYTES: usize = 8;

/// Why bytes do not unwrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GunzipError {
    /// What stands where a member begins is not a header of one.
    #[error("a member does not begin with a gzip header")]
    Header,
    /// The compressed data contradict themselves.
    #[error("the compressed data are damaged")]
    Data,
    /// The data are not those that the checksum is of.
    #[error("the checksum or the length does not match the data")]
    Checksum,
    /// It ends within a member.
    #[error("it ends within a member")]
    Cut,
    /// It unwraps to more than anything sound would.
    #[error("{compressed} bytes unwrap to more than {most}")]
    Grows {
        /// How much was read.
        compressed: u64,
        /// The most that it may unwrap to.
        most: u64,
    },
}

/// gzip on its way.
pub(crate) struct Gunzip {
    /// What is not yet a block.
    block: Vec<u8>,
    /// A part of a header or a trailer, whose rest is in the next block.
    held: Vec<u8>,
    part: Part,
    inflater: Box<DecompressorOxide>,
    window: Vec<u8>,
    at: usize,
    crc: Crc32,
    /// The length of the member so far, modulo 2^32 (RFC 1952 §2.3.1).
    length: u32,
    compressed: u64,
    unwrapped: u64,
}

/// What of a member comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Header,
    Data,
    Trailer,
}

impl Default for Gunzip {
    fn default() -> Self {
        Self {
            block: Vec::with_capacity(BLOCK_BYTES),
            held: Vec::new(),
            part: Part::Header,
            inflater: Box::default(),
            window: vec![0; WINDOW_BYTES],
            at: 0,
            crc: Crc32::default(),
            length: 0,
            compressed: 0,
            unwrapped: 0,
        }
    }
}

impl Gunzip {
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        give: &mut dyn FnMut(&[u8]),
    ) -> Result<(), GunzipError> {
        while !bytes.is_empty() {
            let room = BLOCK_BYTES.saturating_sub(self.block.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK_BYTES {
                self.unwrap_block(give)?;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, give: &mut dyn FnMut(&[u8])) -> Result<(), GunzipError> {
        self.unwrap_block(give)?;
        match self.part == Part::Header && self.held.is_empty() {
            true => Ok(()),
            false => Err(GunzipError::Cut),
        }
    }

    fn unwrap_block(&mut self, give: &mut dyn FnMut(&[u8])) -> Result<(), GunzipError> {
        self.compressed += self.block.len() as u64;
        let mut bytes = std::mem::take(&mut self.held);
        bytes.append(&mut self.block);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let used = match self.part {
                Part::Header => self.pass_header(rest)?,
                Part::Data => Some(self.inflate(rest, give)?),
                Part::Trailer => self.pass_trailer(rest)?,
            };
            let Some(used) = used else {
                self.held = rest.to_vec();
                break;
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        self.check_growth()
    }

    fn pass_header(&mut self, bytes: &[u8]) -> Result<Option<usize>, GunzipError> {
        let length = header::length(bytes)?;
        if length.is_some() {
            self.part = Part::Data;
            self.inflater.init();
            self.window.fill(0);
            (self.at, self.length) = (0, 0);
        }
        Ok(length)
    }

    /// Unwraps what fits into the window; gives how much it took.
    fn inflate(&mut self, bytes: &[u8], give: &mut dyn FnMut(&[u8])) -> Result<usize, GunzipError> {
        let flags = TINFL_FLAG_HAS_MORE_INPUT;
        let (status, used, made) =
            decompress(&mut self.inflater, bytes, &mut self.window, self.at, flags);
        let end = self.at.saturating_add(made);
        let plain = self.window.get(self.at..end).unwrap_or_default();
        self.crc.update(plain);
        self.length = self
            .length
            .wrapping_add(u32::try_from(made).unwrap_or_default());
        self.unwrapped += made as u64;
        if !plain.is_empty() {
            give(plain);
        }
        self.at = end % WINDOW_BYTES;
        match status {
            TINFLStatus::Done => self.part = Part::Trailer,
            TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput if used + made > 0 => {}
            _ => return Err(GunzipError::Data),
        }
        Ok(used)
    }

    fn pass_trailer(&mut self, bytes: &[u8]) -> Result<Option<usize>, GunzipError> {
        let Some(trailer) = bytes.first_chunk::<TRAILER_BYTES>() else {
            return Ok(None);
        };
        let own = (u64::from(self.length) << 32) | u64::from(self.crc.take());
        if u64::from_le_bytes(*trailer) != own {
            return Err(GunzipError::Checksum);
        }
        self.part = Part::Header;
        Ok(Some(TRAILER_BYTES))
    }

    fn check_growth(&self) -> Result<(), GunzipError> {
        let compressed = self.compressed;
        let most = ALWAYS_UNWRAPPED_BYTES.max(compressed.saturating_mul(MAX_GROWTH));
        match self.unwrapped <= most {
            true => Ok(()),
            false => Err(GunzipError::Grows { compressed, most }),
        }
    }
}

impl std::fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gunzip({} bytes of {})", self.unwrapped, self.compressed)
    }
}
