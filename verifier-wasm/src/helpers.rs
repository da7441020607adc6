//! Several workers for one pack: the signatures are checked side by side, and one verifier judges.
//!
//! The worker that verifies hands out pieces of the pack, and each helper, a worker with this same module, gives back what
//! it found. The report is the same whatever comes back, and when.

use wasm_bindgen::prelude::wasm_bindgen;

use crate::Intake;

/// A piece of a pack, to be read by a helper.
#[wasm_bindgen]
pub struct Piece {
    number: f64,
    lines: Vec<u8>,
}

#[wasm_bindgen]
impl Piece {
    /// Its number, with which the answer comes back.
    #[wasm_bindgen(getter)]
    pub fn number(&self) -> f64 {
        self.number
    }

    /// Its bytes, for [`Helper::read`].
    pub fn lines(&self) -> Vec<u8> {
        self.lines.clone()
    }
}

#[wasm_bindgen]
impl Intake {
    /// Says that there are helpers, before the first bytes are pushed.
    pub fn invite(&mut self) {
        if let Some(crew) = self.crew() {
            crew.helpers().invite();
        }
    }

    /// The keys that helpers have to know before they read; nothing before the leaves begin, or if nobody asks for them.
    #[wasm_bindgen(js_name = likelyKeys)]
    pub fn likely_keys(&mut self) -> Option<Vec<u8>> {
        self.crew()?.helpers().keys().map(<[u8]>::to_vec)
    }

    /// The next piece for a helper; nothing if more has to be pushed first.
    #[wasm_bindgen(js_name = handOut)]
    pub fn hand_out(&mut self) -> Option<Piece> {
        let (number, lines) = self.crew()?.helpers().hand_out()?;
        // A count of pieces is far below what a double holds exactly.
        #[expect(clippy::cast_precision_loss)]
        let number = number as f64;
        let lines = lines.to_vec();
        Some(Piece { number, lines })
    }

    /// Takes what a helper found in a piece.
    #[wasm_bindgen(js_name = takeFound)]
    pub fn take_found(&mut self, number: f64, found: Vec<u8>) {
        if let (Some(crew), Ok(number)) = (self.crew(), crate::whole(number)) {
            crew.take_found(number, found);
        }
    }

    /// How many pieces were handed out and have not come back.
    pub fn ahead(&mut self) -> f64 {
        let ahead = self.crew().map_or(0, |crew| crew.helpers().ahead());
        #[expect(clippy::cast_precision_loss)]
        let ahead = ahead as f64;
        ahead
    }
}

/// A helper: it reads pieces of packs for the worker that verifies.
#[wasm_bindgen]
#[derive(Default)]
pub struct Helper(evidence::Helper);

/// What a helper found in a piece.
#[wasm_bindgen]
pub struct Found(evidence::Read);

#[wasm_bindgen]
impl Helper {
    /// One that knows no keys yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up keys, from [`Intake::likely_keys`] or [`Found::keys`].
    pub fn learn(&mut self, keys: &[u8]) {
        self.0.learn(keys);
    }

    /// Reads a piece.
    pub fn read(&mut self, lines: &[u8]) -> Found {
        Found(self.0.read(lines))
    }
}

#[wasm_bindgen]
impl Found {
    /// What it found, for [`Intake::take_found`].
    pub fn found(&self) -> Vec<u8> {
        self.0.found.clone()
    }

    /// The keys that the piece brings, which the other helpers have to know; empty if it brings none.
    pub fn keys(&self) -> Vec<u8> {
        self.0.keys.clone()
    }
}
