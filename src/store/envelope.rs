//! The envelope of every JSON object in the bucket: two lines, each ended by `\n`.
//!
//! ```text
//! {"esker":"manifest","format":1,"must_read":[],"must_write":[],"must_collect":[],"crc32c":"e3069283"}
//! {…body…}
//! ```
//! `esker` names the kind of object. `crc32c` is the CRC-32C (Castagnoli) of the second line without its `\n`, in eight
//! lower-case hex digits. A name that a build does not know makes it refuse, by name: in `must_read` to read the object; in
//! `must_write` to write after it and to delete anything because of it; in `must_collect` to delete alone. Names are carried
//! on when the object is rewritten: only a build that knows a name may drop it. Fields that are not known, here and in
//! bodies, are ignored, and kept when the object is rewritten ([`Unknown`]).
use std::ops::Deref;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Fields of a body that this build does not know. Put it last into a body, so that a rewrite keeps them:
/// `#[serde(flatten)] pub unknown: Unknown`.
pub type Unknown = serde_json::Map<String, serde_json::Value>;

/// What this build knows of one kind of object.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Value of `esker`, for example `manifest`.
    pub kind: &'static str,
    /// Highest format number that can be read, and the one that is written.
    pub format: u32,
    /// Names of features that can be read and written.
    pub features: &'static [&'static str],
}

/// Features that an object asks of those who read it, who write after it, and who delete because of it; and what else its
/// first line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Needed to understand the object.
    pub must_read: Vec<String>,
    /// Needed to write its successor, and to delete anything because of it.
    pub must_write: Vec<String>,
    /// Needed to delete anything because of it.
    pub must_collect: Vec<String>,
    /// Fields of the first line that this build does not know.
    pub unknown: Unknown,
}

impl Features {
    /// Adds what another object asks for, and what else its first line says.
    pub fn join(&mut self, other: &Self) {
        self.join_names(other);
        self.unknown.extend(other.unknown.clone());
    }

    /// Adds what another object asks for.
    pub fn join_names(&mut self, other: &Self) {
        let lists = [
            (&mut self.must_read, &other.must_read),
            (&mut self.must_write, &other.must_write),
            (&mut self.must_collect, &other.must_collect),
        ];
        for (names, more) in lists {
            names.extend(more.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
        }
    }
}

/// An object that is not an envelope, is damaged, or asks for more than this build knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not two lines of JSON, or an unexpected kind.
    #[error("not an Esker {kind} object: {reason}")]
    Malformed {
        /// The expected kind.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The body does not match its checksum.
    #[error("damaged {kind} object: the body's CRC-32C is {found}, its first line says {expected}")]
    Checksum {
        /// The kind.
        kind: &'static str,
        /// As written.
        expected: String,
        /// As computed.
        found: String,
    },
    /// Written by a later version of Esker.
    #[error("the {kind} object has format {found}, this version of Esker reads up to {known}: use a newer one")]
    Format {
        /// The kind.
        kind: &'static str,
        /// Format of the object.
        found: u32,
        /// Highest known.
        known: u32,
    },
    /// A feature is needed that this build does not have.
    #[error(
        "the {kind} object needs feature '{feature}' {purpose}, which this version of Esker does not have: use a newer one"
    )]
    Feature {
        /// The kind.
        kind: &'static str,
        /// Its name.
        feature: String,
        /// `to be read`, `to be followed by another version` or `so that anything may be deleted`.
        purpose: &'static str,
    },
    /// A version that would be larger than any may be. Nothing was written.
    #[error(
        "the {kind} object would have {bytes} bytes, more than the {max} that one may have: nothing was written, and what was there stays"
    )]
    TooLarge {
        /// The kind.
        kind: &'static str,
        /// What it would have.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// The body does not serialize: a defect of the caller.
    #[error("cannot write {kind} object: {reason}")]
    Encode {
        /// The kind.
        kind: &'static str,
        /// What serde said.
        reason: String,
    },
}

impl EnvelopeError {
    /// Whether the object itself is fine, but not for this build.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Format { .. } | Self::Feature { .. })
    }
}

/// What an object says, and what it asks for. Whoever writes it again carries both on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enveloped<T> {
    /// What it asks for.
    pub features: Features,
    /// What it says.
    pub body: T,
}

impl<T> From<T> for Enveloped<T> {
    fn from(body: T) -> Self {
        Self { features: Features::default(), body }
    }
}

impl<T> Deref for Enveloped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.body
    }
}

/// An envelope whose checksum, kind, format and `must_read` were checked.
#[derive(Clone, Debug)]
pub struct Opened {
    schema: Schema,
    /// Format number of the object.
    pub format: u32,
    /// What it asks for.
    pub features: Features,
    /// The second line, without its `\n`.
    pub body: Bytes,
}

