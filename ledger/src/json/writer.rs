//! From a [`Value`] to its text, which is short, and canonical (RFC 8785) if its members are in order.

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
        Value::Integer(number) => text.push_str(&number.to_string()),
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
    let mut members: Vec<&(String, Value)> = members.iter().collect();
    if let Order::Canonical = order {
        members.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
    }
    text.push('{');
    for (i, (name, value)) in members.into_iter().enumerate() {
        separate(i, text);
        write_string(name, text);
        text.push(':');
        write(value, order, text);
    }
    text.push('}');
}

fn separate(position: usize, text: &mut String) {
    if position > 0 {
        text.push(',');
    }
}

/// Escapes what must be, and in the shortest way (RFC 8785 §3.2.2.2).
fn write_string(string: &str, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..' ' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            plain => text.push(plain),
        }
    }
    text.push('"');
}
