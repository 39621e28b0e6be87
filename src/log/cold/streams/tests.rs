use super::*;

const TOPIC: Uuid = Uuid([7; 16]);
const NOW: Duration = Duration::from_secs(100);

fn ended(streams: &Streams, from: i64, after: i64, next: i64, window: u64) {
    streams.ended(TOPIC, 0, Ended { from, after, next, window }, NOW);
}

#[test]
fn a_read_that_begins_where_another_ended_continues_it() {
    let streams = Streams::default();
    assert_eq!(streams.window(TOPIC, 0, 0), None);
    ended(&streams, 0, 100, 120, 5);
    for from in [100, 110, 120] {
        assert_eq!(streams.window(TOPIC, 0, from), Some(5), "after the last record, in the gap, or behind it");
    }
    for from in [0, 99, 121] {
        assert_eq!(streams.window(TOPIC, 0, from), None);
    }
    assert_eq!(streams.window(TOPIC, 1, 100), None, "another partition");
    assert_eq!(streams.window(Uuid([8; 16]), 0, 100), None, "another topic");
}

#[test]
fn a_stream_moves_on_and_leaves_nothing_behind() {
    let streams = Streams::default();
    for step in 0..50 {
        ended(&streams, step * 10, step * 10 + 9, step * 10 + 10, 1);
    }
    assert_eq!(streams.active(NOW), 1);
    assert_eq!(streams.window(TOPIC, 0, 500), Some(1));
}

#[test]
fn a_read_that_was_given_up_is_continued_by_its_repetition() {
    let streams = Streams::default();
    ended(&streams, 0, 100, 100, 5);
    assert_eq!(streams.window(TOPIC, 0, 100), Some(5));
    assert_eq!(streams.window(TOPIC, 0, 100), Some(5));
}

#[test]
fn a_reader_that_catches_up_does_not_shrink_the_window_of_the_one_it_met() {
    let streams = Streams::default();
    ended(&streams, 50, 100, 100, 9);
    ended(&streams, 0, 100, 100, 0);
    assert_eq!(streams.window(TOPIC, 0, 100), Some(9));
}

#[test]
fn silent_streams_take_no_share() {
    let streams = Streams::default();
    for partition in 0..5 {
        streams.ended(TOPIC, partition, Ended { from: 0, after: 1, next: 1, window: 1 }, NOW);
    }
    assert_eq!(streams.active(NOW + IDLE), 5);
    streams.ended(TOPIC, 0, Ended { from: 1, after: 2, next: 2, window: 1 }, NOW + IDLE);
    assert_eq!(streams.active(NOW + IDLE + Duration::from_millis(1)), 1);
    assert_eq!(streams.active(NOW + IDLE * 3), 1, "never nobody: it is a divisor");
}

#[test]
fn the_number_of_streams_is_bounded_and_the_oldest_goes() {
    let streams = Streams::default();
    for partition in 0..STREAMS_MAX as i32 + 10 {
        streams.ended(TOPIC, partition, Ended { from: 0, after: 1, next: 1, window: 1 }, NOW);
    }
    assert_eq!(streams.active(NOW), STREAMS_MAX as u64);
    assert_eq!(streams.window(TOPIC, 9, 1), None);
    assert_eq!(streams.window(TOPIC, 10, 1), Some(1));
}

#[test]
fn the_window_grows_only_for_those_who_wait_and_never_beyond_the_share() {
    assert_eq!(grown(0, true, 10, 1000), 20);
    assert_eq!(grown(20, true, 10, 1000), 40);
    assert_eq!(grown(20, false, 10, 1000), 20);
    assert_eq!(grown(800, true, 10, 1000), 1000);
    assert_eq!(grown(800, false, 10, 100), 100);
}
