//! The purity of the cores, on their syntax.
//!
//! `tlog` and `ledger` are functions of their arguments: the same bytes give
//! the same verdict in the service, in the command and in a browser, today and
//! in ten years. So their source may not name files, sockets, clocks,
//! randomness, tasks, output or global state. The text is parsed first:
//! comments and strings may speak of all of these, and tests may use them.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

use super::{Fault, Files, Spot, in_file};

/// Paths whose every use is refused, and so is a glob that could bring them in.
/// Crates are listed for a good message; the arrows keep out all the others.
const IMPURE_PATHS: &[&str] = &[
    "axum",
    "getrandom",
    "rand",
    "reqwest",
    "rocksdb",
    "std::collections::hash_map::RandomState",
    "std::env",
    "std::fs",
    "std::hash::RandomState",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
    "tokio",
    "tracing",
];

/// Macros that print, or that make global state.
const IMPURE_MACROS: [&str; 7] = [
    "dbg",
    "eprint",
    "eprintln",
    "lazy_static",
    "print",
    "println",
    "thread_local",
];

/// Types that make a `static` change after the program has started; so does
/// every `Atomic…`.
const CHANGING_TYPES: [&str; 9] = [
    "Cell", "Condvar", "LazyCell", "LazyLock", "Mutex", "OnceCell", "OnceLock", "RefCell", "RwLock",
];

/// Every impurity in the sources of one crate, given by path.
pub(super) fn check(sources: &Files) -> Vec<Fault> {
    let parsed: BTreeMap<&String, syn::File> = sources
        .iter()
        // What does not parse does not compile either: the compiler says it better.
        .filter_map(|(file, text)| Some((file, syn::parse_file(text).ok()?)))
        .collect();
    let of_tests: BTreeSet<String> = parsed
        .iter()
        .flat_map(|(file, syntax)| test_files(file, syntax))
        .collect();
    parsed
        .iter()
        .filter(|(file, _)| !of_tests.contains(**file))
        .flat_map(|(file, syntax)| in_file(file, impurities(syntax)))
        .collect()
}

/// The files of the modules that `file` declares for tests only.
fn test_files(file: &str, syntax: &syn::File) -> Vec<String> {
    let folder = module_folder(file);
    syntax
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Mod(module) if is_test(&module.attrs) && module.content.is_none() => Some(module),
            _ => None,
        })
        .flat_map(|ItemMod { ident, .. }| {
            [
                format!("{folder}/{ident}.rs"),
                format!("{folder}/{ident}/mod.rs"),
            ]
        })
        .collect()
}

/// Where the modules that `file` declares lie: beside `lib.rs`, `main.rs` and
/// `mod.rs`, below every other.
fn module_folder(file: &str) -> &str {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => folder,
        _ => stem,
    }
}

fn impurities(syntax: &syn::File) -> Vec<Spot> {
    let mut names = Names::default();
    names.visit_file(syntax);
    let mut finder = Finder {
        names,
        spots: Vec::new(),
    };
    finder.visit_file(syntax);
    finder.spots.dedup();
    finder.spots
}

/// What the `use` lines of a file call things. Scopes are ignored: a name that
/// stands for something impure anywhere in a file is suspect in all of it.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for import in imports(&item.tree) {
            if let Some(name) = import.name {
                self.0.insert(name, import.path);
            }
        }
    }
}

impl Names {
    /// `path` with its first segment replaced by what that stands for.
    fn resolve(&self, path: &str) -> String {
        let (first, rest) = match path.split_once("::") {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let first = self.0.get(first).map_or(first, String::as_str);
        rest.map_or_else(|| first.to_owned(), |rest| format!("{first}::{rest}"))
    }
}

/// One thing that a `use` line brings in; a glob brings in no name of its own.
struct Import {
    path: String,
    name: Option<String>,
}

fn imports(tree: &UseTree) -> Vec<Import> {
    let mut found = Vec::new();
    collect_imports(tree, "", &mut found);
    found
}

fn collect_imports(tree: &UseTree, before: &str, found: &mut Vec<Import>) {
    let mut leaf = |ident: &str, name: Option<String>| {
        let path = match ident {
            // `use a::{self}` brings in `a`.
            "self" => before.to_owned(),
            _ => joined(before, ident),
        };
        let name = name.or_else(|| path.rsplit("::").next().map(str::to_owned));
        found.push(Import { path, name });
    };
    match tree {
        UseTree::Path(path) => {
            collect_imports(&path.tree, &joined(before, &path.ident.to_string()), found);
        }
        UseTree::Name(name) => leaf(&name.ident.to_string(), None),
        UseTree::Rename(rename) => {
            leaf(&rename.ident.to_string(), Some(rename.rename.to_string()));
        }
        UseTree::Glob(_) => found.push(Import {
            path: before.to_owned(),
            name: None,
        }),
        UseTree::Group(group) => {
            for tree in &group.items {
                collect_imports(tree, before, found);
            }
        }
    }
}

fn joined(before: &str, segment: &str) -> String {
    if before.is_empty() {
        segment.to_owned()
    } else {
        format!("{before}::{segment}")
    }
}

struct Finder {
    names: Names,
    spots: Vec<Spot>,
}

impl Finder {
    fn refuse(&mut self, at: Span, what: &str) {
        let what = format!("a pure crate has no {what}");
        self.spots.push(Spot::new(at.start().line, what));
    }

