//! A store that answers late, wrongly or not at all.
use super::*;
use crate::store::testing::{Call, Fault, Faulty};

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_whose_commit_was_never_answered_counts_for_what_it_came_to() {
    for applied in [true, false] {
        let (place, faulty) = (Place::new(), Faulty::new());
        let fs = std::sync::Arc::new(crate::wal::fs::RealFs::new());
        let log = Log::open_on(place.options(), place.env(), fs, faulty.store()).await.unwrap();
        log.create_topic(new_topic("t")).await.unwrap();
        let partition = log.partition("t", 0).unwrap();
        append(&log, "t", &[(1, "a")]).await;
        faulty.on(Call::Create, if applied { Fault::AppliedAndDropped } else { Fault::Failed });
        (0..10_000).for_each(|_| faulty.on(Call::Get, Fault::Failed));
        let failed = log.seal(Some("t")).await;
        assert!(failed.is_err(), "nobody knows whether it is committed");
        assert_eq!(partition.state().sealed_end, 0);
        faulty.heal().await;
        append(&log, "t", &[(2, "b")]).await;
        log.seal(Some("t")).await.unwrap();
        partition.state().hot.forget_below(u64::MAX, 2);
        assert_eq!(read_all(&partition, 0).await, [(0, "a".to_owned()), (1, "b".to_owned())], "{applied}");
        assert_eq!(log.layout(Some("t"), None).await.unwrap()[0].entries.len(), if applied { 2 } else { 1 });
        assert!(log.stop().await.released);
    }
}
