//! A partition's manifest chain: its one writer, and a reader with no broker.
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;

use super::heads::Kept;
use super::invariants;
use super::model::{MANIFEST, Manifest, PRODUCERS, ProducersAt};
use super::plan::{Context, Planned, plan};
use super::producers::Producers;
use super::tree::{Hindrance, Loaded, NewObject};
use super::{Change, Gone, View};
use crate::archive::error::{ArchiveError, CommitError};
use crate::archive::layout::{self, Named, Names};
use crate::archive::owner::Written;
use crate::archive::{Bucket, Ownership};
use crate::base::Uuid;
use crate::store::chain::{Chain, Head, Hint};
use crate::store::envelope;

/// Times that a change is planned anew because somebody of the same epoch (an earlier attempt of ours) came first.
const ATTEMPTS_MAX: u32 = 16;

/// Where a partition's chain lies.
#[derive(Clone, Debug)]
pub(in crate::archive) struct Place {
    bucket: Bucket,
    topic: Arc<str>,
    topic_id: Uuid,
    partition: i32,
    root: Arc<str>,
}

impl Place {
    pub(in crate::archive) fn new(bucket: &Bucket, topic: &str, topic_id: Uuid, partition: i32) -> Self {
        let root = layout::topic_root(topic, topic_id).into();
        Self { bucket: bucket.clone(), topic: topic.into(), topic_id, partition, root }
    }

    pub(in crate::archive) fn chain(&self) -> Chain {
        let prefix = layout::under(&self.root, &layout::log_folder(self.partition));
        Chain::new(self.bucket.store().clone(), MANIFEST, prefix)
    }

    /// Head and view; an absent chain is damage. `hint`: a version from which to look upwards, which spares a listing.
    pub(in crate::archive) async fn read(&self, hint: Option<&Hint>) -> Result<(Head, View), ArchiveError> {
        let chain = self.chain();
        let head = match hint {
            Some(hint) => chain.head_near(hint).await?,
            None => chain.head(None).await?,
        };
        let head = head.ok_or_else(|| self.missing(&chain))?;
        let view = self.view(&chain, &head)?;
        Ok((head, view))
    }

    /// Head and view, if there is a newer version than the remembered one, whose body need not be remembered.
    async fn read_newer(&self, remembered: &Head) -> Result<Option<(Head, View)>, ArchiveError> {
        let chain = self.chain();
        match chain.head(Some(remembered)).await? {
            Some(head) if head.nonce == remembered.nonce => Ok(None),
            Some(head) => {
                let view = self.view(&chain, &head)?;
                Ok(Some((head, view)))
            }
            None => Err(self.missing(&chain)),
        }
    }

    fn missing(&self, chain: &Chain) -> ArchiveError {
        let path = self.bucket.store().url_of(chain.prefix());
        ArchiveError::Missing { path, named_by: format!("the chain of topic '{}'", self.topic) }
    }

    /// What a version says, if it is this partition's and breaks no rule.
    fn view(&self, chain: &Chain, head: &Head) -> Result<View, ArchiveError> {
        let damaged = |reason: String| {
            let path = self.bucket.store().url_of(&chain.path_of(head.number));
            ArchiveError::Damaged { path, reason }
        };
        let manifest: Manifest = head.parse().map_err(|e| damaged(e.to_string()))?;
        if (manifest.topic_id, manifest.partition) != (self.topic_id, self.partition) {
            return Err(damaged(format!(
                "it is the manifest of topic id {}, partition {}",
                manifest.topic_id, manifest.partition
            )));
        }
        invariants::check(&manifest).map_err(|violation| damaged(violation.to_string()))?;
        Ok(self.view_of(head, Arc::new(manifest)))
    }

    fn view_of(&self, head: &Head, manifest: Arc<Manifest>) -> View {
        View {
            bucket: self.bucket.clone(),
            root: self.root.clone(),
            hint: head.hint(),
            epoch: head.epoch,
            features: head.features.clone(),
            topic_id: self.topic_id,
            partition: self.partition,
            kept: Arc::new(Kept::new(self.bucket.heads(), manifest)),
        }
    }
}

