//! What every Rust file and every manifest of the workspace must have.

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{AttrStyle, Attribute};

use super::Spot;

/// The one crate that may use `unsafe`, and so has lints of its own: what stands between a fork and an exec no safe
/// library offers.
const MAY_BE_UNSAFE: &str = "process/";

/// What is wrong with the Rust file `text`, called `file`.
pub(super) fn check(file: &str, text: &str) -> Vec<Spot> {
    // What does not parse does not compile either: the compiler says it better.
    let Ok(syntax) = syn::parse_file(text) else {
        return Vec::new();
    };
    let mut unsafety = Unsafety(Vec::new());
    if !file.starts_with(MAY_BE_UNSAFE) {
        unsafety.visit_file(&syntax);
    }
    let mut spots = unsafety.0;
    if !is_named_for_its_tests(file) && !syntax.attrs.iter().any(is_inner_doc) {
        spots.push(Spot::new(
            1,
            "begins with no `//!` that says what it is for",
        ));
    }
    spots
}

/// What is wrong with the manifest `text` of a member, called `file`.
///
/// The lints (documented public items and `unsafe` above all) are written once,
/// for the workspace: a member that does not ask for them has none.
pub(super) fn check_manifest(file: &str, text: &str) -> Option<Spot> {
    if file.starts_with(MAY_BE_UNSAFE) {
        return None;
    }
    let mut lines = text.lines().map(str::trim);
    let found = lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true");
    (!found).then(|| Spot::new(1, "does not take the lints of the workspace"))
}

/// The tests of a module, moved out of its file: they need no introduction.
fn is_named_for_its_tests(file: &str) -> bool {
    file.ends_with("/tests.rs")
}

fn is_inner_doc(attribute: &Attribute) -> bool {
    matches!(attribute.style, AttrStyle::Inner(_)) && attribute.path().is_ident("doc")
}

/// Collects every `unsafe`. The lint forbids it too, but a crate can be built
/// without the workspace's lints, and the fuzz targets are outside of it.
struct Unsafety(Vec<Spot>);

impl Unsafety {
    fn refuse(&mut self, at: Span) {
        self.0.push(Spot::new(at.start().line, "uses `unsafe`"));
    }
}

impl<'ast> Visit<'ast> for Unsafety {
    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.refuse(block.unsafe_token.span);
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(keyword) = signature.unsafety {
            self.refuse(keyword.span);
        }
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(keyword) = item.unsafety {
            self.refuse(keyword.span);
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        if let Some(keyword) = item.unsafety {
            self.refuse(keyword.span);
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_foreign_mod(&mut self, block: &'ast syn::ItemForeignMod) {
        self.refuse(block.abi.extern_token.span);
        visit::visit_item_foreign_mod(self, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_found(body: &str, expected: &[&str]) {
        let spots = check("a.rs", &format!("//! A sample.\n{body}"));
        let found: Vec<String> = spots
            .iter()
            .map(|spot| format!("{}: {}", spot.line, spot.what))
            .collect();
        assert_eq!(found, expected, "in {body}");
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_eq!(check("a.rs", "//! Trees.\nfn f() {}\n"), []);
        assert_eq!(check("a.rs", "fn f() {}\n").len(), 1);
        assert_eq!(check("a.rs", "// Trees.\nfn f() {}\n").len(), 1);
        assert_eq!(check("a.rs", "/// Of f.\nfn f() {}\n").len(), 1);
        assert_eq!(check("a.rs", "#![no_std]\nfn f() {}\n").len(), 1);
        assert_eq!(check("a/tests.rs", "fn f() {}\n"), []);
    }

    #[test]
    fn unsafe_is_found_wherever_it_can_stand() {
        check_found("fn f() {\n unsafe { g() }\n}", &["3: uses `unsafe`"]);
        check_found("unsafe fn f() {}", &["2: uses `unsafe`"]);
        check_found("unsafe trait T {}", &["2: uses `unsafe`"]);
        check_found("unsafe impl T for U {}", &["2: uses `unsafe`"]);
        check_found("unsafe extern \"C\" {}", &["2: uses `unsafe`"]);
        check_found("impl U { unsafe fn f() {} }", &["2: uses `unsafe`"]);
    }

    #[test]
    fn the_word_alone_is_harmless() {
        check_found("// unsafe\nconst S: &str = \"unsafe { }\";", &[]);
    }

    #[test]
    fn a_member_takes_the_lints_of_the_workspace() {
        assert_eq!(
            check_manifest("a/Cargo.toml", "[lints]\nworkspace = true\n"),
            None
        );
        assert!(check_manifest("a/Cargo.toml", "[package]\nname = \"x\"\n").is_some());
        assert!(check_manifest("a/Cargo.toml", "[lints]\nrust.unused = \"warn\"\n").is_some());
        assert!(check_manifest("a/Cargo.toml", "[lints]\n").is_some());
    }
}
