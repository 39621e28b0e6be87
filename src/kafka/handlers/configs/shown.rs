//! Settings as DescribeConfigs shows them: each with the places where it has a value, the one that counts first.
use crate::coordinator::BrokerSetting;
use crate::coordinator::settings::GroupSetting;
use crate::kafka::messages::describe_configs::{DescribeConfigsResourceResult, DescribeConfigsSynonym};
use crate::log::{SettingInfo, SettingKind};

/// `ConfigSource`.
const TOPICS_OWN: i8 = 1;
const BROKERS_CHANGE: i8 = 2;
const CLUSTERS_CHANGE: i8 = 3;
const BROKERS_FILE: i8 = 4;
const BUILT_IN: i8 = 5;
const GROUPS_OWN: i8 = 8;

/// What a request wants to know of each setting.
#[derive(Clone, Copy)]
pub struct Detail {
    pub synonyms: bool,
    pub documentation: bool,
}

/// One place where a setting may have a value: its source, the setting's name there, the value.
type Place<'a> = (i8, &'a str, Option<&'a String>);

/// The places of a topic's setting.
fn places(setting: &SettingInfo) -> Vec<Place<'_>> {
    let brokers = setting.broker_name.unwrap_or(setting.name);
    vec![
        (TOPICS_OWN, setting.name, setting.topic.as_ref()),
        (BROKERS_CHANGE, brokers, setting.broker.as_ref()),
        (CLUSTERS_CHANGE, brokers, setting.cluster.as_ref()),
        (BROKERS_FILE, brokers, setting.file.as_ref()),
        (BUILT_IN, brokers, setting.broker_name.map(|_| &setting.default)),
    ]
}

/// The places of a broker's setting.
fn brokers_places(setting: &BrokerSetting) -> Vec<Place<'_>> {
    vec![
        (BROKERS_CHANGE, setting.name, setting.broker.as_ref()),
        (CLUSTERS_CHANGE, setting.name, setting.cluster.as_ref()),
        (BROKERS_FILE, setting.name, setting.file.as_ref()),
        (BUILT_IN, setting.name, setting.default.as_ref()),
    ]
}

/// Where the value that counts comes from.
fn first(places: &[Place<'_>]) -> i8 {
    places.iter().find(|(.., value)| value.is_some()).map_or(BUILT_IN, |(source, ..)| *source)
}

/// Where a topic's value comes from.
pub fn source(setting: &SettingInfo) -> i8 {
    first(&places(setting))
}

/// `ConfigType`.
fn config_type(kind: SettingKind) -> i8 {
    match kind {
        SettingKind::Boolean => 1,
        SettingKind::Text => 2,
        SettingKind::Int => 3,
        SettingKind::Long => 5,
        SettingKind::Double => 6,
        SettingKind::List => 7,
    }
}

/// What is said of any setting.
struct Said<'a> {
    name: &'a str,
    value: Option<&'a String>,
    read_only: bool,
    kind: SettingKind,
    doc: &'a str,
}

fn shown(said: Said<'_>, places: &[Place<'_>], detail: Detail) -> DescribeConfigsResourceResult {
    let synonym = |(source, name, value): &Place<'_>| {
        value.map(|value| DescribeConfigsSynonym {
            name: (*name).to_owned(),
            value: Some(value.clone()),
            source: *source,
        })
    };
    DescribeConfigsResourceResult {
        name: said.name.to_owned(),
        value: said.value.cloned(),
        read_only: said.read_only,
        config_source: first(places),
        is_sensitive: false,
        synonyms: if detail.synonyms { places.iter().filter_map(synonym).collect() } else { Vec::new() },
        config_type: config_type(said.kind),
        documentation: detail.documentation.then(|| said.doc.to_owned()),
    }
}

/// A topic's setting.
pub fn topics(setting: &SettingInfo, detail: Detail) -> DescribeConfigsResourceResult {
    let SettingInfo { name, value, kind, doc, .. } = setting;
    shown(Said { name, value: Some(value), read_only: false, kind: *kind, doc }, &places(setting), detail)
}

/// A broker's setting.
pub fn brokers(setting: &BrokerSetting, detail: Detail) -> DescribeConfigsResourceResult {
    let BrokerSetting { name, kind, doc, dynamic, .. } = setting;
    let said = Said { name, value: setting.value(), read_only: !dynamic, kind: *kind, doc };
    shown(said, &brokers_places(setting), detail)
}

/// What was changed for the whole cluster, if the setting was.
pub fn clusters(setting: BrokerSetting, detail: Detail) -> Option<DescribeConfigsResourceResult> {
    setting.cluster.as_ref()?;
    Some(brokers(&BrokerSetting { broker: None, file: None, default: None, ..setting }, detail))
}

/// A group's setting, with the broker's that counts for groups that have none.
pub fn groups(setting: &GroupSetting, broker: Option<&BrokerSetting>, detail: Detail) -> DescribeConfigsResourceResult {
    let (own, value) = (setting.own.map(|own| own.to_string()), setting.value().to_string());
    let mut places = vec![(GROUPS_OWN, setting.name, own.as_ref())];
    places.extend(broker.into_iter().flat_map(brokers_places));
    let said =
        Said { name: setting.name, value: Some(&value), read_only: false, kind: SettingKind::Int, doc: setting.doc };
    shown(said, &places, detail)
}
