//! Chains: numbered objects written with create-if-absent only; the last one is the truth. Free of any domain.
//!
//! Objects are `<prefix>/<number, 20 digits>.json`, numbers from 1 without holes, each an envelope whose body is
//! ```text
//! {"number":7,"nonce":"16 hex digits","after":"nonce of version 6, or null","epoch":3,"wal":{…},"body":{…}}
//! ```
//! The nonce is fresh for every call of [`Chain::commit`], so that a writer whose request was applied but answered with an
//! error recognizes its own success. `after` ties a version to the one that it was built on.
//! `wal` is what the writer says of its WAL, if it has one: kept as text, and not looked into here.
//!
//! # Why there is one winner
//! 1. The store lets one creator of a key succeed, so as long as nothing is deleted, of all that build on version n one
//!    holds n + 1.
//! 2. Deletion is strictly ascending, each version confirmed absent before the next goes. So while n is there, nothing
//!    above n was ever deleted, and what lies there is what the first creators made.
//! 3. A writer that slept until its place was collected can create n + 1 once more. It then looks for n, finds it missing
//!    (or foreign), and is fenced. What it leaves behind lies below the head.
//! 4. Nobody takes what a sleeper left for the chain: whoever found something above n looks for n once more before
//!    believing it, and whoever had to begin with a listing asks for another one that shows nothing above what it found.
//!    (Without this, a second sleeper on n loses to the first one's remains, builds on them, and wins.)
//! 5. A request may be applied although its answer says otherwise, also later. It carries the same number and nonce, so
//!    it is either the version that its writer goes on to find, or refused as existing.
//!
//! An object at a number that cannot be read ([`Outcome::Unreadable`]) is not ours either: whoever owns the chain decides what
//! it means. It is read twice before it is believed.
//!
//! Two things are asked of the world: no request is applied, and no listing is old, by as long as versions are kept after
//! they were superseded ([`Chain::collect`]).
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::{self, EnvelopeError, Features, Schema, Unknown};
use super::{Create, Kind, LIST_PAGE, Store, StoreError};
use crate::base::Json;

mod collect;

pub use collect::{Keep, Lowest, Old};

/// Versions read one by one before a listing is asked for a short cut.
const STEPS_BEFORE_LISTING: u64 = 16;
/// The largest version that is written: a quarter of what can be read, so that no chain grows until it cannot be read.
pub const VERSION_BYTES_MAX: usize = 16 << 20;

/// One version of a chain, as read or as committed. What a writer remembers to build upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// From 1 up.
    pub number: u64,
    /// Tells this version from any other that was ever tried at this number.
    pub nonce: String,
    /// Nonce of the version that this one was built on; none for version 1.
    pub after: Option<String>,
    /// Epoch of the broker that wrote it.
    pub epoch: u32,
    /// What its writer said of its WAL.
    pub wal: Option<Json>,
    /// What the version asks of readers and of its successor's writer.
    pub features: Features,
    /// Fields beside the body that this build does not know: carried on by the next version.
    pub unknown: Unknown,
    /// The domain's body: one JSON value.
    pub body: Bytes,
}

/// A version that somebody remembers: its number, and what tells it from any other that was tried there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// From 1 up.
    pub number: u64,
    /// Its nonce.
    pub nonce: String,
}

/// What a writer says of itself in each version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its epoch.
    pub epoch: u32,
    /// What it says of its WAL.
    pub wal: Option<Json>,
}

impl From<u32> for Stamp {
    fn from(epoch: u32) -> Self {
        Self { epoch, wal: None }
    }
}

