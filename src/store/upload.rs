//! Streaming upload of one object in parts of one size, several on their way at once.
use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, PutPayload};
use tokio::task::JoinSet;

use super::gate::Op;
use super::{Kind, Store, StoreError};

/// An object that is being written; nothing is visible before [`Upload::finish`]. Dropping it without either leaves
/// parts behind until [`Store::abort_uploads_older_than`] or the bucket's lifecycle rule removes them.
#[derive(Debug)]
pub struct Upload {
    store: Store,
    path: Path,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    written: u64,
    parts: Option<Parts>,
}

#[derive(Debug)]
struct Parts {
    id: MultipartId,
    sent: Vec<Option<PartId>>,
    sending: JoinSet<Result<(usize, PartId), StoreError>>,
}

impl Upload {
    /// Size of a part in bytes (all but the last); an object that fits one part is written with a single PUT.
    pub const PART_BYTES: usize = 8 << 20;
    /// Parts of one upload on their way at once.
    pub const PARTS_AT_ONCE: usize = 4;
    /// Most parts that S3 takes: objects of up to 78 GiB.
    pub const PARTS_MAX: usize = 10_000;

    pub(super) fn new(store: Store, path: Path) -> Self {
        Self { store, path, pending: Vec::new(), pending_bytes: 0, written: 0, parts: None }
    }

    /// Bytes given so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends bytes; waits when enough parts are on their way. After an error only [`Upload::abort`] makes sense.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        self.written += bytes.len() as u64;
        while self.pending_bytes + bytes.len() > Self::PART_BYTES {
            let head = bytes.split_to(Self::PART_BYTES - self.pending_bytes);
            self.push(head);
            self.send_part().await?;
        }
        self.push(bytes);
        Ok(())
    }

    /// Makes the object visible and durable; returns its size in bytes. On an error it may be there all the same: the
    /// name must not be used again.
    pub async fn finish(mut self) -> Result<u64, StoreError> {
        if self.parts.is_none() {
            let payload = PutPayload::from_iter(std::mem::take(&mut self.pending));
            self.store.put_whole(&self.path, payload).await?;
            return Ok(self.written);
        }
        match self.complete().await {
            Ok(()) => Ok(self.written),
            Err(e) => {
                self.abort().await;
                Err(e)
            }
        }
    }

    /// Gives up; parts that were sent are removed as far as the store answers.
    pub async fn abort(mut self) {
        if let Some(mut parts) = self.parts.take() {
            parts.sending.shutdown().await;
            let _ = self.store.abort_upload(&self.path, &parts.id).await;
        }
    }

    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.pending_bytes += bytes.len();
            self.pending.push(bytes);
        }
    }

    async fn send_part(&mut self) -> Result<(), StoreError> {
        let data = PutPayload::from_iter(std::mem::take(&mut self.pending));
        self.pending_bytes = 0;
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => {
                let id = self.store.begin_upload(&self.path).await?;
                self.parts.insert(Parts { id, sent: Vec::new(), sending: JoinSet::new() })
            }
        };
        if parts.sent.len() >= Self::PARTS_MAX {
            let why = format!("larger than {} parts of {} bytes", Self::PARTS_MAX, Self::PART_BYTES);
            return Err(StoreError::new(Kind::Invalid, self.store.url_at(&self.path), why));
        }
        while parts.sending.len() >= Self::PARTS_AT_ONCE {
            parts.take_one().await?;
        }
        let (store, path, id, index) = (self.store.clone(), self.path.clone(), parts.id.clone(), parts.sent.len());
        parts.sent.push(None);
        parts.sending.spawn(async move { store.send_part(&path, &id, index, data).await.map(|part| (index, part)) });
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), StoreError> {
        if self.pending_bytes > 0 {
            self.send_part().await?;
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        while !parts.sending.is_empty() {
            parts.take_one().await?;
        }
        let sent: Vec<PartId> = parts.sent.iter().flatten().cloned().collect();
        assert_eq!(sent.len(), parts.sent.len(), "every part was sent before an upload is completed");
        self.store.complete_upload(&self.path, &parts.id, sent, self.written).await
    }
}

impl Parts {
    /// Waits for one part.
    async fn take_one(&mut self) -> Result<(), StoreError> {
        if let Some(done) = self.sending.join_next().await {
            let (index, part) = done.map_err(|e| StoreError::new(Kind::Unavailable, &self.id, e.to_string()))??;
            self.sent[index] = Some(part);
        }
        Ok(())
    }
}

impl Store {
    async fn begin_upload(&self, path: &Path) -> Result<MultipartId, StoreError> {
        self.repeat(Op::Upload, path, 0, || self.objects().create_multipart(path)).await
    }

    async fn send_part(
        &self,
        path: &Path,
        id: &MultipartId,
        index: usize,
        data: PutPayload,
    ) -> Result<PartId, StoreError> {
        let bytes = data.content_length();
        let send = || self.objects().put_part(path, id, index, data.clone());
        let part = self.repeat(Op::Part, path, bytes as u64, send).await?;
        self.gate().count_bytes(Op::Part, bytes);
        Ok(part)
    }

    /// A repeated completion finds no upload when the first one was applied: then the object's size tells.
    async fn complete_upload(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
        size: u64,
    ) -> Result<(), StoreError> {
        let complete = || self.objects().complete_multipart(path, id, parts.clone());
        match self.repeat(Op::Complete, path, 0, complete).await {
            Ok(_) => Ok(()),
            Err(e) => match self.stat_at(path).await {
                Ok(there) if there.size == size => Ok(()),
                _ => Err(e),
            },
        }
    }

    async fn abort_upload(&self, path: &Path, id: &MultipartId) -> Result<(), StoreError> {
        self.attempt(Op::Upload, path, 0, self.objects().abort_multipart(path, id)).await
    }

    /// One PUT of a whole object under a name of its own.
    async fn put_whole(&self, path: &Path, payload: PutPayload) -> Result<(), StoreError> {
        let bytes = payload.content_length();
        let put = || self.objects().put_opts(path, payload.clone(), object_store::PutOptions::default());
        self.repeat(Op::Upload, path, bytes as u64, put).await?;
        self.gate().count_bytes(Op::Upload, bytes);
        Ok(())
    }
}
