//! The right to delete: only the owner does, having just looked.
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::archive::error::CommitError;
use crate::archive::owner::Look;
use crate::archive::{Ownership, layout};
use crate::base::Clock;

/// For so long after it began a look allows deletions.
const BATCH: Duration = Duration::from_secs(10);

/// Allows the deletions of one round. An answer other than "ours" ends it for good.
#[derive(Debug)]
pub struct Licence<'a> {
    ownership: &'a Ownership,
    clock: &'a Clock,
    looked: Mutex<Option<Duration>>,
    ended: Mutex<Option<CommitError>>,
    looking: tokio::sync::Mutex<()>,
}

impl<'a> Licence<'a> {
    pub fn new(ownership: &'a Ownership, clock: &'a Clock) -> Self {
        let (looked, ended) = Default::default();
        Self { ownership, clock, looked, ended, looking: tokio::sync::Mutex::default() }
    }

    /// Whether an answer other than "ours" was seen.
    pub fn has_ended(&self) -> bool {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Returns when something may be deleted now; looks where the last look began too long ago.
    pub async fn check(&self) -> Result<(), CommitError> {
        if self.holds()? {
            return Ok(());
        }
        let _one = self.looking.lock().await;
        if self.holds()? {
            return Ok(());
        }
        let began = self.clock.boottime();
        let ended = match self.ownership.look().await {
            Ok(Look::Ours) => {
                *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
                return Ok(());
            }
            Ok(Look::Foreign { epoch, .. }) => {
                CommitError::Fenced { path: self.ownership.bucket().store().url_of(layout::OWNER), epoch: Some(epoch) }
            }
            Err(e) => e.into(),
        };
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended.clone());
        Err(ended)
    }

    fn holds(&self) -> Result<bool, CommitError> {
        if let Some(ended) = &*self.ended.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(ended.clone());
        }
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(looked.is_some_and(|began| self.clock.boottime().saturating_sub(began) < BATCH))
    }
}
