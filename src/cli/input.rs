//! Records from stdin: a line is a value, a key and a value with a separator between them, or a JSON object as
//! [`super::output`] writes it.
//!
//! Of a JSON object, `topic` and `offset` are passed over, `partition` and `timestamp` are optional, and a `value` that is
//! neither text nor null stands for its JSON text. So the output of `consume --format json` can be produced again.
use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::record::Header;

/// How a line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The line is the value, or key and value with --key-separator.
    Text,
    /// One JSON object a line, as `consume --format json` writes it; value is the only field that must be there.
    Json,
}

/// A record to produce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    /// The partition that the line asks for.
    pub partition: Option<i32>,
    /// The timestamp that the line asks for, ms.
    pub timestamp: Option<i64>,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<Header>,
}

impl Input {
    /// About how many bytes it takes in a batch.
    pub fn size(&self) -> usize {
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|header| header.key.len() + len(&header.value) + 4).sum();
        len(&self.key) + len(&self.value) + headers + 16
    }
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The separator is not there.
    #[error("the key separator '{0}' is not in it; leave --key-separator out if lines have no key")]
    NoSeparator(String),
    /// Not such an object.
    #[error(
        "{0}; --format json expects an object a line with value (and key, headers, timestamp, partition); \
         to produce each line as it stands, leave --format json out"
    )]
    Json(#[from] serde_json::Error),
    /// Not base64.
    #[error("{field} is not base64: {reason}")]
    Base64 {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        reason: base64::DecodeError,
    },
    /// Twice the same thing.
    #[error("it has both {0} and {0}_base64; one of them has to go")]
    Both(&'static str),
    /// No value.
    #[error("it has neither value nor value_base64; a record without a value says \"value\":null")]
    NoValue,
    /// A partition below zero.
    #[error("partition {0} is not a partition")]
    Partition(i32),
}

/// A line without its line feed.
pub fn parse(line: Bytes, format: Format, separator: Option<&str>) -> Result<Input, InputError> {
    match (format, separator) {
        (Format::Json, _) => json(&line),
        (Format::Text, None) => Ok(Input { value: Some(line), ..Input::default() }),
        (Format::Text, Some(separator)) => {
            let found = line.windows(separator.len()).position(|window| window == separator.as_bytes());
            let at = found.ok_or_else(|| InputError::NoSeparator(separator.escape_default().to_string()))?;
            let (key, value) = (line.slice(..at), line.slice(at + separator.len()..));
            Ok(Input { key: Some(key), value: Some(value), ..Input::default() })
        }
    }
}

/// A separator as typed: `\t`, `\n`, `\0` and `\\` stand for what they stand for in C.
pub fn separator(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('0') => '\0',
                Some('\\') => '\\',
                _ => return Err("after a backslash expected t, 0 or another backslash".to_owned()),
            },
            other => other,
        });
    }
    if out.is_empty() { Err("expected at least one character".to_owned()) } else { Ok(out) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "topic")]
    _topic: Option<IgnoredAny>,
    #[serde(rename = "offset")]
    _offset: Option<IgnoredAny>,
    partition: Option<i32>,
    timestamp: Option<i64>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    value_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    headers: Vec<(Cow<'a, str>, Option<HeaderValue<'a>>)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum HeaderValue<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Bytes { base64: String },
}

/// Tells a `null` that is there from a field that is not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn json(line: &[u8]) -> Result<Input, InputError> {
    let line: Line<'_> = serde_json::from_slice(line)?;
    if let Some(partition) = line.partition.filter(|partition| *partition < 0) {
        return Err(InputError::Partition(partition));
    }
    let key = match (line.key, line.key_base64) {
        (Some(_), Some(_)) => return Err(InputError::Both("key")),
        (Some(text), None) => Some(Bytes::from(text.into_owned())),
        (None, Some(text)) => Some(decode("key_base64", &text)?),
        (None, None) => None,
    };
    let value = match (line.value, line.value_base64) {
        (Some(_), Some(_)) => return Err(InputError::Both("value")),
        (Some(raw), None) => value(raw)?,
        (None, Some(text)) => Some(decode("value_base64", &text)?),
        (None, None) => return Err(InputError::NoValue),
    };
    let header = |(key, value): (Cow<'_, str>, Option<HeaderValue<'_>>)| {
        let value = match value {
            None => None,
            Some(HeaderValue::Text(text)) => Some(Bytes::from(text.into_owned())),
            Some(HeaderValue::Bytes { base64 }) => Some(decode("headers", &base64)?),
        };
        Ok::<_, InputError>(Header { key: Bytes::from(key.into_owned()), value })
    };
    let headers = line.headers.into_iter().map(header).collect::<Result<_, _>>()?;
    Ok(Input { partition: line.partition, timestamp: line.timestamp, key, value, headers })
}

/// Text is its bytes, null is null, anything else is its JSON text.
fn value(raw: &RawValue) -> Result<Option<Bytes>, InputError> {
    let text = raw.get();
    if text.starts_with('"') {
        return Ok(Some(Bytes::from(serde_json::from_str::<String>(text)?)));
    }
    Ok((text != "null").then(|| Bytes::copy_from_slice(text.as_bytes())))
}

fn decode(field: &'static str, text: &str) -> Result<Bytes, InputError> {
    STANDARD.decode(text).map(Bytes::from).map_err(|reason| InputError::Base64 { field, reason })
}

#[cfg(test)]
mod tests;
