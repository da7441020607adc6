//! Paths of tiles, both ways, in the one spelling that tlog-tiles gives each.

use std::fmt;
use std::num::NonZeroU8;

use super::{EntryBundle, MAX_TILE_LEVEL, Tile, Width};
use crate::decimal;

const PREFIX: &str = "/tile/";
const ENTRIES: &str = "entries";
/// What a path element of an index begins with, if another follows.
const GROUP_MARK: char = 'x';
const GROUP_DIGITS: usize = 3;
const GROUP: u64 = 1_000;

/// What a path under `/tile/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TilePath {
    /// `/tile/<L>/<N>[.p/<W>]`
    Hashes(Tile),
    /// `/tile/entries/<N>[.p/<W>]`
    Entries(EntryBundle),
}

impl TilePath {
    /// Reads an absolute path, such as `/tile/0/x001/234.p/5`.
    ///
    /// # Errors
    ///
    /// [`TilePathError`] for everything that formatting does not produce.
    pub fn parse(path: &str) -> Result<Self, TilePathError> {
        let rest = path.strip_prefix(PREFIX).ok_or(TilePathError::Prefix)?;
        let (kind, rest) = rest.split_once('/').ok_or(TilePathError::Prefix)?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, parse_width(width)?),
            None => (rest, Width::Full),
        };
        let index = parse_index(index)?;
        if kind == ENTRIES {
            return Ok(Self::Entries(EntryBundle { index, width }));
        }
        let level = parse_level(kind)?;
        Ok(Self::Hashes(Tile {
            level,
            index,
            width,
        }))
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hashes(tile) => tile.fmt(f),
            Self::Entries(bundle) => bundle.fmt(f),
        }
    }
}

/// The tile's path, from the root of the log.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/", self.level)?;
        format_index(self.index, f)?;
        format_width(self.width, f)
    }
}

/// The bundle's path, from the root of the log.
impl fmt::Display for EntryBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{ENTRIES}/")?;
        format_index(self.index, f)?;
        format_width(self.width, f)
    }
}

/// Why a path names no tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TilePathError {
    /// It does not begin with `/tile/` and a level or `entries`.
    #[error("a tile's path begins with /tile/ and a level or the word entries")]
    Prefix,
    /// The level is not a number from 0 to 63.
    #[error("a tile's level is a number from 0 to {MAX_TILE_LEVEL} without leading zeros")]
    Level,
    /// The index is not written in groups of three digits, or is above 2^64.
    #[error("a tile's index is written in groups of three digits, all but the last after an x")]
    Index,
    /// The width is not a number from 1 to 255.
    #[error("a partial tile's width is a number from 1 to 255 without leading zeros")]
    Width,
}

fn parse_level(text: &str) -> Result<u8, TilePathError> {
    let level = decimal::parse(text).and_then(|level| u8::try_from(level).ok());
    level
        .filter(|level| *level <= MAX_TILE_LEVEL)
        .ok_or(TilePathError::Level)
}

fn parse_width(text: &str) -> Result<Width, TilePathError> {
    let width = decimal::parse(text).and_then(|width| u8::try_from(width).ok());
    let width = width.and_then(NonZeroU8::new).ok_or(TilePathError::Width)?;
    Ok(Width::Partial(width))
}

fn parse_index(text: &str) -> Result<u64, TilePathError> {
    let (groups, last) = match text.rsplit_once('/') {
        Some((groups, last)) => (Some(groups), last),
        None => (None, text),
    };
    let mut index = 0_u64;
    for group in groups.iter().flat_map(|groups| groups.split('/')) {
        let digits = group.strip_prefix(GROUP_MARK).ok_or(TilePathError::Index)?;
        index = append_group(index, digits)?;
        // A group of zeros in front would spell the same index a second time.
        if index == 0 {
            return Err(TilePathError::Index);
        }
    }
    append_group(index, last)
}

