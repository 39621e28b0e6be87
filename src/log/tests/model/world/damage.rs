//! Bytes of the disk that change, and sectors that cannot be read; and what mends them.
use std::ops::Range;
use std::path::PathBuf;

use super::*;
use crate::log::transactions::Role;
use crate::wal;

/// What cannot be read is lost by blocks.
const BLOCK: usize = 4096;

/// Acknowledged records that cannot be read, and that are nowhere else.
#[derive(Clone, Debug)]
pub struct Damage {
    place: Place,
    offsets: Range<i64>,
    hurt: Hurt,
}

/// A byte of a file.
#[derive(Clone, Debug)]
struct Hurt {
    path: PathBuf,
    at: usize,
    /// Its sector cannot be read; otherwise a bit of it changed.
    unreadable: bool,
    /// The bytes of the batch as they are on the disk.
    bytes: Vec<u8>,
    begin: usize,
}

impl Hurt {
    /// Whether what cannot be read is more than the batch.
    fn reaches_beyond(&self) -> bool {
        let block = self.at - self.at % BLOCK..self.at - self.at % BLOCK + BLOCK;
        self.unreadable && (block.start < self.begin || block.end > self.begin + self.bytes.len())
    }
}

impl Damage {
    pub(super) fn is_of(&self, topic: &str) -> bool {
        self.place.0 == topic
    }
}

impl World {
    pub(super) fn is_damaged(&self, place: &Place) -> bool {
        self.damaged.as_ref().is_some_and(|damage| damage.place == *place)
    }

    /// The broker is killed, and a batch of it is damaged before it starts again. Sealed, that harms nobody. Otherwise the
    /// partition is not served, by name, and nothing of it is used again, until the damage is mended.
    pub async fn damage_a_batch(&mut self) {
        if self.damaged.is_some() || self.power_is_off() || self.log().0.core.fence.reason().is_some() {
            return;
        }
        self.heal().await;
        self.power_stays();
        self.pass(Duration::from_secs(3)).await; // an acknowledged group has a successor by now
        let Some((place, partition)) = self.any_place() else { return };
        // Mostly what is not sealed: nothing of the rest is lost.
        let from = if self.below(3) == 0 { 0 } else { partition.state().sealed_end };
        let spans: Vec<_> = partition.state().hot.from(from).filter(|span| span.role != Role::Control).collect();
        if spans.is_empty() {
            return;
        }
        let span = spans[usize::try_from(self.below(spans.len() as u64)).unwrap()];
        let Some(hurt) = self.hurt(span.position) else { return };
        self.log().0.core.fence.end("the model ends this life");
        self.client.end();
        self.log = None;
        self.fs = self.disk_after(false);
        self.spoil(&hurt);
        self.note(format!("{place}: {}..{} is damaged: {:?} {}", span.base, span.next, hurt.path, hurt.at));
        if hurt.reaches_beyond() {
            return self.is_damaged_beyond(&hurt).await;
        }
        self.start(false).await;
        self.settle_state(false);
        let Some(partition) = self.partition(&place) else { return };
        let (sealed_end, named) = {
            let state = partition.state();
            (state.sealed_end, state.damaged.is_some())
        };
        assert_eq!(named, span.next > sealed_end, "{place}: damage below {}, sealed up to {sealed_end}", span.next);
        if named {
            self.happened.insert("damaged");
            self.damaged = Some(Damage { place, offsets: span.base..span.next, hurt });
        }
    }

    /// A block that holds more than the batch: the directory of the group, or other batches. Whether the broker starts without
    /// them or names the file, with the file restored all is as before.
    async fn is_damaged_beyond(&mut self, hurt: &Hurt) {
        match self.opened(false).await {
            Ok(log) => log.0.core.fence.end("the model ends this life"),
            Err(OpenError::Damaged(why)) => assert!(why.contains(&hurt.path.display().to_string()), "{why}"),
            Err(error) => panic!("{} cannot be read, and it says: {error}", hurt.path.display()),
        }
        self.client.end();
        self.fs = self.disk_after(false);
        self.fs.replace_sector(&hurt.path, hurt.at as u64);
        self.happened.insert("damaged beyond a batch");
        self.start(false).await;
        self.settle_state(false);
    }

    fn hurt(&self, position: wal::Position) -> Option<Hurt> {
        let path = PathBuf::from(format!("/disk/wal/{:020}.wal", position.file));
        let (begin, len) = (usize::try_from(position.at).unwrap(), position.len as usize);
        let bytes = self.fs.bytes(&path)?.get(begin..begin + len)?.to_vec();
        let at = begin + usize::try_from(self.below(len as u64)).unwrap();
        let is_there = crc32c::crc32c(&bytes) == position.crc; // else the file was condensed or recycled
        is_there.then_some(Hurt { path, at, unreadable: self.below(2) == 0, bytes, begin })
    }

    fn spoil(&self, hurt: &Hurt) {
        match hurt.unreadable {
            true => self.fs.spoil(&hurt.path, hurt.at as u64),
            false => self.fs.tamper(&hurt.path, |bytes| bytes[hurt.at] ^= 0x10),
        }
    }

    /// The file is restored, or the loss is accepted.
    pub async fn mend(&mut self) {
        let Some(Damage { place, offsets, hurt }) = self.damaged.take() else { return };
        self.power_stays();
        self.log().0.core.fence.end("the model ends this life");
        self.client.end();
        self.log = None;
        self.fs = self.disk_after(false);
        if self.below(2) == 0 {
            self.note(format!("{place}: the file is restored"));
            self.fs.replace_sector(&hurt.path, hurt.at as u64);
            self.fs.tamper(&hurt.path, |file| {
                let now = &mut file[hurt.begin..hurt.begin + hurt.bytes.len()];
                let others = now.iter().zip(&hurt.bytes).filter(|(now, before)| now != before).count();
                assert!(others <= 1, "{place}: its file was used again while it was damaged");
                now.copy_from_slice(&hurt.bytes);
            });
        } else {
            self.note(format!("{place}: the loss of {offsets:?} is accepted"));
            let accepted = wal::accept_loss(Arc::new(self.fs.clone()), &self.wal_options()).unwrap();
            assert!(!accepted.is_empty(), "{place}: there is no damage");
            let truth = self.truths.get_mut(&place).unwrap();
            truth.there.retain(|offset, _| !offsets.contains(offset));
            // A producer of which a batch is lost begins anew, and a transaction goes on elsewhere.
            self.producers.iter_mut().filter(|((_, p), _)| *p == place).for_each(|(_, sequence)| {
                sequence.next = i32::MIN;
                sequence.newest = None;
            });
            self.open.iter_mut().filter_map(|open| open.places.get_mut(&place)).for_each(|next| *next = -1);
            self.happened.insert("accepted");
        }
        self.start(false).await;
        self.settle_state(false);
        let damaged = self.partition(&place).and_then(|partition| partition.state().damaged.clone());
        assert_eq!(damaged, None, "{place} is still not served");
    }

    /// What is damaged is named, and takes nothing.
    pub(super) fn judge_damage(&self) {
        let Some(Damage { place, .. }) = &self.damaged else { return };
        let named = self.log().not_served();
        assert!(named.iter().any(|line| line.contains(&place.to_string())), "{place} is not named: {named:?}");
        let partition = self.partition(place).unwrap();
        let refused = partition.append(batch(&[(1, "x")]), None);
        assert!(refused.is_err(), "{place} is damaged and takes records");
    }
}
