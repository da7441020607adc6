//! ES modules, joined into one script: each keeps its scope, and gives its exports to those that import them.
//!
//! A page that opens from a disk cannot load modules, and a digest over one script covers all of it. This is not a bundler:
//! it knows the forms in which the modules here import and export, and refuses all others.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

/// Reads a module by its name.
type Read<'a> = dyn Fn(&str) -> anyhow::Result<String> + 'a;

/// Joins a module with all that it imports.
///
/// # Errors
///
/// When a module cannot be read, or has a form that this does not know.
pub(super) fn join(entry: &str, read: &Read<'_>) -> anyhow::Result<String> {
    let mut joined = Joined {
        read,
        numbers: BTreeMap::new(),
        script: String::new(),
    };
    joined.add(entry)?;
    Ok(joined.script)
}

struct Joined<'a> {
    read: &'a Read<'a>,
    /// The modules so far, by their names.
    numbers: BTreeMap<String, usize>,
    script: String,
}

impl Joined<'_> {
    /// Adds a module behind those that it imports; gives its number.
    fn add(&mut self, name: &str) -> anyhow::Result<usize> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        // What is joined runs as a classic script too: from a disk, browsers start no other worker.
        let text = (self.read)(name)?.replace("import.meta.url", "location.href");
        let (mut body, mut exports) = (String::new(), Vec::new());
        for line in text.lines() {
            let line = match line.starts_with("import ") {
                true => self.import(line),
                false => export(line, &mut exports),
            };
            let line = line.with_context(|| format!("in {name}"))?;
            body.push_str(&line);
            body.push('\n');
        }
        let number = self.numbers.len();
        self.numbers.insert(name.to_owned(), number);
        let exports = exports.join(", ");
        self.script.push_str(&format!(
            "// {name}\nconst module{number} = (() => {{\n{body}return {{ {exports} }};\n}})();\n"
        ));
        Ok(number)
    }

    /// `import default, { one, two } from "./module.js";` takes them from the module in front.
    fn import(&mut self, line: &str) -> anyhow::Result<String> {
        let (what, from) = line
            .trim_start_matches("import ")
            .trim_end_matches(';')
            .split_once(" from ")
            .with_context(|| format!("an unknown import: {line}"))?;
        let name = from.trim_matches('"').trim_start_matches("./");
        let number = self.add(name.trim_start_matches("../"))?;
        let names = match what.split_once(", {") {
            Some((default, names)) => format!("{{ default: {default}, {names}"),
            None if what.starts_with('{') => what.to_owned(),
            None => format!("{{ default: {what} }}"),
        };
        let names = names.replace(" as ", ": ");
        Ok(format!("const {names} = module{number};"))
    }
}

/// A line without its `export`, whose names are noted.
fn export(line: &str, exports: &mut Vec<String>) -> anyhow::Result<String> {
    let Some(rest) = line.strip_prefix("export ") else {
        return Ok(line.to_owned());
    };
    if let Some(list) = rest.strip_prefix('{') {
        let list = list.trim_end_matches(';').trim_end_matches('}');
        for item in list.split(',') {
            let item = item.trim();
            exports.push(match item.split_once(" as ") {
                Some((own, name)) => format!("{name}: {own}"),
                None => item.to_owned(),
            });
        }
        return Ok(String::new());
    }
    let mut words = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$');
    let name = words.find(|word| !["async", "function", "class", "const", ""].contains(word));
    let unknown = ["default", "const {", "const ["];
    let is_known = !unknown.iter().any(|start| rest.starts_with(start));
    match name {
        Some(name) if is_known => exports.push(name.to_owned()),
        _ => bail!("an unknown export: {line}"),
    }
    Ok(rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(modules: &[(&str, &str)]) -> anyhow::Result<String> {
        let read = |name: &str| {
            let found = modules.iter().find(|(known, _)| *known == name);
            found
                .map(|(_, text)| (*text).to_owned())
                .with_context(|| format!("no {name}"))
        };
        join("main.js", &read)
    }

    #[test]
    fn a_module_is_there_once_and_before_those_that_import_it() {
        let script = joined(&[
            (
                "main.js",
                "import { a, b as c } from \"./one.js\";\nimport init, { A } from \"../two/two.js\";\na(c);",
            ),
            (
                "one.js",
                "import { A } from \"../two/two.js\";\nexport async function a() {}\nexport const b = 1;",
            ),
            (
                "two/two.js",
                "export class A {}\nfunction load() { import.meta.url; }\nexport { A as B, load as default };",
            ),
        ]);
        assert_eq!(
            script.unwrap(),
            "// two/two.js\nconst module0 = (() => {\nclass A {}\nfunction load() { location.href; }\n\nreturn { A, B: A, default: load };\n})();\n\
             // one.js\nconst module1 = (() => {\nconst { A } = module0;\nasync function a() {}\nconst b = 1;\nreturn { a, b };\n})();\n\
             // main.js\nconst module2 = (() => {\nconst { a, b: c } = module1;\nconst { default: init, A } = module0;\na(c);\nreturn {  };\n})();\n"
        );
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let cases = [
            "import * from x",
            "import {",
            "export const { a, b } = c;",
            "export default 1;",
            "import { a } from \"./absent.js\";",
        ];
        for text in cases {
            assert!(joined(&[("main.js", text)]).is_err(), "{text}");
        }
    }
}
