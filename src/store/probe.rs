//! The probe of a new bucket: create-if-absent must really refuse, also when sixteen try at once. Some stores ignore the
//! condition, some check it and write in two steps; on either, two brokers could both believe that they own the bucket.
use bytes::Bytes;
use futures::future::join_all;
use serde::{Deserialize, Serialize};

use super::envelope::Unknown;
use super::{Create, Kind, Store, StoreError};

/// Creators of one key at once.
const CREATORS: usize = 16;
/// Rounds with a fresh key each.
const ROUNDS: u32 = 8;
/// Rounds at once: as many as a store lets in with all their creators (`store.requests`).
const ROUNDS_AT_ONCE: usize = 4;
/// All rounds, with those in which requests were answered with errors and that decided nothing.
const ROUNDS_MAX: usize = 16;

/// What the probe found; kept in `esker.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When, in ms since 1970.
    pub at_ms: i64,
    /// Rounds of sixteen creators at once that had exactly one winner.
    pub rounds: u32,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Probes `store` and removes its probe keys. A store that fails is [`Kind::Refused`], by name.
pub async fn probe(store: &Store) -> Result<Probe, StoreError> {
    let folder = format!("probe/{}", store.random().hex16());
    let mut keys = Vec::new();
    let found = rounds(store, &folder, &mut keys).await;
    let removed = join_all(keys.iter().map(|key| store.delete(key))).await;
    let rounds = found?;
    removed.into_iter().collect::<Result<(), _>>()?;
    Ok(Probe { at_ms: store.clock().now_ms(), rounds, unknown: Unknown::new() })
}

/// Rounds side by side, for a store may make the creators of one key wait in a row; one more for each that decided nothing.
async fn rounds(store: &Store, folder: &str, keys: &mut Vec<String>) -> Result<u32, StoreError> {
    let mut decided = 0;
    while decided < ROUNDS && keys.len() < ROUNDS_MAX {
        let begun = keys.len();
        let more = ((ROUNDS - decided) as usize).min(ROUNDS_AT_ONCE).min(ROUNDS_MAX - begun);
        keys.extend((begun..begun + more).map(|round| format!("{folder}/{round:02}")));
        let answers = join_all(keys[begun..].iter().map(|key| one_round(store, key))).await;
        for answer in answers {
            decided += u32::from(answer?);
        }
    }
    if decided < ROUNDS {
        let why = format!(
            "the probe did not end: of {ROUNDS_MAX} rounds of {CREATORS} creators at once only {decided} had a winner; \
             try again"
        );
        return Err(StoreError::new(Kind::Unavailable, store.url_of(folder), why));
    }
    read_back(store, folder, keys).await?;
    Ok(decided)
}

/// Sixteen creators of one key, then one more. Whether it decided anything; an error if two were told that they won, or a
/// later one replaced the first.
async fn one_round(store: &Store, key: &str) -> Result<bool, StoreError> {
    let content = |creator: usize| content(key, creator);
    let answers = join_all((0..CREATORS).map(|creator| store.create(key, content(creator)))).await;
    let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let winners: Vec<usize> = (0..CREATORS).filter(|i| matches!(answers[*i], Create::Created)).collect();
    let refused = |why: String| {
        let why = format!(
            "this store does not keep create-if-absent (If-None-Match: *): {why}. Two brokers could both own such a \
             bucket. Use a store with conditional writes: S3, GCS, Azure, MinIO, Ceph, or a local directory"
        );
        Err(StoreError::new(Kind::Refused, store.display(), why))
    };
    match winners[..] {
        [] => return Ok(false),
        [winner] => {
            if matches!(store.create(key, content(CREATORS)).await?, Create::Created) {
                return refused("an object that was there was replaced".into());
            }
            let there = store.get(key).await?;
            if there != content(winner) {
                return refused("the winner's object was replaced by a loser's".into());
            }
        }
        [..] => return refused(format!("{} of {CREATORS} creators of one key were told that they won", winners.len())),
    }
    Ok(true)
}

/// What was written has to be listed, in order, and read back in part.
async fn read_back(store: &Store, folder: &str, keys: &[String]) -> Result<(), StoreError> {
    let refused = |why: &str| Err(StoreError::new(Kind::Refused, store.url_of(folder), why));
    let Some(first) = keys.first() else { return Ok(()) };
    let len = content(first, 0).len() as u64;
    let (listed, whole, part) =
        tokio::try_join!(store.list(folder, None), store.get(first), store.get_range(first, 1..len))?;
    if !listed.is_sorted_by(|a, b| a.path <= b.path) {
        return refused("this store lists keys out of order, so that a listing cannot be continued");
    }
    if part != whole.slice(1..) {
        return refused("this store does not answer range requests: it gave other bytes than those of the range");
    }
    Ok(())
}

/// What a creator writes.
fn content(key: &str, creator: usize) -> Bytes {
    Bytes::from(format!("{key} {creator:02}\n"))
}

#[cfg(test)]
mod tests;
