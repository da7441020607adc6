//! Times and spans of time in words, and text that hides nothing.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// The last millisecond that is written with a year of four digits.
const LAST_MS: u64 = 253_402_300_799_999;

/// The units of a span of time, from the largest.
const UNITS: [(u64, &str); 4] = [
    (86_400_000, "day"),
    (3_600_000, "hour"),
    (60_000, "minute"),
    (1_000, "second"),
];

/// How many units of a span are told: "2 hours 5 minutes" needs no seconds.
const UNITS_TOLD: usize = 2;

/// A time in UTC (RFC 3339), to the millisecond: `2026-11-23T14:52:39.123Z`.
pub fn utc(ms: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(ms.min(LAST_MS));
    humantime::format_rfc3339_millis(time).to_string()
}

/// A span of time in its two largest units: `2 hours 5 minutes`; below a second in milliseconds.
pub fn span(ms: u64) -> String {
    if ms < 1_000 {
        return counted(ms, "millisecond");
    }
    let (mut rest, mut told) = (ms, Vec::new());
    for (unit_ms, name) in UNITS {
        let count = rest / unit_ms;
        rest %= unit_ms;
        if count > 0 {
            told.push(counted(count, name));
        } else if !told.is_empty() {
            break;
        }
        if told.len() == UNITS_TOLD {
            break;
        }
    }
    told.join(" ")
}

/// A number and its noun: `1 agent`, `2 agents`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A number of entries in words.
pub fn entries(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        _ => format!("{count} entries"),
    }
}

/// Text with every character spelled out that is not seen, or that changes how others are read: `⟨U+202E⟩`. It does not
/// escape markup; that depends on where the text goes.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(hides) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) {
            // Writing to a string does not fail.
            let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Controls, and the characters without a glyph of Unicode's general category Cf: bidirectional controls (UAX #9 §2),
/// zero-width characters, tags; and the blanks that are letters (U+115F, U+1160, U+3164, U+FFA0).
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(1_764_000_000_123), "2025-11-24T16:00:00.123Z");
        assert_eq!(utc(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn spans_are_told_in_two_units() {
        for (ms, words) in [
            (0, "0 milliseconds"),
            (1, "1 millisecond"),
            (999, "999 milliseconds"),
            (1_000, "1 second"),
            (61_500, "1 minute 1 second"),
            (3_600_000, "1 hour"),
            (3_601_000, "1 hour"),
            (7_500_000, "2 hours 5 minutes"),
            (90_061_000, "1 day 1 hour"),
        ] {
            assert_eq!(span(ms), words);
        }
    }

    #[test]
    fn nothing_hides_in_a_text() {
        assert!(matches!(
            visible("plain, naïve, 文字, 👍"),
            Cow::Borrowed(_)
        ));
        assert_eq!(visible("a\u{202e}b"), "a⟨U+202E⟩b");
        assert_eq!(visible("\u{1b}[31m\u{200b}"), "⟨U+001B⟩[31m⟨U+200B⟩");
        assert_eq!(visible("x\u{e0041}\u{7f}"), "x⟨U+E0041⟩⟨U+007F⟩");
    }
}
