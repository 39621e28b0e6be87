//! What a consumer and the broker believe of a session is the same at every step.
use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::kafka::messages::fetch::{FetchTopic, ForgottenTopic};
use crate::kafka::messages::wire::Records;

fn sessions() -> Sessions {
    Sessions::new(Random::seeded(3))
}

fn request(id: i32, epoch: i32, partitions: &[(&str, i32, i64)], forgotten: &[(&str, i32)]) -> FetchRequest {
    let topic = |(topic, partition, fetch_offset): &(&str, i32, i64)| FetchTopic {
        topic: (*topic).to_owned(),
        partitions: vec![FetchPartition { partition: *partition, fetch_offset: *fetch_offset, ..Default::default() }],
        ..FetchTopic::default()
    };
    let gone = |(topic, partition): &(&str, i32)| ForgottenTopic {
        topic: (*topic).to_owned(),
        partitions: vec![*partition],
        ..ForgottenTopic::default()
    };
    FetchRequest {
        session_id: id,
        session_epoch: epoch,
        topics: partitions.iter().map(topic).collect(),
        forgotten_topics_data: forgotten.iter().map(gone).collect(),
        ..FetchRequest::default()
    }
}

fn reads(begun: &Begun) -> Vec<(String, i32, i64)> {
    let read = |wanted: &Wanted| match &wanted.topic {
        TopicKey::Name(name) => (name.to_string(), wanted.asked.partition, wanted.asked.fetch_offset),
        TopicKey::Id(id) => (id.to_string(), wanted.asked.partition, wanted.asked.fetch_offset),
    };
    begun.wanted.iter().map(read).collect()
}

fn nothing_new(high_watermark: i64) -> PartitionData {
    PartitionData { high_watermark, log_start_offset: 0, ..PartitionData::default() }
}

fn with_records(high_watermark: i64) -> PartitionData {
    PartitionData { records: Some(Records(vec![Bytes::from_static(b"batch")])), ..nothing_new(high_watermark) }
}

const NOW: Duration = Duration::ZERO;

#[test]
fn a_session_remembers_positions_and_tells_only_news() {
    let sessions = sessions();
    let begun = sessions.begin(&request(0, 0, &[("a", 0, 5), ("b", 1, 6)], &[]), false, NOW).unwrap();
    let id = begun.session_id;
    assert_ne!(id, 0);
    assert_eq!(sessions.end(&begun, vec![nothing_new(5), with_records(9)]).len(), 2, "the first answer is full");

    let begun = sessions.begin(&request(id, 1, &[("b", 1, 9)], &[]), false, NOW).unwrap();
    assert_eq!(reads(&begun), [("a".to_owned(), 0, 5), ("b".to_owned(), 1, 9)]);
    assert!(sessions.end(&begun, vec![nothing_new(5), nothing_new(9)]).is_empty());

    let begun = sessions.begin(&request(id, 2, &[], &[]), false, NOW).unwrap();
    let told: Vec<usize> =
        sessions.end(&begun, vec![with_records(7), nothing_new(9)]).iter().map(|(at, _)| *at).collect();
    assert_eq!(told, [0]);
    assert_eq!(sessions.begin(&request(id, 3, &[], &[]), false, NOW).unwrap().first, 1, "after the one that had data");
}

#[test]
fn an_error_is_told_again_until_it_is_over_and_so_is_its_end() {
    let sessions = sessions();
    let begun = sessions.begin(&request(0, 0, &[("a", 0, 5)], &[]), false, NOW).unwrap();
    let (id, error) = (begun.session_id, PartitionData { error_code: 56, ..nothing_new(5) });
    sessions.end(&begun, vec![nothing_new(5)]);
    for (epoch, answer, told) in [(1, &error, 1), (2, &error, 1), (3, &nothing_new(5), 1), (4, &nothing_new(5), 0)] {
        let begun = sessions.begin(&request(id, epoch, &[], &[]), false, NOW).unwrap();
        assert_eq!(sessions.end(&begun, vec![answer.clone()]).len(), told, "epoch {epoch}");
    }
}

