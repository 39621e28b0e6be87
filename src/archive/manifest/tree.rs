//! The tree of pages; pure.
//!
//! A version lists pages and, after them, entries. At the right edge the oldest [`PAGE_ITEMS`] entries become a page of
//! level 0 when there are more than [`ENTRIES_MAX`] or their text is longer than [`ENTRIES_BYTES_MAX`], and the oldest [`PAGE_ITEMS`] of a run of pages of one level become a
//! page of the next level ([`fold`]). At the left edge the page that log start cuts is replaced by those of its items that
//! remain ([`cut`]). In the middle a range is replaced by writing the pages on its path anew ([`splice`]). Pages are
//! immutable, so all three only make new ones and remove old ones.
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::model::{
    ENTRIES_BYTES_MAX, ENTRIES_MAX, Entry, EpochPage, EpochPageRef, Manifest, ObjectRef, PAGE, PAGE_ITEMS, Page,
    PageItems, PageRef, Removed, RemovedBy, RemovedObject, RemovedPage, RemovedPageRef,
};
use super::producers::Producers;
use crate::archive::layout::Names;
use crate::base::Uuid;
use crate::store::envelope::{self, EnvelopeError, Enveloped, Features, Schema, Unknown};

/// What has to be loaded before the question can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A page of the tree.
    Page(Box<PageRef>),
    /// A page of old epochs.
    Epochs(Box<EpochPageRef>),
    /// A page of what was removed.
    Removed(Box<RemovedPageRef>),
    /// The producers of the head.
    Producers,
}

/// What was loaded, by name.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Pages of the tree.
    pub pages: HashMap<String, Arc<Enveloped<Page>>>,
    /// Pages of old epochs.
    pub epochs: HashMap<String, Arc<Enveloped<EpochPage>>>,
    /// Pages of what was removed.
    pub removed: HashMap<String, Arc<Enveloped<RemovedPage>>>,
    /// Producers of the head.
    pub producers: Option<Arc<Enveloped<Producers>>>,
}

impl Loaded {
    /// The page, or the need for it.
    pub fn page(&self, page: &PageRef) -> Result<Arc<Enveloped<Page>>, Need> {
        self.pages.get(&page.object.name).cloned().ok_or_else(|| Need::Page(Box::new(page.clone())))
    }

    /// The page of epochs, or the need for it.
    pub fn epoch_page(&self, page: &EpochPageRef) -> Result<Arc<Enveloped<EpochPage>>, Need> {
        self.epochs.get(&page.object.name).cloned().ok_or_else(|| Need::Epochs(Box::new(page.clone())))
    }

    /// The page of what was removed, or the need for it.
    pub fn removed_page(&self, page: &RemovedPageRef) -> Result<Arc<Enveloped<RemovedPage>>, Need> {
        self.removed.get(&page.object.name).cloned().ok_or_else(|| Need::Removed(Box::new(page.clone())))
    }
}

/// Why a change gives no version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Something has to be loaded first.
    Need(Need),
    /// The change does not fit this head.
    Unfit(String),
    /// What would be written anew asks for what this build does not have.
    Asks {
        /// Which object, relative to the topic's root.
        name: String,
        /// For what.
        error: EnvelopeError,
    },
}

impl From<Need> for Hindrance {
    fn from(need: Need) -> Self {
        Self::Need(need)
    }
}

/// An object that has to be there before the version that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewObject {
    /// Relative to the topic's root.
    pub name: String,
    /// All of it.
    pub bytes: Bytes,
}

/// What planning a version makes and removes on the way.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
    /// Gives fresh names.
    pub names: &'a Names,
    /// Pages at hand, with those that this draft made: a later change of it may have to look into them.
    pub loaded: Loaded,
    /// Time of the version, ms since 1970.
    pub now_ms: i64,
    /// Objects to be written before the version.
    pub made: Vec<NewObject>,
    /// What the version removes.
    pub removed: Vec<Removed>,
    /// What segments that it removes give way to.
    pub by: RemovedBy,
}

