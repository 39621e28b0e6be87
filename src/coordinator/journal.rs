//! Where state goes: changes are handed over in order, and count once they are durable.
use tokio::sync::oneshot;

use super::items::Changes;

/// Why changes were not taken. Nothing of them was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Try again: the WAL is full, for example.
    #[error("{0}")]
    Busy(String),
    /// No more changes are taken: the log has ended.
    #[error("{0}")]
    Closed(String),
}

/// A log of changes.
pub trait Journal: Send + Sync + 'static {
    /// Hands over changes; the order of calls is the order of the log. The receiver resolves when a sync covered them, and
    /// fails if the log ends before. Never waits.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing was written.
    fn put(&self, changes: Changes) -> Result<oneshot::Receiver<()>, JournalError>;
}