/// How a commit ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The version is in the chain, right after the one it was built on, and nobody else's is.
    Committed(Head),
    /// Somebody of the same or a lower epoch took the number: read the head from this version on and plan anew. After an
    /// undecided commit it may be one's own earlier version.
    Lost(Head),
    /// A higher epoch wrote, or the chain moved on so far that our place was collected: stop, keep the WAL.
    Fenced {
        /// The epoch that fenced us, where it is known.
        epoch: Option<u32>,
    },
    /// Something lies at our number, or at the one that we built on, that cannot be read: of a later build, or damaged. It
    /// was read twice. In the chain of owners it is a foreign claim.
    Unreadable(ChainError),
}

/// Why a chain could not be read, or a commit not decided.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChainError {
    /// A request failed for good, or the store did not answer in time while reading.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A version is damaged, or of a future format or feature.
    #[error("{path}: {source}")]
    Envelope {
        /// URL of the version.
        path: String,
        /// What is wrong with it.
        source: EnvelopeError,
    },
    /// The store stopped answering, or refused to, before the commit was decided: it may have been applied, now or later.
    /// Read the head again before anything is planned.
    #[error("{path}: the commit is undecided ({source}); the head has to be read again")]
    Undecided {
        /// URL of the version that was tried.
        path: String,
        /// The last answer.
        source: StoreError,
    },
}

impl ChainError {
    /// Whether there is an object, and nothing can be made of it.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Envelope { .. } | Self::Store(StoreError { kind: Kind::Corrupt, .. }))
    }

    /// Whether the same call may succeed later without anybody's doing.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Store(e) | Self::Undecided { source: e, .. } => e.is_retriable(),
            Self::Envelope { .. } => false,
        }
    }
}

/// A chain under a prefix. Cheap to clone; holds no state: the caller remembers the [`Head`].
#[derive(Clone, Debug)]
pub struct Chain {
    store: Store,
    schema: Schema,
    prefix: String,
}

/// The body of a version's envelope.
#[derive(Serialize, Deserialize)]
struct Version<B> {
    number: u64,
    nonce: String,
    after: Option<String>,
    epoch: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wal: Option<Json>,
    body: B,
    #[serde(flatten)]
    unknown: Unknown,
}

/// A version as it is written again after it was read, its body by way of `B`.
#[cfg(test)]
pub fn written_again<B: Serialize + DeserializeOwned>(schema: &Schema, object: &Bytes) -> Bytes {
    let opened = envelope::decode(schema, object).unwrap();
    envelope::encode(schema, &opened.features, &opened.parse::<Version<B>>().unwrap()).unwrap()
}

/// What was found at a number.
enum At {
    Nothing,
    Ours,
    Foreign(Head),
    Unreadable(ChainError),
}

/// What lies at the number that a commit tried.
enum Settled {
    Ours,
    Taken(Head),
    Unreadable(ChainError),
}

impl Chain {
    /// The chain of `schema` under `prefix` (no slash at either end).
    pub fn new(store: Store, schema: Schema, prefix: impl Into<String>) -> Self {
        Self { store, schema, prefix: prefix.into() }
    }

    /// Where the chain lies, relative to the store's root.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Path of version `number`, relative to the store's root.
    pub fn path_of(&self, number: u64) -> String {
        format!("{}/{number:020}.json", self.prefix)
    }

    /// The newest version. None: not one version exists, which for anything but creation is damage.
    pub async fn head(&self, remembered: Option<&Head>) -> Result<Option<Head>, ChainError> {
        if let Some(remembered) = remembered
            && self.holds(remembered).await?
        {
            let head = self.upwards(remembered.clone()).await?;
            if head.number == remembered.number || self.holds(remembered).await? {
                return Ok(Some(head));
            }
        }
        self.head_by_listing().await
    }

    /// The newest version, with its body, looked for from `hint` up: if that is still there, a listing is spared. A version
    /// of another nonce at its number is not begun with: it may be what a sleeper left where all was collected.
    pub async fn head_near(&self, hint: &Hint) -> Result<Option<Head>, ChainError> {
        match self.get(hint.number).await? {
            Some(near) if near.nonce == hint.nonce => {
                let head = self.upwards(near.clone()).await?;
                if head.number == near.number || self.holds(&near).await? {
                    return Ok(Some(head));
                }
            }
            _ => {}
        }
        self.head_by_listing().await
    }

