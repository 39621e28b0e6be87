//! Every transition of a transactional id, and every refusal, as Kafka has them.
use super::*;
use crate::base::Uuid;

mod model;

const PLACE: TopicPartition = TopicPartition { topic: Uuid([1; 16]), partition: 0 };
const OTHER: TopicPartition = TopicPartition { topic: Uuid([1; 16]), partition: 1 };
const FRESH: i64 = 900;
const ID: i64 = 7;

fn who(epoch: i16) -> Identity {
    Identity { id: ID, epoch }
}

/// An id at epoch 5 whose producer has id 7, in some state.
fn at(status: Status) -> Transaction {
    let mut entry = Entry { epoch: 5, status, start_ms: 100, ..Entry::new(ID, 1000, 100) };
    if status == Status::Ongoing {
        entry.partitions.entry(PLACE.topic).or_default().insert(PLACE.partition);
        entry.groups.insert("g".to_owned());
    }
    Transaction::new(entry)
}

/// The same after an end of this version: at epoch 6 with TV2.
fn after(version: i8, outcome: Outcome) -> Transaction {
    let mut transaction = at(Status::Ongoing);
    let ending = transaction.ending_of(EndCall { producer: who(5), outcome, version }, 200, || FRESH);
    transaction.begin(ending);
    transaction
}

fn ended(version: i8, outcome: Outcome) -> Transaction {
    let mut transaction = after(version, outcome);
    transaction.ended();
    transaction
}

fn init(transaction: &Transaction, expected: Option<Identity>) -> Result<Init, TxnError> {
    transaction.init(expected, 2000, 300, || FRESH)
}

fn given(transaction: &Transaction, expected: Option<Identity>) -> Entry {
    match init(transaction, expected).unwrap() {
        Init::Given(entry) => entry,
        Init::AbortFirst(ending) => panic!("{ending:?}"),
    }
}

fn fenced(got: i16, current: i16) -> TxnError {
    TxnError::Fenced { got, current }
}

#[test]
fn a_producer_that_comes_gets_the_next_epoch_and_leaves_nothing_of_what_was() {
    for status in [Status::Empty, Status::Committed, Status::Aborted] {
        let entry = given(&at(status), None);
        let expected = Entry { epoch: 6, timeout_ms: 2000, update_ms: 300, ..Entry::new(ID, 0, 0) };
        assert_eq!(entry, expected, "{status:?}");
    }
}

#[test]
fn a_producer_that_says_who_it_is_goes_on_or_is_fenced() {
    let last = |last_epoch| {
        let mut transaction = at(Status::Empty);
        transaction.entry.last_epoch = last_epoch;
        transaction
    };
    let entry = given(&last(NO_EPOCH), Some(who(5)));
    assert_eq!((entry.epoch, entry.last_epoch), (6, 5));
    let entry = given(&last(4), Some(who(4)));
    assert_eq!((entry.epoch, entry.last_epoch), (5, 4), "the same call again");
    for expected in [who(3), who(6), Identity { id: 8, epoch: 5 }] {
        assert_eq!(init(&last(4), Some(expected)), Err(fenced(expected.epoch, 5)), "{expected:?}");
    }
    let entry = given(&Transaction::new(entry), None);
    assert_eq!((entry.epoch, entry.last_epoch), (6, NO_EPOCH), "another instance: nobody else goes on");
}

#[test]
fn epochs_that_are_used_up_bring_a_new_producer_id_that_remembers_the_old_one() {
    let mut transaction = at(Status::Committed);
    transaction.entry.epoch = i16::MAX - 1;
    for expected in [None, Some(who(i16::MAX - 1))] {
        let entry = given(&transaction, expected);
        let last_epoch = expected.map_or(NO_EPOCH, |who| who.epoch);
        assert_eq!((entry.producer_id, entry.epoch), (FRESH, 0));
        assert_eq!((entry.previous_producer_id, entry.last_epoch), (ID, last_epoch));
    }
    let rotated = Transaction::new(given(&transaction, Some(who(i16::MAX - 1))));
    assert_eq!(given(&rotated, Some(who(i16::MAX - 1))).identity(), Identity { id: FRESH, epoch: 0 }, "again");
    assert_eq!(init(&rotated, Some(who(3))), Err(fenced(3, 0)));
    // The last epoch that may be given out is answered again as it is; the one behind it, which fenced, is not given out.
    transaction.entry.last_epoch = i16::MAX - 2;
    assert_eq!(given(&transaction, Some(who(i16::MAX - 2))).identity(), who(i16::MAX - 1));
    (transaction.entry.epoch, transaction.entry.last_epoch) = (i16::MAX, i16::MAX - 1);
    assert_eq!(given(&transaction, Some(who(i16::MAX - 1))).identity(), Identity { id: FRESH, epoch: 0 });
}

