use super::*;
use crate::archive::testing::*;
use crate::archive::{Archive, Bucket};
use crate::store::Store;
use crate::store::testing::{Fault, Faulty, memory};

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
    let Look::Foreign { epoch, by } = archive.ownership.look().await.unwrap() else { panic!("it was taken over") };
    assert_eq!((epoch, by.wal_id), (2, Uuid([2; 16])));
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
