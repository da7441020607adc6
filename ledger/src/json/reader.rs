//! From bytes to a [`Value`], by the grammar of RFC 8259 and less: what that leaves open is refused.
//!
//! It is our own, because the verifier is also sent to browsers: a reader of all of JSON carries what floats need, a
//! tenth of the whole. Tests hold it against `serde_json`.

use super::{MAX_DEPTH, MAX_INTEGER, MAX_VALUES, Value};
use crate::codes::{Code, Refusal};
use crate::text::quoted;

/// Reads exactly one value from all of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Refusal> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| refused(format!("no UTF-8 after {} bytes", error.valid_up_to())))?;
    let mut reader = Reader {
        text,
        at: 0,
        values: 0,
    };
    if reader.peek().is_some_and(is_space) || text.bytes().next_back().is_some_and(is_space) {
        return Err(refused("space around the value".to_owned()));
    }
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.unexpected("the end")),
    }
}

/// A text, and how far it has been read.
struct Reader<'a> {
    text: &'a str,
    /// The byte that is read next.
    at: usize,
    /// How many values have begun.
    values: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Refusal> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(refused(format!("more than {MAX_VALUES} values")));
        }
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'0'..=b'9') => self.integer(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.unexpected("a value without floats, exponents, or negative numbers")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Refusal> {
        let mut members = Vec::new();
        let mut more = self.open(depth, b'}')?;
        while more {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a member's name"));
            }
            let name = self.string()?;
            self.skip_space();
            self.expect(b':', "a colon")?;
            self.skip_space();
            members.push((name, self.value(depth)?));
            more = self.separator(b'}')?;
        }
        match twice(&members) {
            None => Ok(Value::Object(members)),
            Some(name) => Err(refused(format!("member {} stands twice", quoted(name)))),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Refusal> {
        let mut elements = Vec::new();
        let mut more = self.open(depth, b']')?;
        while more {
            elements.push(self.value(depth)?);
            more = self.separator(b']')?;
        }
        Ok(Value::Array(elements))
    }

    /// Passes the bracket that opens an object or array, and says whether something is in it.
    fn open(&mut self, depth: usize, end: u8) -> Result<bool, Refusal> {
        if depth > MAX_DEPTH {
            return Err(refused(format!("nested deeper than {MAX_DEPTH}")));
        }
        self.at += 1;
        self.skip_space();
        Ok(!self.pass(end))
    }

    /// Passes what stands behind an element, and says whether another follows.
    fn separator(&mut self, end: u8) -> Result<bool, Refusal> {
        self.skip_space();
        if self.pass(end) {
            return Ok(false);
        }
        self.expect(b',', "a comma or the end of the list")?;
        self.skip_space();
        Ok(true)
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Refusal> {
        if !self.rest().starts_with(word) {
            return Err(self.unexpected(word));
        }
        self.at += word.len();
        Ok(value)
    }

    fn integer(&mut self) -> Result<Value, Refusal> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let text = self.rest().get(..digits).unwrap_or_default();
        if digits > 1 && text.starts_with('0') {
            return Err(self.unexpected("a number without leading zeros"));
        }
        // What is too long for the type is too large as well.
        let value = text.parse().unwrap_or(u64::MAX);
        if value > MAX_INTEGER {
            return Err(refused(format!("an integer above {MAX_INTEGER}")));
        }
        self.at += digits;
        match self.peek() {
            Some(b'.' | b'e' | b'E') => Err(self.unexpected("an integer to end")),
            _ => Ok(Value::Integer(value)),
        }
    }

    fn string(&mut self) -> Result<String, Refusal> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = self.rest().bytes().take_while(|byte| is_plain(*byte));
            let plain = plain.count();
            // A byte that is not plain is ASCII, so no character is cut in two.
            text.push_str(self.rest().get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.unexpected("a string without control characters to end")),
            }
        }
        self.at += 1;
        Ok(text)
    }

    fn escape(&mut self) -> Result<char, Refusal> {
        self.at += 1;
        let escaped = match self.peek() {
            Some(b'u') => return self.unicode(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// A character by its UTF-16 code units, of which it has one or two (RFC 8259 §7).
    fn unicode(&mut self) -> Result<char, Refusal> {
        let first = self.unit()?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        let second = match self.rest().starts_with("\\u") {
            true => {
                self.at += 1;
                self.unit()?
            }
            false => 0,
        };
        match (first, second) {
            (0xd800..=0xdbff, 0xdc00..=0xdfff) => {
                char::from_u32(0x10000 + ((first & 0x3ff) << 10 | second & 0x3ff))
            }
            _ => None,
        }
        .ok_or_else(|| self.unexpected("no lone surrogate before it"))
    }

    /// Passes `u` and the four hex digits behind it.
    fn unit(&mut self) -> Result<u32, Refusal> {
        self.at += 1;
        let digits = self.rest().get(..4).unwrap_or_default();
        let is_hex = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let unit = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        let unit = unit.ok_or_else(|| self.unexpected("four hex digits"))?;
        self.at += 4;
        Ok(unit)
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Refusal> {
        match self.pass(byte) {
            true => Ok(()),
            false => Err(self.unexpected(what)),
        }
    }

    fn pass(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn skip_space(&mut self) {
        self.at += self
            .rest()
            .bytes()
            .take_while(|byte| is_space(*byte))
            .count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn unexpected(&self, wanted: &str) -> Refusal {
        let byte = self.at + 1;
        match self.rest().chars().next() {
            None => refused(format!("the text ends where {wanted} is expected")),
            Some(found) => {
                let found = quoted(found.encode_utf8(&mut [0; 4]));
                refused(format!(
                    "{found} at byte {byte}, where {wanted} is expected"
                ))
            }
        }
    }
}

/// RFC 8259 §2.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether a byte stands for itself in a string (RFC 8259 §7).
fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// The name that stands twice, if one does. Names are compared as they read, so an escape hides none.
fn twice(members: &[(String, Value)]) -> Option<&str> {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let mut next = names.iter().skip(1);
    names
        .iter()
        .find(|name| next.next() == Some(*name))
        .copied()
}

fn refused(detail: String) -> Refusal {
    Code::NotStrictJson.because(detail)
}
