//! A store in memory whose answers can be spoilt, call by call. Every call gives way to other tasks before it is applied
//! and before it answers, so that a scheduler can put anything in between.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::task::yield_now;

use super::{Memory, Weather};
use crate::base::Clock;
use crate::store::{Objects, Store};

/// Kinds of call, as the backend sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Read of an object, whole, in ranges, or its head.
    Get,
    /// Create-if-absent.
    Create,
    /// Write of a whole object.
    Put,
    /// Deletion.
    Delete,
    /// Listing.
    List,
    /// Begin, part, end or abort of an upload.
    Upload,
}

/// What happens to one call. A fault that makes no sense for a call (a late duplicate of a read) is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not applied, answered with 503.
    Failed,
    /// Applied, answered with 500.
    AppliedAndFailed,
    /// Applied, and the connection dropped.
    AppliedAndDropped,
    /// Answered with 409 as if something were there; not applied.
    Conflict,
    /// Answered with 500, and applied once this many further calls were made, whatever then is there.
    Late(u64),
    /// Answered with 404.
    Missing,
    /// Answered with 403; not applied.
    Denied,
    /// A listing as it was this many calls ago.
    Stale(u64),
}

/// How often a call that is held back looks whether it still is.
const HELD: Duration = Duration::from_millis(10);

/// The store; see the module's header. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct Faulty {
    inner: Arc<Memory>,
    state: Arc<Mutex<State>>,
    hidden: Arc<[String]>,
    /// Whether the client that this is has ended; others go on.
    ended: Arc<AtomicBool>,
    /// Whether calls of this client are held back; others go on.
    held: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Creation {
    #[default]
    Atomic,
    Overwrites,
    TwoSteps,
}

#[derive(Debug, Default)]
struct State {
    creation: Creation,
    hanging: BTreeSet<Call>,
    weather: Option<Weather>,
    calls: u64,
    away: bool,
    next: BTreeMap<Call, VecDeque<Fault>>,
    at: BTreeMap<u64, Fault>,
    late: Vec<(u64, Path, Bytes)>,
    uploads: BTreeMap<MultipartId, BTreeMap<usize, Bytes>>,
    log: Vec<(Call, String)>,
    /// Keys that came (true) and went, with the number of the call.
    changes: Vec<(u64, Path, bool)>,
    created: Vec<(String, Bytes)>,
}

impl Faulty {
    /// A store without faults so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store without faults so far, whose objects bear the time of `clock`.
    pub fn on_clock(clock: &Clock) -> Self {
        Self { inner: Arc::new(Memory::on(clock)), ..Self::default() }
    }

    /// A [`Store`] over it.
    pub fn store(&self) -> Store {
        super::store_over(Arc::new(self.clone()))
    }

    /// A [`Store`] over it with randomness of its own.
    pub fn store_seeded(&self, seed: u64) -> Store {
        super::store_seeded(Arc::new(self.clone()), seed)
    }

    /// The same store, seen by a client that may end before others.
    pub fn client(&self) -> Self {
        Self { ended: Arc::default(), held: Arc::default(), ..self.clone() }
    }

    /// This client has ended: none of its calls that is not applied yet ever will be, and none is answered.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// While true, no call of this client goes any further, be it before it is applied or before it is answered.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    /// The same store, seen by a client whose listings do not show `paths`.
    pub fn hiding(&self, paths: &[String]) -> Self {
        Self { hidden: paths.to_vec().into(), ..self.clone() }
    }

    /// The next call of this kind gets `fault`; more than one are taken in order.
    pub fn on(&self, call: Call, fault: Fault) {
        self.state().next.entry(call).or_default().push_back(fault);
    }

    /// The call with this number (the first is 0) gets `fault`.
    pub fn at(&self, call: u64, fault: Fault) {
        self.state().at.insert(call, fault);
    }

    /// From now on calls meet what `weather` says, beside the faults that were asked for by number.
    pub fn weather(&self, weather: Weather) {
        self.state().weather = Some(weather);
    }

    /// Takes back every fault not yet used, and applies what is late.
    pub async fn heal(&self) {
        let late: Vec<_> = {
            let mut state = self.state();
            state.next.clear();
            state.at.clear();
            state.away = false;
            state.hanging.clear();
            state.weather = None;
            state.late.drain(..).collect()
        };
        for (_, path, bytes) in late {
            let _ = self.apply_create(&path, bytes).await;
        }
    }

    /// While true, every call fails and nothing is applied.
    pub fn away(&self, away: bool) {
        self.state().away = away;
    }

    /// From now on creation ignores what is there, like a store that does not know the condition.
    pub fn overwrites_always(&self) {
        self.state().creation = Creation::Overwrites;
    }

    /// From now on creation looks first and writes later, like a store without locks.
    pub fn creates_in_two_steps(&self) {
        self.state().creation = Creation::TwoSteps;
    }

