//! One suite of properties that every backend has to have; run on memory, on a folder, and on a real S3 store where one is
//! given (`ESKER_TEST_STORE`, with the usual variables).
use std::sync::Arc;

use super::*;
use crate::base::Metrics;
use bytes::Bytes;

pub(super) fn options() -> StoreOptions {
    StoreOptions {
        backoff_ms: 1,
        backoff_max_ms: 5,
        retry_ms: 2_000,
        create_directory: true,
        ..StoreOptions::default()
    }
}

pub(super) fn open(url: &str) -> Store {
    Store::open(url, options(), &Clock::real(), &Random::os(), &Metrics::new()).expect("the store opens")
}

fn pattern(length: usize) -> Bytes {
    (0..length).map(|i| (i % 251) as u8).collect()
}

async fn conforms(store: &Store) {
    create_refuses_and_reads_are_exact(store).await;
    listing_is_ordered_paged_and_confined(store).await;
    uploads_of_every_size_come_back(store).await;
    racing_writers_of_a_chain_lose_nothing(store).await;
    let probe = probe::probe(store).await.expect("the probe passes");
    assert_eq!(probe.rounds, 8);
    assert_eq!(store.list("probe", None).await.unwrap(), [], "the probe removes its keys");
}

async fn create_refuses_and_reads_are_exact(store: &Store) {
    assert!(matches!(store.create("a/b/one", Bytes::from("first")).await, Ok(Create::Created)));
    assert!(matches!(store.create("a/b/one", Bytes::from("second")).await, Ok(Create::Exists)));
    assert_eq!(store.get("a/b/one").await.unwrap(), "first");
    assert_eq!(store.get_range("a/b/one", 1..3).await.unwrap(), "ir");
    assert_eq!(store.get_range("a/b/one", 3..3).await.unwrap(), "");
    for range in [1..6, 5..6, 7..9] {
        let e = store.get_range("a/b/one", range.clone()).await.unwrap_err();
        assert_eq!(e.kind, Kind::Corrupt, "a range beyond the end is never cut: {range:?}: {e}");
    }
    assert_eq!(store.get_ranges("a/b/one", &[3..5, 0..1]).await.unwrap(), ["st", "f"]);
    assert_eq!(store.size("a/b/one").await.unwrap(), 5);
    store.put("a/b/one", Bytes::from("third!")).await.unwrap();
    assert_eq!(store.get("a/b/one").await.unwrap(), "third!");
    store.delete("a/b/one").await.unwrap();
    store.delete("a/b/one").await.expect("deleting what is not there is no error");
    for missing in ["a/b/one", "nowhere/at/all"] {
        assert_eq!(store.get(missing).await.unwrap_err().kind, Kind::NotFound);
        assert_eq!(store.get_range(missing, 0..1).await.unwrap_err().kind, Kind::NotFound);
        assert_eq!(store.size(missing).await.unwrap_err().kind, Kind::NotFound);
    }
    assert!(matches!(store.create("a/b/one", Bytes::new()).await, Ok(Create::Created)), "a deleted name is free again");
    assert_eq!(store.get("a/b/one").await.unwrap(), "");
    store.delete("a/b/one").await.unwrap();
    assert_eq!(store.get("../out").await.unwrap_err().kind, Kind::Invalid);
}

async fn listing_is_ordered_paged_and_confined(store: &Store) {
    let mut paths: Vec<String> = ["t/a", "t/a.b/1", "t/a/2", "t/a=0/x", "t/b/c/d", "t/b#x"].map(String::from).to_vec();
    paths.remove(0); // a folder cannot hold both `t/a` and `t/a/2`
    for path in &paths {
        assert!(matches!(store.create(path, Bytes::from(path.clone())).await, Ok(Create::Created)), "{path}");
    }
    assert!(matches!(store.create("tt/other", Bytes::new()).await, Ok(Create::Created)));
    paths.sort();
    let listed = |page: Vec<Listed>| page.into_iter().map(|object| object.path).collect::<Vec<_>>();
    assert_eq!(listed(store.list("t", None).await.unwrap()), paths);
    for (i, path) in paths.iter().enumerate() {
        assert_eq!(listed(store.list("t", Some(path)).await.unwrap()), paths[i + 1..], "after {path}");
    }
    assert_eq!(listed(store.list("t", Some("t/b")).await.unwrap()), ["t/b#x", "t/b/c/d"]);
    assert_eq!(store.list("none", None).await.unwrap(), []);
    assert_eq!(store.list_dirs("t").await.unwrap(), ["a", "a.b", "a=0", "b"]);
    assert_eq!(store.list_dirs("").await.unwrap().iter().filter(|dir| *dir == "t" || *dir == "tt").count(), 2);
    let object = &store.list("t/b/c", None).await.unwrap()[0];
    assert_eq!((object.path.as_str(), object.size), ("t/b/c/d", 7));
    assert!((object.modified_ms - store.clock().now_ms()).abs() < 600_000, "times are in ms since 1970");
    for path in paths.iter().map(String::as_str).chain(["tt/other"]) {
        store.delete(path).await.unwrap();
    }
}

