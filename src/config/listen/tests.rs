use super::*;

fn address(text: &str) -> HostPort {
    text.parse().unwrap()
}

fn listener(text: &str) -> Listener {
    text.parse().unwrap()
}

#[test]
fn addresses_round_trip_and_anything_else_is_refused() {
    for text in ["127.0.0.1:9092", "localhost:0", "[::1]:9092", "[::]:80", "broker-1.example.org:65535"] {
        assert_eq!(address(text).to_string(), text);
    }
    for text in ["", "9092", ":9092", "::1:9092", "host:", "host:65536", "host:-1", "[host]:1", "a b:1", "http://x:1"] {
        assert_eq!(text.parse::<HostPort>(), Err(ListenError::Address(text.to_owned())), "{text}");
    }
}

#[test]
fn only_loopback_counts_as_loopback() {
    for (text, inside) in [
        ("127.0.0.1:1", true),
        ("127.9.9.9:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("localhost:1", true),
        ("0.0.0.0:1", false),
        ("[::]:1", false),
        ("10.0.0.1:1", false),
        ("localhost.evil.example:1", false),
    ] {
        assert_eq!(address(text).is_loopback(), inside, "{text}");
    }
}

#[test]
fn listeners_take_a_name_and_an_advertised_address() {
    assert_eq!(
        listener("out=0.0.0.0:9093,advertised=example.org:443"),
        Listener {
            name: "out".to_owned(),
            bind: address("0.0.0.0:9093"),
            advertised: Some(address("example.org:443"))
        }
    );
    assert_eq!(listener("[::1]:9092").name, "main");
    for text in ["=1.2.3.4:1", "a b=1.2.3.4:1", "1.2.3.4:1,adv=5.6.7.8:1", "1.2.3.4:1,"] {
        assert_eq!(text.parse::<Listener>(), Err(ListenError::Listener(text.to_owned())), "{text}");
    }
    assert!("1.2.3.4:1,advertised=x:0".parse::<Listener>().is_err());
    assert!("1.2.3.4:1,advertised=0.0.0.0:9092".parse::<Listener>().is_err());
}

#[test]
fn a_set_of_listeners_is_refused_by_what_is_wrong_with_it() {
    let settled = |texts: &[&str], advertise: Option<&str>| {
        settle(texts.iter().map(|text| listener(text)).collect(), advertise.map(address))
    };
    assert_eq!(settled(&[], None), Err(ListenError::None));
    assert_eq!(settled(&["1.1.1.1:1", "1.1.1.1:2"], None), Err(ListenError::SameName("main".to_owned())));
    assert_eq!(settled(&["a=1.1.1.1:1", "b=1.1.1.1:1"], None), Err(ListenError::SameAddress(address("1.1.1.1:1"))));
    assert!(settled(&["a=1.1.1.1:0", "b=1.1.1.1:0"], None).is_ok());
    assert_eq!(settled(&["a=1.1.1.1:1", "b=1.1.1.1:2"], Some("x:1")), Err(ListenError::AdvertiseWhich(2)));
    assert!(matches!(settled(&["0.0.0.0:1"], None), Err(ListenError::NothingToAdvertise { .. })));
    assert_eq!(settled(&["0.0.0.0:1"], Some("x:1")).unwrap()[0].advertised, Some(address("x:1")));
}

#[test]
fn one_open_address_is_enough_to_be_refused() {
    let inside = [listener("127.0.0.1:9092")];
    let outside = [listener("127.0.0.1:9092"), listener("lan=192.168.0.2:9092")];
    assert_eq!(require_loopback(&inside, &address("127.0.0.1:8082")), Ok(()));
    assert!(require_loopback(&inside, &address("0.0.0.0:8082")).unwrap_err().to_string().contains("HTTP"));
    assert!(require_loopback(&outside, &address("127.0.0.1:8082")).unwrap_err().to_string().contains("'lan'"));
}
