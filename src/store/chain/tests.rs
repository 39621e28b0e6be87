//! The chain against a store that fails: tables of every fault at every call, and random schedules of several writers and a
//! collector. Always: a commit ends in committed, lost or fenced once the store answers, and nobody wins a number twice.
use std::collections::BTreeMap;
use std::pin::Pin;

use proptest::prelude::*;

use super::super::testing::{Call, Fault, Faulty};
use super::*;
use crate::base::Random;

const SCHEMA: Schema = Schema { kind: "test", format: 1, features: &["known"] };
const FAULTS: [Option<Fault>; 7] = [
    None,
    Some(Fault::Failed),
    Some(Fault::AppliedAndFailed),
    Some(Fault::AppliedAndDropped),
    Some(Fault::Conflict),
    Some(Fault::Late(2)),
    Some(Fault::Missing),
];
/// Depth of the tables: faults at each of the first calls.
const CALLS: u32 = 4;

type Ops = Vec<String>;

fn chain(store: &Faulty) -> Chain {
    Chain::new(store.store(), SCHEMA, "c")
}

fn ops(head: &Head) -> Ops {
    head.parse().unwrap()
}

/// Commits `bodies` one after the other, undisturbed.
async fn prepared(chain: &Chain, count: usize, epoch: u32) -> Vec<Head> {
    let mut heads: Vec<Head> = Vec::new();
    for i in 0..count {
        let body: Ops = (0..=i).map(|i| format!("prepared {i}")).collect();
        match chain.commit(heads.last(), epoch, &body).await.unwrap() {
            Outcome::Committed(head) => heads.push(head),
            other => panic!("undisturbed commit ended {other:?}"),
        }
    }
    heads
}

/// Runs `scenario` with every combination of faults in its first calls; it gets the faults' positions.
async fn with_every_fault<F: Future<Output = ()>>(scenario: impl Fn(Vec<Option<Fault>>) -> F) {
    for code in 0..FAULTS.len().pow(CALLS) {
        let faults = (0..CALLS).map(|i| FAULTS[code / FAULTS.len().pow(i) % FAULTS.len()]).collect();
        scenario(faults).await;
    }
}

fn arm(store: &Faulty, faults: &[Option<Fault>]) {
    let from = store.calls();
    for (i, fault) in faults.iter().enumerate() {
        if let Some(fault) = fault {
            store.at(from + i as u64, *fault);
        }
    }
}

fn missing(faults: &[Option<Fault>]) -> bool {
    faults.contains(&Some(Fault::Missing))
}

