//! A folder as a bucket. Reading is the `object_store` crate's; everything that writes is here, because its file store
//! (0.13) syncs nothing: after a power cut a committed manifest could be an empty file.
//!
//! An object is written to `<name>#<digits>` beside its place, synced through the descriptor that wrote it, then linked
//! (create-if-absent) or renamed (overwrite, upload) to its name, and the directory is synced. The crate's listing hides
//! names of that form. New directories are synced into their parents. If syncing a directory fails after the name is
//! there, nobody can say any more what a power cut would leave: from then on every request is refused.
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::{Objects, Upload};
use crate::base::Random;

mod walk;

const NAME: &str = "file";
/// Directories that are remembered as synced; forgetting one costs a sync.
const SYNCED_MAX: usize = 10_000;

/// A folder as a bucket; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Files(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    reader: LocalFileSystem,
    random: Random,
    /// Descriptors of unfinished uploads, by id: the one that writes is the one that is synced.
    uploads: Mutex<HashMap<String, Arc<File>>>,
    /// A directory could not be synced.
    broken: AtomicBool,
    /// Directories that this process synced into their parents, as far as it remembers.
    synced: Mutex<HashSet<PathBuf>>,
    /// The large folder that was listed last.
    listed: walk::Listed,
}

impl Files {
    /// The folder `root`, absolute; it need not exist yet if nobody reads before it does.
    pub(super) fn new(root: PathBuf, random: &Random) -> Result<Self> {
        let reader = LocalFileSystem::new_with_prefix(&root)?;
        Ok(Self(Arc::new(Inner {
            root,
            reader,
            random: random.clone(),
            uploads: Mutex::default(),
            broken: AtomicBool::new(false),
            synced: Mutex::default(),
            listed: walk::Listed::default(),
        })))
    }

    /// Runs blocking work on the runtime's threads for it.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || {
            inner.check()?;
            work(&inner)
        })
        .await?
    }
}

impl Inner {
    /// Refuses when the folder is gone (else everything in it would look deleted), or a directory was not synced.
    fn check(&self) -> Result<()> {
        if self.broken.load(Ordering::SeqCst) {
            let why = "a directory could not be synced, so what a power cut would leave is unknown: check the disk and \
                       start again";
            return Err(Error::Generic { store: NAME, source: why.into() });
        }
        match fs::metadata(&self.root) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(failed(&self.root, io::Error::from(io::ErrorKind::NotADirectory))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let why = format!("NoSuchBucket: the directory {} does not exist", self.root.display());
                Err(Error::Generic { store: NAME, source: why.into() })
            }
            Err(e) => Err(failed(&self.root, e)),
        }
    }

    fn place(&self, path: &Path) -> Result<PathBuf> {
        self.reader.path_to_filesystem(path)
    }

    /// A new file beside `place`, and the directories above it.
    fn stage(&self, place: &FsPath) -> Result<(PathBuf, File)> {
        let dir = place.parent().unwrap_or(&self.root);
        self.make_dirs(dir)?;
        let mut name = place.as_os_str().to_owned();
        name.push(format!("#{}", self.random.u64()));
        let staged = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&staged).map_err(|e| failed(&staged, e))?;
        Ok((staged, file))
    }

    /// Makes `dir` and what is missing above it, below the root, and syncs each into its parent. One that is there already may
    /// not be synced yet: another thread is about to, or a process that was killed was.
    fn make_dirs(&self, dir: &FsPath) -> Result<()> {
        if dir == self.root || (self.synced().contains(dir) && dir.is_dir()) {
            return Ok(());
        }
        let parent = dir.parent().unwrap_or(&self.root);
        self.make_dirs(parent)?;
        match fs::create_dir(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(failed(dir, e)),
            _ => sync_dir(parent),
        }?;
        let mut synced = self.synced();
        if synced.len() >= SYNCED_MAX {
            synced.clear();
        }
        synced.insert(dir.to_owned());
        Ok(())
    }

    fn synced(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, path: &Path, payload: &PutPayload, mode: &PutMode) -> Result<()> {
        let place = self.place(path)?;
        let (staged, mut file) = self.stage(&place)?;
        let mut put = || {
            payload.iter().try_for_each(|piece| file.write_all(piece))?;
            file.sync_data()?;
            match mode {
                PutMode::Create => fs::hard_link(&staged, &place),
                _ => fs::rename(&staged, &place),
            }
        };
        let put = put();
        if !matches!((&put, mode), (Ok(()), PutMode::Overwrite)) {
            let _ = fs::remove_file(&staged); // what stays is hidden, and removed by age
        }
        put.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::AlreadyExists { path: path.to_string(), source: e.into() },
            _ => failed(&place, e),
        })?;
        self.settle(&place)
    }

    /// Makes a name that is there survive a power cut.
    fn settle(&self, place: &FsPath) -> Result<()> {
        sync_dir(place.parent().unwrap_or(&self.root)).inspect_err(|_| self.broken.store(true, Ordering::SeqCst))
    }

    fn uploads(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<File>>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uploading(&self, id: &str) -> Result<Arc<File>> {
        let missing = || Error::NotFound { path: id.to_string(), source: "no such upload".into() };
        self.uploads().get(id).cloned().ok_or_else(missing)
    }
}

