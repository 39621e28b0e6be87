//! Collection of old versions: strictly ascending, each confirmed absent before the next. The proof that a chain has one
//! winner rests on this order, so a listing is not believed: what lies below the lowest listed version is looked for.
//!
//! Costs follow what changed: whoever collects remembers the [`Lowest`] version and when it can be due, and nothing is asked
//! for before.
use std::collections::{BTreeMap, VecDeque};

use super::{Chain, ChainError, Kind, StoreError};

/// Versions removed by one call at most, so that a call is short.
const VERSIONS_AT_ONCE: u64 = 1000;

/// Which versions of a chain stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest; the head always.
    pub newest: u64,
    /// For so long after they were superseded, in ms by the store's times. It has to be longer than any request can be under
    /// way and any listing can be old: the proof in the header of [`super`] needs it.
    pub ms: i64,
}

/// What is remembered of a chain between two collections of it. Forgetting it costs a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lowest {
    /// No version that belongs to the chain lies below; none: it has to be looked for.
    number: Option<u64>,
    /// Nothing is old enough before this time.
    due_ms: i64,
}

/// Versions that are old enough, ascending: removed one by one, as long as the caller may.
#[derive(Debug)]
pub struct Old<'a> {
    chain: &'a Chain,
    lowest: &'a mut Lowest,
    numbers: VecDeque<u64>,
    /// What to remember when all of them are gone.
    then: Lowest,
}

impl Old<'_> {
    /// Whether there is none (any more).
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Removes the lowest and makes sure that it is gone.
    pub async fn remove_next(&mut self) -> Result<(), ChainError> {
        let Some(number) = self.numbers.front().copied() else { return Ok(()) };
        self.chain.remove(number).await?;
        self.numbers.pop_front();
        *self.lowest = match self.numbers.front() {
            Some(next) => Lowest { number: Some(*next), due_ms: 0 },
            None => self.then,
        };
        Ok(())
    }
}

impl Chain {
    /// The versions below `head`, the number of the newest as its writer knows it, that may go: at most a thousand. Makes no
    /// request while none can be due, by what `lowest` remembers.
    pub async fn old<'a>(
        &'a self,
        head: u64,
        keep: Keep,
        now_ms: i64,
        lowest: &'a mut Lowest,
    ) -> Result<Old<'a>, ChainError> {
        let end = (head + 1).saturating_sub(keep.newest.max(1)); // the lowest that has to stay
        let mut old = Old { chain: self, numbers: VecDeque::new(), then: *lowest, lowest };
        if old.then.number.unwrap_or(1) >= end || now_ms < old.then.due_ms {
            return Ok(old);
        }
        let floor = old.then.number.unwrap_or(1);
        let after = old.then.number.map(|number| self.path_of(number - 1));
        let listed = self.first_listed(after.as_deref()).await?;
        let Some(first) = listed.keys().next().copied() else { return Ok(old) };
        let mut number = self.down_to_hole(first, floor).await?;
        let mut due_ms = 0;
        while number < end && (old.numbers.len() as u64) < VERSIONS_AT_ONCE {
            let Some(written_ms) = self.time_of(&listed, number).await? else {
                // A hole: what was below it is what a fenced writer left.
                let Some(next) = listed.keys().find(|listed| **listed > number) else { break };
                number = self.down_to_hole(*next, number + 1).await?;
                continue;
            };
            let superseded_ms = self.time_of(&listed, number + 1).await?.unwrap_or(written_ms);
            if superseded_ms.saturating_add(keep.ms) >= now_ms {
                due_ms = superseded_ms.saturating_add(keep.ms);
                break;
            }
            old.numbers.push_back(number);
            number += 1;
        }
        old.then = Lowest { number: Some(number), due_ms };
        if old.numbers.is_empty() {
            *old.lowest = old.then;
        }
        Ok(old)
    }

    async fn time_of(&self, listed: &BTreeMap<u64, i64>, number: u64) -> Result<Option<i64>, ChainError> {
        match listed.get(&number) {
            Some(modified_ms) => Ok(Some(*modified_ms)),
            None => self.modified_ms(number).await,
        }
    }

    /// Deletes versions that were superseded more than `keep_ms` before `now_ms` (by the store's times), but never one of
    /// the `keep_newest`, and never the head. Returns how many went: at most a thousand a call.
    pub async fn collect(&self, keep_newest: u64, keep_ms: i64, now_ms: i64) -> Result<u64, ChainError> {
        let Some(head) = self.head(None).await? else { return Ok(0) };
        self.check_collectable(&head)?;
        let (keep, mut lowest) = (Keep { newest: keep_newest, ms: keep_ms }, Lowest::default());
        let mut old = self.old(head.number, keep, now_ms, &mut lowest).await?;
        let mut removed = 0;
        while !old.is_empty() {
            old.remove_next().await?;
            removed += 1;
        }
        Ok(removed)
    }

    /// The lowest number from which on everything up to `from` is there, but not below `floor`.
    async fn down_to_hole(&self, from: u64, floor: u64) -> Result<u64, ChainError> {
        let mut lowest = from;
        while lowest > floor && self.modified_ms(lowest - 1).await?.is_some() {
            lowest -= 1;
        }
        Ok(lowest)
    }

    /// Deletes one version and makes sure that it is gone.
    async fn remove(&self, number: u64) -> Result<(), ChainError> {
        let path = self.path_of(number);
        let mut patience = self.store.patience();
        loop {
            self.store.delete(&path).await?;
            if self.modified_ms(number).await?.is_none() {
                return Ok(());
            }
            if !patience.wait().await {
                let why = "it was deleted, but is still there";
                return Err(StoreError::new(Kind::Unavailable, self.store.url_of(&path), why).into());
            }
        }
    }

    /// When a version was written; None if it is not there.
    async fn modified_ms(&self, number: u64) -> Result<Option<i64>, ChainError> {
        match self.store.stat(&self.path_of(number)).await {
            Ok(found) => Ok(Some(found.modified_ms)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The first page of the listing after a path: numbers and times.
    async fn first_listed(&self, after: Option<&str>) -> Result<BTreeMap<u64, i64>, ChainError> {
        let page = self.store.list(&self.prefix, after).await?;
        let version = |object: &super::super::Listed| Some((self.number_of(&object.path)?, object.modified_ms));
        Ok(page.iter().filter_map(version).collect())
    }
}
