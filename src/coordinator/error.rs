//! Why the coordinator refuses. Each variant stands for one code of Kafka's; the codes are made elsewhere.

/// Why a call about a group or its offsets was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// An empty group id, where only a named group makes sense.
    #[error("the group id must not be empty")]
    InvalidGroupId,
    /// A session time-out outside of `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.
    #[error("a session time-out of {asked} ms was asked for; {least} to {most} ms are possible")]
    InvalidSessionTimeout {
        /// What the client wants.
        asked: i32,
        /// The least that is possible.
        least: i32,
        /// The most that is possible.
        most: i32,
    },
    /// The member shares no protocol with the others, or has another protocol type.
    #[error("the member's protocols are not those of the group")]
    InconsistentProtocol,
    /// Nobody of that id is in the group (any more).
    #[error("the group does not know this member")]
    UnknownMember,
    /// Another generation than the group's.
    #[error("the group is at another generation")]
    IllegalGeneration,
    /// The group is between two generations.
    #[error("the group rebalances")]
    RebalanceInProgress,
    /// Somebody else joined with the same `group.instance.id` since.
    #[error("another member has taken this group.instance.id over")]
    FencedInstance,
    /// The first join of a dynamic member (KIP-394): it shall join again with the id that it was given.
    #[error("join again with the member id that was given")]
    MemberIdRequired,
    /// `group.max.size` members are there already.
    #[error("the group has group.max.size members already")]
    GroupFull,
    /// Another epoch than the member's: it has to give up what it has and enter again.
    #[error("the member is at another epoch")]
    FencedMemberEpoch,
    /// A commit or a look at offsets under another epoch than the member's.
    #[error("the member is at another epoch by now")]
    StaleMemberEpoch,
    /// The static member that has the instance id is still there.
    #[error("a member that has not left uses this group.instance.id")]
    UnreleasedInstance,
    /// No such assignor, or one that the operator does not allow.
    #[error("there is no assignor '{0}'")]
    UnsupportedAssignor(String),
    /// A pattern of topics that is no regular expression in RE2's syntax, or too large.
    #[error("the pattern of topics cannot be used: {0}")]
    InvalidRegularExpression(String),
    /// A call that makes no sense.
    #[error("{0}")]
    InvalidCall(&'static str),
    /// The broker's limit of groups.
    #[error(
        "there are {0} groups already, which is the limit (esker.groups.max); delete some, or let their offsets expire"
    )]
    TooManyGroups(usize),
    /// What the members say of themselves takes too much space.
    #[error("the group's members would take {bytes} bytes to store; {most} are possible")]
    GroupTooLarge {
        /// Bytes of the item.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// Deletion of a group that has members.
    #[error("the group has members")]
    NonEmptyGroup,
    /// No such group.
    #[error("there is no group '{0}'")]
    GroupNotFound(String),
    /// A classic group that a member of the consumer protocol cannot enter.
    #[error("Cannot upgrade classic group {group} to consumer group because {why}.")]
    CannotBeTakenOver {
        /// Its id.
        group: String,
        /// What stands in the way.
        why: &'static str,
    },
    /// A commit by a member of the consumer protocol in a version of the call that does not know it.
    #[error("OffsetCommit version 9 or above must be used by members using the modern group protocol")]
    NeedsEpochs,
    /// A setting of a group that there is not, or a value that does not fit.
    #[error("{0}")]
    InvalidSetting(String),
    /// Deletion of offsets that a member works on.
    #[error("the group is subscribed to the topic")]
    SubscribedToTopic,
    /// Metadata of a commit above `offset.metadata.max.bytes`.
    #[error("the metadata of an offset has {0} bytes, more than offset.metadata.max.bytes")]
    MetadataTooLarge(usize),
    /// A transaction that is not decided has committed offsets of the partition.
    #[error("a transaction that is not decided holds offsets of the partition")]
    UnstableOffset,
    /// No such topic or partition.
    #[error("there is no such topic or partition")]
    UnknownTopicOrPartition,
    /// No topic has the id.
    #[error("no topic has that id")]
    UnknownTopicId,
    /// For the moment: try again.
    #[error("not available at the moment: {0}")]
    NotAvailable(String),
    /// This broker is ending: find another one.
    #[error("this broker no longer coordinates the group: {0}")]
    NotCoordinator(String),
}

/// Why a call about a transaction was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxnError {
    /// An empty transactional id, or only one half of a producer id and its epoch.
    #[error("the request does not make sense: {0}")]
    InvalidRequest(&'static str),
    /// A time-out outside of `transaction.max.timeout.ms`.
    #[error(
        "a transaction timeout of {asked} ms was asked for; 1 to {most} ms are possible (transaction.max.timeout.ms)"
    )]
    InvalidTimeout {
        /// What the client wants.
        asked: i32,
        /// The most that is possible.
        most: i32,
    },
    /// Nobody of that producer id has the transactional id (any more).
    #[error("the producer id is not the one of the transactional id, or the transactional id is not known")]
    UnknownProducerId,
    /// A newer instance of the producer has taken the transactional id, or its transaction was aborted for it.
    #[error("the producer is fenced: its epoch is {got}, and that of the transactional id is {current}")]
    Fenced {
        /// The epoch of the caller.
        got: i16,
        /// The one in force.
        current: i16,
    },
    /// The transaction before is being ended: try again.
    #[error("the transaction before is still being ended")]
    Concurrent,
    /// The transaction is in a state that does not allow the call.
    #[error("the transaction is {0}, which does not allow this")]
    InvalidState(&'static str),
    /// The partition or the group is not in the transaction: abort it and begin anew.
    #[error("not in the transaction: it has to be added first; abort the transaction")]
    Abortable,
    /// No such transactional id.
    #[error("there is no such transactional id")]
    NotFound,
    /// The broker's limit of transactional ids.
    #[error("there are {0} transactional ids already, which is the limit (esker.transactional.ids.max)")]
    TooMany(usize),
    /// For the moment: try again.
    #[error("not available at the moment: {0}")]
    NotAvailable(String),
    /// This broker is ending: find another one.
    #[error("this broker no longer coordinates the transaction: {0}")]
    NotCoordinator(String),
}