#[test]
fn an_open_transaction_is_aborted_first() {
    let Init::AbortFirst(ending) = init(&at(Status::Ongoing), None).unwrap() else { panic!("not aborted") };
    assert_eq!(ending.marker, TransactionEnd { producer_id: ID, producer_epoch: 6, outcome: Outcome::Aborted });
    assert_eq!((ending.entry.epoch, ending.entry.last_epoch, ending.entry.status), (6, NO_EPOCH, Status::Aborted));
    assert!(ending.entry.partitions.is_empty() && ending.entry.groups.is_empty());
    assert!(ending.groups.contains("g") && ending.partitions[&PLACE.topic].contains(&0));
    // Its own instance goes on afterwards, at the epoch of the abort.
    let mut transaction = at(Status::Ongoing);
    let Init::AbortFirst(ending) = init(&transaction, Some(who(5))).unwrap() else { panic!("not aborted") };
    transaction.begin(ending);
    assert_eq!(init(&transaction, Some(who(5))), Err(TxnError::Concurrent));
    transaction.ended();
    assert_eq!(given(&transaction, Some(who(5))).identity(), who(6));
    // An old instance does not get it aborted.
    for expected in [who(4), who(6), Identity { id: 8, epoch: 5 }] {
        assert_eq!(init(&at(Status::Ongoing), Some(expected)), Err(fenced(expected.epoch, 5)));
    }
}

#[test]
fn only_its_producer_adds_to_a_transaction_and_the_first_addition_opens_it() {
    let add =
        |transaction: &Transaction, producer, places: &[_], group| transaction.add(producer, (places, group), 0, 300);
    for status in [Status::Empty, Status::Committed, Status::Aborted] {
        let entry = add(&at(status), who(5), &[PLACE, OTHER], None).unwrap().unwrap();
        assert_eq!((entry.status, entry.start_ms, entry.deadline_ms()), (Status::Ongoing, 300, Some(1300)));
        assert!(entry.has(PLACE) && entry.has(OTHER));
    }
    let open = at(Status::Ongoing);
    assert_eq!(add(&open, who(5), &[PLACE], Some("g")), Ok(None), "all there");
    let entry = add(&open, who(5), &[OTHER], Some("h")).unwrap().unwrap();
    assert_eq!((entry.start_ms, entry.groups.len(), entry.has(PLACE)), (100, 2, true));
    for status in [Status::Empty, Status::Ongoing, Status::Committed, Status::Aborted] {
        assert_eq!(add(&at(status), Identity { id: 8, epoch: 5 }, &[PLACE], None), Err(TxnError::UnknownProducerId));
        for epoch in [4, 6] {
            assert_eq!(add(&at(status), who(epoch), &[PLACE], None), Err(fenced(epoch, 5)));
        }
    }
    assert_eq!(add(&after(0, Outcome::Committed), who(5), &[PLACE], None), Err(TxnError::Concurrent));
    assert_eq!(add(&after(TV2, Outcome::Committed), who(5), &[PLACE], None), Err(fenced(5, 6)));
    assert_eq!(add(&after(TV2, Outcome::Committed), who(6), &[PLACE], None), Err(TxnError::Concurrent));
}

#[test]
fn what_is_not_in_the_open_transaction_is_not_written() {
    assert_eq!(at(Status::Ongoing).verify(who(5), PLACE), Ok(()));
    assert_eq!(at(Status::Ongoing).verify(who(5), OTHER), Err(TxnError::Abortable));
    assert_eq!(at(Status::Ongoing).verify_group(who(5), "g"), Ok(()));
    assert_eq!(at(Status::Ongoing).verify_group(who(5), "h"), Err(TxnError::Abortable));
    assert_eq!(at(Status::Ongoing).verify(who(4), PLACE), Err(fenced(4, 5)));
    assert_eq!(after(0, Outcome::Aborted).verify(who(5), PLACE), Err(TxnError::Concurrent));
    assert_eq!(ended(0, Outcome::Aborted).verify(who(5), PLACE), Err(TxnError::Abortable));
    assert_eq!(ended(0, Outcome::Aborted).verify_group(who(5), "g"), Err(TxnError::Abortable));
    assert_eq!(ended(TV2, Outcome::Aborted).verify(who(5), PLACE), Err(fenced(5, 6)));
}

