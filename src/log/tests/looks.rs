//! Readers of a bucket that somebody else changes.
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_pages_are_gone_looks_again_whatever_it_asks() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    for n in 0..30 {
        append(&log, "t", &[(1_000 + n, &format!("{n}")), (1_000 + n, "b")]).await;
        log.seal(None).await.unwrap();
    }
    let own = log.partition("t", 0).unwrap();
    own.delete_records(1).await.unwrap();
    log.seal(None).await.unwrap();

    let objects = async || -> Vec<String> {
        let page = log.0.mover.store().list("topics", None).await.unwrap();
        page.into_iter().map(|object| object.path).filter(|path| path.contains("/page-")).collect()
    };
    let before = objects().await;
    assert!(!before.is_empty());
    let reader = async || {
        let options = place.options();
        let bucket = BucketLog::open(&options.store_url.unwrap(), options.store, place.env()).await.unwrap();
        bucket.partition("t", 0).await.unwrap()
    };
    let readers = [reader().await, reader().await, reader().await, reader().await];

    own.delete_records(40).await.unwrap();
    log.seal(None).await.unwrap();
    let live: Vec<String> = own.0.archive.view().manifest().pages.iter().map(|page| page.object.name.clone()).collect();
    for path in before {
        if !live.iter().any(|name| path.ends_with(name.as_str())) {
            log.0.mover.store().delete(&path).await.unwrap();
        }
    }

    let [by_time, greatest, by_offset, layout] = &readers;
    assert_eq!(by_time.find(OffsetQuery::AtOrAfter(0)).await.unwrap().offset, 40);
    assert_eq!(greatest.find(OffsetQuery::MaxTimestamp).await.unwrap().offset, 58);
    let (read, next) = by_offset.read(1, 1).await.unwrap();
    assert!(!read.batches.is_empty() && next > 40, "{next}");
    assert!(layout.layout().await.unwrap().entries.iter().all(|entry| entry.next > 40));
    log.stop().await;
}