    async fn head_by_listing(&self) -> Result<Option<Head>, ChainError> {
        let mut patience = self.store.patience();
        loop {
            let listed = self.greatest_listed(None).await?;
            match self.get(listed.unwrap_or(1)).await? {
                Some(found) => {
                    let head = self.upwards(found).await?;
                    if self.greatest_listed(Some(head.number)).await?.is_none() {
                        return Ok(Some(head));
                    }
                }
                None if listed.is_none() => return Ok(None),
                None => {} // listed but absent: the listing is old, or versions are being collected
            }
            if !patience.wait().await {
                let why = "the listing and what is there do not agree, again and again: it is out of date";
                let e = StoreError::new(Kind::Unavailable, self.store.url_of(&self.prefix), why);
                return Err(e.into());
            }
        }
    }

    /// Whether `version` is still at its number.
    async fn holds(&self, version: &Head) -> Result<bool, ChainError> {
        Ok(self.get(version.number).await?.is_some_and(|found| found.nonce == version.nonce))
    }

    /// From a version that is there to the last one.
    async fn upwards(&self, from: Head) -> Result<Head, ChainError> {
        let mut head = from;
        let mut steps = 0;
        while let Some(next) = self.get(head.number + 1).await? {
            head = next;
            steps += 1;
            if steps % STEPS_BEFORE_LISTING == 0
                && let Some(listed) = self.greatest_listed(Some(head.number)).await?
                && let Some(found) = self.get(listed).await?
            {
                head = found;
            }
        }
        Ok(head)
    }

    /// The greatest number that a listing shows, above `above`.
    async fn greatest_listed(&self, above: Option<u64>) -> Result<Option<u64>, ChainError> {
        let mut greatest = None;
        let mut after = above.map(|number| self.path_of(number));
        loop {
            let page = self.store.list(&self.prefix, after.as_deref()).await?;
            greatest = page.iter().filter_map(|object| self.number_of(&object.path)).max().max(greatest);
            match page.last() {
                Some(last) if page.len() >= LIST_PAGE => after = Some(last.path.clone()),
                _ => return Ok(greatest),
            }
        }
    }

    /// The number in a version's path; None for other objects under the prefix.
    fn number_of(&self, path: &str) -> Option<u64> {
        let name = path.strip_prefix(&self.prefix)?.strip_prefix('/')?.strip_suffix(".json")?;
        (name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit())).then(|| name.parse().ok())?
    }

    /// One version, if it is there.
    pub async fn get(&self, number: u64) -> Result<Option<Head>, ChainError> {
        match self.store.get(&self.path_of(number)).await {
            Ok(object) => self.open(number, &object).map(Some),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// One version; what cannot be read is read again, for bytes may be spoilt on the way.
    pub async fn get_twice(&self, number: u64) -> Result<Option<Head>, ChainError> {
        match self.get(number).await {
            Err(e) if e.is_unreadable() => self.get(number).await,
            read => read,
        }
    }

    fn open(&self, number: u64, object: &Bytes) -> Result<Head, ChainError> {
        let path = || self.store.url_of(&self.path_of(number));
        let failed = |source| ChainError::Envelope { path: path(), source };
        let opened = envelope::decode(&self.schema, object).map_err(failed)?;
        let version: Version<Box<RawValue>> = opened.parse().map_err(failed)?;
        if version.number != number {
            let reason = format!("it says that it is version {}", version.number);
            return Err(failed(EnvelopeError::Malformed { kind: self.schema.kind, reason }));
        }
        let Version { nonce, after, epoch, wal, body, unknown, .. } = version;
        let body = Bytes::from(String::from(Box::<str>::from(body)));
        Ok(Head { number, nonce, after, epoch, wal, features: opened.features, unknown, body })
    }

    /// Numbers of the versions that a listing shows, ascending: for display, `--as-of` and checks, not for deciding.
    pub async fn versions(&self) -> Result<Vec<u64>, ChainError> {
        let mut numbers = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(&self.prefix, after.as_deref()).await?;
            numbers.extend(page.iter().filter_map(|object| self.number_of(&object.path)));
            match page.last() {
                Some(last) if page.len() >= LIST_PAGE => after = Some(last.path.clone()),
                _ => return Ok(numbers),
            }
        }
    }
}