impl Draft<'_> {
    /// An object of `schema`, to be written before the version.
    pub fn object<T: Serialize>(&mut self, schema: &Schema, name: String, content: &Enveloped<T>) -> ObjectRef {
        let bytes =
            envelope::encode(schema, &content.features, &content.body).expect("plain data with text keys is JSON");
        let crc32c = format!("{:08x}", crc32c::crc32c(&bytes));
        let reference = ObjectRef { name: name.clone(), crc32c, bytes: bytes.len() as u64, unknown: Unknown::new() };
        self.made.push(NewObject { name, bytes });
        reference
    }

    /// Notes that `what` is not live any more. What this very draft made is simply not written; what it names is not live either.
    pub fn remove(&mut self, what: RemovedObject) {
        match self.made.iter().position(|object| object.name == what.name()) {
            Some(at) => {
                self.made.remove(at);
                if let RemovedObject::Tree(page) = what {
                    self.remove_content(&page);
                }
            }
            None => {
                let by = (!matches!(what, RemovedObject::Object { .. })).then_some(self.by);
                self.removed.push(Removed { what, at_ms: self.now_ms, by, unknown: Unknown::new() });
            }
        }
    }

    /// Notes that what a page of this draft names is not live any more.
    fn remove_content(&mut self, page: &PageRef) {
        let Some(content) = self.loaded.pages.get(&page.object.name).cloned() else { return };
        match &content.items {
            PageItems::Entries(entries) => entries.iter().for_each(|entry| self.remove_entry(entry)),
            PageItems::Pages(pages) => pages.iter().for_each(|page| self.remove(RemovedObject::Tree(page.clone()))),
        }
    }

    /// Notes that an entry is not live any more: a segment waits to be deleted, a gap is forgotten.
    pub fn remove_entry(&mut self, entry: &Entry) {
        if let Some(segment) = entry.segment() {
            self.remove(RemovedObject::segment(&*segment.name, segment.meta.size));
        }
    }

    fn remove_page(&mut self, page: &PageRef) {
        self.remove(RemovedObject::object(&*page.object.name));
    }

    fn page(&mut self, level: u8, items: PageItems, said: &Said) -> PageRef {
        let unknown = said.of_page.clone();
        let page = Page { topic_id: self.topic_id, partition: self.partition, level, items, unknown };
        let sums = page.sums().expect("no page is made of nothing");
        let name = self.names.page(sums.first, level);
        let page = Enveloped { features: said.features.clone(), body: page };
        let object = self.object(&PAGE, name.clone(), &page);
        self.loaded.pages.insert(name, Arc::new(page));
        PageRef { object, level, sums, unknown: said.of_reference.clone() }
    }

    /// Pages of one level for `items`, in the place of one of which this was said: one, or several when they are too many.
    fn pages<T>(&mut self, level: u8, items: Vec<T>, wrap: fn(Vec<T>) -> PageItems, said: &Said) -> Vec<PageRef> {
        let chunk = if items.len() > 2 * PAGE_ITEMS { PAGE_ITEMS } else { items.len().max(1) };
        let mut items = items.into_iter().peekable();
        let mut pages = Vec::new();
        while items.peek().is_some() {
            pages.push(self.page(level, wrap(items.by_ref().take(chunk).collect()), said));
        }
        pages
    }
}

/// What is said of a page beyond what this build knows: the pages that take its place say it too. The sums are made anew.
#[derive(Clone, Debug, Default)]
struct Said {
    features: Features,
    of_page: Unknown,
    of_reference: Unknown,
}

impl Said {
    fn of(reference: &PageRef, content: &Enveloped<Page>) -> Self {
        Self {
            features: content.features.clone(),
            of_page: content.unknown.clone(),
            of_reference: reference.unknown.clone(),
        }
    }
}

/// Whether a page may be written anew and what it listed deleted: none of that is asked for which this build does not have.
fn may_change(content: &Enveloped<Page>) -> Result<(), EnvelopeError> {
    envelope::check_collectable(&PAGE, &content.features)
}

