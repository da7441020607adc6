//! Server-sent events: the messages in a stream of them, while its bytes pass by.
//!
//! The form is that of the WHATWG HTML standard, section 9.2.6. A message is the `data` of an event.

use crate::skim::{Skim, Skimmed};

/// The longest name of a field that is recognised, in bytes.
const MAX_FIELD_BYTES: usize = 16;

/// A reader of a stream of events.
#[derive(Default)]
pub(crate) struct Events {
    field: Vec<u8>,
    part: Part,
    skim: Skim,
    has_data: bool,
    after_cr: bool,
    /// Whether an event had an id: then the stream can be taken up again where it broke off.
    pub(crate) can_be_resumed: bool,
}

/// Where in a line the reader is.
#[derive(Clone, Copy, Default, PartialEq)]
enum Part {
    /// In the name of a field, or before it.
    #[default]
    Field,
    /// Behind the colon, where one space does not count.
    Colon,
    Value,
}

impl Events {
    /// Reads on, and gives the messages of the events that have ended.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Skimmed> {
        let mut ended = Vec::new();
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            let was_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if was_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    ended.extend(self.end_line());
                }
                _ if self.part == Part::Value => {
                    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    let (value, left) = rest.split_at(end.unwrap_or(rest.len()));
                    self.value(value);
                    rest = left;
                    continue;
                }
                b' ' if self.part == Part::Colon => self.begin_value(),
                _ if self.part == Part::Colon => {
                    self.begin_value();
                    continue;
                }
                b':' => self.part = Part::Colon,
                byte if self.field.len() < MAX_FIELD_BYTES => self.field.push(*byte),
                _ => {}
            }
            rest = after;
        }
        ended
    }

    fn begin_value(&mut self) {
        self.part = Part::Value;
        if self.field == b"data" && std::mem::replace(&mut self.has_data, true) {
            self.skim.push(b"\n");
        }
        self.can_be_resumed |= self.field == b"id";
    }

    fn value(&mut self, value: &[u8]) {
        if self.field == b"data" {
            self.skim.push(value);
        }
    }

    /// An empty line ends an event.
    fn end_line(&mut self) -> Vec<Skimmed> {
        let is_empty = self.part == Part::Field && self.field.is_empty();
        self.part = Part::Field;
        self.field.clear();
        if !is_empty {
            return Vec::new();
        }
        self.has_data = false;
        self.skim.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skim::member;

    fn ids(text: &str, piece: usize) -> (Vec<String>, bool) {
        let mut events = Events::default();
        let mut ids = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            let messages = events.push(piece);
            ids.extend(
                messages
                    .iter()
                    .map(|one| member(&one.members, "id").unwrap_or("-").to_owned()),
            );
        }
        (ids, events.can_be_resumed)
    }

    #[test]
    fn events_are_found_however_they_are_cut_and_ended() {
        let lines = "event: message\ndata: {\"id\":\ndata:1}\n\n: comment\n\nid: 7\ndata: \n\nretry: 5\ndata:{\"id\":2,\ndata: \"a\":\"data: {\"}\n\ndata: {\"id\":3}\n";
        for ends in ["\n", "\r", "\r\n"] {
            for piece in 1..9 {
                let (ids, can_be_resumed) = ids(&lines.replace('\n', ends), piece);
                assert_eq!(ids, ["1", "2"], "{ends:?} {piece}");
                assert!(can_be_resumed);
            }
        }
        assert!(!ids("data: {\"id\":1}\n\n", 4).1);
    }
}