#[tokio::test]
async fn alone_a_commit_is_committed_whatever_the_store_answers() {
    with_every_fault(|faults| async move {
        for built_on in [0, 1, 3] {
            let store = Faulty::new();
            let chain = chain(&store);
            let heads = prepared(&chain, built_on, 1).await;
            arm(&store, &faults);
            let outcome = chain.commit(heads.last(), 1, &vec!["mine"]).await.unwrap();
            store.heal().await;
            match outcome {
                Outcome::Committed(mine) => {
                    assert_eq!(chain.head(heads.last()).await.unwrap(), Some(mine), "{faults:?}");
                }
                // A false "missing" may fence; that is safe, a second winner is not.
                Outcome::Fenced { .. } if missing(&faults) => {}
                other => panic!("{faults:?}: {other:?}"),
            }
            let created =
                store.created().iter().filter(|(path, _)| *path == chain.path_of(built_on as u64 + 1)).count();
            assert_eq!(created, 1, "late duplicates do not become versions: {faults:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_number_that_a_rival_took_is_lost_and_a_higher_epoch_fences() {
    with_every_fault(|faults| async move {
        for (built_on, rival_epoch) in [(0, 5), (0, 6), (2, 5), (2, 6)] {
            let store = Faulty::new();
            let chain = chain(&store);
            let heads = prepared(&chain, built_on, 5).await;
            let rival = match chain.commit(heads.last(), rival_epoch, &vec!["rival"]).await.unwrap() {
                Outcome::Committed(rival) => rival,
                other => panic!("{other:?}"),
            };
            arm(&store, &faults);
            let outcome = chain.commit(heads.last(), 5, &vec!["mine"]).await.unwrap();
            store.heal().await;
            match outcome {
                Outcome::Lost(head) if rival_epoch == 5 => assert_eq!(head, rival),
                Outcome::Fenced { epoch } if rival_epoch == 6 => assert_eq!(epoch, Some(6)),
                Outcome::Fenced { .. } if missing(&faults) => {}
                other => panic!("{faults:?}: {other:?}"),
            }
            assert_eq!(chain.head(None).await.unwrap(), Some(rival), "the rival's version stands: {faults:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_writer_whose_place_was_collected_is_fenced() {
    with_every_fault(|faults| async move {
        for slept_at in [0, 2] {
            let store = Faulty::new();
            let chain = chain(&store);
            let heads = prepared(&chain, 5, 7).await;
            assert_eq!(chain.collect(1, 0, i64::MAX).await.unwrap(), 4);
            arm(&store, &faults);
            let outcome = chain.commit(heads[..slept_at].last(), 7, &vec!["slept"]).await.unwrap();
            store.heal().await;
            assert!(matches!(outcome, Outcome::Fenced { .. }), "on {slept_at}: {faults:?}: {outcome:?}");
            assert_eq!(chain.head(heads.last()).await.unwrap(), heads.last().cloned());
            assert_eq!(chain.head(None).await.unwrap(), heads.last().cloned(), "its version is below the head");
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_sleeper_on_a_first_sleepers_version_is_fenced_too() {
    let store = Faulty::new();
    let chain = chain(&store);
    let heads = prepared(&chain, 8, 1).await;
    chain.collect(2, 0, i64::MAX).await.unwrap();
    assert!(matches!(chain.commit(Some(&heads[1]), 1, &vec!["a"]).await.unwrap(), Outcome::Fenced { epoch: None }));
    let fenced = chain.commit(Some(&heads[2]), 1, &vec!["b"]).await.unwrap();
    assert!(matches!(fenced, Outcome::Fenced { epoch: Some(1) }), "the version beneath is foreign: {fenced:?}");
}

#[tokio::test]
async fn a_sleeper_does_not_lose_to_another_ones_remains_but_is_fenced() {
    for slept_at in [0, 2] {
        let store = Faulty::new();
        let chain = chain(&store);
        let heads = prepared(&chain, 8, 1).await;
        chain.collect(2, 0, i64::MAX).await.unwrap();
        for sleeper in ["first", "second"] {
            let outcome = chain.commit(heads[..slept_at].last(), 1, &vec![sleeper]).await.unwrap();
            assert!(matches!(outcome, Outcome::Fenced { .. }), "{sleeper} on {slept_at}: {outcome:?}");
        }
        let left = chain.get(slept_at as u64 + 1).await.unwrap().expect("the first one's remains");
        assert_eq!(chain.head(heads[..slept_at].last()).await.unwrap(), heads.last().cloned());
        // Remains do not stop collection either.
        chain.commit(heads.last(), 1, &vec!["9"]).await.unwrap();
        assert_eq!(chain.collect(2, 0, i64::MAX).await.unwrap(), 2);
        assert_eq!(chain.versions().await.unwrap(), [8, 9], "{} went too", left.number);
    }
}

/// The format in the module's header, to the byte; it must never change.
#[tokio::test]
async fn the_bytes_of_a_version_are_fixed() {
    let store = Faulty::new();
    let chain = chain(&store);
    let written = "{\"esker\":\"test\",\"format\":1,\"must_read\":[],\"must_write\":[],\"must_collect\":[],\"crc32c\":\"CRC\"}\n\
                   {\"number\":2,\"nonce\":\"00000000000000b2\",\"after\":\"00000000000000a1\",\"epoch\":3,\
                   \"wal\":{\"group\":7},\"body\":{\"x\":[1]},\"later\":[8]}\n";
    let body = written.lines().last().unwrap();
    let written = written.replace("CRC", &format!("{:08x}", crc32c::crc32c(body.as_bytes())));
    chain.store.put("c/00000000000000000002.json", Bytes::from(written.clone())).await.unwrap();
    let read = chain.get(2).await.unwrap().unwrap();
    let expected = Head {
        number: 2,
        nonce: "00000000000000b2".into(),
        after: Some("00000000000000a1".into()),
        epoch: 3,
        wal: Some(Json::of(&serde_json::json!({"group": 7}))),
        features: Features::default(),
        unknown: [("later".to_owned(), serde_json::json!([8]))].into_iter().collect(),
        body: Bytes::from("{\"x\":[1]}"),
    };
    assert_eq!(read, expected);
    let on = Head { number: 1, nonce: "00000000000000a1".into(), ..read };
    let stamp = Stamp { epoch: 3, wal: on.wal.clone() };
    let (ours, object) = chain.successor(Some(&on), stamp, &serde_json::json!({"x": [1]})).unwrap();
    // Its own nonce is random, and so is the checksum that covers it.
    let (made, fixed) = (String::from_utf8(object.to_vec()).unwrap(), ours.nonce.clone());
    let lines = |text: &str| text.split_once('\n').map(|(first, body)| (first.to_owned(), body.to_owned())).unwrap();
    let ((first, body), (first_written, body_written)) = (lines(&made), lines(&written));
    assert_eq!(body.replace(&fixed, "00000000000000b2"), body_written);
    assert_eq!(first.split("crc32c").next(), first_written.split("crc32c").next());
}

/// Runs `reading` up to the answer of its first request, then `meanwhile`, then the rest.
async fn interrupted<T>(store: &Faulty, reading: impl Future<Output = T>, meanwhile: impl Future<Output = ()>) -> T {
    let first = store.calls() + 1;
    let mut reading = Box::pin(reading);
    while store.calls() < first {
        assert!(futures::poll!(reading.as_mut()).is_pending());
    }
    meanwhile.await;
    reading.await
}

#[tokio::test]
async fn remains_that_appear_while_a_head_is_looked_for_are_not_taken_for_it() {
    for remembers in [true, false] {
        let store = Faulty::new();
        let chain = chain(&store);
        let mut heads = prepared(&chain, 4, 1).await;
        let (third, fourth) = (heads[2].clone(), heads[3].clone());
        let reading = {
            let (chain, fourth) = (chain.clone(), fourth.clone());
            async move { chain.head(remembers.then_some(&fourth)).await }
        };
        let meanwhile = async {
            for _ in 0..6 {
                match chain.commit(heads.last(), 1, &vec!["more"]).await.unwrap() {
                    Outcome::Committed(head) => heads.push(head),
                    other => panic!("{other:?}"),
                }
            }
            chain.collect(2, 0, i64::MAX).await.unwrap();
            // Whoever remembers 4 goes on to 5; whoever listed 4 reads it.
            let slept_on = if remembers { &fourth } else { &third };
            let outcome = chain.commit(Some(slept_on), 1, &vec!["sleeper"]).await.unwrap();
            assert!(matches!(outcome, Outcome::Fenced { .. }), "{outcome:?}");
        };
        let found = interrupted(&store, reading, meanwhile).await.unwrap();
        assert_eq!(found.as_ref(), heads.last(), "remembers: {remembers}");
    }
}

#[tokio::test]
async fn a_refusal_after_a_doubtful_attempt_leaves_the_commit_undecided() {
    let store = Faulty::new();
    let chain = chain(&store);
    let heads = prepared(&chain, 1, 1).await;
    arm(&store, &[Some(Fault::Denied)]);
    let refused = chain.commit(heads.last(), 1, &vec!["mine"]).await.unwrap_err();
    assert!(matches!(refused, ChainError::Store(_)), "nothing was applied: {refused}");
    arm(&store, &[Some(Fault::AppliedAndFailed), Some(Fault::Missing), Some(Fault::Denied)]);
    let undecided = chain.commit(heads.last(), 1, &vec!["mine"]).await.unwrap_err();
    assert!(matches!(undecided, ChainError::Undecided { .. }), "{undecided}");
    assert!(!undecided.is_retriable(), "nobody is served by asking again with these credentials");
    assert_eq!(chain.head(heads.last()).await.unwrap().unwrap().number, 2, "it had been applied");
}

#[tokio::test]
async fn a_lower_epoch_never_commits_on_a_higher_one() {
    let store = Faulty::new();
    let chain = chain(&store);
    let heads = prepared(&chain, 1, 9).await;
    let calls = store.calls();
    let outcome = chain.commit(heads.last(), 8, &vec!["old"]).await.unwrap();
    assert!(matches!(outcome, Outcome::Fenced { epoch: Some(9) }));
    assert_eq!(store.calls(), calls, "nothing was sent");
}

#[tokio::test]
async fn a_commit_while_the_store_is_away_is_undecided_and_found_later() {
    for fault in [Fault::Failed, Fault::AppliedAndFailed, Fault::Late(1)] {
        let store = Faulty::new();
        let chain = chain(&store);
        let heads = prepared(&chain, 1, 1).await;
        store.on(Call::Create, fault);
        for _ in 0..200 {
            store.on(Call::Get, Fault::Failed);
            store.on(Call::Create, Fault::Failed);
        }
        let undecided = chain.commit(heads.last(), 1, &vec!["mine"]).await.unwrap_err();
        assert!(matches!(undecided, ChainError::Undecided { .. }), "{undecided}");
        assert!(undecided.is_retriable());
        store.heal().await;
        let head = chain.head(heads.last()).await.unwrap().unwrap();
        let again = chain.commit(Some(&head), 1, &vec!["next"]).await.unwrap();
        assert!(matches!(again, Outcome::Committed(_)), "{again:?}");
        assert_eq!(head.number, if fault == Fault::Failed { 1 } else { 2 });
    }
}

#[tokio::test]
async fn an_empty_chain_has_no_head_and_a_full_one_is_found_by_a_stale_listing() {
    let store = Faulty::new();
    let chain = chain(&store);
    assert_eq!(chain.head(None).await.unwrap(), None);
    let heads = prepared(&chain, 40, 1).await;
    for stale in [0, 1, 10, 50, 1000] {
        store.on(Call::List, Fault::Stale(stale));
        assert_eq!(chain.head(None).await.unwrap(), heads.last().cloned(), "a listing {stale} calls old");
    }
    assert_eq!(chain.head(heads.first()).await.unwrap(), heads.last().cloned());
    assert_eq!(chain.versions().await.unwrap(), (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_listing_of_collected_versions_is_asked_again_and_never_taken_for_an_empty_chain() {
    let store = Faulty::new();
    let chain = chain(&store);
    let heads = prepared(&chain, 3, 1).await;
    let then = store.calls();
    let more: Vec<Head> = {
        let mut on = heads[2].clone();
        let mut all = Vec::new();
        for _ in 0..20 {
            let Outcome::Committed(head) = chain.commit(Some(&on), 1, &vec!["x"]).await.unwrap() else { panic!() };
            on = head.clone();
            all.push(head);
        }
        all
    };
    chain.collect(4, 0, i64::MAX).await.unwrap();
    store.on(Call::List, Fault::Stale(store.calls() - then));
    assert_eq!(chain.head(None).await.unwrap(), more.last().cloned());
    for asked in 0..1000 {
        store.on(Call::List, Fault::Stale(store.calls() - then + 2 * asked)); // each attempt is a listing and a read
    }
    assert!(chain.head(None).await.unwrap_err().is_retriable());
}

#[tokio::test]
async fn following_a_long_chain_takes_a_short_cut() {
    let store = Faulty::new();
    let chain = chain(&store);
    let heads = prepared(&chain, 300, 1).await;
    let before = store.calls();
    assert_eq!(chain.head(heads.first()).await.unwrap(), heads.last().cloned());
    assert!(store.calls() - before < 25, "{} calls", store.calls() - before);
}

#[tokio::test]
async fn collection_keeps_the_newest_and_what_was_current_within_the_window() {
    let store = Faulty::new();
    let chain = chain(&store);
    prepared(&chain, 20, 1).await;
    let now = chain.store.clock().now_ms();
    assert_eq!(chain.collect(1, 60_000, now).await.unwrap(), 0, "all were current within the last minute");
    assert_eq!(chain.collect(16, 0, now + 60_000).await.unwrap(), 4);
    assert_eq!(chain.versions().await.unwrap(), (5..=20).collect::<Vec<_>>());
    assert_eq!(chain.collect(0, 0, now + 60_000).await.unwrap(), 15, "the head always stays");
    assert_eq!(chain.versions().await.unwrap(), [20]);
}

#[tokio::test]
async fn collection_ascends_even_if_the_listing_hides_lower_versions() {
    let store = Faulty::new();
    let chain = chain(&store);
    prepared(&chain, 10, 1).await;
    // A page that begins at 5: as if 1 to 4 were not listed yet.
    let all: Vec<String> = chain.store.list("c", None).await.unwrap().into_iter().map(|object| object.path).collect();
    let collector = Chain::new(hiding(&store, &all[..4]), SCHEMA, "c");
    assert_eq!(collector.collect(2, 0, i64::MAX).await.unwrap(), 8);
    let deleted: Vec<_> = store.log().into_iter().filter(|(call, _)| *call == Call::Delete).map(|(_, p)| p).collect();
    assert_eq!(deleted, all[..8], "in order, from the lowest");
}

#[tokio::test]
async fn collection_does_not_pass_a_version_that_will_not_go() {
    let store = Faulty::new();
    let chain = chain(&store);
    prepared(&chain, 5, 1).await;
    for _ in 0..1000 {
        store.on(Call::Delete, Fault::Missing); // says that it is gone, and it is not
    }
    assert!(chain.collect(1, 0, i64::MAX).await.unwrap_err().is_retriable());
    store.heal().await;
    assert_eq!(chain.versions().await.unwrap(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_is_damaged_or_of_a_later_format_is_named_and_not_skipped() {
    let store = Faulty::new();
    let chain = chain(&store);
    let heads = prepared(&chain, 2, 1).await;
    let path = chain.path_of(3);
    let spoilt: [(&[u8], &str); 4] = [
        (b"", "no first line"),
        (
            b"{\"esker\":\"other\",\"format\":1,\"must_read\":[],\"must_write\":[],\"crc32c\":\"00000000\"}\n{}\n",
            "other",
        ),
        (
            b"{\"esker\":\"test\",\"format\":2,\"must_read\":[],\"must_write\":[],\"crc32c\":\"00000000\"}\n{}\n",
            "format 2",
        ),
        (
            b"{\"esker\":\"test\",\"format\":1,\"must_read\":[],\"must_write\":[],\"crc32c\":\"00000000\"}\n{}\n",
            "damaged",
        ),
    ];
    for (bytes, word) in spoilt {
        chain.store.put(&path, Bytes::from(bytes)).await.unwrap();
        let unreadable = match chain.commit(heads.last(), 1, &vec!["mine"]).await.unwrap() {
            Outcome::Unreadable(e) => e,
            other => panic!("{other:?}"),
        };
        for e in [chain.head(heads.last()).await.unwrap_err(), unreadable] {
            let text = e.to_string();
            assert!(text.contains(word) && text.contains("c/00000000000000000003.json"), "{text}");
            assert!(!e.is_retriable());
        }
    }
    let other = chain.store.get(&chain.path_of(2)).await.unwrap();
    chain.store.put(&path, other).await.unwrap();
    let e = chain.get(3).await.unwrap_err().to_string();
    assert!(e.contains("it says that it is version 2"), "{e}");
}

#[tokio::test]
async fn features_are_kept_and_unknown_ones_refuse_writing_and_collecting() {
    let store = Faulty::new();
    let chain = chain(&store);
    let features = |names: &[&str]| Features {
        must_read: vec!["known".into()],
        must_write: names.iter().map(|s| s.to_string()).collect(),
        ..Features::default()
    };
    let mut first = prepared(&chain, 1, 1).await.remove(0);
    first.features = features(&["known"]);
    let Outcome::Committed(second) = chain.commit(Some(&first), 1, &vec!["2"]).await.unwrap() else { panic!() };
    assert_eq!(chain.get(2).await.unwrap().unwrap().features, features(&["known"]));
    let mut fancy = second.clone();
    fancy.features = features(&["pins"]);
    let e = chain.commit(Some(&fancy), 1, &vec!["3"]).await.unwrap_err();
    assert!(e.to_string().contains("'pins'"), "{e}");
    let only_kept = Features { must_collect: vec!["pins".into()], ..Features::default() };
    for (number, features) in [(3, features(&["pins"])), (4, only_kept)] {
        let (nonce, after, unknown) = ("n".into(), Some(second.nonce.clone()), Unknown::new());
        let version = Version { number, nonce, after, epoch: 1, wal: None, body: vec!["x"], unknown };
        let object = envelope::encode(&SCHEMA, &features, &version).unwrap();
        chain.store.create(&chain.path_of(number), object).await.unwrap();
        let head = chain.head(None).await.unwrap().unwrap();
        assert_eq!(head.number, number, "it may be read");
        let e = chain.collect(1, 0, i64::MAX).await.unwrap_err();
        assert!(e.to_string().contains("'pins'"), "{e}");
        assert_eq!(chain.commit(Some(&head), 1, &vec!["y"]).await.is_ok(), number == 4);
    }
    assert_eq!(chain.head(None).await.unwrap().unwrap().features.must_collect, ["pins"], "and is carried on");
}

#[tokio::test]
async fn a_version_that_is_too_large_is_refused_before_it_is_written() {
    let store = Faulty::new();
    let chain = chain(&store);
    let heads = prepared(&chain, 1, 1).await;
    let (calls, body) = (store.calls(), vec!["x".repeat(VERSION_BYTES_MAX)]);
    let e = chain.commit(heads.last(), 1, &body).await.unwrap_err();
    assert!(e.to_string().contains("more than the 16777216") && !e.is_retriable(), "{e}");
    assert_eq!(store.calls(), calls, "nothing was sent");
    let body = vec!["x".repeat(VERSION_BYTES_MAX - 1000)];
    assert!(matches!(chain.commit(heads.last(), 1, &body).await.unwrap(), Outcome::Committed(_)));
}

#[tokio::test]
async fn an_object_that_is_spoilt_on_the_way_only_is_read_again() {
    let store = Faulty::new();
    let chain = chain(&store);
    let heads = prepared(&chain, 1, 1).await;
    chain.store.put(&chain.path_of(2), Bytes::from_static(b"garbage")).await.unwrap();
    let before = store.log().len();
    let outcome = chain.commit(heads.last(), 1, &vec!["mine"]).await.unwrap();
    assert!(matches!(&outcome, Outcome::Unreadable(e) if e.is_unreadable()), "{outcome:?}");
    let reads =
        store.log()[before..].iter().filter(|(call, path)| *call == Call::Get && *path == chain.path_of(2)).count();
    assert_eq!(reads, 2);
}

#[tokio::test]
async fn a_sleepers_remains_at_a_remembered_number_are_not_taken_for_the_head() {
    let store = Faulty::new();
    let chain = chain(&store);
    let heads = prepared(&chain, 8, 1).await;
    assert_eq!(chain.head_near(&heads[4].hint()).await.unwrap(), heads.last().cloned());
    assert_eq!(chain.collect(2, 0, i64::MAX).await.unwrap(), 6);
    // Somebody slept on 4, and puts a 5 where all was collected.
    let slept = chain.commit(Some(&heads[3]), 1, &vec!["slept"]).await.unwrap();
    assert!(matches!(slept, Outcome::Fenced { .. }), "{slept:?}");
    assert_eq!(chain.get(5).await.unwrap().map(|left| ops(&left)), Some(vec!["slept".to_owned()]));
    for hint in [&heads[4], &heads[2], &heads[7]] {
        assert_eq!(chain.head_near(&hint.hint()).await.unwrap(), heads.last().cloned(), "from {}", hint.number);
    }
}

/// The same store, with listings that do not show `hidden`.
fn hiding(store: &Faulty, hidden: &[String]) -> Store {
    super::super::testing::store_over(std::sync::Arc::new(store.hiding(hidden)))
}

// ---- random schedules ------------------------------------------------------------------------------------------------

/// What a writer was told.
#[derive(Clone, Debug)]
struct Claim {
    head: Head,
}

/// Appends its operations one by one, each exactly once as far as it can tell from heads.
async fn writer(chain: Chain, name: usize, operations: usize, claims: &std::cell::RefCell<Vec<Claim>>) {
    let mut remembered: Option<Head> = None;
    for i in 0..operations {
        let operation = format!("{name}.{i}");
        loop {
            let Ok(head) = chain.head(remembered.as_ref()).await else { continue };
            let mut body = head.as_ref().map(ops).unwrap_or_default();
            remembered = head;
            if body.contains(&operation) {
                break;
            }
            body.push(operation.clone());
            match chain.commit(remembered.as_ref(), 1, &body).await {
                Ok(Outcome::Committed(head)) => {
                    claims.borrow_mut().push(Claim { head: head.clone() });
                    remembered = Some(head);
                    break;
                }
                Ok(Outcome::Lost(head)) => remembered = Some(head),
                Ok(Outcome::Fenced { .. } | Outcome::Unreadable(_)) | Err(_) => remembered = None,
            }
        }
    }
}

async fn collector(chain: Chain, rounds: usize) {
    for _ in 0..rounds {
        let _ = chain.collect(6, 0, i64::MAX).await;
        tokio::task::yield_now().await;
    }
}

/// Polls the actors in an order drawn from `seed`, unfairly: now and then one sleeps for long.
async fn schedule(mut actors: Vec<Pin<Box<dyn Future<Output = ()> + '_>>>, seed: u64) {
    let random = Random::seeded(seed);
    let mut asleep: Vec<u64> = vec![0; actors.len()];
    let mut turn = 0u64;
    while !actors.is_empty() {
        turn += 1;
        assert!(turn < 2_000_000, "the schedule does not end");
        let i = random.below(actors.len() as u64) as usize;
        if asleep[i] > turn {
            tokio::task::yield_now().await;
            continue;
        }
        if random.below(40) == 0 {
            asleep[i] = turn + random.below(400);
        }
        if futures::poll!(actors[i].as_mut()).is_ready() {
            drop(actors.swap_remove(i));
            asleep.swap_remove(i);
        }
        tokio::task::yield_now().await;
    }
}

/// Faults drawn from `seed`, at one call of `every`.
fn sow(store: &Faulty, seed: u64, every: u64, faults: &[Fault]) {
    let random = Random::seeded(seed);
    for call in 0..3000 {
        if random.below(every) == 0 {
            store.at(call, faults[random.below(faults.len() as u64) as usize]);
        }
    }
}

fn run(seed: u64, writers: usize, operations: usize, every: u64, faults: &[Fault], with_collector: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Faulty::new();
        sow(&store, seed, every, faults);
        let claims = std::cell::RefCell::new(Vec::new());
        let mut actors: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
        for name in 0..writers {
            // Each writer with randomness of its own, as processes have.
            let chain = Chain::new(store.store_seeded(seed ^ (name as u64 + 1)), SCHEMA, "c");
            actors.push(Box::pin(writer(chain, name, operations, &claims)));
        }
        if with_collector {
            actors.push(Box::pin(collector(chain(&store), writers * operations * 3)));
        }
        schedule(actors, seed).await;
        store.heal().await;
        check(&store, &claims.take(), writers, operations).await;
    });
}

/// The property: one winner a number, versions tied to each other, each operation in exactly once.
async fn check(store: &Faulty, claims: &[Claim], writers: usize, operations: usize) {
    let chain = chain(store);
    let mut versions: BTreeMap<u64, Head> = BTreeMap::new();
    for (path, bytes) in store.created() {
        let number = chain.number_of(&path).unwrap();
        let version = chain.open(number, &bytes).unwrap();
        versions.entry(number).or_insert(version); // the first is the true one; others came after collection
    }
    let mut winners: BTreeMap<u64, &Head> = BTreeMap::new();
    for claim in claims {
        let before = winners.insert(claim.head.number, &claim.head);
        assert!(before.is_none(), "two winners of {}: {before:?} and {claim:?}", claim.head.number);
        assert_eq!(versions.get(&claim.head.number), Some(&claim.head), "a winner's version is the true one");
    }
    let numbers: Vec<u64> = versions.keys().copied().collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "no hole");
    for (number, version) in &versions {
        let before = versions.get(&(number - 1));
        assert_eq!(version.after, before.map(|head| head.nonce.clone()), "version {number} is built on the one before");
        assert_eq!(
            ops(version)[..ops(version).len() - 1],
            before.map(ops).unwrap_or_default(),
            "and keeps its content"
        );
    }
    let head = chain.head(None).await.unwrap().unwrap();
    assert_eq!(Some(&head), versions.values().last(), "the head is the last version");
    let mut done = ops(&head);
    done.sort();
    let mut wanted: Ops = (0..writers).flat_map(|w| (0..operations).map(move |i| format!("{w}.{i}"))).collect();
    wanted.sort();
    assert_eq!(done, wanted, "each operation exactly once");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn racing_writers_have_one_winner_a_number(seed: u64, writers in 2usize..5, every in 2u64..12) {
        let faults = [
            Fault::Failed, Fault::AppliedAndFailed, Fault::AppliedAndDropped, Fault::Conflict, Fault::Late(1),
            Fault::Late(7), Fault::Late(40), Fault::Missing, Fault::Stale(3), Fault::Stale(30),
        ];
        run(seed, writers, 4, every, &faults, false);
    }

    #[test]
    fn racing_writers_and_a_collector_have_one_winner_a_number(seed: u64, writers in 2usize..4, every in 3u64..12) {
        // What is late here comes before its number can be collected, as `collect` demands of its caller.
        let faults = [
            Fault::Failed, Fault::AppliedAndFailed, Fault::AppliedAndDropped, Fault::Conflict, Fault::Late(1),
            Fault::Late(4), Fault::Stale(2), Fault::Stale(6),
        ];
        run(seed, writers, 12, every, &faults, true);
    }
}