/// The writer of one partition's manifest; cheap to clone, commits one change at a time. It is made by
/// [`Survey::adopt`](crate::archive::Survey::adopt) and [`Topics::create`](crate::archive::Topics::create) only, once for
/// each partition.
#[derive(Clone, Debug)]
pub struct PartitionArchive(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    chain: Chain,
    ownership: Ownership,
    /// Why nothing may be appended: the chain cannot be written.
    refusal: OnceLock<String>,
    /// Why no version may be written though the chain could be: what the topic's chain asks for.
    of_topic: OnceLock<String>,
    names: Names,
    view: RwLock<View>,
    writer: tokio::sync::Mutex<Writer>,
    in_flight: Arc<Mutex<BTreeSet<String>>>,
    forgotten: Mutex<Forgotten>,
}

/// Removed things whose objects are gone: the next version that is made for another reason leaves them out.
#[derive(Debug, Default)]
struct Forgotten {
    gone: Gone,
    /// When the first of them was deleted, by the clock that never goes back.
    since: Option<Duration>,
}

#[derive(Debug)]
struct Writer {
    /// Without its body, which is in the view.
    head: Head,
    /// A commit was not decided: the head has to be read again before anything is planned.
    undecided: bool,
}

impl Writer {
    fn on(head: Head) -> Self {
        Self { head: Head { body: Bytes::new(), ..head }, undecided: false }
    }
}

impl Forgotten {
    fn remove(&mut self, gone: &Gone) {
        self.gone.names.retain(|name| !gone.names.contains(name));
        self.gone.pages.retain(|name| !gone.pages.contains(name));
        if self.gone.is_empty() {
            self.since = None;
        }
    }
}

/// A name for a segment that is being written. While it lives the collector leaves the object alone: drop it after the
/// commit, or when the upload was given up.
#[derive(Debug)]
pub struct InFlight {
    name: String,
    path: String,
    all: Arc<Mutex<BTreeSet<String>>>,
}

impl InFlight {
    /// For the manifest entry: relative to the topic's root.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For the upload: relative to the store's root.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl PartitionArchive {
    /// The writer on a head that was read.
    pub(in crate::archive) fn over(place: Place, ownership: &Ownership, head: Head, view: View) -> Self {
        let names = Names::new(place.partition, ownership.epoch(), place.bucket.random().clone());
        let chain = place.chain();
        let refusal = OnceLock::new();
        if let Err(e) = chain.check_writable(&head) {
            let _ = refusal.set(e.to_string());
        }
        Self(Arc::new(Inner {
            chain,
            ownership: ownership.clone(),
            refusal,
            of_topic: OnceLock::new(),
            names,
            view: RwLock::new(view),
            writer: tokio::sync::Mutex::new(Writer::on(head)),
            in_flight: Arc::default(),
            forgotten: Mutex::default(),
            place,
        }))
    }

    /// Writes version 1. A chain that is there already and was never touched is adopted: a creation that was cut off.
    pub(in crate::archive) async fn create(place: Place, ownership: &Ownership) -> Result<Self, CommitError> {
        let chain = place.chain();
        let manifest = Manifest::empty(place.topic_id, place.partition, place.bucket.clock().now_ms());
        let url = place.bucket.store().url_of(chain.prefix());
        match ownership.commit(&chain, None, &manifest).await? {
            Written::Head(head) => {
                let view = place.view_of(&head, Arc::new(manifest));
                Ok(Self::over(place, ownership, *head, view))
            }
            Written::Lost => {
                let (head, view) = place.read(None).await?;
                if !view.manifest().is_untouched() {
                    let reason = "there is a manifest already, and it is not empty".to_owned();
                    return Err(CommitError::Cancelled { path: url, reason });
                }
                let adopted = Self::over(place, ownership, head, view);
                adopted.commit(Change::TakeOver).await?;
                Ok(adopted)
            }
        }
    }

    /// Topic name.
    pub fn topic(&self) -> &str {
        &self.0.place.topic
    }

