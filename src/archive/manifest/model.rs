//! What a manifest version says: plain data, as it stands in the bucket.
//!
//! The body of a version (kind `manifest`, format 1):
//! ```text
//! topic_id, partition        whose it is; a version found in another place is refused
//! log_start                  offsets below are gone for readers
//! next                       end of the sealed range: everything below is in an entry or below log start
//! reserved                   no offset at or above it has been given out
//! entries                    the newest segments and gaps, ascending and contiguous up to `next`
//! pages                      references to immutable pages with the older ones, ascending, contiguous up to the entries
//! epochs, epoch_pages        [epoch, first offset] of each epoch that holds records; the old ones in pages
//! cleaned                    [next offset, time]: one per move of the clean point
//! producers                  producers as of `next`: inline, or name and CRC of an object
//! removed, removed_pages     what is no longer live and waits to be deleted: since when and by what; the old ones in pages
//! written_ms                 when this version was made
//! ```
//! A page (kind `manifest-page`, format 1) holds `topic_id`, `partition`, `level` and either `entries` (level 0) or
//! `pages` (above): a tree, so that a version stays small however long the history is and a look-up costs its depth.
//! A page of what was removed (kind `manifest-removed`, format 1) holds `topic_id`, `partition` and `removed`.
//!
//! Fields of later builds are kept wherever an object is written again, at every level. What is made anew says only what its
//! maker knows: the reference to a new object, sums over other entries, a gap that is widened, a new segment's entry.
//! Hashes and CRCs are hex strings, times are ms since 1970 (UTC), sizes are bytes.
use serde::{Deserialize, Serialize};

use crate::archive::segment::SegmentMeta;
use crate::base::Uuid;
use crate::record::HashSum;
use crate::store::envelope::{Schema, Unknown};

use super::producers::Producers;

/// The chain of manifests.
pub const MANIFEST: Schema = Schema { kind: "manifest", format: 1, features: &[] };
/// Pages of the tree.
pub const PAGE: Schema = Schema { kind: "manifest-page", format: 1, features: &[] };
/// Pages of old epochs.
pub const EPOCHS: Schema = Schema { kind: "manifest-epochs", format: 1, features: &[] };
/// Pages of what was removed.
pub const REMOVED: Schema = Schema { kind: "manifest-removed", format: 1, features: &[] };
/// Producers that do not fit a version.
pub const PRODUCERS: Schema = Schema { kind: "manifest-producers", format: 1, features: &[] };

/// Offsets that one version lets the log give out beyond its end.
pub const RESERVE: i64 = 1 << 26;
// Small under test, so that every test has a deep tree; readers take pages of any size.
/// Entries in a version before the oldest move to a page.
pub const ENTRIES_MAX: usize = if cfg!(test) { 8 } else { 128 };
/// Bytes of the text of a version's entries before the oldest move to a page.
pub const ENTRIES_BYTES_MAX: usize = 64 << 10;
/// Entries, references or epochs that move to a page at once.
pub const PAGE_ITEMS: usize = if cfg!(test) { 4 } else { 64 };
/// Epochs in a version before the oldest move to a page.
pub const EPOCHS_MAX: usize = if cfg!(test) { 8 } else { 128 };
/// Clean points in a version.
pub const CLEAN_POINTS_MAX: usize = 64;
/// Epochs in one page.
pub const EPOCH_PAGE_ITEMS: usize = if cfg!(test) { 12 } else { 4096 };
/// Removed things in a version before the oldest move to a page.
pub const REMOVED_MAX: usize = if cfg!(test) { 24 } else { 512 };
/// Removed things that move to a page at once.
pub const REMOVED_PAGE_ITEMS: usize = if cfg!(test) { 12 } else { 256 };
/// Producers that stay in the version, encoded.
pub const PRODUCERS_INLINE_BYTES: usize = 8 << 10;

/// One version's body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
    /// First offset that readers may ask for.
    pub log_start: i64,
    /// End of the sealed range.
    pub next: i64,
    /// No offset at or above it has been given out.
    pub reserved: i64,
    /// The newest segments and gaps.
    pub entries: Vec<Entry>,
    /// The older ones.
    pub pages: Vec<PageRef>,
    /// First offset of each epoch that holds records, ascending.
    pub epochs: Vec<EpochStart>,
    /// The old ones.
    pub epoch_pages: Vec<EpochPageRef>,
    /// Moves of the clean point.
    pub cleaned: Vec<CleanPoint>,
    /// Producers as of `next`.
    pub producers: ProducersAt,
    /// What waits to be deleted: the newest.
    pub removed: Vec<Removed>,
    /// The older ones, by time.
    pub removed_pages: Vec<RemovedPageRef>,
    /// When this version was made, ms since 1970.
    pub written_ms: i64,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A segment or a gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// Offsets whose records lie in one object.
    Segment(Box<SegmentEntry>),
    /// Offsets without records.
    Gap(Gap),
}

