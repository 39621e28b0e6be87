//! Buckets of other builds: one of the first, and one that a later build goes on with.
use std::path::Path;

use super::*;
use crate::log::bucket::BucketLog;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    all
}

/// A place whose bucket is a fixture.
fn place_with(name: &str) -> Place {
    let place = Place::new();
    for (path, bytes) in files(&fixture(name)) {
        let to = place.folder.path().join("bucket").join(path.strip_prefix(fixture(name)).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
    place
}

async fn values(place: &Place, partition: i32, from: i64) -> Vec<(i64, Option<String>)> {
    let url = place.folder.path().join("bucket").display().to_string();
    let log = BucketLog::open(&url, Default::default(), place.env()).await.unwrap();
    let partition = log.partition("t", partition).await.unwrap();
    let (mut at, mut found) = (from, Vec::new());
    while found.len() < 5 {
        let (fetched, next) = partition.read(at, 1 << 20).await.unwrap();
        assert!(next > at, "{at}");
        at = next;
        for piece in fetched.batches {
            for one in crate::record::split(piece) {
                for_each_record::<crate::record::BatchError>(&one.unwrap(), 1 << 30, &mut Vec::new(), |r| {
                    found.push((r.offset, r.value.map(|value| String::from_utf8_lossy(value).into_owned())));
                    Ok(())
                })
                .unwrap();
            }
        }
    }
    found
}

fn expected(from: i64) -> Vec<(i64, Option<String>)> {
    (0..5).map(|n| (from + n, (n != 3).then(|| format!("value {n}")))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_both_buckets_are_read_without_a_broker() {
    assert_eq!(values(&place_with("bucket-1"), 1, 260).await, expected(260));
    assert_eq!(values(&place_with("bucket-later"), 0, 0).await, expected(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_builds_bucket_is_refused_by_name_before_anything_is_claimed_or_written() {
    let place = place_with("bucket-later");
    let before = files(&place.folder.path().join("bucket"));
    for take_over in [false, true] {
        let refused = Log::open(Options { take_over, ..place.options() }, place.env()).await.map(drop).unwrap_err();
        let why = refused.to_string();
        assert!(why.contains("'many-owners'") && why.contains("use a newer one"), "{why}");
        assert!(!matches!(refused, OpenError::Unavailable(_)), "it is of no use to wait");
        assert_eq!(files(&place.folder.path().join("bucket")), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_serves_stops_when_a_later_build_claims_its_bucket() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    append(&log, "t", &[(1, "a")]).await;
    let bucket = place.folder.path().join("bucket");
    let claim =
        files(&fixture("bucket-later")).remove(&fixture("bucket-later").join("owner/00000000000000000002.json"));
    std::fs::write(bucket.join("owner/00000000000000000002.json"), claim.unwrap()).unwrap();
    let why = log.failed().await;
    let before = files(&bucket);
    assert!(why.contains("took over") || why.contains("claim"), "{why}");
    assert_eq!(log.may_answer().await, Err(why), "what it takes now is never answered");
    log.stop().await;
    let after = files(&bucket);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "and nothing more is written");
    assert!(after == before, "nor changed");
}
