//! Records on stdout: values, tab-separated pairs, or one JSON object a line.
//!
//! The JSON object has topic, partition, offset, timestamp (ms, -1 if none), key, value and headers (a list of pairs), in
//! this order. A key or value that is not UTF-8 stands as `key_base64` / `value_base64` instead; a header value that is
//! not UTF-8 as `{"base64": ...}`. Null is null.
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::record::{Headers, RecordRef};

/// How a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The value and a line feed.
    Value,
    /// One JSON object a line: topic, partition, offset, timestamp, key, value, headers.
    Json,
    /// Key, tab, value and a line feed.
    Kv,
}

/// Writes one record.
pub fn write(
    out: &mut impl Write,
    format: Format,
    topic: &str,
    partition: i32,
    record: &RecordRef<'_>,
) -> io::Result<()> {
    match format {
        Format::Value => out.write_all(record.value.unwrap_or_default())?,
        Format::Kv => {
            out.write_all(record.key.unwrap_or_default())?;
            out.write_all(b"\t")?;
            out.write_all(record.value.unwrap_or_default())?;
        }
        Format::Json => write_json(out, topic, partition, record)?,
    }
    out.write_all(b"\n")
}

fn write_json(out: &mut impl Write, topic: &str, partition: i32, record: &RecordRef<'_>) -> io::Result<()> {
    out.write_all(b"{\"topic\":")?;
    serde_json::to_writer(&mut *out, topic)?;
    let (offset, timestamp) = (record.offset, record.timestamp);
    write!(out, ",\"partition\":{partition},\"offset\":{offset},\"timestamp\":{timestamp}")?;
    write_field(out, "key", record.key)?;
    write_field(out, "value", record.value)?;
    out.write_all(b",\"headers\":[")?;
    write_headers(out, &record.headers)?;
    out.write_all(b"]}")
}

fn write_field(out: &mut impl Write, name: &str, bytes: Option<&[u8]>) -> io::Result<()> {
    match bytes.map(std::str::from_utf8) {
        None => write!(out, ",\"{name}\":null"),
        Some(Ok(text)) => {
            write!(out, ",\"{name}\":")?;
            Ok(serde_json::to_writer(out, text)?)
        }
        Some(Err(_)) => write!(out, ",\"{name}_base64\":\"{}\"", STANDARD.encode(bytes.unwrap_or_default())),
    }
}

fn write_headers(out: &mut impl Write, headers: &Headers<'_>) -> io::Result<()> {
    for (i, (key, value)) in headers.iter().enumerate() {
        out.write_all(if i == 0 { b"[" } else { b",[" })?;
        serde_json::to_writer(&mut *out, &String::from_utf8_lossy(key))?;
        out.write_all(b",")?;
        match value.map(std::str::from_utf8) {
            None => out.write_all(b"null")?,
            Some(Ok(text)) => serde_json::to_writer(&mut *out, text)?,
            Some(Err(_)) => write!(out, "{{\"base64\":\"{}\"}}", STANDARD.encode(value.unwrap_or_default()))?,
        }
        out.write_all(b"]")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
