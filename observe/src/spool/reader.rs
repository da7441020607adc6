//! Reading the spool behind its writer: lines from a place on, up to where they are synced.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::{Place, SpoolError, at, segment_path};
use crate::desk::Line;

/// At most so many lines from a place on, and the place behind them. The end is where lines are synced; it is also where
/// to wait, if there are none.
pub(crate) fn read(
    folder: &Path,
    from: Place,
    end: Place,
    most: usize,
) -> Result<(Vec<Line>, Place), SpoolError> {
    let mut place = from;
    let mut lines = Vec::new();
    while place < end && lines.len() < most {
        let is_last = place.segment == end.segment;
        let path = segment_path(folder, place.segment);
        let mut file = File::open(&path).map_err(|source| at(&path, source))?;
        file.seek(SeekFrom::Start(place.offset))
            .map_err(|source| at(&path, source))?;
        let length = match is_last {
            true => end.offset - place.offset,
            false => u64::MAX,
        };
        let mut reader = BufReader::new(file.take(length));
        let mut bytes = Vec::new();
        while lines.len() < most {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes);
            let read = read.map_err(|source| at(&path, source))? as u64;
            if read == 0 {
                break;
            }
            place.offset += read;
            let line = serde_json::from_slice(&bytes);
            lines.push(line.map_err(|error| SpoolError::Damaged {
                path: path.clone(),
                reason: error.to_string(),
            })?);
        }
        if lines.len() < most && !is_last {
            place = Place {
                segment: place.segment + 1,
                offset: 0,
            };
        }
    }
    Ok((lines, place))
}
