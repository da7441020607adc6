//! What a command for a shell runs, as far as that can be proven by looking.

use super::path;

/// What makes a command more than one simple command, or may.
const NOT_SIMPLE: &str = ";&|<>()$`*?{}~#\\";

/// Words that a shell takes for the beginning of something else than a program's name (POSIX.1-2024, 2.4, and bash's own).
const RESERVED: [&str; 20] = [
    "!", "[[", "]]", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for",
    "function", "if", "in", "select", "then", "time", "until", "while",
];

/// The resource of `run`: the program, where that is the only one; `sh` for whatever is not provably one simple command.
pub(super) fn resource(command: &str, cwd: &str, root: &str) -> String {
    let Some(program) = only_program(command) else {
        return "sh".to_owned();
    };
    match program.contains('/') {
        true => path::resource(&program, cwd, root),
        false => ledger::escape::segment(&program).unwrap_or_else(|| "sh".to_owned()),
    }
}

fn only_program(command: &str) -> Option<String> {
    let is_special = |c: char| NOT_SIMPLE.contains(c) || (c.is_control() && c != '\t');
    if command.trim_end_matches('\n').contains(is_special) {
        return None;
    }
    let program = first_word(command.trim_matches([' ', '\t', '\n']))?;
    let is_glob = program.contains('[') && program != "[";
    let is_name = !program.is_empty() && !program.contains('=') && !is_glob;
    (is_name && !RESERVED.contains(&program.as_str())).then_some(program)
}

/// The first word, its quotes taken off; `None` if a quote anywhere has no end.
fn first_word(command: &str) -> Option<String> {
    let (mut word, mut quote, mut is_over) = (String::new(), None, false);
    for c in command.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ' | '\t') => is_over = true,
            (_, c) if !is_over => word.push(c),
            _ => {}
        }
    }
    quote.is_none().then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_simple_command_is_its_program_and_anything_else_a_shell() {
        for (command, resource_is) in [
            ("cat a.txt", "cat"),
            ("  git   status\n", "git"),
            ("exit 3", "exit"),
            ("'cat' a", "cat"),
            ("c\"a\"t 'a b'", "cat"),
            ("g++ -O2 x.cc", "g++"),
            ("[ -f a ]", "+5b"),
            (". setup", "+2e"),
            ("./script.sh now", "script.sh"),
            ("bin/tool", "bin/tool"),
            ("../p/bin/tool", "bin/tool"),
            ("/usr/bin/env", "@abs/usr/bin/env"),
            ("echo one > one.txt && cat a.txt", "sh"),
            ("cat a; rm b", "sh"),
            ("cat a & rm b", "sh"),
            ("cat a | sh", "sh"),
            ("cat < a", "sh"),
            ("(ls)", "sh"),
            ("echo $HOME", "sh"),
            ("echo `id`", "sh"),
            ("rm *", "sh"),
            ("ls ?", "sh"),
            ("{ ls", "sh"),
            ("ls ~", "sh"),
            ("ls # rm", "sh"),
            ("l\\s", "sh"),
            ("ls\nrm a", "sh"),
            ("ls\rrm", "sh"),
            ("A=1 ls", "sh"),
            ("A+=1 ls", "sh"),
            ("! ls", "sh"),
            ("time ls", "sh"),
            ("if true", "sh"),
            ("[ab]c", "sh"),
            ("cat 'a", "sh"),
            ("''", "sh"),
            ("", "sh"),
            ("  ", "sh"),
        ] {
            assert_eq!(resource(command, "/p", "/p"), resource_is, "{command}");
        }
    }
}
