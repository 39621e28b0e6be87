//! Collection of old versions: strictly ascending, each confirmed absent before the next. The proof that a chain has one
//! winner rests on this order, so a listing is not believed: what lies below the lowest listed version is looked for.
use super::{Chain, ChainError, Kind, StoreError};

/// Versions removed by one call at most, so that a call is short.
const VERSIONS_AT_ONCE: u64 = 1000;

impl Chain {
    /// Deletes versions that were superseded more than `keep_ms` before `now_ms` (by the store's times), but never one of
    /// the `keep_newest`, and never the head. Returns how many went: at most a thousand a call.
    ///
    /// `keep_ms` has to be longer than any request can be under way and any listing can be old: the proof in the header of
    /// [`super`] needs it.
    pub async fn collect(&self, keep_newest: u64, keep_ms: i64, now_ms: i64) -> Result<u64, ChainError> {
        let Some(head) = self.head(None).await? else { return Ok(0) };
        self.check_collectable(&head)?;
        let end = (head.number + 1).saturating_sub(keep_newest.max(1)); // the lowest that has to stay
        let listed = self.lowest_listed().await?;
        let Some(lowest) = listed.first() else { return Ok(0) };
        let mut number = self.down_to_hole(*lowest, 1).await?;
        let mut removed = 0;
        while number < end && removed < VERSIONS_AT_ONCE {
            let Some(written_ms) = self.modified_ms(number).await? else {
                // A hole: what was below it is what a fenced writer left.
                let Some(next) = listed.iter().find(|listed| **listed > number) else { break };
                number = self.down_to_hole(*next, number + 1).await?;
                continue;
            };
            let superseded_ms = self.modified_ms(number + 1).await?.unwrap_or(written_ms);
            if superseded_ms.saturating_add(keep_ms) >= now_ms {
                break;
            }
            self.remove(number).await?;
            removed += 1;
            number += 1;
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

    /// The first page of the listing, ascending.
    async fn lowest_listed(&self) -> Result<Vec<u64>, ChainError> {
        let page = self.store.list(&self.prefix, None).await?;
        Ok(page.iter().filter_map(|object| self.number_of(&object.path)).collect())
    }
}
