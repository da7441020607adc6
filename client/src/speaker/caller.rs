//! Whoever calls: nothing here reads a clock or prints, so both are asked for.

/// What is asked of the caller: the time, and what to do with words for people.
#[derive(Clone, Copy)]
pub struct Caller {
    /// Milliseconds since the epoch.
    pub now_ms: fn() -> u64,
    /// Says something to people.
    pub notice: fn(&str),
}

/// An error in one line, with what it came from.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", with_sources(source)),
    }
}
