use super::*;

#[test]
fn every_name_that_is_made_can_be_read_back() {
    let names = Names::new(3, 7, Random::seeded(1));
    assert_eq!(Named::of(&names.segment(42)), Named::Segment { partition: 3, first: 42, epoch: 7 });
    assert_eq!(Named::of(&names.page(42, 2)), Named::Page { first: 42, level: 2, epoch: 7 });
    assert_eq!(Named::of(&names.epochs(5)), Named::Epochs { epoch: 7 });
    assert_eq!(Named::of(&names.removed(5)), Named::Removed { epoch: 7 });
    assert_eq!(Named::of(&names.producers(42)), Named::Producers { epoch: 7 });
    assert_eq!(Named::of("x/00000000000000000012.json"), Named::Version(12));
    let of_many = Names::new(123_456, 7, Random::seeded(1)).segment(42);
    assert_eq!(Named::of(&of_many), Named::Segment { partition: 123_456, first: 42, epoch: 7 });
    assert!(names.segment(42).starts_with("table/data/00003-00000000000000000042-7-"));
    for foreign in [
        "x",
        "_SUCCESS",
        "part-0.parquet",
        "00000000000000000012-1.parquet",
        "00000000000000000012-1-0123456789abcdef.parquet",
        "0003-00000000000000000012-1-0123456789abcdef.parquet",
        "page-1-2-3.json",
        "12.json",
    ] {
        assert_eq!(Named::of(foreign), Named::Foreign, "{foreign}");
    }
}

#[test]
fn no_name_is_given_twice() {
    let names = Names::new(0, 1, Random::seeded(1));
    assert_ne!(names.segment(0), names.segment(0));
}

#[test]
fn topic_names_follow_kafkas_rule() {
    for good in ["a", "A.b_c-9", &"x".repeat(249), "..."] {
        assert_eq!(check_topic_name(good), Ok(()));
    }
    for bad in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(250)] {
        assert!(check_topic_name(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_partition_of_what_lies_below_log_is_read_from_its_folder() {
    let names = Names::new(3, 7, Random::seeded(1));
    assert_eq!(partition_of_log(&names.page(42, 2)), Some(3));
    assert_eq!(partition_of_log("log/12/00000000000000000001.json"), Some(12));
    for other in ["log/x", "log/03/x", "log/-1/x", "log/3/x/y", "table/data/3/x", "log/3"] {
        assert_eq!(partition_of_log(other), None, "{other}");
    }
}
