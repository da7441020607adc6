//! Progress bars, on stderr and only where somebody watches it.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so many bytes.
pub(crate) fn bytes(total: u64) -> ProgressBar {
    bar(total, "{bar:40} {bytes} of {total_bytes}, {eta} left")
}

/// A bar of so many entries.
pub(crate) fn entries() -> ProgressBar {
    bar(0, "{bar:40} {pos} of {len} entries, {eta} left")
}

/// Hidden where stderr is not a terminal. `NO_COLOR` needs no care: there is no colour in it.
fn bar(total: u64, template: &str) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(total).with_style(style.expect("a template of this program's own"))
}
