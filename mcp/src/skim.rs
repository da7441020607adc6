//! Skimming: what a message says about itself, read while its bytes pass by and without keeping them.
//!
//! An answer may be of any length, and its `id` may come last. So a message is not parsed but skimmed, a piece at a
//! time: the members at its top are kept, of its result at most [`KEPT_RESULT_BYTES`], and of that the members at its top
//! once more. What is not JSON is skimmed to nothing.

use std::collections::HashSet;

use ledger::digest::Digest;
use sha2::{Digest as _, Sha256};

use crate::id::text;

/// The longest result that is kept, in bytes: lists of tools are read whole, and none is near it.
pub(crate) const KEPT_RESULT_BYTES: usize = 1024 * 1024;

/// The longest other member that is kept, in bytes; a state that a client hands back may have some kilobytes.
const KEPT_MEMBER_BYTES: usize = 64 * 1024;

/// The longest name of a member, in bytes as written; longer ones are cut.
const MAX_KEY_BYTES: usize = 1024;

/// How many names of one object are compared with one another.
const MAX_KEYS: usize = 4096;

/// The deepest that values may lie in one another; what lies deeper makes the message unread.
const MAX_DEPTH: usize = 512;

/// What a message says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Skimmed {
    /// The members at the top, but for `result`: name, and JSON as written.
    pub(crate) members: Vec<(String, Vec<u8>)>,
    /// The result, if there is one.
    pub(crate) result: Option<SkimmedResult>,
    /// A name that one object has twice.
    pub(crate) twice: Option<String>,
}

/// A result, as far as it is kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SkimmedResult {
    /// Its JSON, if it is not too long.
    pub(crate) json: Option<Vec<u8>>,
    /// Its SHA-256.
    pub(crate) digest: Digest,
    /// The members at its top that are not too long: name, and JSON as written.
    pub(crate) members: Vec<(String, Vec<u8>)>,
}

/// The `n`th member of a list of members; of two with one name the later counts.
pub(crate) fn member<'a>(members: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let (_, json) = members.iter().rev().find(|(key, _)| key == name)?;
    std::str::from_utf8(json).ok()
}

/// A reader of messages that come in pieces of any length.
#[derive(Default)]
pub(crate) struct Skim {
    open: Vec<Level>,
    quoted: Quoted,
    /// The name that is being read, as written and without quotes.
    key: Vec<u8>,
    /// How deep the members at the top of a message lie: 1, or 2 in an array of messages.
    top: usize,
    outer: Option<Member>,
    inner: Option<Member>,
    result: Option<Hashing>,
    message: Skimmed,
    inner_members: Vec<(String, Vec<u8>)>,
    done: Vec<Skimmed>,
    is_lost: bool,
}

#[derive(Default, PartialEq)]
enum Quoted {
    #[default]
    Not,
    Yes,
    Escape,
}

struct Level {
    is_object: bool,
    /// Whether what comes next is a name.
    awaits_key: bool,
    keys: HashSet<String>,
}

struct Member {
    name: String,
    json: Vec<u8>,
    most: usize,
    is_cut: bool,
}

impl Member {
    fn new(name: &str, most: usize) -> Self {
        Self {
            name: name.to_owned(),
            json: Vec::new(),
            most,
            is_cut: false,
        }
    }

    fn push(&mut self, byte: u8) {
        if self.json.len() < self.most {
            self.json.push(byte);
        } else {
            self.is_cut = true;
        }
    }

    /// Its name and JSON; `None` if it was too long.
    fn whole(self) -> Option<(String, Vec<u8>)> {
        (!self.is_cut).then(|| (self.name, self.json.trim_ascii().to_vec()))
    }
}

/// A SHA-256 of bytes that come one by one.
#[derive(Default)]
struct Hashing {
    hasher: Sha256,
    waiting: Vec<u8>,
}

impl Hashing {
    /// How many bytes are hashed at once.
    const PIECE_BYTES: usize = 4096;

