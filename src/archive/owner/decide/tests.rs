use super::*;
use crate::store::envelope::Unknown;

const CLUSTER: Uuid = Uuid([1; 16]);
const WAL: Uuid = Uuid([2; 16]);
const OTHER: Uuid = Uuid([3; 16]);
const NEXT: Uuid = Uuid([4; 16]);

fn version(event: Event, wal_id: Uuid, lock: Option<LockFile>) -> OwnerVersion {
    OwnerVersion {
        event,
        cluster_id: CLUSTER,
        broker_id: 1,
        wal_id,
        born: 4,
        after_release: false,
        address: "here:9092".into(),
        lock,
        at_ms: 0,
        unknown: Unknown::new(),
    }
}

fn wal(last_group: u64, last_crc: u32, followed: bool, may_be_short: bool) -> Disk {
    let ends = BTreeMap::new();
    Disk::Wal {
        cluster_id: CLUSTER,
        broker_id: 1,
        wal_id: WAL,
        born: 4,
        last_group,
        last_crc,
        followed,
        ends,
        next_wal_id: NEXT,
        may_be_short,
    }
}

/// Decides for broker 1; `known` is the greatest mark of its WAL.
fn decided(
    disk: Disk,
    known: Option<(u64, u32)>,
    newest: Option<OwnerVersion>,
    take_over: bool,
    unsealed: bool,
) -> Result<Decided, OwnerError> {
    let random = Random::seeded(1);
    let place = Place { url: "memory://b".into(), cluster_id: CLUSTER, random: &random };
    let one = Unsealed { topic: "t".into(), partition: 0, first: 5, next: 9 };
    let facts = DiskFacts {
        known: known.map(|(group, crc)| WalMark::new(WAL, group, crc)),
        served: known.is_some(),
        unsealed: unsealed.then_some(one).into_iter().collect(),
    };
    let claim = Claim { broker_id: 1, address: "here:9092".into(), disk, lock: None, take_over };
    decide(&claim, &facts, newest.as_ref().map(|version| Newest { epoch: 9, version }), &place)
}

#[test]
fn a_disk_is_the_same_when_its_last_group_is_at_or_above_all_that_the_bucket_knows() {
    use Standing::{Damaged, OldCopy, Reaches};
    let short = |ends_at, known| Short { ends_at, known };
    // (last group and CRC, something follows it, may be short, known group and CRC, what it is)
    let cases = [
        ((9, 7), false, false, None, Reaches),
        ((9, 7), false, false, Some((8, 3)), Reaches),
        ((9, 7), false, false, Some((9, 7)), Reaches),
        // Everything was sealed, released or condensed: numbers alone count.
        ((1_000, 7), true, false, Some((999, 3)), Reaches),
        // The same number, but not the same group: it went on elsewhere.
        ((9, 7), false, false, Some((9, 8)), OldCopy(short(9, 9))),
        ((9, 7), false, false, Some((10, 7)), OldCopy(short(9, 10))),
        ((0, 0), false, false, Some((1, 7)), OldCopy(short(0, 1))),
        // What follows the end was there once: damage, be it what looks like a torn tail.
        ((9, 7), true, false, Some((10, 7)), Damaged(short(9, 10))),
        ((9, 7), true, false, Some((9, 7)), Reaches),
        // After a reboot without syncs, or an accepted loss.
        ((9, 7), false, true, Some((10, 7)), Reaches),
        ((9, 7), true, true, Some((10, 7)), Reaches),
    ];
    for (last, followed, may_be_short, known, expected) in cases {
        let known = known.map(|(group, crc)| WalMark::new(WAL, group, crc));
        let found = standing(last, followed, may_be_short, known.as_ref());
        assert_eq!(found, expected, "{last:?} {followed} {may_be_short} {known:?}");
    }
}

