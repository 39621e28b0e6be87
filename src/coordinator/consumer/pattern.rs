//! Subscriptions by pattern: RE2's syntax, matched against whole names of topics.
//!
//! The engine's syntax is that of RE2 but for a few signs, which are translated: `\Q...\E` quotes, within a class `[`, `&&`,
//! `--` and `~~` are plain characters, and `\p{^...}` is `\P{...}`. Names of topics are ASCII, so classes are too: of a class
//! of Unicode (`\pL`, `\p{Greek}`) what is ASCII is left, which keeps programs small. `\C` is refused. Matching takes time
//! linear in the name's length, whatever the pattern.
use regex::bytes::{Regex, RegexBuilder};

use crate::coordinator::error::GroupError;

/// Bytes of a pattern.
const LENGTH_MAX: usize = 4096;
/// Bytes of the program that it becomes, and of each cache of its engine.
const SIZE_MAX: usize = 1 << 18;
/// Groups within groups.
const DEPTH_MAX: u32 = 100;
/// Most that a repetition may be of, as in RE2.
const REPEATS_MAX: u32 = 1000;

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
            '\\' => match property(after) {
                Some((property, rest)) => {
                    out.push_str(&ascii_of(&property));
                    rest
                }
                None => escape(after, &mut out),
            },
            '[' => {
                let mut class = String::new();
                let (rest, has_properties) = read_class(after, &mut class);
                out.push_str(&if has_properties { ascii_of(&class) } else { class });
                rest
            }
            '{' if repeats_too_often(after) => {
                out.push_str("{0,0,}"); // which is none: refused
                after
            }
            _ => {
                out.push(c);
                after
            }
        };
    }
    out
}

/// What is ASCII of a class of Unicode.
fn ascii_of(class: &str) -> String {
    format!(r"(?u:[{class}&&[\x00-\x7f]])")
}

/// A class of Unicode of which the backslash is read, with what follows it; `None`: it is another escape.
fn property(rest: &str) -> Option<(String, &str)> {
    let kind = rest.chars().next().filter(|kind| matches!(kind, 'p' | 'P'))?;
    let Some(named) = rest[1..].strip_prefix('{') else {
        let end = 1 + rest[1..].chars().next()?.len_utf8();
        return Some((format!("\\{}", &rest[..end]), &rest[end..]));
    };
    let (name, after) = named.split_once('}')?;
    let (kind, name) = match (name.strip_prefix('^'), kind) {
        (None, kind) => (kind, name),
        (Some(name), 'p') => ('P', name),
        (Some(name), _) => ('p', name),
    };
    Some((format!("\\{kind}{{{name}}}"), after))
}

/// Whether a repetition, of which the brace is read, is of more than RE2 allows.
fn repeats_too_often(rest: &str) -> bool {
    let Some((counts, _)) = rest.split_once('}') else { return false };
    let is_count = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_many = |text: &str| text.len() > 4 || text.parse::<u32>().is_ok_and(|count| count > REPEATS_MAX);
    counts.split(',').all(is_count) && counts.split(',').any(is_many)
}

/// Translates an escape of which the backslash is read; returns what follows it. One digit alone is a back reference, which
/// there is not; the engine knows that of 8 and 9, and takes others for the number of a character.
fn escape<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let mut chars = rest.chars();
    let Some(c) = chars.next() else {
        out.push('\\');
        return rest;
    };
    let is_octal = |c: char| ('0'..='7').contains(&c);
    let is_reference = ('1'..='7').contains(&c) && !chars.next().is_some_and(is_octal);
    out.extend(['\\', if is_reference { '8' } else { c }]);
    &rest[c.len_utf8()..]
}

/// Translates a class of which the first bracket is read; returns what follows it, and whether it has classes of Unicode.
fn read_class<'a>(mut rest: &'a str, out: &mut String) -> (&'a str, bool) {
    let mut has_properties = false;
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
                return (after, has_properties);
            }
            '[' if after.starts_with(':') => {
                let end = after.find(":]").map_or(after.len(), |at| at + 2);
                out.push(c);
                out.push_str(&after[..end]);
                rest = &after[end..];
                continue;
            }
            '\\' => {
                rest = match property(after) {
                    Some((property, rest)) => {
                        has_properties = true;
                        out.push_str(&property);
                        rest
                    }
                    None => escape(after, out),
                };
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
    (rest, has_properties)
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
            (r"\60\061[\62]", &["012"], &["602"]),
            ("a{1000}|b{2,}", &["bb", "bbb"], &["b"]),
            ("(?x) a b # words", &["ab"], &["a b", "ab\n"]),
            ("(?P<x>a)(?:b)", &["ab"], &["a"]),
            (r"\pL+", &["ab", "Z"], &["a1", "_"]),
            (r"\p{Lu}\PL*", &["A1_", "B"], &["AB", "a1"]),
            (r"(?i)\p{Lu}", &["a", "A"], &["1"]),
            (r"\p{^Lu}\P{^Nd}", &["a1", "_0"], &["A1", "ab"]),
            (r"x\p{Greek}*", &["x"], &["xx"]),
            (r"\P{Greek}x", &["ax"], &["x"]),
            (r"[\p{Latin}\-\d]+", &["a-1"], &["a_1"]),
            (r"[^\pN_]+", &["a-b"], &["a_b", "a1"]),
            (r"[\pL&&]+", &["a&b"], &["1"]),
            (r"\pL{1000}x|y", &["y"], &["x"]),
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
        let large = format!("({})", r"\w{900}|".repeat(100));
        let deep = "(".repeat(200) + &")".repeat(200);
        for bad in [
            "(",
            ")",
            "a)(b",
            "[a",
            "*",
            "a{1001}{1001}",
            "a{1001}",
            "a{1,1001}",
            r"(a)\1",
            r"[a\7]",
            "(?<=a)b",
            r"(a)\1x(?=b)",
            r"\C",
            r"\p",
            r"\pX",
            r"\p{Klingon}",
            r"\p{Lu",
            r"[\p{Klingon}]",
            &large,
            &long,
            &deep,
        ] {
            let error = Pattern::new(bad).expect_err(bad);
            assert!(matches!(error, GroupError::InvalidRegularExpression(_)), "{bad}");
        }
    }
}