async fn uploads_of_every_size_come_back(store: &Store) {
    let part = Upload::PART_BYTES;
    for (size, step) in [(0, 1), (1, 1), (part, part), (part + 1, 1 << 20), (3 * part + 5, 3_000_001)] {
        let data = pattern(size);
        let path = format!("up/{size}");
        let mut upload = store.upload(&path).await.unwrap();
        for at in (0..size).step_by(step) {
            upload.write(data.slice(at..(at + step).min(size))).await.unwrap();
        }
        assert_eq!(store.size(&path).await.unwrap_err().kind, Kind::NotFound, "nothing is visible before the end");
        assert_eq!(upload.finish().await.unwrap(), size as u64);
        assert_eq!(store.get(&path).await.unwrap(), data, "{size}");
        store.delete(&path).await.unwrap();
    }
    let mut upload = store.upload("up/given-up").await.unwrap();
    upload.write(pattern(2 * part)).await.unwrap();
    upload.abort().await;
    assert_eq!(store.list("up", None).await.unwrap(), []);
}

async fn racing_writers_of_a_chain_lose_nothing(store: &Store) {
    use chain::{Chain, Outcome};
    let schema = envelope::Schema { kind: "test", format: 1, features: &[] };
    let chain = Chain::new(store.clone(), schema, "race");
    let writer = async |name: u64| {
        let mut head = None;
        let mut left = 4;
        while left > 0 {
            head = chain.head(head.as_ref()).await.unwrap();
            let mut body: Vec<u64> = head.as_ref().map(|head| head.parse().unwrap()).unwrap_or_default();
            body.push(name);
            match chain.commit(head.as_ref(), 1, &body).await.unwrap() {
                Outcome::Committed(mine) => (head, left) = (Some(mine), left - 1),
                Outcome::Lost(taken) => head = Some(taken),
                fenced => panic!("{fenced:?}"),
            }
        }
    };
    futures::future::join_all((0..4).map(writer)).await;
    let mut done: Vec<u64> = chain.head(None).await.unwrap().unwrap().parse().unwrap();
    done.sort_unstable();
    assert_eq!(done, (0..16).map(|i| i / 4).collect::<Vec<_>>());
    assert_eq!(chain.collect(1, 0, i64::MAX).await.unwrap(), 15);
    assert_eq!(chain.versions().await.unwrap(), [16]);
    store.delete(&chain.path_of(16)).await.unwrap();
}

#[tokio::test]
async fn memory_conforms() {
    conforms(&testing::memory()).await;
}

#[tokio::test]
async fn a_folder_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&format!("file://{}/made/here", dir.path().display()));
    conforms(&store).await;
    let left = walkdir(dir.path());
    assert_eq!(left, Vec::<String>::new(), "no staged file is left behind");
}

#[tokio::test]
async fn a_given_store_conforms() {
    let Ok(url) = std::env::var("ESKER_TEST_STORE") else { return };
    let store = open(&format!("{url}/{}", Random::os().hex16()));
    store.check().await.expect("the store can be reached");
    conforms(&store).await;
    assert_eq!(store.list("", None).await.unwrap(), []);
}

fn walkdir(dir: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walkdir(&path)) } else { files.push(path.display().to_string()) }
    }
    files
}

#[tokio::test]
async fn urls_are_those_that_other_tools_take() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let store = open(&format!("file://{}/", root.display()));
    assert_eq!(store.url_of("x/y"), format!("file://{}/x/y", root.display()));
    assert_eq!(store.display(), format!("file://{}", root.display()));
    assert_eq!(testing::memory().url_of("x"), "memory://test/x");
}

#[tokio::test]
async fn a_folder_that_vanished_is_not_an_empty_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("bucket").to_str().unwrap());
    store.put("a", Bytes::from("x")).await.unwrap();
    std::fs::remove_dir_all(dir.path().join("bucket")).unwrap();
    assert_eq!(store.get("a").await.unwrap_err().kind, Kind::NoBucket);
    assert_eq!(store.list("", None).await.unwrap_err().kind, Kind::NoBucket);
    assert_eq!(store.create("a", Bytes::new()).await.unwrap_err().kind, Kind::NoBucket);
    assert_eq!(store.check().await.unwrap_err().kind, Kind::NoBucket);
    assert!(!dir.path().join("bucket").exists(), "a bucket that is gone is not made again");
}

#[tokio::test]
async fn a_small_object_that_is_huge_is_refused_before_its_body_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().to_str().unwrap());
    let file = std::fs::File::create(dir.path().join("huge")).unwrap();
    file.set_len(SMALL_BYTES_MAX + 1).unwrap();
    assert_eq!(store.get("huge").await.unwrap_err().kind, Kind::Corrupt);
}