/// Appends an entry; a gap that continues a gap of the same reason widens it.
pub fn append(manifest: &mut Manifest, entry: Entry) {
    if let (Some(Entry::Gap(last)), Entry::Gap(gap)) = (manifest.entries.last_mut(), &entry)
        && last.reason == gap.reason
        && last.next == gap.first
        && last.unknown.is_empty()
        && gap.unknown.is_empty()
    {
        last.next = gap.next;
        return;
    }
    manifest.entries.push(entry);
}

/// Moves old entries to pages and old pages to pages of pages, as far as the limits ask for it.
pub fn fold(manifest: &mut Manifest, draft: &mut Draft<'_>) {
    while let Some(count) = too_many(&manifest.entries) {
        let oldest = manifest.entries.drain(..count).collect();
        let page = draft.page(0, PageItems::Entries(oldest), &Said::default());
        manifest.pages.push(page);
    }
    let mut level = 0;
    while let Some(run) = last_run(&manifest.pages, level) {
        if run.len() > PAGE_ITEMS {
            let oldest = run.start..run.start + PAGE_ITEMS;
            let items = PageItems::Pages(manifest.pages[oldest.clone()].to_vec());
            let page = draft.page(level + 1, items, &Said::default());
            manifest.pages.splice(oldest, [page]);
        } else {
            level += 1;
        }
    }
}

/// How many of the oldest entries move to a page: about half of what a version may hold, by number or encoded, whichever is
/// less. None: all of them may stay.
fn too_many(entries: &[Entry]) -> Option<usize> {
    let size = |entry| serde_json::to_vec(entry).expect("plain data with text keys is JSON").len();
    let sizes: Vec<usize> = entries.iter().map(size).collect();
    if entries.len() <= ENTRIES_MAX && sizes.iter().sum::<usize>() <= ENTRIES_BYTES_MAX {
        return None;
    }
    let mut bytes = 0;
    let half = sizes.iter().take_while(|size| {
        bytes += *size;
        bytes <= ENTRIES_BYTES_MAX / 2
    });
    Some(half.count().clamp(1, PAGE_ITEMS))
}

/// The run of pages of `level` that nothing but lower pages follows. None: no page is of that level or above.
fn last_run(pages: &[PageRef], level: u8) -> Option<std::ops::Range<usize>> {
    let end = pages.iter().rposition(|page| page.level >= level)? + 1;
    let start = pages[..end].iter().rposition(|page| page.level != level).map_or(0, |at| at + 1);
    Some(start.min(end)..end)
}

/// Removes everything that lies wholly below the log start.
pub fn cut(manifest: &mut Manifest, draft: &mut Draft<'_>) -> Result<(), Need> {
    let log_start = manifest.log_start;
    if let Some(pages) = cut_pages(&manifest.pages, log_start, draft)? {
        manifest.pages = pages;
    }
    let dead = manifest.entries.partition_point(|entry| entry.next() <= log_start);
    manifest.entries.drain(..dead).for_each(|entry| draft.remove_entry(&entry));
    Ok(())
}

/// What remains of `pages`; None: all of it.
fn cut_pages(pages: &[PageRef], log_start: i64, draft: &mut Draft<'_>) -> Result<Option<Vec<PageRef>>, Need> {
    let dead = pages.partition_point(|page| page.sums.next <= log_start);
    let (below, above) = pages.split_at(dead);
    let edge = match above.first() {
        Some(page) if page.sums.first < log_start => cut_page(page, log_start, draft)?,
        _ => None,
    };
    if below.is_empty() && edge.is_none() {
        return Ok(None);
    }
    below.iter().for_each(|page| draft.remove(RemovedObject::Tree(page.clone())));
    let Some(mut kept) = edge else { return Ok(Some(above.to_vec())) };
    kept.extend_from_slice(&above[1..]);
    Ok(Some(kept))
}

