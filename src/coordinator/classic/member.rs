//! A member of a classic group.
use bytes::Bytes;

use crate::coordinator::calls::{DescribedMember, JoinGroup, JoinedMember, Ticket};
use crate::coordinator::items::{Blob, ClassicMember};

/// A member.
#[derive(Debug, Clone)]
pub struct Member {
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_ms: i64,
    pub rebalance_ms: i64,
    pub protocols: Vec<(String, Bytes)>,
    pub assignment: Bytes,
    /// A join that waits for the next generation.
    pub joining: Option<Ticket>,
    /// A sync that waits for the leader's.
    pub syncing: Option<Ticket>,
    /// It has never been part of a generation: it does not know its own id, so it cannot say that it is alive.
    pub is_new: bool,
    /// When it is gone unless it says a word; none while it waits for an answer of ours.
    pub deadline: Option<i64>,
}

impl Member {
    pub fn new(join: JoinGroup, ticket: Ticket) -> Self {
        Self {
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            session_ms: i64::from(join.session_timeout_ms),
            rebalance_ms: i64::from(join.rebalance_timeout_ms.max(0)),
            protocols: join.protocols,
            assignment: Bytes::new(),
            joining: Some(ticket),
            syncing: None,
            is_new: true,
            deadline: None,
        }
    }

    pub fn restore(item: ClassicMember) -> Self {
        Self {
            instance_id: item.instance,
            client_id: item.client_id,
            client_host: item.client_host,
            session_ms: i64::from(item.session_ms),
            rebalance_ms: i64::from(item.rebalance_ms),
            protocols: item.protocols.into_iter().map(|(name, Blob(bytes))| (name, bytes)).collect(),
            assignment: item.assignment.0,
            joining: None,
            syncing: None,
            is_new: false,
            deadline: None,
        }
    }

    pub fn item(&self, id: &str, assignment: Bytes) -> ClassicMember {
        ClassicMember {
            id: id.to_owned(),
            instance: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_ms: i32::try_from(self.session_ms).unwrap_or(i32::MAX),
            rebalance_ms: i32::try_from(self.rebalance_ms).unwrap_or(i32::MAX),
            protocols: self.protocols.iter().map(|(name, bytes)| (name.clone(), Blob(bytes.clone()))).collect(),
            assignment: Blob(assignment),
        }
    }

    /// Takes over what a member says of itself when it joins again.
    pub fn update(&mut self, join: JoinGroup, ticket: Ticket) -> Option<Ticket> {
        self.protocols = join.protocols;
        self.session_ms = i64::from(join.session_timeout_ms);
        self.rebalance_ms = i64::from(join.rebalance_timeout_ms.max(0));
        self.joining.replace(ticket)
    }

    pub fn touch(&mut self, now_ms: i64) {
        self.deadline = Some(now_ms + self.session_ms);
    }

    /// Whether it need not say that it is alive: it waits for us. New members may go while they wait.
    pub fn is_excused(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    pub fn knows(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// What it says of itself in a protocol.
    pub fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
        found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }

    pub fn joined(&self, id: &str, protocol: Option<&str>) -> JoinedMember {
        JoinedMember { id: id.to_owned(), instance_id: self.instance_id.clone(), metadata: self.metadata(protocol) }
    }

    pub fn described(&self, id: &str, protocol: Option<&str>) -> DescribedMember {
        DescribedMember {
            id: id.to_owned(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    /// About how many bytes it takes as an item, with the assignment that is given.
    pub fn weight(&self, assignment: usize) -> usize {
        let protocols: usize = self.protocols.iter().map(|(name, bytes)| name.len() + bytes.len() * 4 / 3 + 16).sum();
        protocols + assignment * 4 / 3 + self.client_id.len() + self.client_host.len() + 256
    }
}
