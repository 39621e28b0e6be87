use std::collections::BTreeMap;

use super::*;
use crate::archive::testing::*;
use crate::archive::{Archive, Bucket};
use crate::base::Uuid;
use crate::store::Store;
use crate::store::testing::{Call, Fault, Faulty, memory};

async fn opened(store: &Store) -> Bucket {
    bucket(store).await
}

#[tokio::test]
async fn of_claims_at_once_one_wins() {
    let store = memory();
    let bucket = opened(&store).await;
    let surveys = (Survey::load(&bucket).await.unwrap(), Survey::load(&bucket).await.unwrap());
    let (one, two) = (claim_of(1), claim_of(2));
    let (a, b) = tokio::join!(super::claim(&surveys.0, &one), super::claim(&surveys.1, &two));
    let refused = match (a, b) {
        (Ok(_), Err(e)) | (Err(e), Ok(_)) => e,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused, OwnerError::Owned { epoch: 1, .. }), "{refused}");
}

fn claim_of(wal: u8) -> Claim {
    crate::archive::testing::claim(empty_disk(wal), false)
}

#[tokio::test]
async fn a_claim_and_a_release_survive_any_lost_answer() {
    for call in 0..12 {
        for fault in [Fault::Failed, Fault::AppliedAndFailed, Fault::AppliedAndDropped, Fault::Conflict, Fault::Late(2)]
        {
            let faulty = Faulty::new();
            let bucket = opened(&faulty.store()).await;
            let survey = Survey::load(&bucket).await.unwrap();
            faulty.at(faulty.calls() + call, fault);
            let mine = claim_of(1);
            let claimed = match super::claim(&survey, &mine).await {
                Ok(claimed) => claimed,
                Err(e) => {
                    assert!(e.is_retriable(), "{e}");
                    faulty.heal().await;
                    // The disk remembers the id that it tried.
                    super::claim(&Survey::load(&bucket).await.unwrap(), &mine).await.unwrap()
                }
            };
            let released = claimed.release().await;
            faulty.heal().await;
            if released.is_err() {
                claimed.release().await.unwrap();
            }
            claimed.release().await.unwrap();
            let newest = read(&bucket).await.unwrap().unwrap().version;
            assert_eq!(newest.event, Event::Release);
            assert!(chain(&bucket).versions().await.unwrap().len() <= 3, "released once");
        }
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_not_a_foreign_claim() {
    let faulty = Faulty::new();
    let archive: Archive = start(&faulty.store(), empty_disk(1), false).await;
    assert_eq!(archive.ownership.look().await.unwrap(), Look::Ours);
    faulty.away(true);
    assert!(archive.ownership.look().await.unwrap_err().is_retriable());
    faulty.away(false);
    start(&faulty.store_seeded(2), empty_disk(2), true).await;
    let Look::Foreign { epoch, by, .. } = archive.ownership.look().await.unwrap() else { panic!("it was taken over") };
    assert_eq!((epoch, by.unwrap().wal_id), (2, Uuid([2; 16])));
}

#[tokio::test]
async fn producer_ids_of_two_lives_differ() {
    let store = memory();
    let first = start(&store, empty_disk(1), false).await.ownership;
    first.release().await.unwrap();
    let second = start(&store, empty_disk(2), false).await.ownership;
    assert_eq!((first.epoch(), second.epoch()), (1, 3), "a release takes a number too");
    assert_eq!((first.producer_id(5), second.producer_id(5)), ((1 << 32) + 5, (3 << 32) + 5));
}

#[tokio::test]
async fn a_wal_of_another_broker_number_is_another_disk() {
    let store = memory();
    let first = start(&store, empty_disk(1), false).await;
    let survey = Survey::load(&opened(&store).await).await.unwrap();
    let disk = disk_of(&first.ownership, 1, BTreeMap::new());
    let other = Claim { broker_id: 2, ..crate::archive::testing::claim(disk, false) };
    let refused = super::claim(&survey, &other).await.unwrap_err();
    assert!(matches!(refused, OwnerError::Owned { .. }), "{refused}");
}

#[tokio::test]
async fn an_owner_that_slept_until_its_claim_was_collected_notices() {
    let owned = OwnedBucket::new().await;
    for wal in 2..30 {
        start(&owned.store, empty_disk(wal), true).await;
    }
    let path = |number| chain(&owned.archive.bucket).path_of(number);
    owned.store.delete(&path(1)).await.unwrap();
    owned.store.delete(&path(2)).await.unwrap();
    owned.clock.advance(std::time::Duration::from_secs(30 * 24 * 3600));
    let look = owned.archive.ownership.look().await.unwrap();
    assert!(matches!(look, Look::Foreign { epoch: 29, .. }), "{look:?}");
}

#[tokio::test]
async fn an_owner_whose_claim_went_without_another_one_in_its_place_notices() {
    let owned = OwnedBucket::new().await;
    owned.store.delete(&chain(&owned.archive.bucket).path_of(1)).await.unwrap();
    assert_eq!(owned.archive.ownership.look().await.unwrap(), Look::Ours, "a short time ago it was there");
    owned.clock.advance(Duration::from_secs(3601));
    let look = owned.archive.ownership.look().await.unwrap();
    assert!(matches!(look, Look::Foreign { by: None, .. }), "{look:?}");
}

#[tokio::test]
async fn whatever_lies_at_the_next_number_and_is_not_ours_is_a_foreign_claim() {
    let owned = OwnedBucket::new().await;
    let (chain, ownership) = (chain(&owned.archive.bucket), &owned.archive.ownership);
    let line = |format: u32, read: &str| {
        format!(
            "{{\"esker\":\"owner\",\"format\":{format},\"must_read\":[{read}],\"must_write\":[],\"must_collect\":[],\"crc32c\":"
        )
    };
    let good = "{\"number\":2,\"nonce\":\"x\",\"after\":null,\"epoch\":2,\"body\":{\"event\":\"standby\"}}";
    let crc = format!("{:08x}", crc32c::crc32c(good.as_bytes()));
    let objects = [
        "garbage".to_owned(),
        String::new(),
        format!("{}\"00000000\"}}\n{{}}\n", line(1, "")),
        format!("{}\"00000000\"}}\n{{}}\n", line(2, "")),
        format!("{}\"00000000\"}}\n{{}}\n", line(1, "\"many-owners\"")),
        format!("{}\"{crc}\"}}\n{good}\n", line(1, "")),
    ];
    for object in objects {
        owned.store.put(&chain.path_of(2), Bytes::from(object.clone())).await.unwrap();
        let look = ownership.look().await.unwrap();
        let Look::Foreign { by: None, who, .. } = look else { panic!("{object}: {look:?}") };
        assert!(who.contains("cannot read"), "{who}");
        // So it is for a commit that finds its own number taken by something that it cannot read.
        let manifest = owned.partition.chain();
        owned.store.put(&manifest.path_of(2), Bytes::from_static(b"garbage")).await.unwrap();
        let refused = owned.partition.commit(seal_one("data/a", 0, 10)).await.unwrap_err();
        assert!(refused.is_fenced(), "{refused}");
        assert!(ownership.release().await.unwrap_err().is_fenced());
    }
}

#[tokio::test]
async fn an_unreadable_version_in_a_chain_of_ours_stops_that_partition_and_no_other() {
    let owned = OwnedBucket::new().await;
    let (_, others) = owned.archive.topics.create("u", 1, BTreeMap::new()).await.unwrap();
    owned.store.put(&owned.partition.chain().path_of(2), Bytes::from_static(b"garbage")).await.unwrap();
    let damaged = owned.partition.commit(seal_one("data/a", 0, 10)).await.unwrap_err();
    assert!(damaged.is_damage() && !damaged.is_fenced(), "{damaged}");
    let reason = owned.partition.refusal().expect("nothing is appended that could not be sealed");
    assert!(reason.contains("00000000000000000002.json"), "{reason}");
    others[0].commit(seal_one("data/a", 0, 10)).await.unwrap();
    assert_eq!((others[0].refusal(), owned.archive.ownership.look().await.unwrap()), (None, Look::Ours));
    // Nobody knows whose it is while the owner chain does not answer.
    let faulty = Faulty::new();
    let archive = start(&faulty.store(), empty_disk(1), false).await;
    let (_, made) = archive.topics.create("t", 1, BTreeMap::new()).await.unwrap();
    faulty.store().put(&made[0].chain().path_of(2), Bytes::from_static(b"garbage")).await.unwrap();
    let unreadable = made[0].chain().path_of(2);
    let reads = || faulty.log().iter().filter(|(call, path)| *call == Call::Get && *path == unreadable).count();
    let commit = made[0].commit(seal_one("data/a", 0, 10));
    tokio::pin!(commit);
    while reads() < 2 {
        assert!(futures::poll!(commit.as_mut()).is_pending());
    }
    faulty.away(true);
    let undecided = commit.await.unwrap_err();
    assert!(undecided.is_retriable() && made[0].refusal().is_none(), "{undecided}");
}

#[tokio::test]
async fn every_version_of_manifest_state_and_owner_says_where_the_wal_was_synced_to() {
    let owned = OwnedBucket::new().await;
    let bucket = &owned.archive.bucket;
    let marks = async || {
        let mut marks = Vec::new();
        for chain in [&chain(bucket), owned.partition.chain(), &crate::archive::state::chain(bucket)] {
            let head = chain.head(None).await.unwrap().unwrap();
            marks.push(head.wal.map(|wal| wal.read::<WalMark>().unwrap()));
        }
        marks
    };
    assert_eq!(marks().await, [None, None, None], "nothing was synced yet");
    let group = Arc::new(AtomicU64::new(7));
    let told = group.clone();
    owned.archive.ownership.tell_of_wal(move || Some((told.load(Ordering::SeqCst), 0xab)));
    owned.partition.commit(seal_one("data/a", 0, 10)).await.unwrap();
    group.store(8, Ordering::SeqCst);
    let r = crate::archive::state::WalPosition { group: 8, ..owned.archive.state.head().r };
    owned.archive.state.commit(r, Default::default(), |_, _| ()).await.unwrap();
    group.store(9, Ordering::SeqCst);
    owned.archive.ownership.release().await.unwrap();
    let mark = |group| Some(WalMark { id: Uuid([1; 16]), group, crc32c: "000000ab".into() });
    assert_eq!(marks().await, [mark(9), mark(7), mark(8)]);
    let survey = Survey::load(bucket).await.unwrap();
    assert_eq!((survey.greatest_mark(Uuid([1; 16])), survey.greatest_mark(Uuid([2; 16]))), (mark(9), None));
}

#[tokio::test]
async fn unknown_fields_of_a_claim_are_carried_on_by_the_next_one() {
    let store = memory();
    let first = start(&store, empty_disk(1), false).await;
    let chain = chain(&first.bucket);
    let head = chain.head(None).await.unwrap().unwrap();
    let mut body: serde_json::Value = head.parse().unwrap();
    body["cell"] = 0.into();
    body["lock"] = serde_json::json!({"boot": "1", "device": 2, "inode": 3, "later": [4]});
    assert!(matches!(chain.commit(Some(&head), 2, &body).await.unwrap(), Outcome::Committed(_)));
    let read_back = read(&first.bucket).await.unwrap().unwrap().version;
    assert_eq!(serde_json::to_value(&read_back).unwrap(), body);
    let second = start(&store, disk_of(&first.ownership, 1, BTreeMap::new()), false).await;
    second.ownership.release().await.unwrap();
    let newest: serde_json::Value = chain.head(None).await.unwrap().unwrap().parse().unwrap();
    assert_eq!(newest["cell"], 0);
}
