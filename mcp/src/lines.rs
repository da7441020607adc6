//! Messages on a stream of bytes: one a line (the transport over stdin and stdout).

use std::io::{self, BufRead};

/// The longest line of a client that is held until it is decided upon, in bytes. Arguments of tools are far shorter.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// A piece of a stream of lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A whole line with its end, or the rest of the stream that has none.
    Line(Vec<u8>),
    /// The first bytes of a line that is longer than [`MAX_LINE_BYTES`].
    TooLong(Vec<u8>),
}

/// Reads a line; `None` at the end of the stream.
pub(crate) fn read_line(reader: &mut impl BufRead, most: usize) -> io::Result<Option<Piece>> {
    let mut line = Vec::new();
    loop {
        let bytes = fill(reader)?;
        if bytes.is_empty() {
            return Ok((!line.is_empty()).then_some(Piece::Line(line)));
        }
        let end = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|at| at + 1);
        let taken = end.unwrap_or(bytes.len());
        line.extend(bytes.iter().take(taken));
        reader.consume(taken);
        if end.is_some() {
            return Ok(Some(Piece::Line(line)));
        }
        if line.len() > most {
            return Ok(Some(Piece::TooLong(line)));
        }
    }
}

/// Reads a piece of the line that goes on; whether it ends it, and the bytes. `None` at the end of the stream.
pub(crate) fn read_on(reader: &mut impl BufRead) -> io::Result<Option<(Vec<u8>, bool)>> {
    let bytes = fill(reader)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .map(|at| at + 1);
    let taken: Vec<u8> = bytes
        .iter()
        .take(end.unwrap_or(bytes.len()))
        .copied()
        .collect();
    reader.consume(taken.len());
    Ok(Some((taken, end.is_some())))
}

fn fill(reader: &mut impl BufRead) -> io::Result<&[u8]> {
    // The borrow of a first answer would last as long as the second: so it is asked for again.
    loop {
        match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    reader.fill_buf()
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn lines_keep_their_ends_and_the_last_may_have_none() {
        let text = b"a\r\n\n{}\nrest";
        let mut reader = BufReader::with_capacity(2, text.as_slice());
        let mut lines = Vec::new();
        while let Some(Piece::Line(line)) = read_line(&mut reader, 100).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines.concat(), text);
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn a_line_that_is_too_long_comes_in_pieces() {
        let mut reader = BufReader::with_capacity(4, b"0123456789\nx\n".as_slice());
        assert_eq!(
            read_line(&mut reader, 5).unwrap(),
            Some(Piece::TooLong(b"01234567".to_vec()))
        );
        assert_eq!(
            read_on(&mut reader).unwrap(),
            Some((b"89\n".to_vec(), true))
        );
        assert_eq!(
            read_line(&mut reader, 5).unwrap(),
            Some(Piece::Line(b"x\n".to_vec()))
        );
        assert_eq!(read_line(&mut reader, 5).unwrap(), None);
        assert_eq!(read_on(&mut reader).unwrap(), None);
    }
}
