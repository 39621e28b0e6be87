use proptest::prelude::*;

use super::*;

#[test]
fn roles_survive_as_tokens() {
    for role in [Role::Plain, Role::Control, Role::Part(0), Role::Part(7 << 32), Role::Part(i64::MAX)] {
        assert_eq!(Role::of_token(role.to_token()), role);
    }
}

/// What each offset is: data of a producer, or its marker.
#[derive(Clone, Copy, Debug)]
enum Step {
    Part(i64),
    Plain,
    End(i64, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0i64..4).prop_map(Step::Part),
        1 => Just(Step::Plain),
        2 => (0i64..4, any::<bool>()).prop_map(|(id, committed)| Step::End(id, committed)),
    ];
    prop::collection::vec(step, 0..60)
}

/// The outcome of the data at `at`, by looking for its marker.
fn outcome(steps: &[Step], at: usize) -> Option<bool> {
    let Step::Part(id) = steps[at] else { return None };
    steps[at..].iter().find_map(|step| match step {
        Step::End(end, committed) if *end == id => Some(*committed),
        _ => None,
    })
}

proptest! {
    #[test]
    fn the_lso_is_the_first_undecided_record_and_the_aborted_are_those_whose_marker_says_so(
        steps in steps(), durable in 0usize..60, from in 0usize..60, len in 0usize..60, lag in 0usize..5,
    ) {
        let mut transactions = Transactions::default();
        for (offset, step) in steps.iter().enumerate() {
            match step {
                Step::Part(id) => transactions.part(*id, offset as i64),
                Step::Plain => {}
                Step::End(id, true) => transactions.ends(*id, Outcome::Committed, offset as i64),
                Step::End(id, false) => transactions.ends(*id, Outcome::Aborted, offset as i64),
            }
            if lag == 0 || offset % lag == 0 {
                transactions.durable(offset as i64 + 1);
            }
        }
        transactions.durable(steps.len() as i64);
        let undecided = (0..steps.len()).find(|at| matches!(steps[*at], Step::Part(_)) && outcome(&steps, *at).is_none());
        prop_assert_eq!(transactions.first_open(), undecided.map(|at| at as i64));
        for at in 0..steps.len() {
            if let Step::Part(id) = steps[at] {
                let aborted = outcome(&steps, at) == Some(false);
                prop_assert_eq!(transactions.is_aborted(Role::Part(id), at as i64), aborted, "offset {}", at);
                // A reader of a range that holds the record is told of its transaction.
                if aborted && (from..from + len).contains(&at) {
                    let told = transactions.aborted_in(from as i64, (from + len) as i64)
                        .any(|a| a.producer_id == id && a.first <= at as i64 && at as i64 <= a.last);
                    prop_assert!(told, "offset {}", at);
                }
            }
        }
        let mut forgetful = transactions.clone();
        forgetful.forget_below(durable as i64);
        for (at, step) in steps.iter().enumerate().skip(durable) {
            if let Step::Part(id) = step {
                let role = Role::Part(*id);
                prop_assert_eq!(forgetful.is_aborted(role, at as i64), transactions.is_aborted(role, at as i64));
            }
        }
    }
}

#[test]
fn an_end_counts_when_it_is_durable() {
    let mut transactions = Transactions::default();
    transactions.part(1, 5);
    transactions.part(1, 6);
    transactions.ends(1, Outcome::Aborted, 7);
    transactions.durable(7);
    assert_eq!((transactions.first_open(), transactions.aborted_in(0, 100).count()), (Some(5), 0));
    transactions.durable(8);
    assert_eq!(transactions.first_open(), None);
    let aborted: Vec<_> = transactions.aborted_in(6, 7).copied().collect();
    assert_eq!(aborted, [Aborted { producer_id: 1, first: 5, last: 7 }]);
}

#[test]
fn a_marker_without_records_here_says_nothing() {
    let mut transactions = Transactions::default();
    transactions.ends(1, Outcome::Aborted, 7);
    transactions.durable(8);
    assert_eq!(transactions, Transactions::default());
}