    /// From now on calls of this kind never answer, nor are they applied.
    pub fn hang(&self, call: Call) {
        self.state().hanging.insert(call);
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Every call so far, with its path.
    pub fn log(&self) -> Vec<(Call, String)> {
        self.state().log.clone()
    }

    /// Every creation that was applied, in order, with its bytes.
    pub fn created(&self) -> Vec<(String, Bytes)> {
        self.state().created.clone()
    }

    /// The store beneath, without faults.
    pub fn inner(&self) -> &Memory {
        &self.inner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, applies what is late, and says what is to happen.
    async fn enter(&self, call: Call, path: &Path) -> Option<Fault> {
        self.pause().await;
        let (due, fault) = {
            let mut state = self.state();
            let number = state.calls;
            state.calls += 1;
            state.log.push((call, path.to_string()));
            let late = std::mem::take(&mut state.late);
            let (due, late): (Vec<_>, Vec<_>) = late.into_iter().partition(|(at, ..)| *at <= number);
            state.late = late;
            let fault = match state.away {
                true => Some(Fault::Failed),
                false => state
                    .at
                    .remove(&number)
                    .or_else(|| state.next.get_mut(&call)?.pop_front())
                    .or_else(|| state.weather.as_ref()?.fault(call)),
            };
            let fault = match (call, fault) {
                (Call::Create, Some(Fault::Conflict | Fault::Late(_))) | (Call::List, Some(Fault::Stale(_))) => fault,
                (Call::List, Some(Fault::Missing)) => Some(Fault::Failed),
                (_, Some(Fault::Conflict | Fault::Late(_) | Fault::Stale(_))) => Some(Fault::Failed),
                _ => fault,
            };
            (due, fault)
        };
        for (_, path, bytes) in due {
            let _ = self.apply_create(&path, bytes).await;
        }
        if self.state().hanging.contains(&call) {
            std::future::pending::<()>().await;
        }
        fault
    }

    /// Gives way to other tasks, for as long as the weather says; a client that has ended goes no further.
    async fn pause(&self) {
        let pause = self.state().weather.as_ref().map(Weather::pause).unwrap_or_default();
        if pause.is_zero() {
            yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
        while self.held.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst) {
            tokio::time::sleep(HELD).await;
        }
        if self.ended.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    async fn apply_create(&self, path: &Path, bytes: Bytes) -> Result<PutResult> {
        let creation = self.state().creation;
        let mode = match creation {
            Creation::Atomic => PutMode::Create,
            Creation::Overwrites => PutMode::Overwrite,
            Creation::TwoSteps => {
                let there = self.inner.head(path).await.is_ok();
                yield_now().await;
                if there { PutMode::Create } else { PutMode::Overwrite }
            }
        };
        let options = PutOptions::from(mode);
        let result = self.inner.put_opts(path, PutPayload::from(bytes.clone()), options).await?;
        let mut state = self.state();
        let number = state.calls;
        state.changes.push((number, path.clone(), true));
        state.created.push((path.to_string(), bytes));
        Ok(result)
    }

    async fn create(&self, path: &Path, bytes: Bytes) -> Result<PutResult> {
        let fault = self.enter(Call::Create, path).await;
        let result = match fault {
            None => self.apply_create(path, bytes).await,
            Some(Fault::AppliedAndFailed | Fault::AppliedAndDropped) => {
                let _ = self.apply_create(path, bytes).await;
                Err(failure(fault, path))
            }
            Some(Fault::Late(calls)) => {
                let mut state = self.state();
                let due = state.calls + calls;
                state.late.push((due, path.clone(), bytes));
                Err(failure(fault, path))
            }
            Some(_) => Err(failure(fault, path)),
        };
        self.pause().await;
        result
    }

    /// Runs a call that is not a creation under `fault`.
    async fn run<T>(&self, fault: Option<Fault>, path: &Path, work: impl Future<Output = Result<T>>) -> Result<T> {
        let result = match fault {
            None => work.await,
            Some(Fault::AppliedAndFailed | Fault::AppliedAndDropped) => {
                let _ = work.await;
                Err(failure(fault, path))
            }
            Some(_) => Err(failure(fault, path)),
        };
        self.pause().await;
        result
    }

    async fn delete_one(&self, path: &Path) -> Result<()> {
        let fault = self.enter(Call::Delete, path).await;
        self.run(fault, path, async {
            self.inner.delete(path).await?;
            let mut state = self.state();
            let number = state.calls;
            state.changes.push((number, path.clone(), false));
            Ok(())
        })
        .await
    }

    /// What a listing would have shown before the last `calls` calls; what is gone since has no size.
    async fn stale(&self, prefix: &Path, calls: u64) -> Result<Vec<ObjectMeta>> {
        let paths: BTreeSet<Path> = {
            let state = self.state();
            let as_of = state.calls.saturating_sub(calls);
            let mut paths = BTreeSet::new();
            for (_, path, came) in state.changes.iter().take_while(|(at, ..)| *at < as_of) {
                if *came {
                    paths.insert(path.clone())
                } else {
                    paths.remove(path)
                };
            }
            paths.into_iter().filter(|path| path.prefix_matches(prefix)).collect()
        };
        let mut found = Vec::new();
        for location in paths {
            found.push(match self.inner.head(&location).await {
                Ok(meta) => meta,
                Err(_) => {
                    let last_modified = std::time::UNIX_EPOCH.into();
                    ObjectMeta { location, last_modified, size: 0, e_tag: None, version: None }
                }
            });
        }
        Ok(found)
    }
}

/// The error that the `object_store` crate would make of what the network showed.
fn failure(fault: Option<Fault>, path: &Path) -> Error {
    let path = path.to_string();
    match fault {
        Some(Fault::Conflict) => Error::AlreadyExists { path, source: "status code: 409 Conflict".into() },
        Some(Fault::Missing) => Error::NotFound { path, source: "status code: 404 Not Found".into() },
        Some(Fault::Denied) => Error::PermissionDenied { path, source: "status code: 403 Forbidden".into() },
        Some(Fault::AppliedAndDropped) => Error::Generic { store: "faulty", source: "connection closed".into() },
        Some(Fault::Failed) => {
            Error::Generic { store: "faulty", source: "status code: 503 Service Unavailable".into() }
        }
        _ => Error::Generic { store: "faulty", source: "status code: 500 Internal Server Error".into() },
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl Objects for Faulty {
    fn page<'a>(
        &'a self,
        prefix: &'a Path,
        after: Option<&'a Path>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectMeta>>> {
        Box::pin(async move {
            let fault = self.enter(Call::List, prefix).await;
            let listing = async {
                let mut found = match fault {
                    Some(Fault::Stale(calls)) => self.stale(prefix, calls).await?,
                    _ => self.inner.page(prefix, after, limit).await?,
                };
                found.retain(|meta| after.is_none_or(|after| meta.location > *after));
                found.retain(|meta| !self.hidden.iter().any(|path| path == meta.location.as_ref()));
                found.truncate(limit);
                Ok(found)
            };
            let fault = fault.filter(|fault| !matches!(fault, Fault::Stale(_)));
            self.run(fault, prefix, listing).await
        })
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if options.mode == PutMode::Create {
            return self.create(path, Bytes::from(payload)).await;
        }
        let fault = self.enter(Call::Put, path).await;
        self.run(fault, path, async {
            let result = self.inner.put_opts(path, payload, options).await?;
            let mut state = self.state();
            let number = state.calls;
            state.changes.push((number, path.clone(), true));
            Ok(result)
        })
        .await
    }

    async fn put_multipart_opts(&self, path: &Path, o: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, o).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.enter(Call::Get, path).await;
        self.run(fault, path, self.inner.get_opts(path, options)).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fault = self.enter(Call::Get, path).await;
        self.run(fault, path, self.inner.get_ranges(path, ranges)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |path: Result<Path>| {
            let store = store.clone();
            async move {
                let path = path?;
                store.delete_one(&path).await.map(|()| path)
            }
        };
        paths.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let shown = prefix.cloned().unwrap_or_default();
        let fault = self.enter(Call::List, &shown).await;
        self.run(fault, &shown, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Parts are kept here: the crate's store in memory panics when they come out of order.
#[async_trait]
impl MultipartStore for Faulty {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        let fault = self.enter(Call::Upload, path).await;
        self.run(fault, path, async {
            let mut state = self.state();
            let id = state.calls.to_string();
            state.uploads.insert(id.clone(), BTreeMap::new());
            Ok(id)
        })
        .await
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, index: usize, data: PutPayload) -> Result<PartId> {
        let fault = self.enter(Call::Upload, path).await;
        self.run(fault, path, async {
            let mut state = self.state();
            let parts = state.uploads.get_mut(id).ok_or_else(|| failure(Some(Fault::Missing), path))?;
            parts.insert(index, data.into());
            Ok(PartId { content_id: index.to_string() })
        })
        .await
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, _: Vec<PartId>) -> Result<PutResult> {
        let fault = self.enter(Call::Upload, path).await;
        self.run(fault, path, async {
            let parts = self.state().uploads.remove(id).ok_or_else(|| failure(Some(Fault::Missing), path))?;
            let result = self.inner.put(path, PutPayload::from_iter(parts.into_values())).await?;
            let mut state = self.state();
            let number = state.calls;
            state.changes.push((number, path.clone(), true));
            Ok(result)
        })
        .await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        let fault = self.enter(Call::Upload, path).await;
        self.run(fault, path, async {
            self.state().uploads.remove(id);
            Ok(())
        })
        .await
    }
}
