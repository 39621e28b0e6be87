use super::*;

fn file(text: &str) -> Sources {
    Sources { file: Some((PathBuf::from("esker.toml"), text.to_owned())), ..Sources::default() }
}

fn variables(pairs: &[(&str, &str)]) -> Sources {
    let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { variables, ..Sources::default() }
}

fn sets(texts: &[&str]) -> Sources {
    Sources { sets: texts.iter().map(|text| (*text).to_owned()).collect(), ..Sources::default() }
}

fn refusal(sources: &Sources) -> String {
    Config::gather(sources).unwrap_err().to_string()
}

#[test]
fn later_sources_win() {
    let mut sources = file("memory.bytes = '256MiB'\nnum.partitions = 2\nbroker.id = 5\ndata = 'a'");
    sources.variables = vec![("ESKER_NUM_PARTITIONS".to_owned(), "3".to_owned()), ("ESKER_DATA".into(), "b".into())];
    sources.flags = vec![("--data", "c".to_owned())];
    sources.sets = vec!["data = d".to_owned()];
    let config = Config::gather(&sources).unwrap();
    assert_eq!((config.memory_bytes, config.num_partitions, config.broker_id), (256 << 20, 3, 5));
    assert_eq!(config.data, PathBuf::from("d"));
}

#[test]
fn the_table_agrees_with_the_defaults() {
    let config = Config::gather(&Sources::default()).unwrap();
    for key in KEYS {
        let mut again = config.clone();
        if (key.set)(&mut again, key.default).is_ok() && !["store", "advertise"].contains(&key.name) {
            assert_eq!(format!("{again:?}"), format!("{config:?}"), "{}", key.name);
        }
    }
    assert_eq!(config.store_url(), "./esker-data/bucket");
}

#[test]
fn what_only_a_start_reads_is_described_with_its_value_and_its_default() {
    let config = Config::gather(&sets(&["memory.bytes=256MiB", "durability=os"])).unwrap();
    let told = |name: &str| {
        let one = config.coordinators.fixed.iter().find(|one| one.name == name).unwrap();
        (one.value.as_deref(), one.default.as_deref())
    };
    assert_eq!(config.coordinators.fixed.len(), KEYS.len());
    assert_eq!(told("memory.bytes"), (Some("268435456"), Some("1073741824")));
    assert_eq!(told("durability"), (Some("os"), Some("fsync")));
    assert_eq!((told("store").0, told("wal.bytes")), (Some("./esker-data/bucket"), (None, None)));
    assert_eq!(told("listen").0, Some("main=127.0.0.1:9092"));
    let given: Vec<&str> = config.coordinators.given.iter().copied().collect();
    assert_eq!(given, ["durability", "memory.bytes"]);
}

#[test]
fn names_and_variables_are_unique() {
    let mut known: Vec<String> = names().map(variable).collect();
    let count = known.len();
    known.sort();
    known.dedup();
    assert_eq!(known.len(), count);
    assert_eq!(variable("esker.seal.ms"), "ESKER_SEAL_MS");
}

#[test]
fn unknown_names_are_refused_with_their_place_and_the_nearest_name() {
    assert_eq!(
        refusal(&sets(&["memory.byte=1GiB"])),
        "--set: there is no setting 'memory.byte'; did you mean 'memory.bytes'? (`esker serve --help` lists them)"
    );
    assert!(refusal(&file("[wal]\nbyte = 1")).starts_with("esker.toml: there is no setting 'wal.byte'; did you mean"));
    assert!(refusal(&variables(&[("ESKER_WAL_BYTE", "1")])).contains("did you mean 'ESKER_WAL_BYTES'?"));
    let strange = Config::gather(&variables(&[("ESKER_TAKE_OVER", "true")])).unwrap().strange_variables;
    assert_eq!(strange, ["ESKER_TAKE_OVER"]);
}

#[test]
fn variables_of_others_are_let_stand() {
    let config = variables(&[
        ("PATH", "/bin"),
        ("ESKER_BROKER", "x:1"),
        ("ESKER_SERVICE_HOST", "10.0.0.1"),
        ("ESKER_PORT", "tcp://10.0.0.1:9092"),
        ("ESKER_PORT_9092_TCP_ADDR", "10.0.0.1"),
    ]);
    assert!(Config::gather(&config).is_ok());
}