/// What an EndTxn comes to, in a word.
fn end(transaction: &Transaction, version: i8, epoch: i16, outcome: Outcome) -> &'static str {
    match transaction.end(EndCall { producer: who(epoch), outcome, version }, 300, || FRESH) {
        Ok(End::Now(_)) => "now",
        Ok(End::Before(_)) => "before",
        Err(TxnError::Concurrent) => "concurrent",
        Err(TxnError::InvalidState(_)) => "invalid",
        Err(TxnError::Fenced { .. }) => "fenced",
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn ends_are_taken_answered_again_or_refused() {
    use Outcome::{Aborted, Committed};
    // Version, state, the epoch that the producer gives: what a commit comes to, and an abort.
    let table: &[(i8, Transaction, i16, &str, &str)] = &[
        (0, at(Status::Empty), 5, "invalid", "invalid"),
        (0, at(Status::Ongoing), 5, "now", "now"),
        (0, at(Status::Ongoing), 4, "fenced", "fenced"),
        (0, at(Status::Ongoing), 6, "fenced", "fenced"),
        (0, after(0, Committed), 5, "concurrent", "invalid"),
        (0, after(0, Aborted), 5, "invalid", "concurrent"),
        (0, ended(0, Committed), 5, "before", "invalid"),
        (0, ended(0, Aborted), 5, "invalid", "before"),
        (0, ended(0, Committed), 4, "fenced", "fenced"),
        (TV2, at(Status::Empty), 5, "invalid", "now"),
        (TV2, at(Status::Empty), 4, "fenced", "fenced"),
        (TV2, at(Status::Ongoing), 5, "now", "now"),
        (TV2, at(Status::Ongoing), 4, "fenced", "fenced"),
        (TV2, after(TV2, Committed), 5, "concurrent", "invalid"),
        (TV2, after(TV2, Aborted), 5, "invalid", "concurrent"),
        (TV2, ended(TV2, Committed), 5, "before", "invalid"),
        (TV2, ended(TV2, Aborted), 5, "invalid", "before"),
        (TV2, ended(TV2, Committed), 6, "invalid", "now"),
        (TV2, ended(TV2, Aborted), 6, "invalid", "now"),
        (TV2, ended(TV2, Committed), 4, "fenced", "fenced"),
        (TV2, ended(TV2, Committed), 7, "fenced", "fenced"),
    ];
    for (version, transaction, epoch, commit, abort) in table {
        let found = [Committed, Aborted].map(|outcome| end(transaction, *version, *epoch, outcome));
        assert_eq!(found, [*commit, *abort], "version {version}, epoch {epoch}, {}", transaction.state_name());
    }
    let stranger = EndCall { producer: Identity { id: 8, epoch: 5 }, outcome: Committed, version: TV2 };
    assert_eq!(at(Status::Ongoing).end(stranger, 300, || FRESH), Err(TxnError::UnknownProducerId));
}

#[test]
fn an_end_of_the_newer_version_raises_the_epoch_and_of_the_older_one_does_not() {
    for (version, marker, epoch, last) in [(0, 5, 5, NO_EPOCH), (TV2, 6, 6, 5)] {
        for outcome in [Outcome::Committed, Outcome::Aborted] {
            let call = EndCall { producer: who(5), outcome, version };
            let End::Now(ending) = at(Status::Ongoing).end(call, 300, || FRESH).unwrap() else { panic!("not now") };
            assert_eq!(ending.marker, TransactionEnd { producer_id: ID, producer_epoch: marker, outcome });
            assert_eq!((ending.entry.identity(), ending.entry.last_epoch), (who(epoch), last));
        }
    }
}

#[test]
fn a_transaction_that_was_aborted_with_nothing_in_it_began_with_its_end() {
    let call = EndCall { producer: who(5), outcome: Outcome::Aborted, version: TV2 };
    for (status, start_ms) in [(Status::Empty, 300), (Status::Committed, 300), (Status::Ongoing, 100)] {
        let End::Now(ending) = at(status).end(call, 300, || FRESH).unwrap() else { panic!("not now") };
        assert_eq!(ending.entry.start_ms, start_ms, "{status:?}");
    }
}

#[test]
fn the_end_at_the_last_epoch_brings_a_new_producer_id_and_is_answered_again() {
    let mut transaction = at(Status::Ongoing);
    transaction.entry.epoch = i16::MAX - 1;
    let call = EndCall { producer: who(i16::MAX - 1), outcome: Outcome::Committed, version: TV2 };
    let End::Now(ending) = transaction.end(call, 300, || FRESH).unwrap() else { panic!("not now") };
    assert_eq!((ending.marker.producer_id, ending.marker.producer_epoch), (ID, i16::MAX));
    let next = Identity { id: FRESH, epoch: 0 };
    assert_eq!(ending.entry.identity(), next);
    transaction.begin(ending);
    assert_eq!(transaction.end(call, 300, || 1), Err(TxnError::Concurrent));
    transaction.ended();
    assert_eq!(transaction.end(call, 300, || 1), Ok(End::Before(next)));
    let other = EndCall { outcome: Outcome::Aborted, ..call };
    assert!(matches!(transaction.end(other, 300, || 1), Err(TxnError::InvalidState(_))));
    assert_eq!(transaction.check(next), Ok(()));
    assert_eq!(transaction.check(call.producer), Err(TxnError::UnknownProducerId));
}

#[test]
fn a_fence_aborts_what_is_open_and_whoever_had_it_open_goes_on_when_it_asks_for_its_id() {
    for status in [Status::Empty, Status::Committed, Status::Aborted] {
        assert_eq!(at(status).fence(300), None);
    }
    let mut transaction = at(Status::Ongoing);
    let ending = transaction.fence(300).unwrap();
    assert_eq!((ending.marker.producer_epoch, ending.marker.outcome), (6, Outcome::Aborted));
    transaction.begin(ending);
    assert_eq!((transaction.fence(300), transaction.state_name()), (None, "PrepareAbort"));
    transaction.ended();
    for version in [0, TV2] {
        for outcome in [Outcome::Committed, Outcome::Aborted] {
            assert_eq!(end(&transaction, version, 5, outcome), "fenced");
        }
    }
    // The one that was too slow is given the epoch of the abort, and nobody else is.
    assert_eq!(given(&transaction, Some(who(5))).identity(), who(6));
    assert_eq!(init(&transaction, Some(who(4))), Err(fenced(4, 6)));
    assert_eq!(given(&transaction, None).identity(), who(7));
}

#[test]
fn a_producer_of_the_newer_version_goes_on_after_a_fence_when_it_aborts_too() {
    let mut transaction = at(Status::Ongoing);
    transaction.entry.version = TV2;
    let ending = transaction.fence(300).unwrap();
    transaction.begin(ending);
    let abort = EndCall { producer: who(5), outcome: Outcome::Aborted, version: TV2 };
    assert_eq!(transaction.end(abort, 400, || FRESH), Err(TxnError::Concurrent));
    transaction.ended();
    assert_eq!(transaction.verify(who(5), PLACE), Err(fenced(5, 6)));
    assert_eq!(end(&transaction, TV2, 5, Outcome::Committed), "invalid");
    assert_eq!(transaction.end(abort, 400, || FRESH), Ok(End::Before(who(6))));
    // Not so when the fence was for another instance.
    let mut transaction = at(Status::Ongoing);
    transaction.entry.version = TV2;
    let Init::AbortFirst(ending) = init(&transaction, None).unwrap() else { panic!("not aborted") };
    transaction.begin(ending);
    transaction.ended();
    assert_eq!(transaction.end(abort, 400, || FRESH), Err(fenced(5, 6)));
}

#[test]
fn ids_expire_when_nobody_uses_them_and_never_while_something_is_open() {
    assert!(!at(Status::Empty).entry.is_expired(1099, 1000));
    assert!(at(Status::Empty).entry.is_expired(1100, 1000));
    assert!(!at(Status::Ongoing).entry.is_expired(i64::MAX, 1000));
}

#[test]
fn the_item_of_an_id_is_a_format() {
    let mut entry = at(Status::Ongoing).entry;
    entry.partitions.entry(PLACE.topic).or_default().insert(3);
    let text = r#"{"epoch":5,"groups":["g"],"last_epoch":-1,"partitions":{"AQEBAQEBAQEBAQEBAQEBAQ":[0,3]},"previous_producer_id":-1,"producer_id":7,"start_ms":100,"status":"ongoing","timeout_ms":1000,"update_ms":100,"version":0}"#;
    assert_eq!(serde_json::to_value(&entry).unwrap().to_string(), text);
    assert_eq!(serde_json::from_str::<Entry>(text).unwrap(), entry);
    let with_more = text.replace("\"version\":0", "\"version\":0,\"later\":1");
    assert_eq!(serde_json::from_str::<Entry>(&with_more).unwrap(), entry, "unknown fields are ignored");
    for status in [Status::Empty, Status::Committed, Status::Aborted] {
        let entry = at(status).entry;
        assert_eq!(serde_json::from_value::<Entry>(serde_json::to_value(&entry).unwrap()).unwrap(), entry);
    }
}
