//! Subscriptions by pattern: RE2's syntax, matched against whole names of topics.
//!
//! The engine's syntax is that of RE2 but for a few signs, which are translated: `\Q...\E` quotes, and within a class `[`,
//! `&&`, `--` and `~~` are plain characters. Names of topics are ASCII, so classes are too; `\p` and `\C` are refused.
//! Matching takes time linear in the name's length, whatever the pattern.
use regex::bytes::{Regex, RegexBuilder};

use crate::coordinator::error::GroupError;

/// Bytes of a pattern.
const LENGTH_MAX: usize = 4096;
/// Bytes of the program that it becomes, and of each cache of its engine.
const SIZE_MAX: usize = 1 << 20;
/// Groups within groups.
const DEPTH_MAX: u32 = 100;

/// A pattern that can be matched.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`GroupError::InvalidRegularExpression`].
    pub fn new(pattern: &str) -> Result<Self, GroupError> {
        if pattern.len() > LENGTH_MAX {
            let why = format!("it has {} bytes; {LENGTH_MAX} are possible", pattern.len());
            return Err(GroupError::InvalidRegularExpression(why));
        }
        let pattern = translated(pattern);
        // By itself first: it must not close the parenthesis that is put around it.
        build(&pattern)?;
        // The line break ends a comment of `(?x)`; elsewhere it would be a character.
        let whole = build(&format!(r"\A(?:{pattern})\z")).or_else(|_| build(&format!("\\A(?:{pattern}\n)\\z")))?;
        Ok(Self(whole))
    }

    /// Whether the whole name is matched.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name.as_bytes())
    }
}

fn build(pattern: &str) -> Result<Regex, GroupError> {
    let regex = RegexBuilder::new(pattern)
        .unicode(false)
        .octal(true)
        .size_limit(SIZE_MAX)
        .dfa_size_limit(SIZE_MAX)
        .nest_limit(DEPTH_MAX)
        .build();
    regex.map_err(|error| GroupError::InvalidRegularExpression(error.to_string()))
}

/// The pattern in the engine's syntax.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' if after.starts_with('Q') => {
                let (quoted, rest) = after[1..].split_once("\\E").unwrap_or((&after[1..], ""));
                out.push_str(&regex::escape(quoted));
                rest
            }
            '\\' => {
                out.push(c);
                let end = after.chars().next().map_or(0, char::len_utf8);
                out.push_str(&after[..end]);
                &after[end..]
            }
            '[' => class(after, &mut out),
            _ => {
                out.push(c);
                after
            }
        };
    }
    out
}

/// Translates a class of which the first bracket is read; returns what follows it.
fn class<'a>(mut rest: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    if let Some(first) = rest.chars().next().filter(|c| matches!(c, ']' | '-')) {
        out.extend(['\\', first]);
        rest = &rest[1..];
    }
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            ']' => {
                out.push(c);
                return after;
            }
            '[' if after.starts_with(':') => {
                let end = after.find(":]").map_or(after.len(), |at| at + 2);
                out.push(c);
                out.push_str(&after[..end]);
                rest = &after[end..];
                continue;
            }
            '\\' => {
                let end = after.chars().next().map_or(0, char::len_utf8);
                out.push(c);
                out.push_str(&after[..end]);
                rest = &after[end..];
                continue;
            }
            '[' | '&' | '~' => out.extend(['\\', c]),
            // The end of a range.
            '-' if after.starts_with('-') => {
                out.push_str("-\\-");
                rest = &after[1..];
                continue;
            }
            _ => out.push(c),
        }
        rest = after;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, matched, others) in [
            ("orders", &["orders"][..], &["orders2", "my-orders", "Orders"][..]),
            ("orders.*", &["orders", "orders-eu"], &["my-orders"]),
            ("a|bc", &["a", "bc"], &["abc", "ab", "c"]),
            ("(?i)orders", &["ORDERS", "orders"], &["order"]),
            ("", &[""], &["a"]),
            ("^a$", &["a"], &["aa"]),
            (r"\d{2}[[:alpha:]_]\w+", &["12ab", "12_b"], &["1ab", "12.b"]),
            (r"\Qa.b\E.", &["a.bc", "a.b."], &["axbc", "a.b"]),
            (r"\Qa.b", &["a.b"], &["axb"]),
            (r"[[a]", &["[", "a"], &["b"]),
            (r"[a&&b]+", &["a&b"], &["c"]),
            (r"[!--]+", &["!", "-", "+"], &["."]),
            (r"[--/]", &["-", ".", "/"], &["0", ","]),
            (r"[a~~b]", &["a", "~", "b"], &["c"]),
            (r"[]a]", &["]", "a"], &["b"]),
            (r"[^]a]", &["b"], &["]", "a"]),
            (r"[\]a]", &["]", "a"], &["\\"]),
            ("(?x) a b # words", &["ab"], &["a b", "ab\n"]),
            ("(?P<x>a)(?:b)", &["ab"], &["a"]),
        ] {
            let compiled = Pattern::new(pattern).expect(pattern);
            for name in matched {
                assert!(compiled.matches(name), "{pattern} {name}");
            }
            for name in others {
                assert!(!compiled.matches(name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused() {
        let long = "a".repeat(LENGTH_MAX + 1);
        let deep = "(".repeat(200) + &")".repeat(200);
        for bad in
            ["(", ")", "a)(b", "[a", "*", "a{1001}{1001}", "(?<=a)b", r"(a)\1x(?=b)", r"\C", r"\pL", &long, &deep]
        {
            let error = Pattern::new(bad).expect_err(bad);
            assert!(matches!(error, GroupError::InvalidRegularExpression(_)), "{bad}");
        }
    }
}
