//! The page of codes, `docs/codes.md`, written from the one table of them in `ledger`, with the words for verdicts and checks.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use ledger::codes::{Code, Group, Party};
use ledger::verify::{CheckId, Headline};

/// Where the page is in the repository.
const PAGE: &str = "docs/codes.md";

/// Writes the page.
pub(crate) fn write(repository: &Path) -> anyhow::Result<()> {
    let path = repository.join(PAGE);
    fs::write(&path, page()).with_context(|| format!("writing {PAGE}"))
}

const INTRODUCTION: &str = "\
# Codes

Written by `cargo xtask codes` from the table in `ledger/src/codes.rs`; a test holds the two together.

A code says what is wrong with a record, a log or a piece of evidence.
Refusals of the service, the findings of a verification and the documents of HTTP errors use the same codes, and the text of a code never changes.

- **Class.** A *problem* means that the record cannot be relied on.
  A *breach* means that the record is sound and shows somebody out of bounds.
  In observe mode a breach of time is *late* if the record was made in time and logged afterwards.
- **By** says whose fault it is, unless the record at hand says otherwise.
  A rule that a logged record breaks in enforce mode is a breach by control too, which should have refused it.
  Of a leaf that is not shown to be in the log, nobody is blamed by name.
- **HTTP** is the status by which the service refuses; verification alone finds a code without one.
";

fn page() -> String {
    let sections = Group::ALL.iter().map(|group| section(*group));
    std::iter::once(INTRODUCTION.to_owned())
        .chain(sections)
        .chain([verdicts(), checks(), parties()])
        .collect::<Vec<_>>()
        .join("\n")
}

/// What a report comes to, in the words of the command and the page.
fn verdicts() -> String {
    let row = |it: &Headline| format!("| {} | {} |\n", it.title(), it.means());
    let rows: String = Headline::ALL.iter().map(row).collect();
    format!(
        "## verdicts\n\nWhat a report comes to, in the words of the command and the page.\n\n| | |\n| --- | --- |\n{rows}"
    )
}

fn checks() -> String {
    let row = |id: &CheckId| format!("| `{id}` | {} | {} |\n", id.means(), id.leaves_open());
    let rows: String = CheckId::ALL.iter().map(row).collect();
    format!(
        "## checks\n\nWhat each check of a report shows if it holds, and what it does not show even then.\n\n\
         | check | shows that | does not show |\n| --- | --- | --- |\n{rows}"
    )
}

fn parties() -> String {
    let row = |by: &Party| format!("| `{}` | {} |\n", by.as_str(), by.told());
    let rows: String = Party::ALL.iter().map(row).collect();
    format!("## by\n\nWhose fault something is.\n\n| by | who |\n| --- | --- |\n{rows}")
}

fn section(group: Group) -> String {
    let rows: String = group.codes().iter().map(|code| row(group, *code)).collect();
    let (name, about) = (group.as_str(), group.sentence().replace(". ", ".\n"));
    format!(
        "## {name}\n\n{about}\n\n| code | class | by | HTTP | what it says | for example |\n\
         | --- | --- | --- | --- | --- | --- |\n{rows}"
    )
}

fn row(group: Group, code: Code) -> String {
    // What a service answers for itself lays no blame in any log.
    let (class, by) = match group {
        Group::Service => ("–", "–"),
        _ => (code.class().as_str(), code.party().as_str()),
    };
    let http = code
        .http_status()
        .map_or_else(|| "–".to_owned(), |status| status.to_string());
    let (text, sentence, example) = (code.as_str(), code.sentence(), code.example());
    format!("| `{text}` | {class} | {by} | {http} | {sentence} | {example} |\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_table_says() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let found = fs::read_to_string(repository.join(PAGE)).unwrap();
        assert!(
            found == page(),
            "{PAGE} is not what `cargo xtask codes` writes"
        );
    }

    #[test]
    fn a_row_has_as_many_cells_as_the_head() {
        for group in Group::ALL {
            for code in group.codes() {
                let cells = row(*group, *code).matches('|').count();
                assert_eq!(cells, 7, "{code}");
            }
        }
    }
}