#[test]
fn values_that_do_not_fit_are_refused_by_setting() {
    for (pair, says) in [
        ("memory.bytes=1MiB", "the least that works is 128.0 MiB"),
        ("memory.bytes=lots", "not a size"),
        ("durability=maybe", "expected fsync or os"),
        ("num.partitions=0", "from 1 to"),
        ("broker.id=-1", "from 0 on"),
        ("log.format=xml", "text or json"),
        ("log.level==", "expected error"),
        ("insecure=yes", "true or false"),
        ("group.max.size=0", "from 1 to"),
        ("group.initial.rebalance.delay.ms=30d", "from 0 to 2147483647"),
        ("offset.metadata.max.bytes=2MiB", "from 1 to"),
        ("offsets.retention.minutes=0", "from 1 to"),
        ("http=8082", "HOST:PORT"),
        ("retention.ms=soon", "retention.ms"),
    ] {
        let text = refusal(&sets(&[pair]));
        assert!(text.contains(says) && text.starts_with("--set: '"), "{pair}: {text}");
    }
    assert!(refusal(&sets(&["memory.bytes"])).contains("expected key=value"));
}

#[test]
fn a_file_that_is_not_toml_is_refused_by_line() {
    let text = refusal(&file("data = 'a'\nmemory.bytes = "));
    assert!(text.starts_with("esker.toml: ") && text.contains("line 2"), "{text}");
    assert!(refusal(&file("data = 1.5")).contains("data: expected"));
}

#[test]
fn a_list_of_listeners_is_one_setting() {
    let sources = file("listen = ['in=127.0.0.1:1', 'out=127.0.0.1:2,advertised=example.org:3']");
    let names: Vec<String> = Config::gather(&sources).unwrap().listeners.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["in", "out"]);
}

#[test]
fn topic_settings_become_defaults_of_topics() {
    let config = Config::gather(&sets(&["esker.seal.ms=10s", "retention.ms=-1"])).unwrap();
    assert_eq!(config.topic_defaults["esker.seal.ms"], "10000");
    assert_eq!(config.topic_defaults["retention.ms"], "-1");
    let config = Config::gather(&sets(&["log.retention.ms=1h", "message.max.bytes=2MiB"])).unwrap();
    let given: Vec<(&str, &str)> = config.topic_defaults.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(
        given,
        [("max.message.bytes", "2097152"), ("retention.ms", "3600000")],
        "by the names of Kafka's brokers"
    );
    assert!(refusal(&sets(&["log.retention.ms=soon"])).contains("log.retention.ms"));
}

#[test]
fn addresses_beyond_loopback_need_insecure() {
    assert!(refusal(&sets(&["listen=10.0.0.1:9092"])).contains("--insecure"));
    assert!(refusal(&sets(&["http=10.0.0.1:9092"])).contains("--insecure"));
    assert!(Config::gather(&sets(&["listen=10.0.0.1:9092", "insecure=true"])).is_ok());
}

#[test]
fn settings_of_groups_are_settings_of_the_broker() {
    let config =
        Config::gather(&sets(&["group.initial.rebalance.delay.ms=1s", "offsets.retention.minutes=60"])).unwrap();
    assert_eq!(
        (config.coordinators.groups.initial_rebalance_delay_ms, config.coordinators.groups.retention_minutes),
        (1_000, 60)
    );
    let text = refusal(&sets(&["group.min.session.timeout.ms=2h"]));
    assert!(text.contains("group.min.session.timeout.ms=7200000 is more than"), "{text}");
}

#[test]
fn a_batch_that_memory_cannot_hold_is_refused() {
    let large = "max.message.bytes=16MiB";
    assert!(refusal(&sets(&[large, "memory.bytes=256MiB"])).contains("it can be 8388608 at most"));
    assert!(Config::gather(&sets(&[large, "memory.bytes=1GiB"])).is_ok());
}