#[derive(Serialize, Deserialize)]
struct FirstLine {
    esker: String,
    format: u32,
    must_read: Vec<String>,
    must_write: Vec<String>,
    #[serde(default)]
    must_collect: Vec<String>,
    crc32c: String,
    #[serde(flatten)]
    unknown: Unknown,
}

/// Writes an envelope around `body`.
pub fn encode(schema: &Schema, features: &Features, body: &impl Serialize) -> Result<Bytes, EnvelopeError> {
    let failed = |e: serde_json::Error| EnvelopeError::Encode { kind: schema.kind, reason: e.to_string() };
    let body = serde_json::to_vec(body).map_err(failed)?;
    let first = FirstLine {
        esker: schema.kind.to_string(),
        format: schema.format,
        must_read: features.must_read.clone(),
        must_write: features.must_write.clone(),
        must_collect: features.must_collect.clone(),
        crc32c: hex_crc(&body),
        unknown: features.unknown.clone(),
    };
    let first = serde_json::to_vec(&first).map_err(failed)?;
    let mut out = BytesMut::with_capacity(first.len() + body.len() + 2);
    out.put_slice(&first);
    out.put_u8(b'\n');
    out.put_slice(&body);
    out.put_u8(b'\n');
    Ok(out.freeze())
}

/// An object as it is written again after it was read, its body by way of `B`.
#[cfg(test)]
pub fn written_again<B: Serialize + DeserializeOwned>(schema: &Schema, object: &Bytes) -> Bytes {
    let opened = decode(schema, object).unwrap();
    encode(schema, &opened.features, &opened.parse::<B>().unwrap()).unwrap()
}

/// Opens an envelope: checks kind, format, `must_read` and the checksum, in this order, before the body is parsed.
pub fn decode(schema: &Schema, object: &Bytes) -> Result<Opened, EnvelopeError> {
    let malformed = |reason: String| EnvelopeError::Malformed { kind: schema.kind, reason };
    let end = object.iter().position(|b| *b == b'\n').ok_or_else(|| malformed("it has no first line".into()))?;
    let first: FirstLine =
        serde_json::from_slice(&object[..end]).map_err(|e| malformed(format!("its first line: {e}")))?;
    if first.esker != schema.kind {
        return Err(malformed(format!("it is of kind '{}'", first.esker)));
    }
    if first.format > schema.format {
        return Err(EnvelopeError::Format { kind: schema.kind, found: first.format, known: schema.format });
    }
    known(schema, &first.must_read, "to be read")?;
    let body = object.slice(end + 1..);
    if body.last() != Some(&b'\n') {
        return Err(malformed("its second line has no end: it was cut off".into()));
    }
    let body = body.slice(..body.len() - 1);
    let found = hex_crc(&body);
    if found != first.crc32c {
        return Err(EnvelopeError::Checksum { kind: schema.kind, expected: first.crc32c, found });
    }
    let FirstLine { must_read, must_write, must_collect, unknown, .. } = first;
    let features = Features { must_read, must_write, must_collect, unknown };
    Ok(Opened { schema: *schema, format: first.format, features, body })
}

impl Opened {
    /// Parses the body.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, EnvelopeError> {
        serde_json::from_slice(&self.body)
            .map_err(|e| EnvelopeError::Malformed { kind: self.schema.kind, reason: format!("its body: {e}") })
    }

    /// Parses the body, and keeps what the object asks for beside it.
    pub fn into_body<T: DeserializeOwned>(self) -> Result<Enveloped<T>, EnvelopeError> {
        let body = self.parse()?;
        Ok(Enveloped { features: self.features, body })
    }

    /// Refuses, by name, what this build may read but not follow with another version.
    pub fn check_writable(&self) -> Result<(), EnvelopeError> {
        check_writable(&self.schema, &self.features)
    }
}

/// Refuses, by name, features in `must_write` that this build does not know.
pub fn check_writable(schema: &Schema, features: &Features) -> Result<(), EnvelopeError> {
    known(schema, &features.must_write, "to be followed by another version")
}

/// Refuses, by name, features in `must_write` or `must_collect` that this build does not know: nothing may be deleted.
pub fn check_collectable(schema: &Schema, features: &Features) -> Result<(), EnvelopeError> {
    let asked = [&features.must_write, &features.must_collect];
    asked.into_iter().try_for_each(|asked| known(schema, asked, "so that anything may be deleted"))
}

fn known(schema: &Schema, asked: &[String], purpose: &'static str) -> Result<(), EnvelopeError> {
    match asked.iter().find(|name| !schema.features.contains(&name.as_str())) {
        Some(name) => Err(EnvelopeError::Feature { kind: schema.kind, feature: name.clone(), purpose }),
        None => Ok(()),
    }
}

fn hex_crc(body: &[u8]) -> String {
    format!("{:08x}", crc32c::crc32c(body))
}

#[cfg(test)]
mod tests;
