//! Where the process listens, what it tells clients to connect to, and the rule that keeps it on loopback.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A host name or address, and a port. IPv6 addresses are written in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// Port; 0 asks the system for a free one.
    pub port: u16,
}

/// One address of the Kafka protocol: `[NAME=]ADDR[,advertised=ADDR]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What logs and metrics call it; `main` unless given.
    pub name: String,
    /// What to bind.
    pub bind: HostPort,
    /// What Metadata tells clients that came in here; the bound address unless given.
    pub advertised: Option<HostPort>,
}

/// What is wrong with an address or with a set of listeners.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Not an address.
    #[error(
        "'{0}' is not an address: write HOST:PORT, an IPv6 address in brackets, as in 127.0.0.1:9092 or [::1]:9092"
    )]
    Address(String),
    /// Not a listener.
    #[error(
        "'{0}' is not a listener: write ADDR or NAME=ADDR, and ,advertised=ADDR if clients connect to another address"
    )]
    Listener(String),
    /// Two listeners with one name.
    #[error("two listeners are named '{0}': give each a name of its own, as in --listen inside=10.0.0.5:9092")]
    SameName(String),
    /// Two listeners on one address.
    #[error("two listeners bind {0}")]
    SameAddress(HostPort),
    /// No listener at all.
    #[error("no listener: give at least one --listen ADDR")]
    None,
    /// All interfaces, and nothing to tell clients.
    #[error(
        "listener '{name}' binds all interfaces ({bind}): say where clients find it, with ,advertised=HOST:PORT (or --advertise)"
    )]
    NothingToAdvertise {
        /// The listener.
        name: String,
        /// Its address.
        bind: HostPort,
    },
    /// `--advertise` with more or less than one listener.
    #[error(
        "--advertise fits one listener, but there are {0}: write ,advertised=HOST:PORT behind each --listen instead"
    )]
    AdvertiseWhich(usize),
    /// Off loopback without `--insecure`.
    #[error(
        "{what} {bind} can be reached from other machines, and there is no authentication yet: \
         whoever reaches it can read and write everything. Listen on 127.0.0.1, or accept this with --insecure"
    )]
    Open {
        /// Which listener.
        what: String,
        /// Its address.
        bind: HostPort,
    },
}

impl HostPort {
    /// Whether only this machine can reach it. A name other than `localhost` is taken for an open one.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Whether it stands for all interfaces.
    pub fn is_unspecified(&self) -> bool {
        self.host == Ipv4Addr::UNSPECIFIED.to_string() || self.host == Ipv6Addr::UNSPECIFIED.to_string()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for HostPort {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let bad = || ListenError::Address(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().map_err(|_| bad())?.to_string(),
            None => host.to_owned(),
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || !(host.chars().all(legal) || host.parse::<Ipv6Addr>().is_ok() && text.starts_with('[')) {
            return Err(bad());
        }
        Ok(Self { host, port })
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.bind)?;
        self.advertised.as_ref().map_or(Ok(()), |address| write!(f, ",advertised={address}"))
    }
}

impl FromStr for Listener {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let bad = || ListenError::Listener(text.to_owned());
        let (bind, advertised) = match text.split_once(',') {
            None => (text, None),
            Some((bind, rest)) => {
                let address: HostPort = rest.strip_prefix("advertised=").ok_or_else(bad)?.parse()?;
                if address.port == 0 || address.is_unspecified() {
                    return Err(ListenError::Address(address.to_string()));
                }
                (bind, Some(address))
            }
        };
        let (name, bind) = bind.split_once('=').unwrap_or(("main", bind));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Err(bad());
        }
        Ok(Self { name: name.to_owned(), bind: bind.parse()?, advertised })
    }
}

/// Gives `--advertise` to the only listener, and checks that names and addresses differ and that clients can be told
/// something.
pub fn settle(mut listeners: Vec<Listener>, advertise: Option<HostPort>) -> Result<Vec<Listener>, ListenError> {
    if let Some(address) = advertise {
        match &mut listeners[..] {
            [only] => only.advertised = Some(address),
            _ => return Err(ListenError::AdvertiseWhich(listeners.len())),
        }
    }
    if listeners.is_empty() {
        return Err(ListenError::None);
    }
    for (i, one) in listeners.iter().enumerate() {
        if one.advertised.is_none() && one.bind.is_unspecified() {
            return Err(ListenError::NothingToAdvertise { name: one.name.clone(), bind: one.bind.clone() });
        }
        for other in &listeners[..i] {
            if other.name == one.name {
                return Err(ListenError::SameName(one.name.clone()));
            }
            if other.bind == one.bind && one.bind.port != 0 {
                return Err(ListenError::SameAddress(one.bind.clone()));
            }
        }
    }
    Ok(listeners)
}

/// The loopback rule: until there is authentication, an address that others can reach needs `--insecure`.
pub fn require_loopback(listeners: &[Listener], http: &HostPort) -> Result<(), ListenError> {
    let kafka = listeners.iter().map(|one| (format!("listener '{}' at", one.name), &one.bind));
    let open = kafka.chain([("the HTTP address".to_owned(), http)]).find(|(_, bind)| !bind.is_loopback());
    match open {
        Some((what, bind)) => Err(ListenError::Open { what, bind: bind.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
