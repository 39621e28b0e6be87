use bytes::Bytes;

use super::*;
use crate::store::testing::memory;

async fn open(store: &Store, mode: OpenMode) -> Result<Bucket, ArchiveError> {
    Bucket::open(store.clone(), mode, &Limits::default()).await
}

const SERVE: OpenMode = OpenMode::Serve { probe: false };

#[tokio::test]
async fn a_bucket_is_made_once_and_keeps_its_id() {
    let store = memory();
    let refused = open(&store, OpenMode::Read).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::NoEsker { .. }), "{refused}");
    let made = open(&store, SERVE).await.unwrap();
    assert!(made.birth().probe.rounds > 0);
    for mode in [OpenMode::Read, SERVE, OpenMode::Serve { probe: true }] {
        assert_eq!(open(&store, mode).await.unwrap().cluster_id(), made.cluster_id());
    }
    let left: Vec<String> = store.list("", None).await.unwrap().into_iter().map(|object| object.path).collect();
    assert_eq!(left, [layout::ESKER], "the probe's keys are gone");
}

#[tokio::test]
async fn of_two_creators_at_once_both_get_the_same_bucket() {
    let store = memory();
    let (a, b) = tokio::join!(open(&store, SERVE), open(&store, SERVE));
    assert_eq!(a.unwrap().cluster_id(), b.unwrap().cluster_id());
}

#[tokio::test]
async fn a_bucket_that_lost_its_birth_certificate_is_not_made_anew() {
    let store = memory();
    open(&store, SERVE).await.unwrap();
    store.create("topics/t/topic/00000000000000000001.json", Bytes::from_static(b"x")).await.unwrap();
    store.delete(layout::ESKER).await.unwrap();
    let refused = open(&store, SERVE).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::Damaged { .. }), "{refused}");
}

#[tokio::test]
async fn a_damaged_or_future_certificate_is_refused_by_name() {
    for (text, word) in [
        (
            "{\"esker\":\"bucket\",\"format\":2,\"must_read\":[],\"must_write\":[],\"crc32c\":\"00000000\"}\n{}\n",
            "CRC-32C",
        ),
        (
            "{\"esker\":\"bucket\",\"format\":3,\"must_read\":[],\"must_write\":[],\"crc32c\":\"00000000\"}\n{}\n",
            "format 3",
        ),
        (
            "{\"esker\":\"bucket\",\"format\":1,\"must_read\":[],\"must_write\":[],\"crc32c\":\"297bd0aa\"}\n{}\n",
            "before the first release",
        ),
        (
            "{\"esker\":\"bucket\",\"format\":2,\"must_read\":[\"encrypted\"],\"must_write\":[],\"crc32c\":\"0\"}\n{}\n",
            "encrypted",
        ),
    ] {
        let store = memory();
        store.create(layout::ESKER, Bytes::from(text)).await.unwrap();
        let refused = open(&store, OpenMode::Read).await.unwrap_err().to_string();
        assert!(refused.contains(word) && refused.contains("esker.json"), "{refused}");
    }
}

#[tokio::test]
async fn what_the_certificate_asks_for_counts_for_whoever_serves_or_deletes() {
    for (list, serves, collects) in [("must_write", false, false), ("must_collect", true, false), ("none", true, true)]
    {
        let store = memory();
        open(&store, SERVE).await.unwrap();
        let text = String::from_utf8(store.get(layout::ESKER).await.unwrap().to_vec()).unwrap();
        let text = text.replace(&format!("\"{list}\":[]"), &format!("\"{list}\":[\"pins\"]"));
        store.put(layout::ESKER, text.into()).await.unwrap();
        let read = open(&store, OpenMode::Read).await.unwrap();
        assert_eq!(read.check_collectable().is_ok(), collects, "{list}");
        match open(&store, SERVE).await {
            Ok(bucket) => assert_eq!((serves, bucket.check_collectable().is_ok()), (true, collects)),
            Err(e) => {
                assert!(!serves && e.to_string().contains("'pins'") && e.to_string().contains("esker.json"), "{e}")
            }
        }
        assert!(store.list(layout::OWNER, None).await.unwrap().is_empty(), "nothing was claimed");
    }
}
