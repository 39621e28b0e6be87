//! Compares this machine's clock with the store's, by an object that was just written: ages are told by the store's times.
use std::time::Duration;

use bytes::Bytes;

use super::{HOUR, choice, is_due};
use crate::archive::error::ArchiveError;
use crate::archive::{Bucket, layout};

/// The last comparison.
#[derive(Debug, Default)]
pub struct Clocks {
    agreed_at: Option<Duration>,
}

impl Clocks {
    /// Why ages cannot be told, if so. While the clocks agree they are compared once an hour, else every time.
    pub async fn differ(&mut self, bucket: &Bucket) -> Result<Option<String>, ArchiveError> {
        let clock = bucket.clock();
        if !is_due(self.agreed_at, clock.elapsed(), HOUR) {
            return Ok(None);
        }
        let store = bucket.store();
        let path = format!("{}/clock-{}", layout::PROBE, bucket.random().hex16());
        let mut upload = store.upload(&path).await?;
        let written_ms = clock.now_ms();
        upload.write(Bytes::from_static(b"compares clocks\n")).await?;
        upload.finish().await?;
        let stored_ms = store.stat(&path).await?.modified_ms;
        store.delete(&path).await?;
        let differ = choice::clocks_differ(written_ms, stored_ms);
        self.agreed_at = differ.is_none().then(|| clock.elapsed());
        Ok(differ)
    }
}
