//! The media types of bodies.

/// JSON.
pub const JSON: &str = "application/json";

/// One JSON value a line.
pub const JSON_LINES: &str = "application/x-ndjson";

/// Bytes.
pub const OCTETS: &str = "application/octet-stream";

/// Text of the C2SP formats.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// A problem (RFC 9457 §3).
pub const PROBLEM_JSON: &str = "application/problem+json";
