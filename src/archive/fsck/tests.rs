use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::archive::bucket::OpenMode;
use crate::archive::manifest::Change;
use crate::archive::testing::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A bucket with a deep tree, things removed and a dead topic.
async fn lived() -> (OwnedBucket, Vec<String>) {
    let owned = OwnedBucket::new().await;
    let mut paths = Vec::new();
    for at in 0..40 {
        paths.push(sealed(&owned.store, &owned.partition, at * 10, at * 10 + 10).await);
    }
    owned.partition.commit(Change::LogStart { to: 55 }).await.unwrap();
    owned.archive.topics.create("dead", 2, BTreeMap::new()).await.unwrap();
    owned.archive.topics.delete("dead", 24 * 3_600_000).await.unwrap();
    (owned, paths)
}

/// Checks with nothing in the caches.
async fn check(owned: &OwnedBucket) -> (Checked, Vec<Finding>) {
    let bucket = Bucket::open(owned.store.clone(), OpenMode::Read, &Default::default()).await.unwrap();
    let mut findings = Vec::new();
    let checked = fsck(&bucket, &mut |finding| findings.push(finding)).await.unwrap();
    assert_eq!(checked.findings, findings.len() as u64);
    (checked, findings)
}

async fn only(owned: &OwnedBucket) -> Finding {
    let (_, mut findings) = check(owned).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

#[tokio::test]
async fn a_bucket_that_lived_has_nothing_to_find() {
    let (owned, _) = lived().await;
    let (checked, findings) = check(&owned).await;
    assert_eq!(findings, []);
    assert_eq!((checked.topics, checked.partitions, checked.segments, checked.records), (1, 1, 35, 350));
    assert_eq!((checked.gaps, checked.young), (0, 0));
    assert!(checked.waiting >= 5 + 2, "five segments, two partitions: {}", checked.waiting);
    assert_eq!(checked.objects, owned.paths("").await.len() as u64);
}

#[tokio::test]
async fn a_gap_of_a_take_over_is_counted() {
    let (owned, _) = lived().await;
    start(&owned.store, empty_disk(2), true).await;
    let (checked, findings) = check(&owned).await;
    assert_eq!((findings, checked.gaps), (vec![], 1));
}

#[tokio::test]
async fn each_missing_segment_is_named() {
    let (owned, paths) = lived().await;
    for at in [5, 20, 39] {
        owned.store.delete(&paths[at]).await.unwrap();
    }
    owned.store.delete(&paths[0]).await.unwrap(); // removed: it may be gone
    let (_, findings) = check(&owned).await;
    assert!(findings.iter().all(|finding| finding.kind == FindingKind::Missing));
    let found: Vec<&str> = findings.iter().map(|finding| finding.path.as_str()).collect();
    let urls = [5, 20, 39].map(|at: usize| owned.store.url_of(&paths[at]));
    assert_eq!(found, urls);
}

#[tokio::test]
async fn a_segment_of_the_wrong_size_is_wrong() {
    let (owned, paths) = lived().await;
    owned.store.put(&paths[30], Bytes::from_static(b"short")).await.unwrap();
    let finding = only(&owned).await;
    assert_eq!((finding.kind, finding.path), (FindingKind::Wrong, owned.store.url_of(&paths[30])));
    assert!(finding.reason.contains("5 bytes") && finding.reason.contains("1000"), "{}", finding.reason);
}

#[tokio::test]
async fn what_nothing_names_is_young_first_and_nobodys_later() {
    let (owned, _) = lived().await;
    let root = layout::topic_root("t", owned.partition.topic_id());
    let strays = [
        "stray".to_owned(),
        "topics/t/stray".to_owned(),
        format!("{root}/table/data/00000-00000000000000000100-1-0123456789abcdef.parquet"),
        format!("{root}/table/data/x.parquet"),
        format!("{root}/log/0/page-00000000000000000100-0-1-0123456789abcdef.json"),
        format!("topics/t/{}/x", Uuid([9; 16])),
        format!("{root}/table/data/00007-00000000000000000100-1-0123456789abcdef.parquet"),
        format!("topics/u/{}/table/metadata/y", Uuid([9; 16])),
        "probe/0123456789abcdef/00".to_owned(),
        "state/page-00000-1-0123456789abcdef.json".to_owned(),
    ];
    for stray in &strays {
        owned.store.create(stray, Bytes::from_static(b"x")).await.unwrap();
    }
    // What belongs to later builds, to Iceberg and to engines is nobody's business here.
    let others = ["brokers/1.json", "cells/a/state/page-x", "leases/1", "wal/00/0000000001/00000000000000000001"];
    let others = others.map(str::to_owned).into_iter();
    for other in others.chain([format!("{root}/table/metadata/v1.metadata.json"), format!("{root}/foreign/data/x")]) {
        owned.store.create(&other, Bytes::from_static(b"x")).await.unwrap();
    }
    let (checked, findings) = check(&owned).await;
    assert_eq!((findings, checked.young), (vec![], strays.len() as u64));
    owned.clock.advance(DAY + DAY / 24);
    let (_, findings) = check(&owned).await;
    let mut found: Vec<String> = findings.iter().map(|finding| finding.path.clone()).collect();
    let mut urls: Vec<String> = strays.iter().map(|stray| owned.store.url_of(stray)).collect();
    found.sort();
    urls.sort();
    assert_eq!(found, urls);
    assert!(findings.iter().all(|finding| finding.kind == FindingKind::Nobodys));
}

#[tokio::test]
async fn a_damaged_page_is_told_once_and_does_not_hide_other_findings() {
    let (owned, paths) = lived().await;
    let page = owned.partition.head().pages[0].object.name.clone();
    let path = layout::under(&layout::topic_root("t", owned.partition.topic_id()), &page);
    owned.store.put(&path, Bytes::from_static(b"garbage")).await.unwrap();
    owned.store.put(&paths[39], Bytes::from_static(b"short")).await.unwrap();
    let (_, findings) = check(&owned).await;
    let found: Vec<(FindingKind, &str)> = findings.iter().map(|f| (f.kind, f.path.as_str())).collect();
    let (wrong, page) = (owned.store.url_of(&paths[39]), owned.store.url_of(&path));
    assert_eq!(found, [(FindingKind::Wrong, wrong.as_str()), (FindingKind::Wrong, page.as_str())]);
}

#[tokio::test]
async fn chains_that_are_damaged_or_gone_are_named() {
    let (owned, _) = lived().await;
    for path in owned.paths(owned.partition.chain().prefix()).await {
        if matches!(Named::of(&path), Named::Version(_)) {
            owned.store.delete(&path).await.unwrap();
        }
    }
    let finding = only(&owned).await;
    assert_eq!(finding.kind, FindingKind::Missing);
    assert!(finding.path.contains("log/0"), "{}", finding.path);

    let (owned, _) = lived().await;
    let path = owned.archive.topics.chain_of("t").path_of(1);
    owned.store.put(&path, Bytes::from_static(b"garbage")).await.unwrap();
    let finding = only(&owned).await;
    assert_eq!((finding.kind, finding.path), (FindingKind::Wrong, owned.store.url_of(&path)));
}