#[test]
fn the_last_claim_and_the_disk_decide_who_goes_on() {
    let claim = || Some(version(Event::Claim, WAL, None));
    let release = || Some(version(Event::Release, WAL, None));
    let goes_on = |decided: Result<Decided, OwnerError>| match decided {
        Ok(Decided { plan: WalPlan::Continue, wal_id, born: Some(4), .. }) => assert_eq!(wal_id, WAL),
        other => panic!("{other:?}"),
    };
    let begins = |decided: Result<Decided, OwnerError>, released: bool| match decided {
        Ok(Decided { plan: WalPlan::Begin { wal_id }, born: None, after_release, .. }) => {
            assert!(wal_id != WAL && after_release == released, "an id is never used for two WALs");
        }
        other => panic!("{other:?}"),
    };
    let owned = |decided: Result<Decided, OwnerError>| match decided {
        Err(OwnerError::Owned { epoch: 9, short, .. }) => short,
        other => panic!("{other:?}"),
    };
    let known = Some((10, 7));
    // The disk of the last claim or release.
    goes_on(decided(wal(10, 7, false, false), known, claim(), false, true));
    goes_on(decided(wal(12, 1, true, false), known, release(), false, true));
    goes_on(decided(wal(5, 1, false, true), known, claim(), false, true));
    // An old copy of it is another disk; what only it holds is named first.
    assert_eq!(
        owned(decided(wal(9, 1, false, false), known, claim(), false, false)),
        Some(Short { ends_at: 9, known: 10 })
    );
    begins(decided(wal(9, 1, false, false), known, claim(), true, false), false);
    begins(decided(wal(9, 1, false, false), known, release(), false, false), true);
    let taken = decided(wal(9, 1, false, false), known, claim(), true, true).unwrap_err();
    assert!(taken.to_string().contains("t-0 5..9"), "{taken}");
    // One that is damaged at its end is refused whatever is given.
    for take_over in [false, true] {
        let damaged = decided(wal(9, 1, true, false), known, claim(), take_over, false).unwrap_err();
        let OwnerError::Damaged { short: Short { ends_at: 9, known: 10 }, .. } = damaged else { panic!("{damaged}") };
        assert!(damaged.to_string().contains("accept-loss"), "{damaged}");
    }
    // Somebody else's last claim, or one that a later build made.
    for newest in [version(Event::Claim, OTHER, None), version(Event::Unknown, WAL, None)] {
        assert_eq!(owned(decided(wal(10, 7, false, false), known, Some(newest.clone()), false, false)), None);
        begins(decided(wal(10, 7, false, false), known, Some(newest.clone()), true, false), false);
        let taken = decided(wal(10, 7, false, false), known, Some(newest), true, true).unwrap_err();
        assert!(matches!(taken, OwnerError::TakenOver { .. }), "{taken}");
    }
    begins(decided(wal(10, 7, false, false), known, Some(version(Event::Release, OTHER, None)), false, false), true);
}

#[test]
fn an_old_copy_is_named_in_words() {
    let refused = decided(wal(9, 1, false, false), Some((10, 7)), Some(version(Event::Claim, WAL, None)), false, false);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("old copy") && text.contains("group 9") && text.contains("group 10"), "{text}");
    assert!(text.contains("here:9092") && text.contains("--take-over"), "{text}");
}

#[test]
fn a_life_waits_where_the_last_one_may_still_run_and_leaves_a_gap_on_a_copy_by_files() {
    let lock = |boot, device, inode| Some(LockFile::new(boot, device, inode));
    let entered = |waits, leaves_gap| Entry { waits, leaves_gap };
    // (lock of the last life, lock of this one, what follows)
    let cases = [
        (lock(1, 2, 3), lock(1, 2, 3), entered(false, false)), // a restart
        (lock(1, 2, 3), lock(9, 2, 3), entered(true, false)),  // after a reboot, or the disk in another machine
        (lock(1, 2, 3), lock(9, 8, 3), entered(true, false)),  // which numbers devices otherwise
        (lock(1, 2, 3), lock(1, 2, 7), entered(true, true)),   // a copy by files beside it
        (lock(1, 2, 3), lock(9, 8, 7), entered(true, true)),   // or elsewhere
        (lock(1, 2, 3), lock(1, 8, 3), entered(true, true)),   // the same number on another device of this machine
        (None, lock(1, 2, 3), entered(false, false)),
        (lock(1, 2, 3), None, entered(false, false)),
    ];
    for (then, now, expected) in cases {
        let ours = version(Event::Claim, WAL, now.clone());
        let last = version(Event::Claim, WAL, then.clone());
        assert_eq!(entry(Some(&last), &ours), expected, "{then:?} {now:?}");
        let released = version(Event::Release, WAL, then.clone());
        assert_eq!(entry(Some(&released), &ours), Entry::default(), "a life that released runs no more");
        let other = version(Event::Claim, OTHER, then);
        assert_eq!(entry(Some(&other), &ours), Entry::default(), "the chains fence another WAL's life");
    }
    assert_eq!(entry(None, &version(Event::Claim, WAL, lock(1, 2, 3))), Entry::default());
}
