use super::*;
use crate::base::ByteBudget;
use proptest::prelude::*;

type Cache = FlightCache<u8, u64, &'static str>;

fn lease(cache: &Cache, key: u8) -> Lease<u8, u64, &'static str> {
    match cache.claim(&key) {
        Claim::Vacant(lease) => lease,
        Claim::Ready(_) | Claim::Pending(_) => panic!("{key} is not vacant"),
    }
}

fn waiter(cache: &Cache, key: u8) -> Waiter<u64, &'static str> {
    match cache.claim(&key) {
        Claim::Pending(waiter) => waiter,
        Claim::Ready(_) | Claim::Vacant(_) => panic!("{key} is not pending"),
    }
}

#[tokio::test]
async fn one_lease_answers_everybody() {
    let cache = Cache::new(100);
    let producer = lease(&cache, 1);
    let waiters = [producer.waiter(), waiter(&cache, 1), waiter(&cache, 1)];
    producer.complete(7, 10, None);
    for waiter in waiters {
        assert_eq!(waiter.wait().await, Some(Ok(7)));
    }
    assert_eq!(cache.ready(&1), Some(7));
    assert_eq!(cache.bytes(), 10);
}

#[tokio::test]
async fn a_failure_is_told_and_not_kept() {
    let cache = Cache::new(100);
    let producer = lease(&cache, 1);
    let other = waiter(&cache, 1);
    producer.fail("away");
    assert_eq!(other.wait().await, Some(Err("away")));
    lease(&cache, 1).complete(8, 10, None);
    assert_eq!(cache.ready(&1), Some(8));
}

#[tokio::test]
async fn a_dropped_lease_frees_its_key_and_tells_the_waiters() {
    let cache = Cache::new(100);
    let producer = lease(&cache, 1);
    let other = waiter(&cache, 1);
    drop(producer);
    assert_eq!(other.wait().await, None);
    assert!(cache.is_vacant(&1));
}

#[tokio::test]
async fn a_value_larger_than_the_cache_reaches_its_waiters_only() {
    let cache = Cache::new(100);
    lease(&cache, 1).complete(1, 60, None);
    let producer = lease(&cache, 2);
    let other = waiter(&cache, 2);
    producer.complete(2, 101, None);
    assert_eq!(other.wait().await, Some(Ok(2)));
    assert!(cache.is_vacant(&2));
    assert_eq!(cache.ready(&1), Some(1), "nothing had to go for what could not stay");
}

#[test]
fn the_permit_of_what_was_read_ahead_goes_back_when_it_is_read_or_evicted() {
    let cache = Cache::new(100);
    let unread = ByteBudget::new("unread", 1 << 20);
    let put = |key, bytes| {
        let lease = cache.claim_vacant(&key).expect("vacant");
        lease.complete(0, bytes, unread.try_acquire(1024));
    };
    put(1, 50);
    put(2, 50);
    assert_eq!(unread.in_use(), 2048);
    assert!(matches!(cache.claim(&2), Claim::Ready(0)));
    assert_eq!(unread.in_use(), 1024, "2 was read");
    put(3, 50);
    assert!(cache.is_vacant(&1), "1 was used least recently");
    assert_eq!(unread.in_use(), 1024, "1 was evicted, 3 came");
}

#[test]
fn what_a_reader_waits_for_is_not_read_ahead_any_more() {
    let cache = Cache::new(100);
    let unread = ByteBudget::new("unread", 1 << 20);
    let ahead = cache.claim_vacant(&1).expect("vacant");
    let _reader = waiter(&cache, 1);
    ahead.complete(0, 10, unread.try_acquire(1024));
    assert_eq!(unread.in_use(), 0);
}

#[test]
fn looking_ahead_is_no_use_of_a_value() {
    let cache = Cache::new(100);
    lease(&cache, 1).complete(1, 50, None);
    lease(&cache, 2).complete(2, 50, None);
    assert!(cache.claim_vacant(&1).is_none());
    lease(&cache, 3).complete(3, 50, None);
    assert!(cache.is_vacant(&1));
    assert_eq!(cache.ready(&2), Some(2));
}

proptest! {
    /// Against a list in order of use: the same keys are there after every step, and never too many bytes.
    #[test]
    fn the_least_recently_used_go_first_and_the_bytes_never_exceed_the_capacity(
        steps in prop::collection::vec((0u8..12, 0u64..60), 1..200),
    ) {
        const CAPACITY: u64 = 100;
        let cache = Cache::new(CAPACITY);
        let mut model: Vec<(u8, u64)> = Vec::new();
        for (key, bytes) in steps {
            match cache.claim(&key) {
                Claim::Ready(value) => {
                    prop_assert_eq!(value, u64::from(key));
                    let at = model.iter().position(|(k, _)| *k == key);
                    prop_assert!(at.is_some());
                    let used = model.remove(at.unwrap());
                    model.push(used);
                }
                Claim::Vacant(lease) => {
                    prop_assert!(model.iter().all(|(k, _)| *k != key));
                    lease.complete(u64::from(key), bytes, None);
                    while model.iter().map(|(_, b)| b).sum::<u64>() + bytes > CAPACITY {
                        model.remove(0);
                    }
                    model.push((key, bytes));
                }
                Claim::Pending(_) => prop_assert!(false, "nothing is pending between steps"),
            }
            prop_assert_eq!(cache.bytes(), model.iter().map(|(_, b)| b).sum::<u64>());
            prop_assert!(cache.bytes() <= CAPACITY);
        }
    }
}
