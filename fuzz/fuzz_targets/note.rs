//! Signed notes: what is accepted is written back unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::note::Note;

fuzz_target!(|text: &str| {
    let Ok(note) = Note::parse(text) else { return };
    assert_eq!(note.to_string(), text);
});
