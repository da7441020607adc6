//! Text for people: lines as wide as the terminal, with colour where there is one, and nothing of what others wrote that
//! moves the cursor.

use std::io::IsTerminal as _;

use console::{Style, Term, measure_text_width};
use timeline::words::visible;

/// The width of text without a terminal.
const PLAIN_WIDTH: usize = 100;

/// Narrower than this, lines would be cut to pieces; wider, they would be hard to follow.
const WIDTHS: (usize, usize) = (60, 160);

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    Plain,
    /// A heading.
    Strong,
    /// Beside the point.
    Faint,
    /// What somebody should look at.
    Bad,
}

/// What is being written.
#[derive(Debug)]
pub(crate) struct Printer {
    width: usize,
    is_coloured: bool,
    text: String,
}

impl Printer {
    /// For stdout: as wide as its terminal, and coloured on one unless `NO_COLOR` is set (no-color.org).
    pub(crate) fn for_stdout() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = Term::stdout().size_checked();
        let width = width.map_or(PLAIN_WIDTH, |(_, columns)| usize::from(columns));
        Self {
            width: width.clamp(WIDTHS.0, WIDTHS.1),
            is_coloured: is_terminal && !no_colour,
            text: String::new(),
        }
    }

    /// For a file.
    pub(crate) fn plain() -> Self {
        Self {
            width: PLAIN_WIDTH,
            is_coloured: false,
            text: String::new(),
        }
    }

    /// Writes `head`, and `text` behind it, whose further lines begin below its first.
    pub(crate) fn line(&mut self, tone: Tone, head: &str, text: &str) {
        let (head, text) = (visible(head), visible(text));
        let indent = measure_text_width(&head);
        let room = self.width.saturating_sub(indent).max(WIDTHS.0 / 2);
        let mut lines = wrap(&text, room).into_iter();
        let first = lines.next().unwrap_or_default();
        self.tone(tone, &format!("{head}{first}"));
        for line in lines {
            self.tone(tone, &format!("{:indent$}{line}", ""));
        }
    }

    /// Writes an empty line.
    pub(crate) fn space(&mut self) {
        self.text.push('\n');
    }

    /// What was written.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn tone(&mut self, tone: Tone, line: &str) {
        let style = match tone {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dim(),
            Tone::Bad => Style::new().red(),
        };
        let styled = style
            .force_styling(self.is_coloured)
            .apply_to(line.trim_end());
        self.text.push_str(&styled.to_string());
        self.text.push('\n');
    }
}

/// Breaks text between words, and within one only where it is longer than a line.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in text.split(' ') {
        let width = measure_text_width(word);
        if used > 0 && used + 1 + width > room {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        for c in word.chars() {
            let width = measure_text_width(c.encode_utf8(&mut [0; 4]));
            if used + width > room {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += width;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        let cases: [(&str, usize, &[&str]); 6] = [
            ("", 5, &[""]),
            ("one two", 7, &["one two"]),
            ("one two", 6, &["one", "two"]),
            ("abcdefgh", 3, &["abc", "def", "gh"]),
            ("a bcdefg", 3, &["a", "bcd", "efg"]),
            ("文字文字", 4, &["文字", "文字"]),
        ];
        for (text, room, lines) in cases {
            assert_eq!(wrap(text, room), lines, "{text:?} in {room}");
        }
    }

    #[test]
    fn what_others_wrote_cannot_move_the_cursor() {
        let mut printer = Printer::plain();
        printer.line(Tone::Bad, "  ", "a\u{1b}[2Jb\rc\u{202e}d");
        let text = printer.finish();
        assert_eq!(text, "  a⟨U+001B⟩[2Jb⟨U+000D⟩c⟨U+202E⟩d\n");
    }

    #[test]
    fn colour_is_around_the_line_and_not_in_it() {
        let mut printer = Printer {
            is_coloured: true,
            ..Printer::plain()
        };
        printer.line(Tone::Bad, "", "x");
        assert_eq!(printer.finish(), "\u{1b}[31mx\u{1b}[0m\n");
    }
}