fn append_group(index: u64, digits: &str) -> Result<u64, TilePathError> {
    let well_formed = digits.len() == GROUP_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let group = well_formed.then(|| digits.parse::<u64>().ok()).flatten();
    let shifted = index.checked_mul(GROUP);
    shifted
        .zip(group)
        .and_then(|(shifted, group)| shifted.checked_add(group))
        .ok_or(TilePathError::Index)
}

fn format_index(index: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let above = index / GROUP;
    if above > 0 {
        format_marked_groups(above, f)?;
    }
    write!(f, "{:03}", index % GROUP)
}

fn format_marked_groups(groups: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let above = groups / GROUP;
    if above > 0 {
        format_marked_groups(above, f)?;
    }
    write!(f, "{GROUP_MARK}{:03}/", groups % GROUP)
}

fn format_width(width: Width, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match width {
        Width::Full => Ok(()),
        Width::Partial(count) => write!(f, ".p/{count}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, index, width| {
            TilePath::Hashes(Tile {
                level,
                index,
                width,
            })
        };
        let partial = Width::from_count(5).unwrap();
        for (path, want) in [
            ("/tile/0/000", tile(0, 0, Width::Full)),
            ("/tile/1/x001/x234/067", tile(1, 1_234_067, Width::Full)),
            ("/tile/63/x001/000.p/5", tile(63, 1_000, partial)),
            (
                "/tile/0/x018/x446/x744/x073/x709/x551/615",
                tile(0, u64::MAX, Width::Full),
            ),
            (
                "/tile/entries/067.p/5",
                TilePath::Entries(EntryBundle {
                    index: 67,
                    width: partial,
                }),
            ),
        ] {
            assert_eq!(TilePath::parse(path), Ok(want), "{path}");
            assert_eq!(want.to_string(), path);
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        use TilePathError::{Index, Level, Prefix, Width};
        for (path, want) in [
            ("", Prefix),
            ("tile/0/000", Prefix),
            ("/tile/000", Prefix),
            ("/tile//000", Level),
            ("/tile/00/000", Level),
            ("/tile/64/000", Level),
            ("/tile/-1/000", Level),
            ("/tile/entry/000", Level),
            ("/tile/0/", Index),
            ("/tile/0/0", Index),
            ("/tile/0/0000", Index),
            ("/tile/0/1234", Index),
            ("/tile/0/+12", Index),
            ("/tile/0/x001", Index),
            ("/tile/0/001/234", Index),
            ("/tile/0/x000/001", Index),
            ("/tile/0/x001/234/", Index),
            ("/tile/0/x001//234", Index),
            ("/tile/0/X001/234", Index),
            ("/tile/0/x018/x446/x744/x073/x709/x551/616", Index),
            ("/tile/0/x001/x018/x446/x744/x073/x709/x551/615", Index),
            ("/tile/0/000.p", Index),
            ("/tile/0/000.p/", Width),
            ("/tile/0/000.p/0", Width),
            ("/tile/0/000.p/05", Width),
            ("/tile/0/000.p/256", Width),
            ("/tile/0/000.p/5/", Width),
            ("/tile/0/000.p/5.p/5", Width),
        ] {
            assert_eq!(TilePath::parse(path), Err(want), "{path}");
        }
    }

    proptest! {
        #[test]
        fn formatting_and_parsing_are_inverse(
            level in 0..=MAX_TILE_LEVEL, index: u64, shift in 0..64, count in 1_usize..=256,
        ) {
            let width = Width::from_count(count).unwrap();
            let index = index >> shift;
            let tile = TilePath::Hashes(Tile { level, index, width });
            prop_assert_eq!(TilePath::parse(&tile.to_string()), Ok(tile));
            let bundle = TilePath::Entries(EntryBundle { index, width });
            prop_assert_eq!(TilePath::parse(&bundle.to_string()), Ok(bundle));
        }

        #[test]
        fn what_is_read_is_written_back(path in "/tile/([0-9]{1,2}|entries)(/x[0-9]{3}){0,3}/[0-9]{3}(\\.p/[0-9]{1,3})?") {
            if let Ok(tile) = TilePath::parse(&path) {
                prop_assert_eq!(tile.to_string(), path);
            }
        }
    }
}
