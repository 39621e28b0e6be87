//! The requests of a [`Store`]: each is one or more timed, counted attempts.
use std::future::Future;
use std::ops::Range;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::classify::classify;
use super::gate::{Gate, Op};
use super::patience::Patience;
use super::{Create, Kind, LIST_PAGE, Listed, Objects, SMALL_BYTES_MAX, Store, StoreError, Upload};

/// Ranges with at most this much between them are read with one request: about what a round trip costs.
const COALESCE_BYTES: u64 = 512 << 10;

impl Store {
    /// Whether the store can be reached, the bucket exists and may be listed. One attempt.
    pub async fn check(&self) -> Result<(), StoreError> {
        let root = self.0.root.clone();
        self.attempt(Op::List, &root, 0, self.objects().page(&root, None, 1)).await.map(|_| ())
    }

    /// A whole small object; one larger than [`SMALL_BYTES_MAX`] is [`Kind::Corrupt`], before its body is read.
    pub async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        let path = self.at(path)?;
        let bytes = self.repeat(Op::Get, &path, 0, || self.get_once(&path)).await?;
        self.gate().count_bytes(Op::Get, bytes.len());
        Ok(bytes)
    }

    async fn get_once(&self, path: &Path) -> Result<Bytes, Error> {
        let found = self.objects().get_opts(path, GetOptions::default()).await?;
        let size = found.meta.size;
        if size > SMALL_BYTES_MAX {
            let why = format!("it has {size} bytes, an object of this kind has at most {SMALL_BYTES_MAX}");
            return Err(corrupt(why));
        }
        let _room = self.gate().body(Op::Get, size).await;
        let bytes = found.bytes().await?;
        if bytes.len() as u64 == size { Ok(bytes) } else { Err(cut_short(size, bytes.len())) }
    }

    /// Exactly the bytes of `range`; an object that ends before is [`Kind::Corrupt`].
    pub async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let path = self.at(path)?;
        self.range_at(&path, range).await
    }

    /// Exactly the bytes of each range, in the order given; ranges that lie close together share a request.
    pub async fn get_ranges(&self, path: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, StoreError> {
        let path = self.at(path)?;
        if let Some(empty) = ranges.iter().find(|range| range.start >= range.end) {
            return Err(StoreError::new(
                Kind::Invalid,
                self.url_at(&path),
                format!("{empty:?} is not a range of bytes"),
            ));
        }
        object_store::coalesce_ranges(ranges, |range| self.range_at(&path, range), COALESCE_BYTES).await
    }

    async fn range_at(&self, path: &Path, range: Range<u64>) -> Result<Bytes, StoreError> {
        if range.start >= range.end {
            return Ok(Bytes::new());
        }
        let wanted = range.end - range.start;
        let read = async || {
            let mut found = self.objects().get_ranges(path, std::slice::from_ref(&range)).await?;
            match found.pop() {
                Some(bytes) if bytes.len() as u64 == wanted => Ok(bytes),
                found => Err(cut_short(wanted, found.map_or(0, |bytes| bytes.len()))),
            }
        };
        let bytes = self.repeat(Op::Range, path, wanted, read).await?;
        self.gate().count_bytes(Op::Range, bytes.len());
        Ok(bytes)
    }

    /// Size and time of an object.
    pub async fn stat(&self, path: &str) -> Result<Listed, StoreError> {
        let path = self.at(path)?;
        self.stat_at(&path).await
    }

    pub(super) async fn stat_at(&self, path: &Path) -> Result<Listed, StoreError> {
        let found = self.repeat(Op::Stat, path, 0, || self.objects().head(path)).await?;
        Ok(self.listed(&found))
    }

    /// Size of an object in bytes.
    pub async fn size(&self, path: &str) -> Result<u64, StoreError> {
        self.stat(path).await.map(|object| object.size)
    }

    /// Writes a small object, whatever was there: only for what nobody trusts (Iceberg's version hint).
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let path = self.at(path)?;
        let put = || self.objects().put_opts(&path, PutPayload::from(bytes.clone()), PutOptions::default());
        self.repeat(Op::Put, &path, bytes.len() as u64, put).await?;
        self.gate().count_bytes(Op::Put, bytes.len());
        Ok(())
    }

    /// Creates a small object if nothing is there. One attempt, never repeated: whoever needs to know after
    /// [`Create::Unknown`] has to look. An `Err` is a request that was refused and not applied.
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        let path = self.at(path)?;
        let size = bytes.len();
        let create = async {
            let options = PutOptions::from(PutMode::Create);
            match self.objects().put_opts(&path, PutPayload::from(bytes), options).await {
                Ok(_) => Ok(Create::Created),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. }) => {
                    Ok(Create::Exists)
                }
                Err(e) => Err(e),
            }
        };
        self.gate().count_bytes(Op::Create, size);
        match self.attempt(Op::Create, &path, size as u64, create).await {
            Ok(created) => Ok(created),
            // "Not found" without naming the bucket says nothing about what became of a creation.
            Err(e) if e.is_retriable() || e.is_not_found() => {
                Ok(Create::Unknown(StoreError { kind: Kind::Unavailable, ..e }))
            }
            Err(e) => Err(e),
        }
    }

    /// Begins to write an object of any size under a name that was never used.
    pub async fn upload(&self, path: &str) -> Result<Upload, StoreError> {
        Ok(Upload::new(self.clone(), self.at(path)?))
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let path = self.at(path)?;
        let delete = async || match self.objects().delete(&path).await {
            Err(Error::NotFound { path, source }) if !source.to_string().contains("NoSuchBucket") => {
                tracing::debug!(path, "deleted already");
                Ok(())
            }
            deleted => deleted,
        };
        self.repeat(Op::Delete, &path, 0, delete).await
    }

    /// Objects under the folder `prefix` (at any depth, "" for all), ascending by path, beginning after `start_after` (a
    /// path, which need not exist). At most [`LIST_PAGE`]; a shorter page is the last one.
    pub async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        let prefix = self.at(prefix)?;
        let after = start_after.map(|path| self.at(path)).transpose()?;
        let list = || self.objects().page(&prefix, after.as_ref(), LIST_PAGE);
        let found = self.repeat(Op::List, &prefix, 0, list).await?;
        Ok(found.iter().map(|object| self.listed(object)).collect())
    }

    /// Names of the folders directly under `prefix`, ascending, without slashes. A folder on disk may be empty.
    pub async fn list_dirs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let prefix = self.at(prefix)?;
        let within = Some(&prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let found = self.repeat(Op::List, &prefix, 0, || self.objects().list_with_delimiter(within)).await?;
        let mut names: Vec<_> =
            found.common_prefixes.iter().filter_map(|path| path.filename()).map(String::from).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Aborts unfinished uploads under the root that began before `before_ms`. Returns how many went; None where the
    /// backend has no way to list them and a lifecycle rule of the bucket has to do it.
    pub async fn abort_uploads_older_than(&self, before_ms: i64) -> Result<Option<u64>, StoreError> {
        let root = self.0.root.clone();
        self.repeat(Op::Delete, &root, 0, || self.objects().abort_older(&root, before_ms)).await
    }
}

