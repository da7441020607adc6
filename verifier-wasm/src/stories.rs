//! What `dragons replay` tells of goals, for the page: from start through actions to outcome, by the same library.

use ledger::pack::Line;
use timeline::entry::Entry;
use timeline::goal::Goals;
use timeline::words::visible;
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// Hears the entries of a pack, oldest first, and tells the goals. Nothing about them is verified here.
#[wasm_bindgen]
#[derive(Default)]
pub struct Stories {
    goals: Goals,
}

#[wasm_bindgen]
impl Stories {
    /// Nothing was heard yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears the entry in a line of a pack. Gives whether it could be read; one that could not tells nothing.
    pub fn hear(&mut self, line: &[u8]) -> bool {
        let Ok(Line::Leaf(held)) = Line::parse(line) else {
            return false;
        };
        let entry = Entry::parse(held.index, held.leaf.as_bytes());
        let entry = entry.inspect(|entry| self.goals.hear(entry));
        entry.is_ok()
    }

    /// Ends: the goals, oldest first, as JSON in which nothing is hidden.
    ///
    /// # Errors
    ///
    /// Throws if they cannot be written.
    pub fn told(&mut self) -> Result<String, JsError> {
        let told = serde_json::to_string(&std::mem::take(&mut self.goals).told())?;
        Ok(visible(&told).into_owned())
    }
}