/// One live object, with everything that planning a read needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// Name relative to the topic's root, or to `root`.
    pub name: String,
    /// Another root within the bucket, where the object is not under this topic's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Offsets of control records in its range.
    pub control: u64,
    /// Offsets of records of aborted transactions in its range.
    pub aborted: u64,
    /// Offsets of records that compaction removed from its range.
    pub compacted: u64,
    /// When its records were sealed for the first time, ms since 1970: a merge keeps the newest of its inputs'.
    pub sealed_ms: i64,
    /// What the segment's writer says of it: range, counts, places, CRCs, times, hash.
    pub meta: SegmentMeta,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl SegmentEntry {
    /// The time by which retention takes it, ms: that of its newest record, or of its seal where a record's clock ran ahead.
    pub fn retained_by_ms(&self) -> i64 {
        self.meta.max_timestamp.unwrap_or(self.sealed_ms).min(self.sealed_ms)
    }
}

/// A range of offsets without records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First offset of the gap.
    pub first: i64,
    /// First offset after it.
    pub next: i64,
    /// Why there are no records.
    pub reason: GapReason,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Why a range holds no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// Control records only.
    Control,
    /// Records of aborted transactions (and their markers).
    Aborted,
    /// Removed by compaction.
    Compacted,
    /// Removed by DeleteRecords or retention before it was sealed.
    Deleted,
    /// A disk was lost; the offsets are never used again.
    WalLost,
}

impl GapReason {
    /// As it stands in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Aborted => "aborted",
            Self::Compacted => "compacted",
            Self::Deleted => "deleted",
            Self::WalLost => "wal-lost",
        }
    }
}

/// An immutable object of the manifest, by name and CRC-32C of all its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Name relative to the topic's root.
    pub name: String,
    /// CRC-32C of the whole object, eight hex digits.
    pub crc32c: String,
    /// Its size.
    pub bytes: u64,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A page, with the sums over everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRef {
    /// Where it is.
    pub object: ObjectRef,
    /// 0: a page of entries.
    pub level: u8,
    /// Sums over its entries.
    pub sums: Sums,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Sums over a run of contiguous entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// First offset.
    pub first: i64,
    /// First offset after.
    pub next: i64,
    /// Number of segments.
    pub segments: u64,
    /// Number of gaps.
    pub gaps: u64,
    /// Records in the segments.
    pub records: u64,
    /// Bytes of keys, values and headers, unpacked.
    pub payload_bytes: u64,
    /// Bytes of the objects.
    pub stored_bytes: u64,
    /// Smallest timestamp, ms; none where no record has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_timestamp: Option<i64>,
    /// Largest timestamp, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_timestamp: Option<i64>,
    /// First offset that has the largest timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_of_first_max: Option<i64>,
    /// Records without a timestamp.
    pub null_timestamps: u64,
    /// Wrapping sum of the record hashes.
    pub hash: HashSum,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The content of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
    /// 0: entries.
    pub level: u8,
    /// What it lists.
    #[serde(flatten)]
    pub items: PageItems,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Entries, or pages one level down (or lower, at the left edge of the tree).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageItems {
    /// Of level 0.
    Entries(Vec<Entry>),
    /// Of level 1 and above.
    Pages(Vec<PageRef>),
}

/// First offset of an epoch that holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochStart(pub i32, pub i64);

impl EpochStart {
    /// The leader epoch.
    pub fn epoch(self) -> i32 {
        self.0
    }

    /// Its first offset.
    pub fn first_offset(self) -> i64 {
        self.1
    }
}

/// A page of old epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochPageRef {
    /// Where it is.
    pub object: ObjectRef,
    /// Its first epoch and that epoch's first offset.
    pub first: EpochStart,
    /// Its last epoch and that epoch's first offset.
    pub last: EpochStart,
    /// How many it holds.
    pub count: u64,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The content of a page of old epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochPage {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
    /// Ascending.
    pub epochs: Vec<EpochStart>,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A move of the clean point: everything below the offset was compacted at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanPoint(pub i64, pub i64);

/// The producers, or where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProducersAt {
    /// In the version.
    Inline(Producers),
    /// In an object of their own.
    Object(ObjectRef),
}

/// Something that is no longer live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// What it is.
    pub what: RemovedObject,
    /// Since when, ms since 1970.
    pub at_ms: i64,
    /// By what; pages and producer objects need no reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<RemovedBy>,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What a segment gave way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovedBy {
    /// Another segment with the same records.
    Merge,
    /// Another segment with fewer records, or a gap.
    Compaction,
    /// Retention by time or size.
    Retention,
    /// DeleteRecords.
    Delete,
}

