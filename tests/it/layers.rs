//! The layers: a module uses only modules in strictly lower rows, modules in one row do not know each other, and nobody goes
//! round by the crate's root.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every module of the crate and its row.
const ROWS: &[(&str, u8)] = &[
    ("base", 1),
    ("record", 2),
    ("store", 2),
    ("wal", 3),
    ("archive", 3),
    ("log", 4),
    ("coordinator", 5),
    ("kafka", 6),
    ("http", 6),
    ("config", 7),
    ("server", 8),
    ("cli", 9),
];

struct Source {
    module: String,
    path: PathBuf,
    code: String,
}

#[test]
fn a_module_uses_only_lower_rows() {
    let rows: BTreeMap<&str, u8> = ROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(row) = rows.get(source.module.as_str()) else {
            wrong.push(format!("{}: module '{}' has no row here", source.path.display(), source.module));
            continue;
        };
        for used in used_modules(&source.code) {
            let text = |why: &str| format!("{}: '{}' uses '{used}': {why}", source.path.display(), source.module);
            match rows.get(used.as_str()) {
                _ if used == source.module => {}
                None => wrong.push(text("which is no module with a row; name the module, not the crate's root")),
                Some(other) if other >= row => wrong.push(text("which is not in a lower row")),
                Some(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_crates_root_only_names_modules() {
    let root = strip(&std::fs::read_to_string(src().join("lib.rs")).unwrap());
    for line in root.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let module = line.strip_prefix("pub mod ").and_then(|l| l.strip_suffix(';'));
        let known = module.is_some_and(|m| ROWS.iter().any(|(name, _)| *name == m));
        // The library is the product too: its names may stand at the root, where no module looks for them.
        let export = line.starts_with("pub use log::");
        assert!(known || export, "lib.rs: '{line}' is neither a module with a row nor an export of the log");
    }
}

#[test]
fn the_rules_see_every_way_to_name_a_module() {
    let used = |code: &str| used_modules(&strip(code)).join(" ");
    assert_eq!(used("use crate::wal::Wal;"), "wal");
    assert_eq!(used("use crate::{base::Clock, wal::{self, Wal}, store};"), "base wal store");
    assert_eq!(used("fn f() { crate::log::x(); }"), "log");
    assert_eq!(used("use crate as esker; use crate::*;"), "crate *");
    assert_eq!(used("// crate::log is above\nlet s = \"crate::http\";"), "");
    assert_eq!(used("pub(crate) fn f() {} pub(in crate::log) struct S;"), "log");
    assert_eq!(used("use ::esker::cli;"), "cli");
}

/// Sources of the crate without tests, comments and strings; `main.rs` and `lib.rs` are the root.
fn sources() -> Vec<Source> {
    let mut out = Vec::new();
    let mut folders = vec![src()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(src()).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                if first == "lib.rs" || first == "main.rs" {
                    continue;
                }
                let module = first.trim_end_matches(".rs").to_owned();
                let code = strip(&std::fs::read_to_string(&path).unwrap());
                out.push(Source { module, path: inside.to_owned(), code });
            }
        }
    }
    assert!(out.len() > 20, "the sources were not found");
    out
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// First names after `crate::` (and after the crate's own name), in order.
fn used_modules(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for root in ["crate", "esker"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + root.len()..];
            if let Some(rest) = rest.strip_prefix("::") {
                names(rest, &mut used);
            } else if rest.trim_start().starts_with("as ") && root == "crate" {
                used.push("crate".to_owned());
            }
        }
    }
    used
}

/// The name at the start of `rest`, or the first names of each branch of a brace.
fn names(rest: &str, used: &mut Vec<String>) {
    let Some(inner) = rest.strip_prefix('{') else {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(rest.len());
        used.push(rest[..end].to_owned());
        return;
    };
    let (mut depth, mut start) = (0usize, 0usize);
    for (i, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                let branch = inner[start..i].trim();
                if !branch.is_empty() {
                    names(branch, used);
                }
                start = i + 1;
                if c == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}

/// Code without comments and without the inside of string literals.
fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |i| &rest[i..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |i| &rest[i + 2..]);
        } else if let Some(end) = raw_string(rest) {
            rest = &rest[end..];
        } else if c == '"' {
            rest = &rest[string_end(rest)..];
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest = &rest[rest[1..].find("'").map_or(1, |i| i + 2)..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('r').or_else(|| rest.strip_prefix("br"))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let open = rest.len() - body.len() + hashes;
    if !rest[open..].starts_with('"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    rest[open + 1..].find(&close).map(|i| open + 1 + i + close.len())
}

fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    rest.len()
}