/// Committing.
impl Chain {
    /// Tries to make `body` the version after `on` (`None`: version 1), which keeps the features of `on`.
    pub async fn commit(
        &self,
        on: Option<&Head>,
        stamp: impl Into<Stamp>,
        body: &impl Serialize,
    ) -> Result<Outcome, ChainError> {
        let stamp = stamp.into();
        let epoch = stamp.epoch;
        if let Some(on) = on {
            self.check_writable(on)?;
            if on.epoch > epoch {
                return Ok(Outcome::Fenced { epoch: Some(on.epoch) });
            }
        }
        let (ours, object) = self.successor(on, stamp, body)?;
        let taken = match self.settle(&ours, &object).await? {
            Settled::Ours => None,
            Settled::Taken(taken) if taken.epoch > epoch => return Ok(Outcome::Fenced { epoch: Some(taken.epoch) }),
            Settled::Taken(taken) => Some(taken),
            Settled::Unreadable(e) => return Ok(Outcome::Unreadable(e)),
        };
        let there = taken.as_ref().unwrap_or(&ours);
        match self.confirm(on, there).await {
            Ok(Some(fenced)) => Ok(fenced),
            Ok(None) => Ok(taken.map_or(Outcome::Committed(ours), Outcome::Lost)),
            Err(e) if e.is_unreadable() => Ok(Outcome::Unreadable(e)),
            Err(e) => Err(self.undecided(&ours, e)),
        }
    }

    /// The version to be, and its object.
    fn successor(&self, on: Option<&Head>, stamp: Stamp, body: &impl Serialize) -> Result<(Head, Bytes), ChainError> {
        let number = on.map_or(0, |on| on.number) + 1;
        let failed = |source| ChainError::Envelope { path: self.store.url_of(&self.path_of(number)), source };
        let encoding =
            |e: serde_json::Error| failed(EnvelopeError::Encode { kind: self.schema.kind, reason: e.to_string() });
        let body = serde_json::value::to_raw_value(body).map_err(encoding)?;
        let nonce = self.store.random().hex16();
        let after = on.map(|on| on.nonce.clone());
        let (features, unknown) = on.map(|on| (on.features.clone(), on.unknown.clone())).unwrap_or_default();
        let Stamp { epoch, wal } = stamp;
        let version = Version {
            number,
            nonce: nonce.clone(),
            after: after.clone(),
            epoch,
            wal: wal.clone(),
            body: &body,
            unknown: unknown.clone(),
        };
        let object = envelope::encode(&self.schema, &features, &version).map_err(failed)?;
        if object.len() > VERSION_BYTES_MAX {
            let (kind, bytes, max) = (self.schema.kind, object.len(), VERSION_BYTES_MAX);
            return Err(failed(EnvelopeError::TooLarge { kind, bytes, max }));
        }
        let body = Bytes::from(String::from(Box::<str>::from(body)));
        Ok((Head { number, nonce, after, epoch, wal, features, unknown, body }, object))
    }