/// A page of what was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedPageRef {
    /// Where it is.
    pub object: ObjectRef,
    /// The smallest time in it, ms since 1970.
    pub first_ms: i64,
    /// The greatest.
    pub last_ms: i64,
    /// How many things it names.
    pub count: u64,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The content of a page of what was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedPage {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
    /// In the order in which they were removed.
    pub removed: Vec<Removed>,
    /// Fields of later builds.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovedObject {
    /// A segment, by name, and its size.
    Segment {
        /// Relative to the topic's root.
        name: String,
        /// Its size.
        bytes: u64,
        /// Fields of later builds.
        #[serde(flatten)]
        unknown: Unknown,
    },
    /// One object of the manifest (a page that was rewritten, producers, epochs), without what it names.
    Object {
        /// Relative to the topic's root.
        name: String,
        /// Fields of later builds.
        #[serde(flatten)]
        unknown: Unknown,
    },
    /// A page with everything below it: pages and segments.
    Tree(PageRef),
}

impl RemovedObject {
    /// One object of the manifest.
    pub fn object(name: impl Into<String>) -> Self {
        Self::Object { name: name.into(), unknown: Unknown::new() }
    }

    /// A segment.
    pub fn segment(name: impl Into<String>, bytes: u64) -> Self {
        Self::Segment { name: name.into(), bytes, unknown: Unknown::new() }
    }

    /// Whether it is the object `name`, or may lie below the tree that it is: `first` is the first offset of a segment or
    /// page of that name. What lies below a removed page may only go with it.
    pub fn covers(&self, name: &str, first: Option<i64>) -> bool {
        let below = match (self, first) {
            (Self::Tree(page), Some(first)) => (page.sums.first..page.sums.next).contains(&first),
            _ => false,
        };
        below || self.name() == name
    }

    /// The object's name, or that of the page at the top of the tree.
    pub fn name(&self) -> &str {
        match self {
            Self::Segment { name, .. } | Self::Object { name, .. } => name,
            Self::Tree(page) => &page.object.name,
        }
    }
}

impl Manifest {
    /// Records at or above `offset`, exact but for the page and the segment that the offset cuts: of those at most as many
    /// as offsets are left.
    pub fn records_from(&self, offset: i64) -> u64 {
        let above = |first: i64, next: i64, records: u64| match first >= offset {
            true => records,
            false => records.min(u64::try_from(next - offset).unwrap_or(0)),
        };
        let pages = self.pages[self.pages.partition_point(|page| page.sums.next <= offset)..].iter();
        let entries = self.entries[self.entries.partition_point(|entry| entry.next() <= offset)..].iter();
        let in_pages: u64 = pages.map(|page| above(page.sums.first, page.sums.next, page.sums.records)).sum();
        let segments = entries.filter_map(Entry::segment).map(|segment| &segment.meta);
        in_pages + segments.map(|meta| above(meta.first_offset, meta.next_offset, meta.records)).sum::<u64>()
    }

    /// Version 1 of a partition.
    pub fn empty(topic_id: Uuid, partition: i32, now_ms: i64) -> Self {
        Self {
            topic_id,
            partition,
            log_start: 0,
            next: 0,
            reserved: RESERVE,
            entries: Vec::new(),
            pages: Vec::new(),
            epochs: Vec::new(),
            epoch_pages: Vec::new(),
            cleaned: Vec::new(),
            producers: ProducersAt::Inline(Producers::default()),
            removed: Vec::new(),
            removed_pages: Vec::new(),
            written_ms: now_ms,
            unknown: Unknown::new(),
        }
    }

    /// Whether nothing was ever sealed, moved or removed: such a manifest may be adopted by whoever creates the partition.
    pub fn is_untouched(&self) -> bool {
        self.next == 0 && self.log_start == 0 && self.never_had_segments()
    }

