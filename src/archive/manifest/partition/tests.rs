use std::collections::BTreeMap;

use super::*;
use crate::archive::manifest::{Entry, Producer, Seal};
use crate::archive::testing::*;
use crate::store::testing::{Fault, Faulty};

/// A partition over a store that can be spoilt, with enough entries that the next seal writes a page.
async fn full() -> (Faulty, PartitionArchive) {
    let faulty = Faulty::new();
    let store = faulty.store();
    let archive = start(&store, empty_disk(1), false).await;
    let (_, made) = archive.topics.create("t", 1, BTreeMap::new()).await.unwrap();
    let partition = made.into_iter().next().unwrap();
    for at in 0..8 {
        partition.commit(seal_one(&format!("data/{at}"), at * 10, at * 10 + 10)).await.unwrap();
    }
    (faulty, partition)
}

#[tokio::test]
async fn whatever_happens_to_any_request_of_a_seal_it_is_committed_once() {
    let (faulty, partition) = full().await;
    let before = faulty.calls();
    partition.commit(seal_one("data/8", 80, 90)).await.unwrap();
    let requests = faulty.calls() - before;
    assert!(requests >= 3, "a page, a version, and the look at its predecessor: {requests}");
    for request in 0..requests + 1 {
        for fault in [
            Fault::Failed,
            Fault::AppliedAndFailed,
            Fault::AppliedAndDropped,
            Fault::Conflict,
            Fault::Late(1),
            Fault::Late(5),
            Fault::Missing,
        ] {
            let (faulty, partition) = full().await;
            faulty.at(faulty.calls() + request, fault);
            let change = seal_one("data/8", 80, 90);
            let mut outcome = partition.commit(change.clone()).await;
            faulty.heal().await;
            if let Err(e) = &outcome {
                // A predecessor that the store denies is what a fenced writer finds.
                if e.is_fenced() {
                    assert_eq!(fault, Fault::Missing, "request {request}");
                    continue;
                }
                outcome = partition.commit(change.clone()).await;
            }
            let head = outcome.unwrap_or_else(|e| panic!("request {request}, {fault:?}: {e}"));
            assert_eq!((head.next, head.sums().unwrap().segments), (90, 9), "request {request}, {fault:?}");
            let again = partition.commit(change).await.unwrap();
            assert_eq!(again.written_ms, head.written_ms, "request {request}, {fault:?}: it is known");
            let read = partition.0.place.read(None).await.unwrap().1;
            assert_eq!(read.manifest(), head, "request {request}, {fault:?}: readers see the same");
            let names: Vec<Entry> = read.entries_from(0, 100).await.unwrap();
            assert_eq!(names.len(), 9, "request {request}, {fault:?}");
        }
    }
}

#[tokio::test]
async fn while_the_store_is_away_nothing_is_committed_and_afterwards_the_same_seal_goes_through() {
    let (faulty, partition) = full().await;
    faulty.away(true);
    let change = seal_one("data/8", 80, 90);
    let refused = partition.commit(change.clone()).await.unwrap_err();
    assert!(refused.is_retriable(), "{refused}");
    assert_eq!(partition.head().next, 80);
    faulty.away(false);
    assert_eq!(partition.commit(change).await.unwrap().next, 90);
}

#[tokio::test]
async fn a_commit_that_was_dropped_half_way_is_settled_by_the_next() {
    let (_faulty, partition) = full().await;
    let change = seal_one("data/8", 80, 90);
    for polls in 0..40 {
        // Every call of the store gives way to others: the future is dropped at each of these points in turn.
        let mut commit = Box::pin(partition.commit(change.clone()));
        for _ in 0..polls {
            if futures::poll!(commit.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(commit);
    }
    let head = partition.commit(change).await.unwrap();
    assert_eq!((head.next, head.sums().unwrap().segments), (90, 9));
}

#[tokio::test]
async fn a_reader_sees_what_is_committed_and_pages_of_others_are_refused() {
    let (faulty, partition) = full().await;
    let bucket = partition.0.place.bucket.clone();
    let reader = PartitionReader::open(&bucket, "t", partition.topic_id(), 0).await.unwrap();
    assert_eq!(reader.view().manifest().next, 80);
    partition.commit(seal_one("data/8", 80, 90)).await.unwrap();
    assert_eq!(reader.view().manifest().next, 80);
    let view = reader.refresh().await.unwrap();
    assert_eq!((view.manifest().next, view.manifest().pages.len()), (90, 1));

    // The page of another partition under this page's name.
    let store = faulty.store();
    let path = layout::under(view.root(), &view.manifest().pages[0].object.name);
    let good = store.get(&path).await.unwrap();
    for (bytes, word) in [
        (String::from_utf8_lossy(&good).replace("\"size\":1000", "\"size\":1001").into_bytes(), "CRC-32C"),
        (good[..good.len() - 10].to_vec(), "bytes"),
    ] {
        store.put(&path, bytes.into()).await.unwrap();
        let fresh =
            Bucket::open(store.clone(), crate::archive::bucket::OpenMode::Read, &Default::default()).await.unwrap();
        let reader = PartitionReader::open(&fresh, "t", partition.topic_id(), 0).await.unwrap();
        let refused = reader.view().find(5).await.unwrap_err();
        assert!(matches!(refused, ArchiveError::Damaged { .. }), "{refused}");
        assert!(refused.to_string().contains(word) && refused.to_string().contains("page-"), "{refused}");
        assert!(reader.view().find(85).await.unwrap().is_some(), "what needs no page goes on");
    }
    // Failures are not kept.
    let reader = PartitionReader::open(&bucket, "t", partition.topic_id(), 0).await.unwrap();
    assert!(reader.view().find(5).await.is_err());
    store.put(&path, good).await.unwrap();
    assert!(reader.view().find(5).await.unwrap().is_some());
}

#[tokio::test]
async fn a_manifest_in_the_wrong_place_is_refused() {
    let (faulty, partition) = full().await;
    let store = faulty.store();
    let bucket = partition.0.place.bucket.clone();
    let version = store.get(&partition.chain().path_of(1)).await.unwrap();
    let wrong = Place::new(&bucket, "t", partition.topic_id(), 1);
    store.create(&wrong.chain().path_of(1), version).await.unwrap();
    let refused = wrong.read(None).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::Damaged { .. }), "{refused}");
}

