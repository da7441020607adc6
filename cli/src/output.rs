//! What is printed: for people aligned and plain, for programs one JSON document a line.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use host::output::Output;
use ledger::json::Value;

/// Says something that is not a data, on stderr.
pub(crate) fn complain(text: &str) {
    let lines: Vec<String> = text.trim_end().lines().map(printable).collect();
    // A terminal whose every key is passed on begins a new line where the last one ended.
    let end = match client::run::is_raw() {
        true => "\r\n",
        false => "\n",
    };
    // In one piece, for a program may write there at the same time. Whoever closed stderr does not want to know.
    let said = format!("dragons: {}{end}", lines.join(end));
    let _ = io::stderr().write_all(said.as_bytes());
}

/// Prints a JSON document on a line of its own.
///
/// # Errors
///
/// If stdout is closed.
pub(crate) fn json(value: &Value) -> Result<()> {
    Ok(writeln!(io::stdout(), "{}", value.to_json())?)
}

/// Prints text that is a format of its own, as it is.
///
/// # Errors
///
/// If stdout is closed.
pub(crate) fn verbatim(text: &str) -> Result<()> {
    Ok(write!(io::stdout(), "{text}")?)
}

/// Where something went that a command was to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrittenTo {
    /// To stdout, where nothing else is to be printed now.
    ToStdout,
    /// To a file, or what else has such a name.
    ToFile,
}

/// Writes what a command was asked to write, to wherever it was asked to.
///
/// # Errors
///
/// If it cannot be written.
pub(crate) fn file(path: &Path, text: &str) -> Result<WrittenTo> {
    let write = || -> io::Result<bool> {
        let mut output = Output::to(path)?;
        let is_stdout = output.is_stdout();
        output.write_all(text.as_bytes())?;
        output.finish()?;
        Ok(is_stdout)
    };
    let is_stdout = write().with_context(|| format!("{path:?} could not be written"))?;
    Ok(if is_stdout {
        WrittenTo::ToStdout
    } else {
        WrittenTo::ToFile
    })
}

/// Prints a line for people.
///
/// # Errors
///
/// If stdout is closed.
pub(crate) fn line(text: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{}", printable(text).trim_end())?)
}

/// Prints rows with their columns aligned.
///
/// # Errors
///
/// If stdout is closed.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> Result<()> {
    let cell = |text: &String| printable(text);
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(cell)).collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        line(&cells.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}

/// Prints the members of an object: as it is for programs, one a line for people.
///
/// # Errors
///
/// If stdout is closed.
pub(crate) fn object(as_json: bool, value: &Value) -> Result<()> {
    match value {
        Value::Object(members) if !as_json => {
            let rows: Vec<_> = members
                .iter()
                .map(|(name, value)| [name.clone(), plain(value)])
                .collect();
            table(&rows)
        }
        value => json(value),
    }
}

/// The members of one object and then those of another.
pub(crate) fn joined(one: Value, other: Value) -> Value {
    let members = [one, other].into_iter().flat_map(|value| match value {
        Value::Object(members) => members,
        _ => Vec::new(),
    });
    Value::Object(members.collect())
}

/// A value in a cell: text without its quotes, nothing as a dash, all else as JSON.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Text(text) => text.clone(),
        other => other.to_json(),
    }
}

/// Text that cannot move the cursor or turn the line around, whoever wrote it.
fn printable(text: &str) -> String {
    let is_control = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let escape = |c: char| {
        if is_control(c) {
            c.escape_unicode().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_writes_to_the_terminal() {
        assert_eq!(printable("plain ✓"), "plain ✓");
        assert_eq!(
            printable("\u{1b}[2J\n\u{202e}"),
            "\\u{1b}[2J\\u{a}\\u{202e}"
        );
    }

    #[test]
    fn cells_are_plain() {
        assert_eq!(plain(&Value::Null), "-");
        assert_eq!(plain(&"a b".into()), "a b");
        assert_eq!(plain(&["a"].into_iter().collect()), "[\"a\"]");
    }
}