    fn judge_path(&mut self, at: Span, path: &str) {
        let path = self.names.resolve(path);
        // A lone name that no `use` explains is a variable or a local item.
        if path.contains("::") {
            self.refuse_impure(at, &path);
        }
    }

    fn refuse_impure(&mut self, at: Span, path: &str) {
        if let Some(impure) = IMPURE_PATHS.iter().find(|impure| is_within(path, impure)) {
            self.refuse(at, impure);
        }
    }

    fn judge_import(&mut self, at: Span, import: &Import) {
        self.refuse_impure(at, &import.path);
        if import.name.is_none() {
            let opened = |impure: &&&str| is_within(impure, &import.path);
            if let Some(impure) = IMPURE_PATHS.iter().find(opened) {
                self.refuse(at, impure);
            }
        }
    }

    /// The arguments of a macro are not a syntax tree yet: paths are found in
    /// them as runs of names and double colons.
    fn judge_tokens(&mut self, tokens: TokenStream) {
        let mut path = String::new();
        let mut start = Span::call_site();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if path.is_empty() || path.ends_with("::") => {
                    start = if path.is_empty() { ident.span() } else { start };
                    path.push_str(&ident.to_string());
                }
                TokenTree::Punct(colon) if colon.as_char() == ':' && !path.is_empty() => {
                    path.push(':');
                }
                other => {
                    self.judge_path(start, path.trim_end_matches(':'));
                    path.clear();
                    match other {
                        TokenTree::Ident(ident) => {
                            start = ident.span();
                            path = ident.to_string();
                        }
                        TokenTree::Group(group) => self.judge_tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.judge_path(start, path.trim_end_matches(':'));
    }
}

/// Whether `path` is `outer` or is below it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for import in imports(&item.tree) {
            self.judge_import(item.span(), &import);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.judge_path(path.span(), &segments.join("::"));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call.path.segments.last().map(|s| s.ident.to_string());
        if let Some(name) = name.filter(|name| IMPURE_MACROS.contains(&name.as_str())) {
            self.refuse(call.span(), &format!("{name}!"));
        }
        self.judge_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        let mut changing = Changing(matches!(item.mutability, syn::StaticMutability::Mut(_)));
        changing.visit_type(&item.ty);
        if changing.0 {
            self.refuse(item.span(), "global state");
        }
        visit::visit_item_static(self, item);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(keyword) = signature.asyncness {
            self.refuse(keyword.span, "async");
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.refuse(block.async_token.span, "async");
        visit::visit_expr_async(self, block);
    }
}

/// Whether a type names something that changes behind a shared reference.
struct Changing(bool);

impl<'ast> Visit<'ast> for Changing {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        let name = segment.ident.to_string();
        self.0 |= name.starts_with("Atomic") || CHANGING_TYPES.contains(&name.as_str());
        visit::visit_path_segment(self, segment);
    }
}

/// Whether these attributes keep an item out of everything but tests.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        path.is_ident("test") || path.is_ident("cfg") && asks_for_test(attribute)
    })
}

