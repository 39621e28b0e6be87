//! Lives of the broker: how they end, and what the next one begins with.
use super::clients::made;
use super::*;
use crate::record::BatchBuilder;

impl World {
    pub async fn stop(&mut self) -> StopReport {
        let report = self.log().stop().await;
        self.note(format!("{report:?}"));
        report
    }

    pub async fn restart(&mut self, ending: Ending) {
        self.note(format!("restart: {ending:?}"));
        let mut released = false;
        let lost = ending == Ending::DiskLost;
        if self.is_condensed() && !lost {
            self.happened.insert("started over condensed");
        }
        if ending == Ending::Clean {
            released = self.stop_or_die().await;
            assert!(!released || self.damaged.is_none(), "released, and something is damaged");
        }
        self.log().0.core.fence.end("the model ends this life");
        self.client.end();
        if self.below(2) == 0 {
            self.heal().await;
        }
        let log = self.log.take().unwrap();
        self.fs = match lost {
            true => self.new_disk(),
            false => self.disk_after(ending == Ending::PowerCut),
        };
        drop(log);
        self.disk_stays_full_or_not();
        self.start(lost).await;
        if lost && !released {
            self.forget_what_was_lost().await;
            self.happened.insert("took over");
        } else if ending == Ending::PowerCut {
            self.happened.insert("cut");
        }
        self.settle_state(lost && !released);
    }

    /// A clean stop, which may be cut by a kill or a power cut. Whether the bucket was released.
    async fn stop_or_die(&mut self) -> bool {
        match self.below(8) {
            0 => {
                let operations = self.below(20);
                self.fs.cut_power_at(operations);
            }
            1 => {
                let soon = Duration::from_millis(self.below(100));
                let log = self.log().clone();
                let stopped = tokio::time::timeout(soon, log.stop()).await;
                self.note(format!("killed while it stopped, or after: {stopped:?}"));
                self.happened.insert("died in a stop");
                return stopped.is_ok_and(|report| report.released);
            }
            _ => {}
        }
        let released = self.stop().await.released;
        if self.power_is_off() {
            self.happened.insert("died in a stop");
        }
        released
    }

    /// The disk as the next life finds it.
    pub(super) fn disk_after(&self, power_cut: bool) -> FaultyFs {
        if power_cut || self.fs.is_off() { self.fs.crash(&self.random) } else { self.fs.after_kill() }
    }

    /// Starts the broker on its own disk, which has to succeed; some starts die on the way, or find the store bad.
    pub(super) async fn start(&mut self, take_over: bool) {
        for tries in 1.. {
            let (mut patience, mut killed) = (Duration::from_secs(600), false);
            match self.below(10) {
                _ if tries > 3 => self.heal().await,
                0 => {
                    let operations = self.below(60);
                    self.fs.cut_power_at(operations);
                }
                1 => {
                    self.calls_take_time();
                    (patience, killed) = (Duration::from_millis(self.below(1_000)), true);
                }
                _ => {}
            }
            let opened = tokio::time::timeout(patience, self.opened(take_over)).await;
            if self.sky == Sky::Clear {
                self.bucket.heal().await;
            }
            match opened {
                Ok(Ok(log)) => {
                    let report = format!("{:?}", log.start_report());
                    self.log = Some(log);
                    return self.note(report);
                }
                Ok(Err(error)) => {
                    self.note(format!("the start ends: {error}"));
                    let refused = self.sky == Sky::Denied || matches!(error, OpenError::Unavailable(_));
                    let excused = self.power_is_off() || self.store_is_bad() && refused;
                    assert!(excused, "the true disk does not start: {error}");
                    if !self.power_is_off() {
                        self.heal().await;
                    }
                }
                Err(_) if killed => {}
                Err(_) => {
                    assert!(self.sky != Sky::Clear, "a start never ends");
                    self.heal().await;
                }
            }
            self.happened.insert("died in a start");
            self.client.end();
            self.fs = self.disk_after(false);
            self.is_full = false;
        }
    }

    fn new_disk(&mut self) -> FaultyFs {
        self.is_full = false;
        self.damaged = None;
        FaultyFs::new()
    }

    /// What was sealed is what a manifest says below the gap that the loss left.
    async fn forget_what_was_lost(&mut self) {
        self.heal().await;
        let layouts = self.log().layout(None, None).await.unwrap();
        for layout in layouts {
            let gap =
                layout.entries.iter().rev().find(|entry| entry.kind == "wal-lost" && entry.next == layout.sealed_end);
            let sealed = gap.map_or(layout.sealed_end, |gap| gap.first);
            let Some(truth) = self.truths.get_mut(&Place(layout.topic, layout.partition)) else { continue };
            truth.lost_above(sealed);
            truth.log_start = layout.log_start;
            truth.high_watermark = layout.high_watermark;
        }
        // Transactions that were open are over, and nothing of them is there; producers may jump forward.
        for transaction in std::mem::take(&mut self.open) {
            for truth in self.truths.values_mut() {
                truth.ended.insert(transaction.number, Outcome::Aborted);
            }
        }
        self.producers.values_mut().for_each(|sequence| sequence.newest = None);
    }

