//! A journal that syncs when the test says so.
use tokio::sync::oneshot;

use crate::coordinator::items::{Changes, Items};
use crate::coordinator::journal::JournalError;

#[derive(Default)]
pub struct FakeJournal {
    /// What is durable.
    pub items: Items,
    /// What is not.
    pub waiting: Vec<(Changes, oneshot::Sender<()>)>,
    pub is_full: bool,
}

impl FakeJournal {
    pub fn put(&mut self, changes: Changes) -> Result<oneshot::Receiver<()>, JournalError> {
        if self.is_full {
            return Err(JournalError::Busy("full".to_owned()));
        }
        let (durable, resolved) = oneshot::channel();
        self.waiting.push((changes, durable));
        Ok(resolved)
    }

    pub fn sync(&mut self) {
        for (changes, durable) in std::mem::take(&mut self.waiting) {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(self.items.insert(key, value)),
                    None => drop(self.items.remove(&key)),
                }
            }
            let _ = durable.send(());
        }
    }
}
