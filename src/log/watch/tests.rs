use std::pin::pin;

use super::*;
use crate::archive::Survey;
use crate::archive::bucket::OpenMode;
use crate::archive::owner::{Claim, Disk};
use crate::base::{Limits, Uuid};
use crate::store::StoreError;
use crate::store::testing::{Call, Fault, Faulty};

/// Claims the bucket for the WAL of this id.
async fn claimed(faulty: &Faulty, wal: u8) -> Ownership {
    let mode = OpenMode::Serve { probe: false };
    let bucket = crate::archive::Bucket::open(faulty.store_seeded(wal.into()), mode, &Limits::default()).await.unwrap();
    let survey = Survey::load(&bucket).await.unwrap();
    let disk = Disk::Empty { wal_id: Uuid([wal; 16]) };
    let claim = Claim { broker_id: 1, address: "here:9092".into(), disk, lock: None, take_over: true };
    owner::claim(&survey, &claim).await.unwrap()
}

struct Watched {
    faulty: Faulty,
    ownership: Ownership,
    fence: Fence,
    clock: Clock,
}

impl Watched {
    async fn new() -> Self {
        let faulty = Faulty::new();
        let ownership = claimed(&faulty, 1).await;
        let clock = Clock::manual(0);
        clock.advance(Duration::from_secs(1000));
        let fence = Fence::new(clock.clone(), clock.boottime());
        Self { faulty, ownership, fence, clock }
    }

    /// Lets the watch run for some seconds, on both clocks.
    async fn run(&self, seconds: u64) {
        let mut watching = pin!(watch(&self.ownership, &self.fence, &self.clock));
        for _ in 0..seconds * 10 {
            let step = Duration::from_millis(100);
            let mut rest = pin!(tokio::time::sleep(step));
            tokio::select! {
                () = &mut watching => return,
                () = &mut rest => self.clock.advance(step),
            }
        }
    }

    fn looks(&self) -> usize {
        let path = "owner/00000000000000000002.json";
        self.faulty.log().iter().filter(|(call, at)| *call == Call::Get && at == path).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_begins_every_four_seconds_and_keeps_the_fence_open() {
    let watched = Watched::new().await;
    watched.run(60).await;
    assert!((14..=16).contains(&watched.looks()), "{} looks in a minute", watched.looks());
    assert_eq!(watched.fence.may_answer().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_hangs_counts_as_unreachable_and_the_next_begins_all_the_same() {
    let watched = Watched::new().await;
    watched.faulty.hang(Call::Get);
    watched.run(60).await;
    assert!((14..=16).contains(&watched.looks()), "{} looks in a minute", watched.looks());
    assert!(watched.fence.store_is_away());
    assert_eq!(watched.fence.may_answer().await, Ok(()), "the WAL is local");
    assert_eq!(watched.fence.may_write(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_cannot_be_read_stops_the_owner_like_any_other() {
    for bytes in [
        &b"garbage"[..],
        b"{\"esker\":\"owner\",\"format\":2,\"must_read\":[],\"must_write\":[],\"must_collect\":[],\"crc32c\":\"0\"}\n{}\n",
        b"{\"esker\":\"owner\",\"format\":1,\"must_read\":[\"x\"],\"must_write\":[],\"must_collect\":[],\"crc32c\":\"0\"}\n{}\n",
    ] {
        let watched = Watched::new().await;
        watched.run(1).await;
        let store = watched.faulty.store();
        store.put("owner/00000000000000000002.json", bytes::Bytes::from_static(bytes)).await.unwrap();
        watched.run(5).await;
        let reason = watched.fence.reason().expect("it stops within a look");
        assert!(reason.contains("cannot read") && reason.contains("wal export"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_claim_stops_the_owner_by_name() {
    let watched = Watched::new().await;
    claimed(&watched.faulty, 2).await;
    watched.run(5).await;
    let reason = watched.fence.reason().unwrap();
    assert!(reason.contains("broker 1 at here:9092 (epoch 2)"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_taken_away_stop_writes_until_they_are_given_back() {
    let watched = Watched::new().await;
    for _ in 0..100 {
        watched.faulty.on(Call::Get, Fault::Denied);
    }
    watched.run(30).await;
    assert!(watched.fence.may_write().is_err());
    assert_eq!((watched.fence.may_answer().await, watched.fence.reason()), (Ok(()), None));
    watched.faulty.heal().await;
    watched.run(5).await;
    assert_eq!(watched.fence.may_write(), Ok(()));
}

#[test]
fn an_answer_is_told_from_none() {
    let failed = |kind| verdict(Err(StoreError::new(kind, "s3://b/owner", "why").into()));
    use crate::store::Kind;
    assert_eq!(failed(Kind::Unavailable), Look::Away);
    assert_eq!(failed(Kind::Denied), Look::Denied("s3://b/owner: why".into()));
    assert_eq!(failed(Kind::NoBucket), Look::Denied("s3://b/owner: why".into()));
}
