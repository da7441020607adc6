//! Something about each of many agents, keys or records.

use std::collections::BTreeMap;

/// Rows by key, in the order in which they came.
///
/// An ordered map of the standard library is compiled for each pair of types, to seven kilobytes, and the verifier is
/// sent to browsers. So there is one, from the bytes of a key to a place, and the rest is a list.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, T> {
    places: BTreeMap<Box<[u8]>, usize>,
    rows: Vec<(K, T)>,
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            rows: Vec::new(),
        }
    }
}

impl<K: AsRef<[u8]>, T> Table<K, T> {
    /// What is known about a key.
    pub(crate) fn get(&self, key: &K) -> Option<&T> {
        let place = self.places.get(key.as_ref())?;
        self.rows.get(*place).map(|(_, about)| about)
    }

    /// As [`Self::get`], to be changed.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut T> {
        let place = self.places.get(key.as_ref())?;
        self.rows.get_mut(*place).map(|(_, about)| about)
    }

    /// How many rows there are.
    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// All rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, T)> {
        self.rows.iter()
    }
}

impl<K: AsRef<[u8]> + Clone, T: Default> Table<K, T> {
    /// Changes what there is about a key. If there was nothing yet, it begins with the default.
    pub(crate) fn change(&mut self, key: &K, change: impl FnOnce(&mut T)) {
        if !self.places.contains_key(key.as_ref()) {
            self.places.insert(key.as_ref().into(), self.rows.len());
            self.rows.push((key.clone(), T::default()));
        }
        if let Some(about) = self.get_mut(key) {
            change(about);
        }
    }
}
