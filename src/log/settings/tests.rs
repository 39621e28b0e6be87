use super::*;

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn every_default_passes_its_own_check_and_the_table_is_sorted() {
    for r in TABLE {
        assert_eq!(r.check(r.default), Ok(()), "{}", r.name);
    }
    assert!(TABLE.windows(2).all(|w| w[0].name < w[1].name));
    assert!(TopicSettings::resolve(&values(&[]), &values(&[])).is_ok());
}

#[test]
fn the_topics_value_wins_over_the_brokers() {
    let broker = values(&[("esker.seal.ms", "1000"), ("retention.ms", "5")]);
    let s = TopicSettings::resolve(&broker, &values(&[("retention.ms", "7")])).unwrap();
    assert_eq!((s.seal_ms, s.retention_ms), (1000, 7));
}

#[test]
fn a_bad_name_or_value_is_refused_with_the_way_out() {
    let refuse = |k, v| check(&values(&[(k, v)])).unwrap_err().to_string();
    assert!(refuse("retention.mss", "1").contains("'retention.ms'"));
    assert!(refuse("retention.ms", "-2").contains("-1 to"));
    assert!(refuse("cleanup.policy", "compress").contains("delete or compact"));
    assert!(refuse("esker.value.type", "blob").contains("string or binary"));
}

#[test]
fn values_are_those_that_kafka_takes() {
    for (name, good, bad) in [
        ("cleanup.policy", &["", "delete", "compact, delete", "delete,delete"][..], &["DELETE", "x"][..]),
        ("preallocate", &["TRUE", "false"], &["1", ""]),
        ("segment.bytes", &["1048576"], &["1048575", "-1"]),
        ("retention.bytes", &["-2", "0"], &["x"]),
        ("leader.replication.throttled.replicas", &["", "*", "0:1,1:1"], &["none", "*,0:1", "0"]),
        ("compression.zstd.level", &["-131072", "22"], &["23"]),
    ] {
        for value in good {
            assert_eq!(check(&values(&[(name, value)])).map_err(|e| e.to_string()), Ok(()), "{name}={value}");
        }
        for value in bad {
            assert!(check(&values(&[(name, value)])).is_err(), "{name}={value}");
        }
    }
    let lags = |least, most| values(&[("min.compaction.lag.ms", least), ("max.compaction.lag.ms", most)]);
    assert!(TopicSettings::resolve(&values(&[]), &lags("5", "5")).is_ok());
    assert!(TopicSettings::resolve(&lags("6", "9"), &lags("6", "5")).is_err(), "no record could be compacted in time");
    let neither = TopicSettings::resolve(&values(&[]), &values(&[("cleanup.policy", "")])).unwrap();
    assert_eq!((neither.deletes, neither.compaction), (false, None));
}

#[test]
fn a_broker_has_kafkas_names_for_its_defaults() {
    assert_eq!(broker_name("retention.ms"), Some("log.retention.ms"));
    assert_eq!(
        (broker_name("compression.type"), broker_name("esker.seal.ms")),
        (Some("compression.type"), Some("esker.seal.ms"))
    );
    assert_eq!((broker_name("remote.storage.enable"), broker_name("no.such")), (None, None));
    assert_eq!(
        (of_broker_name("message.max.bytes"), of_broker_name("max.message.bytes")),
        (Some("max.message.bytes"), None)
    );
    for name in names() {
        assert_eq!(broker_name(name).is_none(), TOPICS_ONLY.contains(&name), "{name}");
        assert!(
            broker_name(name).is_none_or(|brokers| of_broker_name(brokers) == Some(name)),
            "{name}: by its own name again"
        );
    }
    assert!(
        BROKER_NAMES.iter().all(|(topics, brokers)| broker_name(topics) == Some(brokers) && find(brokers).is_none())
    );
}