#[test]
fn wrong_ids_epochs_and_names_are_refused() {
    let sessions = sessions();
    let id = sessions.begin(&request(0, 0, &[("a", 0, 5)], &[]), false, NOW).unwrap().session_id;
    let refused = |id, epoch, by_id| sessions.begin(&request(id, epoch, &[], &[]), by_id, NOW).unwrap_err();
    assert_eq!(refused(id + 1, 1, false), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(refused(id, 2, false), ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(refused(id, 1, true), ErrorCode::FetchSessionTopicIdError);
    assert!(sessions.begin(&request(id, 1, &[], &[]), false, NOW).is_ok());
    assert_eq!(refused(id, 1, false), ErrorCode::InvalidFetchSessionEpoch);

    let ended = sessions.begin(&request(id, -1, &[("a", 0, 6)], &[]), false, NOW).unwrap();
    assert_eq!((ended.session_id, reads(&ended).len()), (0, 1), "the last request still reads");
    assert_eq!(refused(id, 2, false), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(sessions.lock().partitions, 0);
}

#[test]
fn a_session_of_which_everything_was_forgotten_is_over() {
    let sessions = sessions();
    let id = sessions.begin(&request(0, 0, &[("a", 0, 5), ("b", 1, 6)], &[]), false, NOW).unwrap().session_id;
    let begun = sessions.begin(&request(id, 1, &[], &[("a", 0)]), false, NOW).unwrap();
    assert_eq!((begun.session_id, begun.wanted.len()), (id, 1));
    let begun = sessions.begin(&request(id, 2, &[], &[("b", 1)]), false, NOW).unwrap();
    assert_eq!((begun.session_id, begun.wanted.len()), (0, 0));
    let gone = sessions.begin(&request(id, 3, &[("a", 0, 5)], &[]), false, NOW);
    assert_eq!(gone.unwrap_err(), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(sessions.lock().partitions, 0);
}

#[test]
fn without_room_consumers_are_served_without_a_session_and_the_silent_make_room() {
    let sessions = sessions();
    let begin = |now| sessions.begin(&request(0, 0, &[("a", 0, 5)], &[]), false, now).unwrap();
    for _ in 0..Limits::FETCH_SESSIONS_MAX {
        assert_ne!(begin(NOW).session_id, 0);
    }
    let without = begin(SILENCE);
    assert_eq!((without.session_id, reads(&without).len()), (0, 1));
    assert_ne!(begin(SILENCE + Duration::from_secs(1)).session_id, 0);
    assert_eq!(sessions.lock().sessions.len(), Limits::FETCH_SESSIONS_MAX);
}

proptest! {
    /// Against the plainest model there is: a map that every request changes.
    #[test]
    fn positions_are_those_of_a_map(
        steps in proptest::collection::vec(
            (proptest::collection::vec((0..3usize, 0..3i32, 0..99i64), 0..4), proptest::collection::vec((0..3usize, 0..3i32), 0..3)),
            1..20,
        ),
    ) {
        let names = ["a", "b", "c"];
        let sessions = sessions();
        let mut model = BTreeMap::new();
        let (mut id, mut epoch) = (0, 0);
        for (asked, gone) in steps {
            let mut asked: Vec<_> = asked.iter().map(|(t, p, o)| (names[*t], *p, *o)).collect();
            let mut gone: Vec<_> = gone.iter().map(|(t, p)| (names[*t], *p)).collect();
            if epoch == 0 {
                gone.clear();
                asked.sort_unstable();
                asked.dedup_by_key(|(t, p, _)| (*t, *p));
            }
            model.extend(asked.iter().map(|(t, p, o)| (((*t).to_owned(), *p), *o)));
            gone.iter().for_each(|(t, p)| { model.remove(&((*t).to_owned(), *p)); });
            let begun = sessions.begin(&request(id, epoch, &asked, &gone), false, NOW).unwrap();
            let read: BTreeMap<_, _> = reads(&begun).into_iter().map(|(t, p, o)| ((t, p), o)).collect();
            prop_assert_eq!(&read, &model);
            prop_assert_eq!(begun.wanted.len(), model.len());
            prop_assert_eq!(sessions.lock().partitions, model.len());
            sessions.end(&begun, begun.wanted.iter().map(|_| nothing_new(1)).collect());
            (id, epoch) = (begun.session_id, if begun.session_id == 0 { 0 } else { epoch + 1 });
        }
    }
}