    /// Brings the version to its number, or finds who took it. The same bytes again until one of the two is certain.
    async fn settle(&self, ours: &Head, object: &Bytes) -> Result<Settled, ChainError> {
        let path = self.path_of(ours.number);
        let mut patience = self.store.patience();
        let mut doubtful = false; // whether an earlier attempt may have been applied
        loop {
            let answer = match self.store.create(&path, object.clone()).await {
                Ok(Create::Created) => return Ok(Settled::Ours),
                Ok(Create::Exists) => {
                    let why = "the store says that it exists, but there is nothing";
                    StoreError::new(Kind::Unavailable, self.store.url_of(&path), why)
                }
                Ok(Create::Unknown(e)) => e,
                Err(e) if doubtful => return Err(self.undecided(ours, e.into())),
                Err(e) => return Err(e.into()),
            };
            doubtful = true;
            match self.look(ours).await.map_err(|e| self.undecided(ours, e))? {
                At::Ours => return Ok(Settled::Ours),
                At::Foreign(taken) => return Ok(Settled::Taken(taken)),
                At::Unreadable(e) => return Ok(Settled::Unreadable(e)),
                At::Nothing => {}
            }
            if !patience.wait().await {
                return Err(ChainError::Undecided { path: answer.path.clone(), source: answer });
            }
        }
    }

    /// What lies at the number of `ours`.
    async fn look(&self, ours: &Head) -> Result<At, ChainError> {
        Ok(match self.get_twice(ours.number).await {
            Ok(None) => At::Nothing,
            Ok(Some(found)) if found.nonce == ours.nonce => At::Ours,
            Ok(Some(found)) => At::Foreign(found),
            Err(e) if e.is_unreadable() => At::Unreadable(e),
            Err(e) => return Err(e),
        })
    }

    /// Whether `there`, found at the number after `on`, is the chain's, or was put into a place that had been collected.
    /// Then we are fenced.
    async fn confirm(&self, on: Option<&Head>, there: &Head) -> Result<Option<Outcome>, ChainError> {
        let Some(on) = on else {
            return self.confirm_first(there).await;
        };
        Ok(match self.get_twice(on.number).await? {
            Some(found) if found.nonce == on.nonce => None,
            Some(foreign) => Some(Outcome::Fenced { epoch: Some(foreign.epoch) }),
            None => Some(Outcome::Fenced { epoch: None }),
        })
    }

    /// Version 1 has none before it that could be missing: a chain that has moved on shows in what lies above.
    async fn confirm_first(&self, there: &Head) -> Result<Option<Outcome>, ChainError> {
        let Some(greatest) = self.greatest_listed(Some(1)).await? else { return Ok(None) };
        match self.get_twice(2).await? {
            Some(second) if second.after.as_ref() == Some(&there.nonce) => Ok(None),
            _ => Ok(Some(Outcome::Fenced { epoch: self.get(greatest).await?.map(|head| head.epoch) })),
        }
    }

    /// A commit whose request was sent can no longer fail as a mere read: it may be in the chain.
    fn undecided(&self, ours: &Head, e: ChainError) -> ChainError {
        match e {
            ChainError::Store(source) => {
                ChainError::Undecided { path: self.store.url_of(&self.path_of(ours.number)), source }
            }
            other => other,
        }
    }

    /// Refuses, by name, a head that asks for features without which nothing may be written after it.
    pub fn check_writable(&self, on: &Head) -> Result<(), ChainError> {
        envelope::check_writable(&self.schema, &on.features)
            .map_err(|source| ChainError::Envelope { path: self.store.url_of(&self.path_of(on.number)), source })
    }

    /// Refuses, by name, a head that asks for features without which nothing may be deleted.
    pub fn check_collectable(&self, head: &Head) -> Result<(), ChainError> {
        envelope::check_collectable(&self.schema, &head.features)
            .map_err(|source| ChainError::Envelope { path: self.store.url_of(&self.path_of(head.number)), source })
    }
}

impl Head {
    /// What to remember of it.
    pub fn hint(&self) -> Hint {
        Hint { number: self.number, nonce: self.nonce.clone() }
    }

    /// Parses the domain's body.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

#[cfg(test)]
mod tests;