fn sync_dir(dir: &FsPath) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| failed(dir, e))
}

fn failed(place: &FsPath, e: io::Error) -> Error {
    let e = io::Error::new(e.kind(), format!("{}: {e}", place.display()));
    match e.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path: place.display().to_string(), source: e.into() },
        _ => Error::Generic { store: NAME, source: e.into() },
    }
}

fn not_supported<T>(what: &str) -> Result<T> {
    Err(Error::NotSupported { source: format!("{what} of a folder").into() })
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file://{}", self.0.root.display())
    }
}

impl Objects for Files {
    fn page<'a>(
        &'a self,
        prefix: &'a Path,
        after: Option<&'a Path>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectMeta>>> {
        let (prefix, after) = (prefix.clone(), after.cloned());
        Box::pin(self.blocking(move |inner| {
            walk::page(&inner.root, prefix.as_ref(), after.as_ref().map(Path::as_ref), limit, &inner.listed)
                .map_err(|(place, e)| failed(&place, e))
        }))
    }

    fn abort_older(&self, _root: &Path, before_ms: i64) -> BoxFuture<'_, Result<Option<u64>>> {
        Box::pin(self.blocking(move |inner| {
            let staged = walk::staged_before(&inner.root, before_ms).map_err(|(place, e)| failed(&place, e))?;
            let mut removed = 0;
            for place in staged {
                inner.uploads().remove(&*place.to_string_lossy());
                match fs::remove_file(&place) {
                    Ok(()) => removed += 1,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(failed(&place, e)),
                }
            }
            Ok(Some(removed))
        }))
    }
}

#[async_trait]
impl ObjectStore for Files {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let path = location.clone();
        self.blocking(move |inner| {
            if matches!(options.mode, PutMode::Update(_)) {
                return not_supported("conditional overwrite");
            }
            inner.write(&path, &payload, &options.mode)?;
            Ok(PutResult { e_tag: None, version: None })
        })
        .await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        not_supported("an upload without part numbers")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.check()?;
        self.0.reader.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (path, ranges) = (location.clone(), ranges.to_vec());
        self.blocking(move |inner| {
            let place = inner.place(&path)?;
            let file = File::open(&place).map_err(|e| failed(&place, e))?;
            let size = file.metadata().map_err(|e| failed(&place, e))?.len();
            ranges.iter().map(|range| read(&file, size, range).map_err(|e| failed(&place, e))).collect()
        })
        .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let files = self.clone();
        let delete = move |location: Result<Path>| {
            let files = files.clone();
            async move {
                let path = location?;
                let remove = move |inner: &Inner| {
                    let place = inner.place(&path)?;
                    fs::remove_file(&place).map_err(|e| failed(&place, e))?;
                    Ok(path)
                };
                files.blocking(remove).await
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.0.check() {
            Ok(()) => self.0.reader.list(prefix),
            Err(e) => stream::once(async { Err(e) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.check()?;
        self.0.reader.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        not_supported("copying")
    }
}

#[async_trait]
impl MultipartStore for Files {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        let path = path.clone();
        self.blocking(move |inner| {
            let (staged, file) = inner.stage(&inner.place(&path)?)?;
            let id = staged.to_string_lossy().into_owned();
            inner.uploads().insert(id.clone(), Arc::new(file));
            Ok(id)
        })
        .await
    }

    async fn put_part(&self, _: &Path, id: &MultipartId, index: usize, data: PutPayload) -> Result<PartId> {
        let id = id.clone();
        self.blocking(move |inner| {
            let file = inner.uploading(&id)?;
            let mut at = index as u64 * Upload::PART_BYTES as u64;
            for piece in data.iter() {
                file.write_all_at(piece, at).map_err(|e| failed(FsPath::new(&id), e))?;
                at += piece.len() as u64;
            }
            Ok(PartId { content_id: index.to_string() })
        })
        .await
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, _: Vec<PartId>) -> Result<PutResult> {
        let (path, id) = (path.clone(), id.clone());
        self.blocking(move |inner| {
            let (place, staged) = (inner.place(&path)?, PathBuf::from(&id));
            inner.uploading(&id)?.sync_data().map_err(|e| failed(&staged, e))?;
            fs::rename(&staged, &place).map_err(|e| failed(&place, e))?;
            inner.uploads().remove(&id);
            inner.settle(&place)?;
            Ok(PutResult { e_tag: None, version: None })
        })
        .await
    }

    async fn abort_multipart(&self, _: &Path, id: &MultipartId) -> Result<()> {
        let id = id.clone();
        self.blocking(move |inner| {
            inner.uploads().remove(&id);
            fs::remove_file(&id).map_err(|e| failed(FsPath::new(&id), e))
        })
        .await
    }
}

/// Exactly the bytes of `range` of a file of `size` bytes.
fn read(file: &File, size: u64, range: &Range<u64>) -> io::Result<Bytes> {
    if range.end > size || range.start > range.end {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ends at byte {size}")));
    }
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests;
