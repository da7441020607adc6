//! From a [`Value`] to its text, which is short, and canonical (RFC 8785) if its members are in order.

use std::fmt::Write as _;

use super::Value;

/// The order in which members are written.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// As they stand in the value.
    Given,
    /// By the UTF-16 code units of their names (RFC 8785 §3.2.3).
    Canonical,
}

/// Appends a value to `text`.
pub(super) fn write(value: &Value, order: Order, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Integer(number) => {
            // A string takes whatever is written to it.
            let _ = write!(text, "{number}");
        }
        Value::Text(string) => write_string(string, text),
        Value::Array(elements) => {
            text.push('[');
            for (i, element) in elements.iter().enumerate() {
                separate(i, text);
                write(element, order, text);
            }
            text.push(']');
        }
        Value::Object(members) => write_object(members, order, text),
    }
}

fn write_object(members: &[(String, Value)], order: Order, text: &mut String) {
    text.push('{');
    let mut write_member = |i: usize, (name, value): &(String, Value)| {
        separate(i, text);
        write_string(name, text);
        text.push(':');
        write(value, order, text);
    };
    match order {
        Order::Given => {
            let members = members.iter().enumerate();
            members.for_each(|(i, member)| write_member(i, member));
        }
        Order::Canonical => {
            let mut members: Vec<&(String, Value)> = members.iter().collect();
            members.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
            let members = members.into_iter().enumerate();
            members.for_each(|(i, member)| write_member(i, member));
        }
    }
    text.push('}');
}

fn separate(position: usize, text: &mut String) {
    if position > 0 {
        text.push(',');
    }
}

/// Escapes what must be, and in the shortest way (RFC 8785 §3.2.2.2). What stands for itself is copied in one piece.
fn write_string(string: &str, text: &mut String) {
    text.push('"');
    let mut plain = 0;
    for (at, byte) in string.bytes().enumerate() {
        if !matches!(byte, b'"' | b'\\' | 0..0x20) {
            continue;
        }
        // What is escaped is ASCII, so no character is cut in two.
        text.push_str(string.get(plain..at).unwrap_or_default());
        plain = at + 1;
        escape(byte, text);
    }
    text.push_str(string.get(plain..).unwrap_or_default());
    text.push('"');
}

fn escape(byte: u8, text: &mut String) {
    match byte {
        b'"' => text.push_str("\\\""),
        b'\\' => text.push_str("\\\\"),
        8 => text.push_str("\\b"),
        0xc => text.push_str("\\f"),
        b'\n' => text.push_str("\\n"),
        b'\r' => text.push_str("\\r"),
        b'\t' => text.push_str("\\t"),
        control => {
            // A string takes whatever is written to it.
            let _ = write!(text, "\\u{control:04x}");
        }
    }
}