    /// What a state item says after a restart is what was acknowledged, or what was sent and not answered.
    pub(super) fn settle_state(&mut self, lost: bool) {
        let items: BTreeMap<String, u64> =
            self.log().state_items().into_iter().map(|(key, value)| (key, value.read().unwrap())).collect();
        if !lost {
            for (key, value) in &self.state {
                let maybe = self.state_maybe.iter().any(|(k, v)| k == key && Some(v) == items.get(key));
                assert!(items.get(key) == Some(value) || maybe, "{key} was {value} and is {:?}", items.get(key));
            }
        }
        self.state_maybe.clear();
        for at in (0..self.open.len()).rev() {
            if let Some(committed) = items.get(&format!("txn/{}", self.open[at].number)) {
                let outcome = if *committed == 1 { Outcome::Committed } else { Outcome::Aborted };
                self.ended(at, outcome);
            }
        }
        self.state = items;
    }

    pub async fn on_an_empty_disk(&mut self) {
        self.client.end();
        self.fs = self.new_disk();
        self.log = Some(self.opened(false).await.unwrap());
        self.settle_state(false);
    }

    /// A kill, and a start on a disk that is not the owner's: an old copy of it, or an empty one. Then on the true one.
    pub async fn other_disks_are_refused(&mut self, old_copy: bool) {
        // A version of the bucket has to tell of what the copy lacks, so it has to be sealed: not while a transaction is open.
        if self.store_is_bad() || self.power_is_off() || !self.open.is_empty() {
            return;
        }
        self.power_stays();
        let other = if old_copy { self.fs.after_kill() } else { FaultyFs::new() };
        let Some((place, partition)) = self.any_place() else { return };
        let (sent, texts) = self.records(None);
        let pending = partition.append(made(BatchBuilder::new(), &sent, &texts), None);
        if self.appended(&place, sent, pending).await.is_none() || self.log().seal(None).await.is_err() {
            return;
        }
        self.log().0.core.fence.end("the model ends this life");
        self.client.end();
        let true_disk = std::mem::replace(&mut self.fs, other);
        let refused = self.opened(false).await;
        self.note(format!("another disk, an old copy: {old_copy}: {:?}", refused.as_ref().map(|_| "starts")));
        assert!(refused.is_err(), "a disk that is not the owner's is taken for it (an old copy: {old_copy})");
        self.fs = true_disk;
        self.happened.insert("refused");
        self.restart(Ending::Killed).await;
    }

    /// Another broker takes the bucket over while this one runs, or while nothing that it does gets through to the store: it stops
    /// soon, and nothing of it comes after, though it was about to seal and to delete a topic.
    pub async fn is_taken_over(&mut self) {
        if self.power_is_off() {
            return;
        }
        if self.store_is_bad() && self.sky != Sky::Ambiguous {
            self.heal().await;
        }
        self.power_stays();
        let (old, client) = (self.log.take().unwrap(), self.client.clone());
        let held = self.below(2) == 0;
        client.hold(held);
        let doing = held.then(|| {
            let (old, topic) = (old.clone(), self.topics().into_iter().next());
            tokio::spawn(async move {
                let (_, deleted) = tokio::join!(old.seal(None), old.delete_topic(topic.as_deref().unwrap_or_default()));
                deleted.is_ok()
            })
        });
        self.fs = self.new_disk();
        self.start(true).await;
        self.power_stays();
        self.forget_what_was_lost().await;
        self.settle_state(true);
        for place in self.truths.keys().cloned().collect::<Vec<_>>() {
            let Some(partition) = old.partition(&place.0, place.1) else { continue };
            let (sent, texts) = self.records(None);
            if let Ok(pending) = partition.append(made(BatchBuilder::new(), &sent, &texts), None) {
                // Acknowledged or not: it is in the old WAL only, and is never seen again.
                let _ = tokio::time::timeout(Duration::from_secs(1), pending.durable()).await;
            }
        }
        if held {
            let seconds = self.below(25);
            self.pass(Duration::from_secs(seconds)).await;
            self.note(format!("what the old owner was doing goes on after {seconds} s"));
            client.hold(false);
            self.happened.insert("held back");
        }
        self.pass(Duration::from_secs(15)).await;
        assert!(old.0.core.fence.reason().is_some(), "a broker whose bucket another one owns goes on");
        if let Some(doing) = doing {
            let deleted = tokio::time::timeout(Duration::from_secs(60), doing).await;
            assert!(!matches!(deleted, Ok(Ok(true))), "a broker whose bucket another one owns deletes a topic");
        }
        client.end();
        self.happened.insert("fenced");
    }
}