    /// Whether it names no segment, and none waits to be deleted.
    pub fn never_had_segments(&self) -> bool {
        let has_segments = self.sums().is_some_and(|sums| sums.segments > 0);
        !has_segments && self.removed.is_empty() && self.removed_pages.is_empty()
    }

    /// First offset that an entry or a page still covers; `next` where there are none.
    pub fn first(&self) -> i64 {
        let page = self.pages.first().map(|page| page.sums.first);
        page.or_else(|| self.entries.first().map(Entry::first)).unwrap_or(self.next)
    }

    /// Sums over all that is listed, a straddled log start included. None: nothing is.
    pub fn sums(&self) -> Option<Sums> {
        let pages = self.pages.iter().map(|page| page.sums.clone());
        pages.chain(self.entries.iter().map(Sums::of)).reduce(Sums::and)
    }
}

impl Entry {
    /// First offset.
    pub fn first(&self) -> i64 {
        match self {
            Self::Segment(segment) => segment.meta.first_offset,
            Self::Gap(gap) => gap.first,
        }
    }

    /// First offset after.
    pub fn next(&self) -> i64 {
        match self {
            Self::Segment(segment) => segment.meta.next_offset,
            Self::Gap(gap) => gap.next,
        }
    }

    /// The segment, if it is one.
    pub fn segment(&self) -> Option<&SegmentEntry> {
        match self {
            Self::Segment(segment) => Some(segment),
            Self::Gap(_) => None,
        }
    }

    /// A gap.
    pub fn gap(first: i64, next: i64, reason: GapReason) -> Self {
        Self::Gap(Gap { first, next, reason, unknown: Unknown::new() })
    }
}

impl Sums {
    /// Of one entry.
    pub fn of(entry: &Entry) -> Self {
        let mut sums = Self {
            first: entry.first(),
            next: entry.next(),
            segments: 0,
            gaps: 0,
            records: 0,
            payload_bytes: 0,
            stored_bytes: 0,
            min_timestamp: None,
            max_timestamp: None,
            offset_of_first_max: None,
            null_timestamps: 0,
            hash: HashSum::ZERO,
            unknown: Unknown::new(),
        };
        match entry {
            Entry::Gap(_) => sums.gaps = 1,
            Entry::Segment(segment) => {
                let meta = &segment.meta;
                sums.segments = 1;
                sums.records = meta.records;
                sums.payload_bytes = meta.payload_bytes;
                sums.stored_bytes = meta.size;
                sums.min_timestamp = meta.min_timestamp;
                sums.max_timestamp = meta.max_timestamp;
                sums.offset_of_first_max = meta.offset_of_first_max;
                sums.null_timestamps = meta.null_timestamps;
                sums.hash = meta.hash;
            }
        }
        sums
    }

    /// Of this run and the one that follows it.
    pub fn and(self, later: Self) -> Self {
        let later_is_greater = later.max_timestamp > self.max_timestamp; // None is the smallest
        Self {
            first: self.first,
            next: later.next,
            segments: self.segments + later.segments,
            gaps: self.gaps + later.gaps,
            records: self.records + later.records,
            payload_bytes: self.payload_bytes + later.payload_bytes,
            stored_bytes: self.stored_bytes + later.stored_bytes,
            min_timestamp: [self.min_timestamp, later.min_timestamp].into_iter().flatten().min(),
            max_timestamp: self.max_timestamp.max(later.max_timestamp),
            offset_of_first_max: if later_is_greater { later.offset_of_first_max } else { self.offset_of_first_max },
            null_timestamps: self.null_timestamps + later.null_timestamps,
            hash: [self.hash, later.hash].into_iter().sum(),
            unknown: Unknown::new(), // what a later build summed up is not known of the two together
        }
    }

    /// Whether both say the same, as far as this build knows.
    pub fn agrees(&self, other: &Self) -> bool {
        let known = |sums: &Self| Self { unknown: Unknown::new(), ..sums.clone() };
        known(self) == known(other)
    }
}

impl Page {
    /// Sums over its items. None: it is empty, which no page is.
    pub fn sums(&self) -> Option<Sums> {
        match &self.items {
            PageItems::Entries(entries) => entries.iter().map(Sums::of).reduce(Sums::and),
            PageItems::Pages(pages) => pages.iter().map(|page| page.sums.clone()).reduce(Sums::and),
        }
    }
}
