//! Long polls: a reader that found nothing waits until enough can be read, at any of its positions. One notification and one
//! entry in the timer wheel for all positions of a request, and no thread.
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{Log, WaitOn};

impl Log {
    /// Waits until about `min_bytes` can be read at the given positions together, or until `max_wait` is over, or
    /// until one of the partitions is gone.
    pub async fn wait(&self, places: &[WaitOn], min_bytes: usize, max_wait: Duration) {
        let notify = Arc::new(Notify::new());
        for place in places {
            place.partition.watch(&notify);
        }
        let enough = async {
            while !is_enough(places, min_bytes as u64) {
                notify.notified().await;
            }
        };
        let _ = tokio::time::timeout(max_wait, enough).await;
    }
}

fn is_enough(places: &[WaitOn], min_bytes: u64) -> bool {
    let mut missing = min_bytes.max(1);
    for place in places {
        let found = place.partition.readable(place.from, place.isolation, missing);
        if found >= missing {
            return true;
        }
        missing -= found;
    }
    false
}
