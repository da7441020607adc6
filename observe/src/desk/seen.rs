//! What was seen before: the last of many, by a short hash of what it is and a short digest of what it says.

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::digest::Digest;
use ledger::record::Observation;

use super::line;
use crate::intake::Way;

/// How many are remembered: some hours of a busy fleet, in 20 MB. Collectors send again within minutes.
const MAX_SEEN: usize = 200_000;

const KEY_BYTES: usize = 16;

/// What something is: the source, its name there, what happened and how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key([u8; KEY_BYTES]);

impl Key {
    pub(super) fn of(observation: &Observation) -> Self {
        Self::of_parts(&[
            observation.source.as_str(),
            observation.source_id.as_str(),
            observation.event.as_str(),
            observation.status.map_or("", |status| status.as_str()),
        ])
    }

    pub(super) fn of_parts(parts: &[&str]) -> Self {
        Self(first(line::digest(parts).as_bytes()))
    }
}

/// The first bytes of the digest of what was said.
pub(super) fn short(digest: Option<Digest>) -> [u8; 8] {
    digest.map_or([0; 8], |digest| first(digest.as_bytes()))
}

fn first<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())
}

/// The last of what was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    all: HashMap<Key, (Way, [u8; 8])>,
    order: VecDeque<Key>,
}

impl Seen {
    pub(super) fn get(&self, key: Key) -> Option<(Way, [u8; 8])> {
        self.all.get(&key).copied()
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.all.contains_key(&key)
    }

    pub(super) fn put(&mut self, key: Key, said: (Way, [u8; 8])) {
        if self.all.insert(key, said).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > MAX_SEEN {
            if let Some(oldest) = self.order.pop_front() {
                self.all.remove(&oldest);
            }
        }
    }

    /// As text, the oldest first.
    pub(super) fn kept(&self) -> Vec<String> {
        let known = self.order.iter();
        let known = known.filter_map(|key| Some((key, self.all.get(key)?)));
        known
            .map(|(Key(key), (way, digest))| {
                let bytes = [key.as_slice(), digest, &[*way as u8]].concat();
                STANDARD.encode(bytes)
            })
            .collect()
    }

    /// From text; what is not of this form is passed over.
    pub(super) fn of(kept: &[String]) -> Self {
        let mut seen = Self::default();
        for text in kept {
            let bytes = STANDARD.decode(text).unwrap_or_default();
            let Some((key, rest)) = bytes.split_first_chunk::<KEY_BYTES>() else {
                continue;
            };
            if let Some((digest, [way])) = rest.split_first_chunk::<8>() {
                let way = [Way::Span, Way::Event, Way::Alert]
                    .into_iter()
                    .find(|it| *it as u8 == *way);
                seen.put(Key(*key), (way.unwrap_or(Way::Alert), *digest));
            }
        }
        seen
    }
}