    /// The topic's id.
    pub fn topic_id(&self) -> Uuid {
        self.0.place.topic_id
    }

    /// Partition number.
    pub fn partition(&self) -> i32 {
        self.0.place.partition
    }

    /// The newest version that was read or committed here.
    pub fn head(&self) -> Arc<Manifest> {
        self.view().manifest()
    }

    /// Makes room in memory if nobody asked for what the newest version says since the last time, and room is wanted.
    pub fn cool(&self) {
        if self.0.place.bucket.heads().is_tight() {
            self.view().kept.cool();
        }
    }

    /// The same, with its pages.
    pub fn view(&self) -> View {
        self.0.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Producers as of the head's `next`. If their object asks for what this build does not have to write the next one,
    /// nothing may be appended from now on.
    pub async fn producers(&self) -> Result<Producers, ArchiveError> {
        let view = self.view();
        let producers = view.read_producers().await?;
        let manifest = view.manifest();
        if let (ProducersAt::Object(object), Err(e)) =
            (&manifest.producers, envelope::check_writable(&PRODUCERS, &producers.features))
        {
            let path = layout::under(&self.0.place.root, &object.name);
            self.refuse(format!("{}: {e}", self.0.place.bucket.store().url_of(&path)));
        }
        Ok(producers.body.clone())
    }

    /// Refuses appends and versions from now on if the producers ask for what this build does not have.
    pub(in crate::archive) async fn check_producers(&self) {
        if matches!(self.head().producers, ProducersAt::Object(_)) {
            let _ = self.producers().await; // what cannot be read is told where they are needed
        }
    }

    /// A name for a segment that begins at `first`; never given before.
    pub fn begin_segment(&self, first: i64) -> InFlight {
        let name = self.0.names.segment(first);
        let path = layout::under(&self.0.place.root, &name);
        let all = self.0.in_flight.clone();
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        InFlight { name, path, all }
    }

    /// Names of segments that are being written.
    pub(in crate::archive) fn in_flight(&self) -> BTreeSet<String> {
        self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest version, read again if a commit was not decided: only then it is known what is live, and what the last
    /// commit came to.
    pub async fn settle(&self) -> Result<View, CommitError> {
        let mut writer = self.0.writer.lock().await;
        if writer.undecided {
            self.reread(&mut writer).await?;
        }
        Ok(self.view())
    }

    /// Notes that the objects of removed things, or of all that a page of them names, are gone. The next version leaves them
    /// out; if none is made for `patience`, one of its own does.
    pub(in crate::archive) async fn forget(&self, gone: Gone, patience: Duration) -> Result<(), CommitError> {
        let now = self.0.place.bucket.clock().elapsed();
        let due = {
            let mut forgotten = self.forgotten();
            forgotten.gone.names.extend(gone.names);
            forgotten.gone.pages.extend(gone.pages);
            if forgotten.gone.is_empty() {
                return Ok(());
            }
            let since = *forgotten.since.get_or_insert(now);
            now.saturating_sub(since) >= patience
        };
        if due {
            let gone = self.gone();
            self.commit(Change::Forget(gone.clone())).await?;
            self.forgotten().remove(&gone); // also what the head did not name any more
        }
        Ok(())
    }

    /// Removed things whose objects are gone, and that the head still names.
    pub(in crate::archive) fn gone(&self) -> Gone {
        self.forgotten().gone.clone()
    }

    /// Takes those names out that a kept version names, as far as its pages are there: a version whose pages are gone names
    /// nothing that can still be read through it.
    pub(in crate::archive) async fn named_by_kept_versions(
        &self,
        names: &mut BTreeSet<String>,
    ) -> Result<(), ArchiveError> {
        if !names.iter().any(|name| matches!(Named::of(name), Named::Segment { .. })) {
            return Ok(()); // pages and producer objects go with what names them
        }
        let (chain, place) = (&self.0.chain, &self.0.place);
        for number in chain.versions().await? {
            let Some(version) = chain.get(number).await? else { continue };
            let view = place.view(chain, &version)?;
            for name in names.clone() {
                match view.is_live(&name).await {
                    Ok(true) => drop(names.remove(&name)),
                    Ok(false) => {}
                    Err(e) if e.is_missing() => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }

    fn forgotten(&self) -> MutexGuard<'_, Forgotten> {
        self.0.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chain, for the collector.
    pub(in crate::archive) fn chain(&self) -> &Chain {
        &self.0.chain
    }

    /// Why nothing may be appended to this partition, though it can be read: its chain asks for features that this build does
    /// not have, or is damaged, so that what would be appended could never be sealed.
    pub fn refusal(&self) -> Option<&str> {
        self.0.refusal.get().map(String::as_str)
    }

    /// Refuses appends from now on. The first reason stays.
    pub(in crate::archive) fn refuse(&self, reason: String) {
        let _ = self.0.refusal.set(reason);
    }

    /// Refuses appends and versions: the topic's chain asks for what this build does not have to write to its partitions.
    pub(in crate::archive) fn refuse_of_topic(&self, reason: String) {
        let _ = self.0.of_topic.set(reason.clone());
        self.refuse(reason);
    }

    /// Makes `change` the next version: planned on the head, checked, and planned anew if an earlier attempt of this epoch
    /// came first. A change that was applied before is a success that writes nothing.
    pub async fn commit(&self, change: Change) -> Result<Arc<Manifest>, CommitError> {
        let committed = self.commit_once(change).await;
        if let Err(e) = &committed
            && e.is_damage_of(&self.url())
        {
            self.refuse(e.to_string());
        }
        committed
    }

    async fn commit_once(&self, change: Change) -> Result<Arc<Manifest>, CommitError> {
        if let Some(reason) = self.0.of_topic.get() {
            return Err(ArchiveError::Refused { path: self.url(), reason: reason.clone() }.into());
        }
        let mut writer = self.0.writer.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            if writer.undecided {
                self.reread(&mut writer).await?;
            }
            let view = self.view();
            let head = view.manifest();
            let (planned, riding) = self.plan_with_forgotten(&view, &head, &change).await?;
            let Planned::Next(manifest, objects) = planned else { return Ok(head) };
            invariants::check_next(&head, view.epoch, &manifest, self.0.ownership.epoch())
                .map_err(|violation| CommitError::Invariant { path: self.url(), violation })?;
            self.write(objects).await?;
            writer.undecided = true; // also when this future is dropped while it waits
            match self.0.ownership.commit(&self.0.chain, Some(&writer.head), &*manifest).await? {
                Written::Head(head) => {
                    let manifest = Arc::new(*manifest);
                    self.publish(self.0.place.view_of(&head, manifest.clone()));
                    *writer = Writer::on(*head);
                    self.forgotten().remove(&riding);
                    return Ok(manifest);
                }
                Written::Lost => {}
            }
        }
        let reason = format!("{ATTEMPTS_MAX} attempts lost against others of the same epoch");
        Err(CommitError::Cancelled { path: self.url(), reason })
    }

    /// Gives the chain a version of this epoch if its newest is below `born`: after a lost WAL with a gap up to `reserved`.
    pub(in crate::archive) async fn adopt(&self, born: u32, lost_wal: bool) -> Result<(), CommitError> {
        for _ in 0..ATTEMPTS_MAX {
            let view = self.view();
            if view.epoch >= born {
                return Ok(());
            }
            let next = view.next();
            let change = if lost_wal { Change::WalLost { next } } else { Change::TakeOver };
            match self.commit(change).await {
                // The old owner sealed meanwhile: the gap begins where it ended.
                Err(CommitError::Cancelled { .. }) => {}
                Err(e) => return Err(e),
                Ok(_) => {}
            }
        }
        let reason = "the old owner still writes, faster than it can be fenced".to_owned();
        Err(CommitError::Cancelled { path: self.url(), reason })
    }

    async fn reread(&self, writer: &mut Writer) -> Result<(), CommitError> {
        let newer = match self.0.place.read_newer(&writer.head).await {
            Err(e) if e.is_damage() => return Err(self.0.ownership.judge(self.url(), e).await),
            read => read?,
        };
        let Some((head, view)) = newer else {
            writer.undecided = false;
            return Ok(());
        };
        if head.epoch > self.0.ownership.epoch() {
            return Err(CommitError::Fenced { path: self.url(), epoch: Some(head.epoch) });
        }
        *writer = Writer::on(head);
        self.publish(view);
        Ok(())
    }

    /// What `change` comes to, and what is forgotten along with it.
    async fn plan_with_forgotten(
        &self,
        view: &View,
        head: &Manifest,
        change: &Change,
    ) -> Result<(Planned, Gone), CommitError> {
        let planned = self.plan(view, head, change).await?;
        let riding = self.gone();
        if riding.is_empty() || planned == Planned::Already {
            return Ok((planned, Gone::default()));
        }
        let forget = Change::Forget(riding.clone());
        let both = self.plan(view, head, &Change::All(vec![change.clone(), forget])).await?;
        Ok((both, riding))
    }

    async fn plan(&self, view: &View, head: &Manifest, change: &Change) -> Result<Planned, CommitError> {
        let mut loaded = Loaded::default();
        loop {
            let now_ms = self.0.place.bucket.clock().now_ms();
            match plan(head, change, Context { loaded: &loaded, names: &self.0.names, now_ms }) {
                Ok(planned) => return Ok(planned),
                Err(Hindrance::Need(need)) => view.load(need, &mut loaded).await?,
                Err(Hindrance::Unfit(reason)) => return Err(CommitError::Cancelled { path: self.url(), reason }),
                Err(Hindrance::Asks { name, error }) => {
                    let path = self.0.place.bucket.store().url_of(&layout::under(&self.0.place.root, &name));
                    return Err(ArchiveError::Refused { path, reason: error.to_string() }.into());
                }
            }
        }
    }

    /// Writes what the version will name. Their names are fresh, so what a failure leaves behind is nobody's.
    async fn write(&self, objects: Vec<NewObject>) -> Result<(), CommitError> {
        for object in objects {
            let mut upload =
                self.0.place.bucket.store().upload(&layout::under(&self.0.place.root, &object.name)).await?;
            upload.write(object.bytes).await?;
            upload.finish().await?;
        }
        Ok(())
    }

    fn publish(&self, view: View) {
        *self.0.view.write().unwrap_or_else(PoisonError::into_inner) = view;
    }

    fn url(&self) -> String {
        self.0.place.bucket.store().url_of(self.0.chain.prefix())
    }
}

/// Reads one partition's manifest with no broker and no claim; cheap to clone.
#[derive(Clone, Debug)]
pub struct PartitionReader(Arc<Reader>);

#[derive(Debug)]
struct Reader {
    place: Place,
    /// The head is without its body, which is in the view.
    newest: RwLock<(Head, View)>,
}

impl PartitionReader {
    /// Reads the head of a partition that the topic's chain names.
    pub async fn open(bucket: &Bucket, topic: &str, topic_id: Uuid, partition: i32) -> Result<Self, ArchiveError> {
        let place = Place::new(bucket, topic, topic_id, partition);
        let (head, view) = place.read(None).await?;
        let newest = RwLock::new((Head { body: Bytes::new(), ..head }, view));
        Ok(Self(Arc::new(Reader { place, newest })))
    }

    /// The newest version that was read here.
    pub fn view(&self) -> View {
        self.0.newest.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Reads the head again.
    pub async fn refresh(&self) -> Result<View, ArchiveError> {
        let remembered = self.0.newest.read().unwrap_or_else(PoisonError::into_inner).0.clone();
        let newer = self.0.place.read_newer(&remembered).await?;
        let mut newest = self.0.newest.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((head, view)) = newer.filter(|(head, _)| head.number > newest.0.number) {
            *newest = (Head { body: Bytes::new(), ..head }, view);
        }
        Ok(newest.1.clone())
    }
}

#[cfg(test)]
mod tests;
