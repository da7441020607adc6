//! Scopes: the input is two patterns and a scope, with a space between them. What is
//! accepted is written back unchanged, and the three relations agree with each other.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use ledger::scope::{Pattern, Scope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut words = input.split(' ');
    let wide: Option<Pattern> = words.next().and_then(parsed);
    let narrow: Option<Pattern> = words.next().and_then(parsed);
    let scope: Option<Scope> = words.next().and_then(parsed);
    if let (Some(wide), Some(narrow), Some(scope)) = (wide, narrow, scope) {
        agree(&wide, &narrow, &scope);
    }
});

fn agree(wide: &Pattern, narrow: &Pattern, scope: &Scope) {
    if wide.covers(narrow) && narrow.permits(scope) {
        assert!(wide.permits(scope), "covered, but not permitted");
    }
    if wide.permits(scope) && narrow.permits(scope) {
        assert!(wide.overlaps(narrow), "shared, but no overlap");
    }
    assert_eq!(wide.overlaps(narrow), narrow.overlaps(wide));
}

fn parsed<T: FromStr + Display>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    assert_eq!(value.to_string(), text);
    Some(value)
}
