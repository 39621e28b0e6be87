use super::*;
use crate::archive::manifest::model::{CleanPoint, GapReason, RESERVE, Removed, RemovedObject};
use crate::archive::testing::{NOW_MS, segment};
use crate::base::Uuid;

fn good() -> Manifest {
    let mut manifest = Manifest::empty(Uuid([1; 16]), 0, NOW_MS);
    manifest.entries = vec![
        Entry::Segment(Box::new(segment("a", 0, 10, 8, Some(NOW_MS)))),
        Entry::gap(10, 15, GapReason::Aborted),
        Entry::Segment(Box::new(segment("b", 15, 20, 5, None))),
    ];
    (manifest.next, manifest.reserved) = (20, 20 + RESERVE);
    manifest.epochs = vec![EpochStart(1, 0), EpochStart(4, 15)];
    manifest.cleaned = vec![CleanPoint(10, NOW_MS), CleanPoint(20, NOW_MS)];
    manifest
}

#[test]
fn a_good_version_passes() {
    check(&good()).unwrap();
    check_next(&Manifest::empty(Uuid([1; 16]), 0, NOW_MS), 3, &good(), 3).unwrap();
}

#[test]
fn every_rule_can_be_broken() {
    type Break = fn(&mut Manifest);
    let breaks: [(Invariant, Break); 14] = [
        (Invariant::Contiguous, |m| drop(m.entries.remove(1))),
        (Invariant::Contiguous, |m| m.entries[1] = Entry::gap(10, 10, GapReason::Aborted)),
        (Invariant::Contiguous, |m| m.next = 21),
        (Invariant::Contiguous, |m| drop(m.entries.remove(0))),
        (Invariant::Monotone, |m| m.reserved = 19),
        (Invariant::Monotone, |m| m.log_start = -1),
        (Invariant::UniqueNames, |m| m.entries[2] = Entry::Segment(Box::new(segment("a", 15, 20, 5, None)))),
        (Invariant::UniqueNames, |m| {
            let what = RemovedObject::segment("b", 1);
            m.removed.push(Removed { what, at_ms: 1, by: None, unknown: Default::default() });
        }),
        (Invariant::AddsUp, |m| match &mut m.entries[0] {
            Entry::Segment(segment) => segment.aborted = 1,
            Entry::Gap(_) => {}
        }),
        (Invariant::Epochs, |m| m.epochs.swap(0, 1)),
        (Invariant::Epochs, |m| m.epochs.push(EpochStart(5, 15))),
        (Invariant::Epochs, |m| m.epochs.push(EpochStart(5, 20))),
        (Invariant::Cleaned, |m| m.cleaned.swap(0, 1)),
        (Invariant::Bounded, |m| {
            m.entries.splice(1..2, (10..15).flat_map(|at| [Entry::gap(at, at + 1, GapReason::Aborted)]));
            m.entries.extend((20..30).map(|at| Entry::gap(at, at + 1, GapReason::Control)));
            m.next = 30;
        }),
    ];
    for (index, (invariant, break_it)) in breaks.into_iter().enumerate() {
        let mut manifest = good();
        break_it(&mut manifest);
        assert_eq!(check(&manifest).unwrap_err().invariant, invariant, "number {index}");
    }
}

#[test]
fn a_successor_never_goes_back() {
    let head = good();
    let after = |change: fn(&mut Manifest), epoch| {
        let mut next = good();
        change(&mut next);
        check_next(&head, 3, &next, epoch).map_err(|violation| violation.invariant)
    };
    assert_eq!(after(|_| {}, 3), Ok(()));
    assert_eq!(after(|_| {}, 2), Err(Invariant::Epochs));
    assert_eq!(after(|m| m.reserved -= 1, 3), Err(Invariant::Monotone));
    assert_eq!(after(|m| m.partition = 1, 3), Err(Invariant::Identity));
    let back = |m: &mut Manifest| {
        m.entries.pop();
        m.next = 15;
        m.epochs.pop();
    };
    assert_eq!(after(back, 3), Err(Invariant::Monotone));
}
