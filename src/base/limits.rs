//! Every limit of the process in one place: how `memory.bytes` is divided, and the fixed bounds.

const MIB: u64 = 1 << 20;

/// How much memory the process may plan with, and how it is divided. All sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    memory_bytes: u64,
}

impl Limits {
    /// Smallest sensible `memory.bytes`: below it one request, one seal and one cold read would not fit together.
    pub const MEMORY_BYTES_MIN: u64 = 128 * MIB;
    /// Default of `memory.bytes`.
    pub const MEMORY_BYTES_DEFAULT: u64 = 1024 * MIB;
    /// Largest number of connections of one listener kind.
    pub const CONNECTIONS_MAX: usize = 10_000;
    /// Requests of one connection that are read but not yet answered.
    pub const PIPELINE_MAX: usize = 64;
    /// Partitions of one broker.
    pub const PARTITIONS_MAX: usize = 20_000;
    /// Longest topic name, as in Kafka.
    pub const TOPIC_NAME_MAX: usize = 249;
    /// Idempotent producers remembered per partition; the one that is silent for longest goes first.
    pub const PRODUCERS_PER_PARTITION_MAX: usize = 10_000;
    /// Fetch sessions of one broker, as Kafka's `max.incremental.fetch.session.cache.slots`.
    pub const FETCH_SESSIONS_MAX: usize = 1_000;
    /// Partitions of groups whose lag stands in the metrics.
    pub const GROUP_LAGS_MAX: usize = 10_000;

    /// Divides `memory_bytes` (raised to [`Limits::MEMORY_BYTES_MIN`]).
    pub fn new(memory_bytes: u64) -> Self {
        Self { memory_bytes: memory_bytes.max(Self::MEMORY_BYTES_MIN) }
    }

    /// Less than [`Limits::MEMORY_BYTES_MIN`], so that a test reaches a limit soon.
    #[cfg(test)]
    pub fn tiny(memory_bytes: u64) -> Self {
        Self { memory_bytes }
    }

    /// The whole.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Requests that were received and not yet answered: an eighth, and produce data that waits for a sync with it.
    pub fn request_bytes(&self) -> u64 {
        self.memory_bytes / 8
    }

    /// Responses that are made and not yet sent: an eighth.
    pub fn response_bytes(&self) -> u64 {
        self.memory_bytes / 8
    }

    /// The newest groups of the WAL, kept in memory for tail readers: a sixteenth, at most 64 MiB.
    pub fn tail_bytes(&self) -> u64 {
        (self.memory_bytes / 16).min(64 * MIB)
    }

    /// Stored and decoded bytes of cold reads under way: an eighth.
    pub fn cold_bytes(&self) -> u64 {
        self.memory_bytes / 8
    }

    /// Encoded slices kept for the next reader of the same history: a quarter.
    pub fn slice_cache_bytes(&self) -> u64 {
        self.memory_bytes / 4
    }

    /// Segment footers and manifest pages kept: a thirty-second.
    pub fn footer_cache_bytes(&self) -> u64 {
        self.memory_bytes / 32
    }

    /// Heads of manifests as plain data; beyond it they are kept compressed: a thirty-second.
    pub fn heads_bytes(&self) -> u64 {
        self.memory_bytes / 32
    }

    /// Seals under way (rows of one block before and after encoding, upload parts): an eighth.
    pub fn seal_bytes(&self) -> u64 {
        self.memory_bytes / 8
    }

    /// Changes of groups, offsets and transactions that are not in a state version yet: a sixteenth.
    pub fn state_changes_bytes(&self) -> u64 {
        self.memory_bytes / 16
    }

    /// Where batches lie in the WAL: a sixteenth. Beyond it sealed ones are read from the bucket, and unsealed ones are sealed
    /// early.
    pub fn hot_index_bytes(&self) -> u64 {
        self.memory_bytes / 16
    }

    /// Most that it may take while nothing can be sealed: an eighth. Beyond it produce is refused.
    pub fn hot_index_max_bytes(&self) -> u64 {
        self.memory_bytes / 8
    }

    /// Idempotent producers remembered in all partitions together, of some 256 bytes each: a sixteenth.
    pub fn producers_max(&self) -> usize {
        usize::try_from(self.memory_bytes / 16 / 256).unwrap_or(usize::MAX)
    }

    /// Largest request a connection may announce: Kafka's `socket.request.max.bytes`, but never more than the budget.
    pub fn request_max_bytes(&self) -> u64 {
        self.request_bytes().min(100 * MIB)
    }

    /// Largest batch: a quarter of the cold budget, so that reading it back never takes the whole pool.
    pub fn message_max_bytes_ceiling(&self) -> u64 {
        self.cold_bytes() / 4
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Self::MEMORY_BYTES_DEFAULT)
    }
}
