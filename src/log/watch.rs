//! The task that looks at the owner chain (DESIGN 4.4): a look every [`LOOK_EVERY`], start to start, however long each takes.
//! What the looks allow is the fence's to say.
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, timeout};

use super::core::Core;
use super::fence::{Fence, Look};
use crate::archive::{ArchiveError, Ownership, owner};
use crate::base::Clock;

/// Time between the begins of two looks.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// A look without an answer after this long found the store unreachable.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long its answer is still heard: a foreign claim counts whenever it is seen.
const HEARD: Duration = Duration::from_secs(30);
/// How soon after another a look begins because an answer waits for it.
const LOOK_SOONEST: Duration = Duration::from_secs(1);

/// Looks at the owner chain until the service ends.
pub(super) async fn watch_owner(core: Arc<Core>) {
    watch(&core.ownership, &core.fence, &core.env.clock).await;
}

async fn watch(ownership: &Ownership, fence: &Fence, clock: &Clock) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = FuturesUnordered::new();
    let mut last_began: Option<Duration> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = fence.look_is_wanted() => {
                let soon = |began| clock.boottime().saturating_sub(began) < LOOK_SOONEST;
                if last_began.is_some_and(soon) {
                    continue;
                }
                ticks.reset();
            }
            Some(()) = looks.next() => continue,
            _ = fence.failed() => return,
        }
        let began = clock.boottime();
        last_began = Some(began);
        looks.push(look(ownership, fence, began));
    }
}

/// One look; tells the fence what it found, twice if it was found late.
async fn look(ownership: &Ownership, fence: &Fence, began: Duration) {
    let looking = ownership.look();
    tokio::pin!(looking);
    let found = match timeout(LOOK_TIMEOUT, looking.as_mut()).await {
        Ok(found) => found,
        Err(_) => {
            fence.looked(began, Look::Away);
            match timeout(HEARD - LOOK_TIMEOUT, looking).await {
                Ok(found) => found,
                Err(_) => return,
            }
        }
    };
    fence.looked(began, verdict(found));
}

/// What a look that has ended found.
fn verdict(found: Result<owner::Look, ArchiveError>) -> Look {
    match found {
        Ok(owner::Look::Ours) => Look::Ours,
        Ok(owner::Look::Foreign { who, .. }) => Look::Foreign(format!(
            "{who} took the bucket over; this broker stops. What it had not sealed is in its WAL only: see `esker wal export`"
        )),
        Err(e) if e.is_denied() => Look::Denied(e.to_string()),
        Err(_) => Look::Away,
    }
}

#[cfg(test)]
mod tests;
