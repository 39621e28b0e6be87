use super::*;
use crate::coordinator::GroupOptions;

fn settings() -> GroupSettings {
    let of_all = GroupOptions::default();
    let consumers = Arc::new(Rules { session_ms: 50_000, ..Rules::clone(&of_all.consumers) });
    let heartbeat_bounds = Bounds { least: 5_000, most: 50_000 };
    GroupSettings::new(GroupOptions { consumers, heartbeat_bounds, max_groups: 2, ..of_all }.into())
}

fn set(settings: &GroupSettings, group: &str, pairs: &[(&str, &str)]) -> Result<(), GroupError> {
    let change = |values: &mut Values| {
        *values = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(())
    };
    let put = |values: &Values| Ok(Some(values.clone()));
    let values = settings.alter(group, change, put)?;
    settings.put_in_force(group, values.unwrap());
    Ok(())
}

#[test]
fn the_groups_own_value_wins_over_the_brokers_and_that_over_the_default() {
    let settings = settings();
    set(&settings, "g", &[(HEARTBEAT, "7000")]).unwrap();
    let values = |group: &str| {
        let described = settings.describe(group);
        described.into_iter().map(|one| (one.value(), one.broker, one.own)).collect::<Vec<_>>()
    };
    assert_eq!(values("g"), [(1_000, 1_000, None), (7_000, 5_000, Some(7_000)), (50_000, 50_000, None)]);
    assert_eq!(values("other")[1], (5_000, 5_000, None));
    assert_eq!((settings.rules_of("g").heartbeat_ms, settings.rules_of("g").session_ms), (7_000, 50_000));
    assert_eq!(settings.rules_of("other").heartbeat_ms, 5_000);
    assert_eq!(settings.groups(), ["g"]);
    set(&settings, "g", &[]).unwrap();
    assert_eq!((settings.rules_of("g").heartbeat_ms, settings.groups()), (5_000, vec![]));
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_changes_nothing() {
    let settings = settings();
    for (pairs, why) in [
        (&[("consumer.sesion.timeout.ms", "1")][..], "no group setting 'consumer.sesion.timeout.ms'"),
        (&[("share.session.timeout.ms", "45000")], "share groups, which are not here"),
        (&[("streams.num.standby.replicas", "1")], "streams groups, which are not here"),
        (&[(SESSION, "44999")], "from 45000 to 60000"),
        (&[(SESSION, "60001")], "from 45000 to 60000"),
        (&[(HEARTBEAT, "many")], "from 5000 to 50000"),
        (&[(ASSIGNMENT, "-1")], "from 0 to 15000"),
        (&[(SESSION, "45000"), (HEARTBEAT, "45000")], "must be greater than"),
    ] {
        let refused = set(&settings, "g", pairs).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(settings.groups(), Vec::<String>::new());
    set(&settings, "a", &[(SESSION, "45000")]).unwrap();
    set(&settings, "b", &[(SESSION, "45000")]).unwrap();
    assert_eq!(set(&settings, "c", &[(SESSION, "45000")]), Err(GroupError::TooManyGroups(2)));
    set(&settings, "a", &[(SESSION, "46000")]).expect("it has some already");
}

#[test]
fn a_change_that_cannot_be_stored_is_forgotten_and_one_on_its_way_is_built_upon() {
    let settings = settings();
    let add = |name: &'static str, value: &'static str| {
        move |values: &mut Values| {
            values.insert(name.to_owned(), value.to_owned());
            Ok(())
        }
    };
    let full = GroupError::NotAvailable("full".to_owned());
    let refused = settings.alter("g", add(SESSION, "46000"), |_| Err::<Option<()>, _>(full.clone()));
    assert_eq!(refused, Err(full));
    settings.alter("g", add(SESSION, "46000"), |_| Ok(None::<()>)).expect("it was only looked at");
    settings.alter("g", add(HEARTBEAT, "6000"), |_| Ok(Some(()))).unwrap();
    let both = settings.alter("g", add(ASSIGNMENT, "0"), |values| Ok(Some(values.clone()))).unwrap().unwrap();
    assert_eq!(both.keys().collect::<Vec<_>>(), [ASSIGNMENT, HEARTBEAT]);
    assert_eq!(settings.rules_of("g").heartbeat_ms, 5_000, "it is not durable");
}

#[test]
fn what_was_stored_before_the_broker_narrowed_its_bounds_is_capped() {
    let settings = settings();
    settings.restore("g", Values::from([(SESSION.to_owned(), "90000".to_owned())]));
    assert_eq!(settings.rules_of("g").session_ms, 60_000);
}