#[tokio::test]
async fn requests_are_counted_by_kind_and_result() {
    let metrics = Metrics::new();
    let objects = Arc::new(object_store::memory::InMemory::new());
    let store = Store::over(objects, "memory://m", options(), &Clock::real(), &Random::seeded(1), &metrics);
    store.put("a", Bytes::from("12345")).await.unwrap();
    store.get("a").await.unwrap();
    store.get("b").await.unwrap_err();
    let page = metrics.page().unwrap();
    for line in [
        r#"esker_store_requests_total{op="get",result="ok"} 1"#,
        r#"esker_store_requests_total{op="get",result="not_found"} 1"#,
        r#"esker_store_bytes_total{op="get"} 5"#,
        r#"esker_store_bytes_total{op="put"} 5"#,
        r#"esker_store_requests_in_flight{class="small"} 0"#,
    ] {
        assert!(page.contains(line), "{line} is missing in:\n{page}");
    }
}

#[tokio::test]
async fn what_may_be_repeated_is_repeated_and_a_creation_never_is() {
    use testing::{Call, Fault, Faulty};
    let faulty = Faulty::new();
    let store = faulty.store();
    for call in [Call::Put, Call::Get, Call::List, Call::Delete] {
        faulty.on(call, Fault::AppliedAndFailed);
        faulty.on(call, Fault::Failed);
    }
    store.put("a", Bytes::from("x")).await.unwrap();
    assert_eq!(store.get("a").await.unwrap(), "x");
    assert_eq!(store.list("", None).await.unwrap().len(), 1);
    store.delete("a").await.unwrap();
    for (fault, there) in [(Fault::Failed, false), (Fault::AppliedAndFailed, true), (Fault::AppliedAndDropped, true)] {
        let before = faulty.calls();
        faulty.on(Call::Create, fault);
        let path = format!("c/{fault:?}");
        assert!(matches!(store.create(&path, Bytes::from("x")).await, Ok(Create::Unknown(_))));
        assert_eq!(faulty.calls(), before + 1);
        assert_eq!(store.get(&path).await.is_ok(), there);
    }
}

#[tokio::test]
async fn patience_with_a_store_that_is_away_ends_with_a_retriable_error() {
    let faulty = testing::Faulty::new();
    faulty.away(true);
    let e = faulty.store().get("a").await.unwrap_err();
    assert!(e.is_retriable() && e.to_string().starts_with("memory://test/a: "), "{e}");
    assert!(faulty.calls() > 10 && faulty.calls() < 100, "{} attempts", faulty.calls());
}

#[tokio::test]
async fn an_upload_survives_faults_of_each_of_its_requests() {
    use testing::{Call, Fault, Faulty};
    let data = pattern(3 * Upload::PART_BYTES + 17);
    for position in 0..6 {
        for fault in [Fault::Failed, Fault::AppliedAndFailed, Fault::AppliedAndDropped] {
            let faulty = Faulty::new();
            let store = faulty.store();
            faulty.at(position, fault);
            let mut upload = store.upload("u").await.unwrap();
            upload.write(data.clone()).await.unwrap();
            assert_eq!(
                upload.finish().await.unwrap_or_else(|e| panic!("{fault:?} at {position}: {e}")),
                data.len() as u64
            );
            assert_eq!(store.get("u").await.unwrap(), data);
            let uploads = faulty.log().iter().filter(|(call, _)| *call == Call::Upload).count();
            assert!((6..=7).contains(&uploads), "{uploads} requests");
        }
    }
}

#[tokio::test]
async fn a_backfill_that_hangs_does_not_make_a_commit_wait() {
    let faulty = testing::Faulty::new();
    let options = StoreOptions { requests: 2, ..options() };
    let objects = Arc::new(faulty.clone());
    let store = Store::over(objects, "memory://m", options, &Clock::real(), &Random::seeded(1), &Metrics::new());
    store.put("a", Bytes::from("x")).await.unwrap();
    faulty.hang(testing::Call::Get);
    let mut reads: Vec<_> = (0..5).map(|_| Box::pin(store.get_range("a", 0..1))).collect();
    for read in &mut reads {
        for _ in 0..10 {
            assert!(futures::poll!(read.as_mut()).is_pending());
        }
    }
    assert!(matches!(store.create("b", Bytes::new()).await, Ok(Create::Created)));
    assert_eq!(faulty.log().iter().filter(|(call, _)| *call == testing::Call::Get).count(), 2, "at most two at once");
}

#[tokio::test]
async fn a_request_that_hangs_is_given_up() {
    let faulty = testing::Faulty::new();
    faulty.hang(testing::Call::Create);
    let options = StoreOptions { request_timeout_ms: 100, ..options() };
    let objects = Arc::new(faulty.clone());
    let store = Store::over(objects, "memory://m", options, &Clock::real(), &Random::seeded(1), &Metrics::new());
    let Ok(Create::Unknown(e)) = store.create("b", Bytes::new()).await else {
        panic!("a creation that hangs is unknown")
    };
    assert!(e.is_retriable() && e.to_string().contains("no answer within 100 ms"), "{e}");
}
