//! The check of a whole bucket against I5 (density) and I11 (accounting); it only reads, and may run beside a broker.
//!
//! 1. Owner, state and topic chains are read.
//! 2. Everything is listed once. Each object has to be live, removed and waiting, or younger than the grace. Of the live
//!    segments of each partition, those with the right size are counted and their names' hashes summed up.
//! 3. Each partition's tree is walked. Where its live segments are not just those that were counted, each is looked for.
//!
//! Memory does not grow with the length of the history. Contents of segments are the business of
//! [`verify`](crate::archive::segment::verify()).
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::collect::ORPHAN_GRACE_MS;
use super::error::ArchiveError;
use super::layout::{self, Named};
use super::manifest::model::{PageItems, PageRef};
use super::manifest::{Entry, Place, View};
use super::topics::{self, Topic, TopicHead};
use super::{Bucket, owner, state};
use crate::base::Uuid;
use crate::store::{LIST_PAGE, Listed};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What sort.
    pub kind: FindingKind,
    /// URL of the object, or of the chain.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

/// Sorts of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// It is there, but not as it should be.
    Wrong,
    /// Something names it, and it is not there.
    Missing,
    /// Nothing names it, and it is older than the grace.
    Nobodys,
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Live topics.
    pub topics: u64,
    /// Their partitions.
    pub partitions: u64,
    /// Live segments.
    pub segments: u64,
    /// Gaps.
    pub gaps: u64,
    /// Records in the segments.
    pub records: u64,
    /// Bytes of the segments.
    pub stored_bytes: u64,
    /// All objects of the bucket.
    pub objects: u64,
    /// Objects that wait to be deleted.
    pub waiting: u64,
    /// Objects that nothing names yet, younger than the grace.
    pub young: u64,
    /// Number of findings.
    pub findings: u64,
}

/// Checks the bucket; tells each finding as it is made. An error means that the store could not be read; what is damaged or
/// missing is a finding.
pub async fn fsck(bucket: &Bucket, found: &mut (dyn FnMut(Finding) + Send)) -> Result<Checked, ArchiveError> {
    let mut fsck = Fsck {
        bucket,
        found,
        checked: Checked::default(),
        now_ms: bucket.clock().now_ms(),
        topics: BTreeMap::new(),
        damaged: Vec::new(),
        state: BTreeMap::new(),
        state_pages: Vec::new(),
        view: None,
        listed: HashMap::new(),
    };
    fsck.chains().await?;
    fsck.list().await?;
    let topics: Vec<Topic> = fsck.topics.values().filter_map(TopicHead::live).collect();
    for topic in &topics {
        fsck.checked.topics += 1;
        for partition in 0..topic.partitions {
            fsck.partition(topic, partition).await?;
        }
    }
    Ok(fsck.checked)
}

struct Fsck<'a> {
    bucket: &'a Bucket,
    found: &'a mut (dyn FnMut(Finding) + Send),
    checked: Checked,
    now_ms: i64,
    topics: BTreeMap<String, TopicHead>,
    /// Topics whose chain cannot be read: nothing is said of what lies below them.
    damaged: Vec<String>,
    state: state::PartitionHeads,
    state_pages: Vec<String>,
    /// The partition whose objects are being listed; none: its manifest cannot be read.
    view: Option<((Uuid, i32), Option<View>)>,
    /// Live segments that were listed, with the right size: how many, and the sum of their names' hashes.
    listed: HashMap<(Uuid, i32), Tally>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    count: u64,
    names: u64,
}

impl Tally {
    fn add(&mut self, name: &str) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        self.count += 1;
        self.names = self.names.wrapping_add(hasher.finish());
    }
}

/// What an object of a listing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account {
    Live,
    Waiting,
    Unnamed,
    /// It lies where nothing can be said: what would name it is damaged, or of a later build.
    Unknown,
}