/// Only the plain form: `cfg(any(test, …))` also compiles without tests.
fn asks_for_test(attribute: &Attribute) -> bool {
    attribute
        .parse_args::<syn::Path>()
        .is_ok_and(|path| path.is_ident("test"))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of one file, each as `line: name`.
    fn found(source: &str) -> Vec<String> {
        let syntax = syn::parse_file(source).expect("the sample is Rust");
        let short = |spot: Spot| {
            let what = spot.what.replace("a pure crate has no ", "");
            format!("{}: {what}", spot.line)
        };
        impurities(&syntax).into_iter().map(short).collect()
    }

    fn check_found(source: &str, expected: &[&str]) {
        assert_eq!(found(source), expected, "in {source}");
    }

    #[test]
    fn impure_imports_are_found_however_they_are_written() {
        check_found("use std::fs;", &["1: std::fs"]);
        check_found("use std::fs::File as F;", &["1: std::fs"]);
        check_found("use tokio::sync::mpsc;", &["1: tokio"]);
        check_found(
            "use std::{\n  fmt, net::IpAddr,\n  time::{Duration, Instant}};",
            &["1: std::net", "1: std::time::Instant"],
        );
        check_found("use std::env::{self};", &["1: std::env"]);
    }

    #[test]
    fn a_glob_brings_in_what_it_covers() {
        check_found("use std::time::*;", &["1: std::time::Instant"]);
        check_found("use std::fmt::*;", &[]);
    }

    #[test]
    fn impure_paths_are_found_where_they_are_used() {
        check_found(
            "fn f() {\n let t = std::time::SystemTime::now();\n}",
            &["2: std::time::SystemTime"],
        );
        check_found("fn f(file: ::std::fs::File) {}", &["1: std::fs"]);
        check_found("fn f<R: std::io::Read>(from: R) {}", &["1: std::io"]);
        check_found(
            "fn f() {\n getrandom::fill(&mut [0]).ok();\n}",
            &["2: getrandom"],
        );
    }

    #[test]
    fn another_name_hides_nothing() {
        check_found(
            "use std::time as t;\nfn f() {\n t::Instant::now();\n}",
            &["3: std::time::Instant"],
        );
        check_found(
            "use std as s;\nfn f() { s::fs::read(\"\"); }",
            &["2: std::fs"],
        );
    }

    #[test]
    fn paths_inside_macros_are_found() {
        check_found(
            "fn f() {\n format!(\"{:?}\", (1, std::time::Instant::now()));\n}",
            &["2: std::time::Instant"],
        );
        check_found("fn f() { vec![a b::c std::env::args]; }", &["1: std::env"]);
    }

    #[test]
    fn output_is_found() {
        check_found("fn f() { println!(\"x\"); }", &["1: println!"]);
        check_found("fn f() { std::eprintln!(\"x\"); }", &["1: eprintln!"]);
        check_found("fn f() { tracing::info!(\"x\"); }", &["1: tracing"]);
    }

    #[test]
    fn global_state_is_found() {
        check_found("static mut N: u8 = 0;", &["1: global state"]);
        check_found(
            "static N: AtomicU64 = AtomicU64::new(0);",
            &["1: global state"],
        );
        check_found(
            "static N: std::sync::OnceLock<Vec<u8>> = f();",
            &["1: global state"],
        );
        check_found(
            "fn f() { static N: &Mutex<u8> = g(); }",
            &["1: global state"],
        );
        check_found("thread_local! { static N: u8 = 0; }", &["1: thread_local!"]);
        check_found("static TABLE: [u8; 2] = [1, 2];", &[]);
    }

    #[test]
    fn asynchrony_is_found() {
        check_found("async fn f() {}", &["1: async"]);
        check_found("fn f() { let x = async { 1 }; }", &["1: async"]);
    }

    #[test]
    fn comments_and_strings_do_not_count() {
        check_found(
            "//! std::fs\nfn f() -> &'static str { \"std::fs\" } // tokio::spawn",
            &[],
        );
    }

    #[test]
    fn names_that_only_look_alike_do_not_count() {
        check_found("use crate::rand;", &[]);
        check_found("use std::fstuff;", &[]);
        check_found("fn f(rand: u8) -> u8 { rand }", &[]);
        check_found("use crate::rand;\nfn f() { rand::g(); }", &[]);
    }

    #[test]
    fn tests_may_do_as_they_like() {
        check_found("#[cfg(test)]\nmod tests { use std::fs; }", &[]);
        check_found("#[test]\nfn f() { std::fs::read(\"\"); }", &[]);
        check_found("#[cfg(test)]\nuse std::fs;\n", &[]);
    }

    #[test]
    fn what_also_compiles_without_tests_is_no_test() {
        let either = "#[cfg(any(test, unix))]\nfn f() { std::fs::read(\"\"); }";
        check_found(either, &["2: std::fs"]);
        let without = "#[cfg(not(test))]\nfn f() { std::fs::read(\"\"); }";
        check_found(without, &["2: std::fs"]);
    }

    #[test]
    fn a_file_that_only_tests_include_is_left_out() {
        let impure = "use std::fs;".to_owned();
        let crate_root = "#[cfg(test)]\nmod a;\nmod b;".to_owned();
        let sources = Files::from([
            ("x/src/lib.rs".to_owned(), crate_root),
            ("x/src/a.rs".to_owned(), impure.clone()),
            ("x/src/b.rs".to_owned(), "#[cfg(test)] mod c;".to_owned()),
            ("x/src/b/c.rs".to_owned(), impure.clone()),
            ("x/src/c.rs".to_owned(), impure),
        ]);
        let faults: Vec<String> = check(&sources).iter().map(Fault::to_string).collect();
        assert_eq!(faults, ["x/src/c.rs:1: a pure crate has no std::fs"]);
    }
}
