use super::*;

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_brokers_change_wins_over_the_clusters_and_that_over_the_file() {
    let file = values(&[("retention.ms", "1"), ("esker.seal.ms", "500")]);
    let cluster = values(&[("log.retention.ms", "2"), ("esker.seal.ms", "600")]);
    let changed = Changed { cluster: cluster.clone(), broker: values(&[("log.retention.ms", "3")]) };
    let retention = |defaults: &Defaults| defaults.get("retention.ms").cloned();
    let defaults = Defaults::new(file, Changed::default());
    assert_eq!(retention(&defaults).as_deref(), Some("1"));
    let defaults = defaults.with(Changed { cluster, ..Changed::default() });
    assert_eq!(retention(&defaults).as_deref(), Some("2"));
    let defaults = defaults.with(changed);
    assert_eq!(retention(&defaults).as_deref(), Some("3"));
    assert_eq!(defaults.get("esker.seal.ms").map(String::as_str), Some("600"));
    let described = settings::describe(&defaults, &values(&[("retention.ms", "4")]));
    let one = described.into_iter().find(|one| one.name == "retention.ms").unwrap();
    assert_eq!(one.value, "4");
    let layers = [one.topic, one.broker, one.cluster, one.file].map(Option::unwrap);
    assert_eq!((layers, one.default.as_str()), (["4", "3", "2", "1"].map(str::to_owned), "-1"));
    assert_eq!(retention(&defaults.with(Changed::default())).as_deref(), Some("1"));
}

#[test]
fn what_is_not_known_or_does_not_fit_is_passed_over_and_kept() {
    let broker = values(&[("log.retention.ms", "soon"), ("retention.ms", "5"), ("of.a.later.version", "x")]);
    let defaults =
        Defaults::new(values(&[("retention.ms", "1")]), Changed { broker: broker.clone(), ..Changed::default() });
    assert_eq!(defaults.in_force(), &values(&[("retention.ms", "1")]));
    assert_eq!(defaults.changed().broker, broker);
    let described = settings::describe(&defaults, &Values::new());
    let one = described.into_iter().find(|one| one.name == "retention.ms").unwrap();
    assert_eq!((one.broker, one.value.as_str()), (None, "1"));
}

#[test]
fn layers_are_items_of_state() {
    let changed = Changed { cluster: values(&[("a", "1")]), broker: values(&[("b", "2")]) };
    let mut items = BTreeMap::new();
    let mut apply = |changes: Changes| {
        for (key, value) in changes {
            match value {
                Some(value) => drop(items.insert(key, value)),
                None => drop(items.remove(&key)),
            }
        }
        items.clone()
    };
    apply(changed.stored(Scope::Cluster, 7));
    let items = apply(changed.stored(Scope::Broker, 7));
    assert_eq!(items.keys().collect::<Vec<_>>(), ["broker-settings/", "broker-settings/7"]);
    assert_eq!(Changed::recover(&items, 7), Ok(changed.clone()));
    assert_eq!(
        Changed::recover(&items, 8),
        Ok(Changed { broker: Values::new(), ..changed }),
        "another broker's are its own"
    );
    let none = Changed::default();
    apply(none.stored(Scope::Cluster, 7));
    assert!(apply(none.stored(Scope::Broker, 7)).is_empty());
    let bad = BTreeMap::from([("broker-settings/7".to_owned(), Json::of(&5))]);
    assert!(Changed::recover(&bad, 7).unwrap_err().contains("'broker-settings/7'"));
}