/// What stands for a page that log start cuts; None: the page as it is, for nothing in it lies wholly below, or it asks for
/// what this build does not have to change it: then it stays until all of it lies below.
fn cut_page(page: &PageRef, log_start: i64, draft: &mut Draft<'_>) -> Result<Option<Vec<PageRef>>, Need> {
    let content = draft.loaded.page(page)?;
    if may_change(&content).is_err() {
        return Ok(None);
    }
    let said = Said::of(page, &content);
    let kept = match &content.items {
        PageItems::Pages(pages) => cut_pages(pages, log_start, draft)?,
        PageItems::Entries(entries) => {
            let (dead, live) = entries.split_at(entries.partition_point(|entry| entry.next() <= log_start));
            dead.iter().for_each(|entry| draft.remove_entry(entry));
            (!dead.is_empty()).then(|| draft.pages(0, live.to_vec(), PageItems::Entries, &said))
        }
    };
    if kept.is_some() {
        draft.remove_page(page);
    }
    Ok(kept)
}

/// The range that a splice replaces, and what it found there.
#[derive(Debug)]
pub struct Splice {
    first: i64,
    next: i64,
    outputs: Option<Vec<Entry>>,
    taken: Vec<Entry>,
}

/// Replaces the entries from `first` to `next`, whose borders must be borders of entries, by `outputs`. Returns what was
/// there; what becomes of it is the caller's to say.
pub fn splice(
    manifest: &mut Manifest,
    first: i64,
    next: i64,
    outputs: Vec<Entry>,
    draft: &mut Draft<'_>,
) -> Result<Vec<Entry>, Hindrance> {
    let mut splice = Splice { first, next, outputs: Some(outputs), taken: Vec::new() };
    manifest.pages = splice.pages(std::mem::take(&mut manifest.pages), draft)?;
    splice.entries(&mut manifest.entries)?;
    let ends = splice.taken.first().map(Entry::first).zip(splice.taken.last().map(Entry::next));
    match ends == Some((first, next)) {
        true => Ok(splice.taken),
        false => Err(Hindrance::Unfit(format!("offsets {first}..{next} are not all live"))),
    }
}

impl Splice {
    fn pages(&mut self, pages: Vec<PageRef>, draft: &mut Draft<'_>) -> Result<Vec<PageRef>, Hindrance> {
        let mut out = Vec::with_capacity(pages.len());
        for page in pages {
            if page.sums.next <= self.first || page.sums.first >= self.next {
                out.push(page);
                continue;
            }
            let content = draft.loaded.page(&page)?;
            may_change(&content).map_err(|error| Hindrance::Asks { name: page.object.name.clone(), error })?;
            let said = Said::of(&page, &content);
            draft.remove_page(&page);
            match &content.items {
                PageItems::Entries(entries) => {
                    let mut entries = entries.clone();
                    self.entries(&mut entries)?;
                    out.extend(draft.pages(page.level, entries, PageItems::Entries, &said));
                }
                PageItems::Pages(pages) => {
                    let pages = self.pages(pages.clone(), draft)?;
                    out.extend(draft.pages(page.level, pages, PageItems::Pages, &said));
                }
            }
        }
        Ok(out)
    }

    fn entries(&mut self, entries: &mut Vec<Entry>) -> Result<(), Hindrance> {
        let begin = entries.partition_point(|entry| entry.next() <= self.first);
        let end = entries.partition_point(|entry| entry.first() < self.next);
        if begin >= end {
            return Ok(());
        }
        if let Some(entry) = entries[begin..end].iter().find(|e| e.first() < self.first || e.next() > self.next) {
            let (first, next) = (entry.first(), entry.next());
            return Err(Hindrance::Unfit(format!(
                "entry {first}..{next} reaches beyond {}..{}",
                self.first, self.next
            )));
        }
        let outputs = self.outputs.take().unwrap_or_default();
        self.taken.extend(entries.splice(begin..end, outputs));
        Ok(())
    }
}