/// How requests are run.
impl Store {
    pub(super) fn objects(&self) -> &dyn Objects {
        &*self.0.objects
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Patience for a sequence of requests, as this store's options give it for one.
    pub(super) fn patience(&self) -> Patience {
        Patience::new(&self.0.options, &self.0.clock, &self.0.random)
    }

    /// URL of a path that includes the root.
    pub(super) fn url_at(&self, path: &Path) -> String {
        self.url_of(self.relative(path))
    }

    /// The backend's path of a relative one.
    fn at(&self, path: &str) -> Result<Path, StoreError> {
        let joined = match (self.0.root.as_ref(), path) {
            (root, "") => root.to_string(),
            ("", path) => path.to_string(),
            (root, path) => format!("{root}/{path}"),
        };
        Path::parse(joined).map_err(|e| StoreError::new(Kind::Invalid, self.url_of(path), e.to_string()))
    }

    fn relative<'a>(&self, path: &'a Path) -> &'a str {
        let path = path.as_ref();
        path.strip_prefix(self.0.root.as_ref()).unwrap_or(path).trim_start_matches('/')
    }

    fn listed(&self, object: &ObjectMeta) -> Listed {
        Listed {
            path: self.relative(&object.location).to_string(),
            size: object.size,
            modified_ms: object.last_modified.timestamp_millis(),
        }
    }

    /// One attempt: permits, time-out, classification, counters.
    pub(super) async fn attempt<T>(
        &self,
        op: Op,
        path: &Path,
        bytes: u64,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        let _entered = self.gate().enter(op, bytes).await;
        let began = self.0.clock.elapsed();
        let answer = match self.gate().timed(request).await {
            Some(Ok(value)) => Ok(value),
            Some(Err(e)) => Err(classify(&e, self.0.answered.load(Ordering::Relaxed))),
            None => Err((Kind::Unavailable, format!("no answer within {} ms", self.gate().timeout_ms()))),
        };
        let result = answer.as_ref().map_or_else(|(kind, _)| kind.as_str(), |_| "ok");
        self.gate().count(op, result, self.0.clock.elapsed().saturating_sub(began));
        if matches!(&answer, Ok(_) | Err((Kind::NotFound, _))) {
            self.0.answered.store(true, Ordering::Relaxed);
        }
        answer.map_err(|(kind, message)| StoreError::new(kind, self.url_at(path), message))
    }

    /// Attempts until one succeeds, fails for good, or patience ends.
    pub(super) async fn repeat<T, F: Future<Output = Result<T, Error>>>(
        &self,
        op: Op,
        path: &Path,
        bytes: u64,
        mut request: impl FnMut() -> F,
    ) -> Result<T, StoreError> {
        let mut patience = self.patience();
        loop {
            match self.attempt(op, path, bytes, request()).await {
                Err(e) if e.is_retriable() => {
                    if !patience.wait().await {
                        return Err(e);
                    }
                    tracing::debug!(error = %e, "asking the store again");
                    self.gate().count_retry(op);
                }
                answer => return answer,
            }
        }
    }
}

fn corrupt(why: String) -> Error {
    let source = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, why);
    Error::Generic { store: "esker", source: source.into() }
}

fn cut_short(wanted: u64, got: usize) -> Error {
    corrupt(format!("the store gave {got} bytes where {wanted} were asked for: the object is shorter than recorded"))
}