impl Fsck<'_> {
    fn tell(&mut self, kind: FindingKind, path: String, reason: impl Into<String>) {
        self.checked.findings += 1;
        (self.found)(Finding { kind, path, reason: reason.into() });
    }

    /// Turns what says something of the bucket into a finding; what says something of the store ends the check.
    fn take<T>(&mut self, result: Result<T, ArchiveError>) -> Result<Option<T>, ArchiveError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(ArchiveError::Damaged { path, reason } | ArchiveError::Refused { path, reason }) => {
                self.tell(FindingKind::Wrong, path, reason);
                Ok(None)
            }
            Err(ArchiveError::Missing { path, named_by }) => {
                self.tell(FindingKind::Missing, path, format!("named by {named_by}"));
                Ok(None)
            }
            Err(ArchiveError::Chain(crate::store::chain::ChainError::Envelope { path, source })) => {
                self.tell(FindingKind::Wrong, path, source.to_string());
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    async fn chains(&mut self) -> Result<(), ArchiveError> {
        let owner = owner::read(self.bucket).await;
        let has_owner = self.take(owner)?.flatten().is_some();
        let head = state::read(self.bucket).await;
        if let Some(head) = self.take(head)?.flatten() {
            self.state = head.state().partitions.clone();
        }
        for number in state::chain(self.bucket).versions().await? {
            let pages = state::pages_of(self.bucket, number).await;
            let pages = self.take(pages)?.unwrap_or_default();
            self.state_pages.extend(pages);
        }
        for name in self.bucket.store().list_dirs(layout::TOPICS).await? {
            let head = topics::read(self.bucket, &name).await;
            match self.take(head)? {
                Some(Some(head)) => drop(self.topics.insert(name, head)),
                Some(None) => {} // a creation that was cut off: its objects are nobody's
                None => self.damaged.push(name),
            }
        }
        if !has_owner && !self.topics.is_empty() {
            let path = self.bucket.store().url_of(layout::OWNER);
            self.tell(FindingKind::Missing, path, "there are topics, but nobody ever owned this bucket");
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<(), ArchiveError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.bucket.store().list("", after.as_deref()).await?;
            for object in &page {
                self.checked.objects += 1;
                match self.account(object).await? {
                    Account::Live | Account::Unknown => {}
                    Account::Waiting => self.checked.waiting += 1,
                    Account::Unnamed if self.now_ms.saturating_sub(object.modified_ms) < ORPHAN_GRACE_MS => {
                        self.checked.young += 1;
                    }
                    Account::Unnamed => {
                        let path = self.bucket.store().url_of(&object.path);
                        self.tell(FindingKind::Nobodys, path, format!("{} bytes that nothing names", object.size));
                    }
                }
            }
            match page.last() {
                Some(last) if page.len() >= LIST_PAGE => after = Some(last.path.clone()),
                _ => return Ok(()),
            }
        }
    }

    async fn account(&mut self, object: &Listed) -> Result<Account, ArchiveError> {
        let parts: Vec<&str> = object.path.split('/').collect();
        let is_version = matches!(Named::of(&object.path), Named::Version(_));
        Ok(match parts[..] {
            [layout::ESKER] => Account::Live,
            [layout::OWNER, _] if is_version => Account::Live,
            [layout::STATE, _] if is_version || self.state_pages.contains(&object.path) => Account::Live,
            [layout::TOPICS, _, "topic", _] if is_version => Account::Live,
            [layout::TOPICS, topic, id, ..] => match self.life(topic, id) {
                Life::Live(topic) => self.of_topic(&topic, object).await?,
                Life::Other(account) => account,
            },
            [folder, ..] if layout::RESERVED.contains(&folder) => Account::Unknown,
            _ => Account::Unnamed,
        })
    }

    fn life(&self, name: &str, id: &str) -> Life {
        if self.damaged.iter().any(|damaged| damaged == name) {
            return Life::Other(Account::Unknown);
        }
        let (Some(head), Ok(id)) = (self.topics.get(name), id.parse::<Uuid>()) else {
            return Life::Other(Account::Unnamed);
        };
        match head.live().filter(|topic| topic.id == id) {
            Some(topic) => Life::Live(topic),
            None if head.dead().iter().any(|dead| dead.topic_id == id) => Life::Other(Account::Waiting),
            None => Life::Other(Account::Unnamed),
        }
    }

    /// What an object below a live topic's root is.
    async fn of_topic(&mut self, topic: &Topic, object: &Listed) -> Result<Account, ArchiveError> {
        let root = layout::topic_root(&topic.name, topic.id);
        let Some(name) = object.path.strip_prefix(&root).and_then(|name| name.strip_prefix('/')) else {
            return Ok(Account::Unnamed);
        };
        let parts: Vec<&str> = name.split('/').collect();
        let number = match (&parts[..], Named::of(name)) {
            // Iceberg's, and what engines wrote before they were refused.
            (["table", "metadata", ..] | ["foreign", ..], _) => return Ok(Account::Live),
            (["table", "data", _], Named::Segment { partition, .. }) => Some(partition),
            ([layout::LOG, ..], _) => layout::partition_of_log(name),
            _ => None,
        };
        let Some(number) = number else { return Ok(Account::Unnamed) };
        let is_version = matches!(Named::of(name), Named::Version(_));
        if number < 0 || number >= topic.partitions {
            // Partitions were about to be added: the chain is adopted when they are.
            return Ok(if is_version { Account::Waiting } else { Account::Unnamed });
        }
        if is_version {
            return Ok(Account::Live);
        }
        let Some(view) = self.view_of(topic, number).await? else { return Ok(Account::Unknown) };
        match quiet(view.names(name).await)? {
            None => return Ok(Account::Unknown),
            Some(false) => return Ok(Account::Unnamed),
            Some(true) => {}
        }
        if let Named::Segment { first, .. } = Named::of(name) {
            return self.segment(&view, (topic.id, number), first, name, object).await;
        }
        Ok(match quiet(view.is_live(name).await)? {
            Some(true) => Account::Live,
            Some(false) => Account::Waiting,
            None => Account::Unknown,
        })
    }

    async fn segment(
        &mut self,
        view: &View,
        key: (Uuid, i32),
        first: i64,
        name: &str,
        object: &Listed,
    ) -> Result<Account, ArchiveError> {
        let live = quiet(view.find(first).await)?.flatten();
        let Some(segment) = live.as_ref().and_then(Entry::segment).filter(|live| live.name == name) else {
            return Ok(Account::Waiting);
        };
        self.listed.entry(key).or_default().add(name);
        if segment.meta.size != object.size {
            let path = self.bucket.store().url_of(&object.path);
            let reason = format!("it has {} bytes, its manifest entry says {}", object.size, segment.meta.size);
            self.tell(FindingKind::Wrong, path, reason);
        }
        Ok(Account::Live)
    }

    /// The newest version of a partition; kept while the objects of the same partition are listed.
    async fn view_of(&mut self, topic: &Topic, partition: i32) -> Result<Option<View>, ArchiveError> {
        let key = (topic.id, partition);
        if let Some((_, view)) = self.view.as_ref().filter(|(of, _)| *of == key) {
            return Ok(view.clone());
        }
        let read = Place::new(self.bucket, &topic.name, topic.id, partition).read(None).await;
        let view = quiet(read)?.map(|(_, view)| view);
        self.view = Some((key, view.clone()));
        Ok(view)
    }

    /// Walks a partition's tree.
    async fn partition(&mut self, topic: &Topic, partition: i32) -> Result<(), ArchiveError> {
        self.checked.partitions += 1;
        let read = Place::new(self.bucket, &topic.name, topic.id, partition).read(None).await;
        let Some((_, view)) = self.take(read)? else { return Ok(()) };
        let key = (topic.id, partition);
        if let Some(known) = self.state.get(&key).filter(|known| known.number > view.number()) {
            let reason = format!("state knows version {} of {}-{partition}", known.number, topic.name);
            let path = self.bucket.store().url_of(&layout::under(view.root(), &layout::log_folder(partition)));
            self.tell(FindingKind::Wrong, path, format!("{reason}, its chain ends at {}", view.number()));
        }
        if self.walk(&view).await? != self.listed.get(&key).copied().unwrap_or_default() {
            self.look_for_segments(&view).await?;
        }
        let producers = view.producers().await;
        self.take(producers)?;
        Ok(())
    }

    /// Visits every entry, telling of pages that cannot be read; the names of the live segments.
    async fn walk(&mut self, view: &View) -> Result<Tally, ArchiveError> {
        let mut live = Tally::default();
        let mut stack: Vec<PageRef> = view.manifest().pages.iter().rev().cloned().collect();
        while let Some(page) = stack.pop() {
            let read = view.page(&page).await;
            match self.take(read)?.as_deref().map(|content| &content.items) {
                None => {}
                Some(PageItems::Pages(pages)) => stack.extend(pages.iter().rev().cloned()),
                Some(PageItems::Entries(entries)) => entries.iter().for_each(|entry| self.visit(entry, &mut live)),
            }
        }
        view.manifest().entries.iter().for_each(|entry| self.visit(entry, &mut live));
        Ok(live)
    }

    fn visit(&mut self, entry: &Entry, live: &mut Tally) {
        let Some(segment) = entry.segment() else {
            self.checked.gaps += 1;
            return;
        };
        live.add(&segment.name);
        self.checked.segments += 1;
        self.checked.records += segment.meta.records;
        self.checked.stored_bytes += segment.meta.size;
    }

    /// Looks for each live segment, as far as the tree can be read.
    async fn look_for_segments(&mut self, view: &View) -> Result<(), ArchiveError> {
        let mut from = view.manifest().first();
        loop {
            let Ok(entries) = view.entries_from(from, LIST_PAGE).await else { return Ok(()) };
            let Some(last) = entries.last() else { return Ok(()) };
            from = last.next();
            for segment in entries.iter().filter_map(Entry::segment) {
                match self.bucket.store().stat(&view.path_of(segment)).await {
                    Ok(_) => {}
                    Err(e) if e.is_not_found() => {
                        let path = self.bucket.store().url_of(&view.path_of(segment));
                        self.tell(FindingKind::Missing, path, "its manifest names it");
                    }
                    Err(e) => return Err(e.into()),
                }
            }
        }
    }
}

/// None where a manifest or page is damaged or missing: that is told, once, when its partition is walked.
fn quiet<T>(result: Result<T, ArchiveError>) -> Result<Option<T>, ArchiveError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_retriable() || matches!(e, ArchiveError::Store(_)) => Err(e),
        Err(_) => Ok(None),
    }
}

enum Life {
    Live(Topic),
    Other(Account),
}

#[cfg(test)]
mod tests;