#[tokio::test]
async fn a_name_is_in_flight_until_it_is_dropped() {
    let (_faulty, partition) = full().await;
    let name = partition.begin_segment(80);
    assert!(partition.in_flight().contains(name.name()));
    assert!(name.path().starts_with("topics/t/") && name.path().ends_with(name.name()));
    drop(name);
    assert!(partition.in_flight().is_empty());
}

#[tokio::test]
async fn two_commits_at_once_follow_each_other() {
    let (_faulty, partition) = full().await;
    let (a, b) =
        tokio::join!(partition.commit(Change::LogStart { to: 25 }), partition.commit(seal_one("data/8", 80, 90)),);
    a.unwrap();
    b.unwrap();
    assert_eq!((partition.head().log_start, partition.head().next), (25, 90));
}

/// What a page asks of readers it asks for its range: the rest is read, and nothing is called damaged.
#[tokio::test]
async fn a_page_that_readers_may_not_read_refuses_its_range_by_name() {
    let (faulty, partition) = full().await;
    partition.commit(seal_one("data/8", 80, 90)).await.unwrap();
    let store = faulty.store();
    let page = partition.head().pages[0].clone();
    alter_named(&store, &partition, &page.object.name, |first, _| {
        first["must_read"] = serde_json::json!(["encrypted"])
    })
    .await;
    let bucket =
        Bucket::open(store.clone(), crate::archive::bucket::OpenMode::Read, &Default::default()).await.unwrap();
    let view = PartitionReader::open(&bucket, "t", partition.topic_id(), 0).await.unwrap().view();
    assert!(view.find(page.sums.next).await.unwrap().is_some(), "what needs no page goes on");
    let refused = view.find(page.sums.first).await.unwrap_err();
    assert!(
        matches!(&refused, ArchiveError::Refused { path, reason }
        if path.contains(&page.object.name) && reason.contains("'encrypted'")),
        "{refused}"
    );
    let mut findings = Vec::new();
    crate::archive::fsck::fsck(&bucket, &mut |finding| findings.push(finding)).await.unwrap();
    assert!(
        findings.iter().any(|found| found.path.contains(&page.object.name) && found.reason.contains("'encrypted'"))
    );
}

/// Producers that may not be followed: nothing is appended, and no version is written that would leave them out.
#[tokio::test]
async fn producers_that_may_not_be_written_anew_refuse_appends_and_seals_from_the_start() {
    for lost in [false, true] {
        let (faulty, partition) = full().await;
        let producer = |id| Producer {
            id,
            epoch: 0,
            last_timestamp: NOW_MS,
            coordinator_epoch: -1,
            open_from: -1,
            batches: Vec::new(),
            unknown: Default::default(),
        };
        let producers = Producers { producers: (0..100).map(producer).collect(), ..Producers::default() };
        let Change::Seal(seal) = seal_one("data/8", 80, 90) else { unreachable!() };
        partition.commit(Change::Seal(Seal { producers, ..seal })).await.unwrap();
        let ProducersAt::Object(object) = partition.head().producers.clone() else { panic!("they are inline") };
        let store = faulty.store();
        let asks = |first: &mut serde_json::Value, _: &mut serde_json::Value| {
            first["must_write"] = serde_json::json!(["staged"]);
        };
        alter_named(&store, &partition, &object.name, asks).await;
        let disk = match lost {
            true => empty_disk(2),
            false => disk_of(&partition.0.ownership, 1, BTreeMap::new()),
        };
        let archive = start(&store, disk, lost).await;
        let partition = archive.partitions.values().next().unwrap();
        assert!(partition.refusal().unwrap().contains("'staged'"), "{:?}", partition.refusal());
        let before = partition.chain().versions().await.unwrap();
        let refused = partition.commit(seal_one("data/9", 90, 100)).await.unwrap_err();
        assert!(refused.is_damage() && refused.to_string().contains("'staged'"), "{refused}");
        assert_eq!(partition.chain().versions().await.unwrap(), before);
        assert_eq!(before.len(), 10, "nor by the start");
        assert_eq!(partition.producers().await.unwrap().producers.len(), 100, "they are read");
    }
}
