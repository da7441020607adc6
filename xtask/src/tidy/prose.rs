//! How prose is in Markdown: one sentence a line, so that a change of a sentence is a change of its line.

use super::Spot;

/// The longest line of prose that still reads in a diff without scrolling far; a longer sentence wants to be two.
const MAX_CHARACTERS: usize = 220;

/// What is wrong with the lines of a Markdown file. Code, tables and headings have lines of their own kind.
pub(super) fn check(markdown: &str) -> Vec<Spot> {
    let mut spots = Vec::new();
    let mut fenced = false;
    for (index, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && is_prose(line) {
            spots.extend(fault(line).map(|what| Spot::new(index + 1, what)));
        }
    }
    spots
}

fn is_prose(line: &str) -> bool {
    !line
        .trim_start()
        .starts_with(['|', '#', '<', '{', '[', '`'])
}

fn fault(line: &str) -> Option<String> {
    let characters = line.chars().count();
    if characters > MAX_CHARACTERS && !line.contains("://") {
        return Some(format!(
            "is a line of {characters} characters; {MAX_CHARACTERS} are the most"
        ));
    }
    let text = without_code(line);
    second_sentence(&text).map(|start| format!("has a second sentence: {start}"))
}

/// The line with what is in backticks blotted out, so that a full stop in it ends nothing.
fn without_code(line: &str) -> String {
    let mut code = false;
    line.chars()
        .map(|c| match c {
            '`' => {
                code = !code;
                '`'
            }
            _ if code => '_',
            c => c,
        })
        .collect()
}

/// Where a sentence begins behind another one: after a full stop and a space, with a capital letter.
fn second_sentence(text: &str) -> Option<String> {
    text.match_indices(['.', '!', '?']).find_map(|(at, _)| {
        let before = text[..at].split_whitespace().next_back()?;
        let behind = text[at + 1..].trim_start_matches(['"', ')', '”', '’']);
        let next = behind.strip_prefix(' ')?.trim_start();
        let begins = next.starts_with(char::is_uppercase);
        (begins && before.chars().count() > 1 && !ABBREVIATED.contains(&before)).then(|| {
            next.split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" ")
        })
    })
}

/// Words that keep their full stop in the middle of a sentence.
const ABBREVIATED: [&str; 5] = ["e.g", "i.e", "etc", "vs", "No"];

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(markdown: &str) -> Vec<usize> {
        check(markdown).iter().map(|spot| spot.line).collect()
    }

    #[test]
    fn a_line_has_one_sentence() {
        assert_eq!(lines("One sentence.\nAnother one.\n"), Vec::<usize>::new());
        assert_eq!(lines("fine\nOne sentence. Another one.\n"), [2]);
        assert_eq!(lines("- It asks (why?) Nobody knows.\n"), [1]);
    }

    #[test]
    fn a_full_stop_may_end_nothing() {
        for line in [
            "The file a.b. is read, e.g. Debian's, by version 1.2.3.",
            "It runs `make. Then` as it stands.",
            "- **Class.** A problem is one that stays.",
        ] {
            assert_eq!(lines(line), Vec::<usize>::new(), "{line}");
        }
    }

    #[test]
    fn code_and_tables_have_lines_of_their_own() {
        let long = "x ".repeat(MAX_CHARACTERS);
        assert_eq!(lines(&long), [1]);
        assert_eq!(
            lines(&format!("```\n{long}\nA. B.\n```\n")),
            Vec::<usize>::new()
        );
        assert_eq!(
            lines(&format!("| One. Two. | {long} |\n")),
            Vec::<usize>::new()
        );
    }
}