    fn push(&mut self, byte: u8) {
        self.waiting.push(byte);
        if self.waiting.len() == Self::PIECE_BYTES {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
    }

    fn finish(mut self) -> Digest {
        self.hasher.update(&self.waiting);
        Digest::from_bytes(self.hasher.finalize().into())
    }
}

impl Skim {
    /// Reads on.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.is_lost {
                return;
            }
            self.step(*byte);
        }
    }

    /// The messages that were complete; a new one may begin.
    pub(crate) fn finish(&mut self) -> Vec<Skimmed> {
        std::mem::take(self).done
    }

    fn step(&mut self, byte: u8) {
        match self.quoted {
            Quoted::Escape => self.within(byte, Quoted::Yes),
            Quoted::Yes => match byte {
                b'\\' => self.within(byte, Quoted::Escape),
                b'"' => self.end_string(),
                _ => self.within(byte, Quoted::Yes),
            },
            Quoted::Not => self.structure(byte),
        }
    }

    /// A byte of a string.
    fn within(&mut self, byte: u8, next: Quoted) {
        self.quoted = next;
        if self.is_at_key() && self.key.len() < MAX_KEY_BYTES {
            self.key.push(byte);
        }
        self.keep(byte);
    }

    fn end_string(&mut self) {
        self.quoted = Quoted::Not;
        self.keep(b'"');
        if self.is_at_key() {
            self.end_key();
        }
    }

    fn is_at_key(&self) -> bool {
        self.open.last().is_some_and(|level| level.awaits_key)
    }

    fn structure(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.quoted = Quoted::Yes;
                self.key.clear();
                self.keep(byte);
            }
            b'{' | b'[' => {
                self.keep(byte);
                self.open(byte == b'{');
            }
            b'}' | b']' => self.close(byte),
            b',' => self.comma(),
            b':' => self.colon(),
            _ => self.keep(byte),
        }
    }

    fn open(&mut self, is_object: bool) {
        if self.open.len() >= MAX_DEPTH {
            self.is_lost = true;
            return;
        }
        if self.open.is_empty() {
            self.top = if is_object { 1 } else { 2 };
        }
        self.open.push(Level {
            is_object,
            awaits_key: is_object,
            keys: HashSet::new(),
        });
    }

    fn close(&mut self, byte: u8) {
        self.end_member();
        self.open.pop();
        self.keep(byte);
        if self.open.len() + 1 == self.top && byte == b'}' {
            self.done.push(std::mem::take(&mut self.message));
        }
    }

    fn comma(&mut self) {
        self.end_member();
        if let Some(level) = self.open.last_mut() {
            level.awaits_key = level.is_object;
        }
        self.keep(b',');
    }

    /// A name has ended: what follows is its value.
    fn end_key(&mut self) {
        let written = String::from_utf8_lossy(&self.key);
        let name = text(&format!("\"{written}\"")).into_owned();
        let Some(level) = self.open.last_mut() else {
            return;
        };
        level.awaits_key = false;
        if level.keys.len() < MAX_KEYS && !level.keys.insert(name.clone()) {
            self.message.twice = Some(name.clone());
        }
        self.key = name.into_bytes();
    }

    fn colon(&mut self) {
        let depth = self.open.len();
        if self.open.last().is_none_or(|level| !level.is_object) {
            return;
        }
        let name = String::from_utf8_lossy(&self.key).into_owned();
        let is_in_result = self.outer.as_ref().is_some_and(|one| one.name == "result");
        self.keep(b':');
        if depth == self.top {
            let is_result = name == "result";
            self.result = is_result.then(Hashing::default).or(self.result.take());
            let most = if is_result {
                KEPT_RESULT_BYTES
            } else {
                KEPT_MEMBER_BYTES
            };
            self.outer = Some(Member::new(&name, most));
        } else if depth == self.top + 1 && is_in_result {
            self.inner = Some(Member::new(&name, KEPT_MEMBER_BYTES));
        }
    }

    /// The value that was being read has ended, if it is a member that is looked at.
    fn end_member(&mut self) {
        let depth = self.open.len();
        if depth == self.top + 1 {
            let ended = self.inner.take().and_then(Member::whole);
            self.inner_members.extend(ended);
        }
        if depth != self.top {
            return;
        }
        let Some(ended) = self.outer.take() else {
            return;
        };
        match self.result.take() {
            Some(hasher) if ended.name == "result" => {
                self.message.result = Some(SkimmedResult {
                    digest: hasher.finish(),
                    json: ended.whole().map(|(_, json)| json),
                    members: std::mem::take(&mut self.inner_members),
                });
            }
            _ => self.message.members.extend(ended.whole()),
        }
    }

    /// A byte of whatever values are being read.
    fn keep(&mut self, byte: u8) {
        let is_around = self.quoted == Quoted::Not && self.open.len() == self.top;
        let Some(outer) = &mut self.outer else {
            return;
        };
        if is_around && byte.is_ascii_whitespace() {
            return;
        }
        outer.push(byte);
        if let Some(result) = &mut self.result {
            result.push(byte);
        }
        if let Some(inner) = &mut self.inner {
            inner.push(byte);
        }
    }
}

#[cfg(test)]
mod tests;
