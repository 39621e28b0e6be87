use std::collections::BTreeSet;

use super::*;

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Options with one setting that only a start changes.
fn options() -> Options {
    let data = FixedSetting { name: "data", kind: SettingKind::Text, value: None, default: None, doc: "" };
    Options { fixed: [data].into(), ..Options::default() }
}

fn refused(pairs: &[(&str, &str)]) -> Result<(), String> {
    let values = values(pairs);
    let new: Vec<_> = values.iter().collect();
    check(&options(), &new).map_err(|error| error.to_string())
}

#[test]
fn every_value_is_read_as_it_is_shown_and_kept_in_a_place_of_its_own() {
    let mut names = BTreeSet::new();
    for row in TABLE {
        assert!(names.insert(row.name), "{} stands there once", row.name);
        let mut again = Options::default();
        assert_eq!((row.set)(&mut again, &row.default()), Ok(()), "{}", row.name);
        assert_eq!(again, Options::default(), "{}", row.name);
        let other = match row.kind {
            SettingKind::Int | SettingKind::Long => "77",
            SettingKind::List => "range",
            _ => "upgrade",
        };
        assert_eq!((row.set)(&mut again, other), Ok(()), "{}", row.name);
        assert_eq!((row.show)(&again), other, "{}", row.name);
        let changed: Vec<&str> =
            TABLE.iter().filter(|one| (one.show)(&again) != one.default()).map(|one| one.name).collect();
        assert_eq!(changed, [row.name]);
    }
}

#[test]
fn what_can_change_while_the_broker_runs_is_taken_and_the_rest_refused_by_name() {
    for (name, value) in [
        ("log.retention.ms", "5000"),
        ("message.max.bytes", "1000000"),
        ("log.cleaner.min.cleanable.ratio", "0.1"),
        ("log.cleanup.policy", "delete,compact"),
        ("compression.type", "producer"),
        ("esker.seal.ms", "700"),
        ("group.max.size", " 5 "),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.consumer.assignors", "range, uniform"),
        ("offsets.retention.minutes", "1"),
        ("transaction.max.timeout.ms", "1000"),
    ] {
        assert_eq!(refused(&[(name, value)]), Ok(()), "{name}");
    }
    for (name, value, why) in [
        ("data", "/x", "Cannot update these configs dynamically: [data]"),
        (
            "retention.ms",
            "5",
            "no setting 'retention.ms' of a broker; its default of the topic setting retention.ms is log.retention.ms",
        ),
        ("remote.storage.enable", "true", "only topics have it"),
        ("no.such", "1", "no setting 'no.such' of a broker"),
        (
            "log.retention.ms",
            "soon",
            "Invalid value soon for configuration log.retention.ms: expected a whole number from -1 to",
        ),
        (
            "group.max.size",
            "0",
            "Invalid value 0 for configuration group.max.size: expected a whole number from 1 to 2147483647",
        ),
        ("group.max.size", "2147483648", "from 1 to 2147483647"),
        ("group.consumer.assignors", "best", "no assignor 'best'"),
        ("group.consumer.migration.policy", "maybe", "expected upgrade"),
    ] {
        let words = refused(&[(name, value)]).unwrap_err();
        assert!(words.contains(why), "{name}={value}: {words}");
    }
    let several = refused(&[("compression.type", "x"), ("data", "x")]).unwrap_err();
    assert!(several.contains("[data]"), "what can never be comes first: {several}");
}

#[test]
fn the_brokers_change_wins_over_the_clusters_and_what_does_not_fit_is_as_if_it_were_not_there() {
    let mut file = options();
    file.groups.max_size = 9;
    let size = |cluster: &[(&str, &str)], broker: &[(&str, &str)]| {
        with(&file, &Changed { cluster: values(cluster), broker: values(broker) }).groups.max_size
    };
    let name = "group.max.size";
    assert_eq!(size(&[], &[]), 9);
    assert_eq!(size(&[(name, "8")], &[]), 8);
    assert_eq!(size(&[(name, "8")], &[(name, "7")]), 7);
    assert_eq!(size(&[(name, "8")], &[(name, "0"), ("of.a.later.version", "1")]), 8);
}

#[test]
fn bounds_that_cross_are_refused() {
    assert_eq!(Options::default().check(), Ok(()));
    for least in [
        "group.min.session.timeout.ms",
        "group.consumer.min.session.timeout.ms",
        "group.consumer.min.heartbeat.interval.ms",
    ] {
        let crossed = with(&options(), &Changed { broker: values(&[(least, "2147483647")]), ..Changed::default() });
        let why = crossed.check().unwrap_err();
        assert!(why.starts_with(&format!("{least}=2147483647 is more than ")), "{why}");
    }
}
