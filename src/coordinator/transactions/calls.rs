//! What producers ask. Each call is made when its function returns, in the order of the calls; the future it returns, if any,
//! waits for the disk.
use tokio::sync::oneshot;

use super::entry::{Entry, Identity, TV2};
use super::ids::lock;
use super::machine::{End, EndCall, Init};
use super::{Cause, Inner, Transaction, Transactions, log_ended};
use crate::coordinator::Commit;
use crate::coordinator::calls::MemberRef;
use crate::coordinator::committing::CommitAnswer;
use crate::coordinator::error::{GroupError, TxnError};
use crate::coordinator::items::{TopicPartition, txn_key, value_of};
use crate::coordinator::membership::check_id;

/// Why offsets were not committed in a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Because of the transaction.
    #[error(transparent)]
    Transaction(#[from] TxnError),
    /// Because of the group.
    #[error(transparent)]
    Group(#[from] GroupError),
}

impl Transactions {
    /// A producer comes, or comes again: it gets its id and epoch, and every other instance of it is fenced. `expected`: who it
    /// believes to be.
    pub fn init(
        &self,
        name: &str,
        timeout_ms: i32,
        expected: Option<Identity>,
    ) -> impl Future<Output = Result<Identity, TxnError>> + Send + use<> {
        let begun = self.0.begin_init(name, timeout_ms, expected);
        async move {
            let (identity, durable) = begun?;
            durable.await.map_err(|_| log_ended())?;
            Ok(identity)
        }
    }

    /// Adds partitions, or a group, to a producer's transaction, and opens it with the first ones.
    pub fn add(
        &self,
        name: &str,
        producer: Identity,
        places: &[TopicPartition],
        group: Option<&str>,
    ) -> impl Future<Output = Result<(), TxnError>> + Send + use<> {
        let begun = self.0.with(name, |_, id| {
            let next = id.transaction.add(producer, (places, group), 0, self.0.clock.now_ms())?;
            next.map(|next| self.0.store(id, next)).transpose()
        });
        async move {
            match begun? {
                Some(durable) => durable.await.map_err(|_| log_ended()),
                None => Ok(()),
            }
        }
    }

    /// Whether each of `places` is in a producer's transaction.
    ///
    /// # Errors
    /// [`TxnError`], for all of them.
    pub fn verify(
        &self,
        name: &str,
        producer: Identity,
        places: &[TopicPartition],
    ) -> Result<Vec<Result<(), TxnError>>, TxnError> {
        self.0.with(name, |_, id| {
            id.transaction.check(producer)?;
            Ok(places.iter().map(|place| id.transaction.verify(producer, *place)).collect())
        })
    }

    /// Has `write` write to partitions of a producer's transaction: nothing can end it meanwhile. With TV2 those of `places`
    /// are added first. `write` asks [`Transaction::verify`] for each partition.
    ///
    /// # Errors
    /// [`TxnError`]; then `write` was not called.
    pub fn write<T>(
        &self,
        name: &str,
        producer: Identity,
        version: i8,
        places: &[TopicPartition],
        write: impl FnOnce(&Transaction) -> T,
    ) -> Result<T, TxnError> {
        self.0.with(name, |_, id| {
            if version >= TV2 {
                let next = id.transaction.add(producer, (places, None), version, self.0.clock.now_ms())?;
                // Whoever waits for a batch waits for this too: it lies before it in the log.
                next.map(|next| self.0.store(id, next)).transpose()?;
            }
            Ok(write(&id.transaction))
        })
    }

    /// Commits offsets of a group within a producer's transaction. With TV2 the group is added to it.
    pub fn commit_offsets(
        &self,
        name: &str,
        producer: Identity,
        version: i8,
        (group, member): (&str, &MemberRef),
        offsets: Vec<(TopicPartition, Commit)>,
    ) -> impl Future<Output = Result<CommitAnswer, TxnError>> + Send + use<> {
        let begin = |(): ()| {
            self.0.with(name, |_, id| {
                if version >= TV2 {
                    let next = id.transaction.add(producer, (&[], Some(group)), version, self.0.clock.now_ms())?;
                    next.map(|next| self.0.store(id, next)).transpose()?;
                }
                id.transaction.verify_group(producer, group)?;
                Ok(self.0.groups.commit_in_transaction(group, member, producer.id, offsets))
            })
        };
        let begun = check_id(group).map(begin);
        async move {
            match begun {
                Ok(begun) => Ok(begun?.await),
                Err(error) => Ok(Err(error)),
            }
        }
    }

    /// A producer ends its transaction. Answers who it is from now on.
    pub fn end(&self, name: &str, call: EndCall) -> impl Future<Output = Result<Identity, TxnError>> + Send + use<> {
        let begun = self.0.begin_end(name, call);
        async move {
            let (identity, durable) = begun?;
            if let Some(durable) = durable {
                durable.await.unwrap_or_else(|_| Err(log_ended()))?;
            }
            Ok(identity)
        }
    }
}

type Ended = Option<oneshot::Receiver<Result<(), TxnError>>>;

impl Inner {
    fn begin_init(
        &self,
        name: &str,
        timeout_ms: i32,
        expected: Option<Identity>,
    ) -> Result<(Identity, oneshot::Receiver<()>), TxnError> {
        if name.is_empty() {
            return Err(TxnError::InvalidRequest("the transactional id is empty"));
        }
        let most = self.options().max_timeout_ms;
        if !(1..=most).contains(&timeout_ms) {
            return Err(TxnError::InvalidTimeout { asked: timeout_ms, most });
        }
        let now_ms = self.clock.now_ms();
        loop {
            let Some(slot) = self.ids.get(name) else {
                let added = self.ids.add(name, self.options().max_ids, || {
                    let entry = Entry::new(self.log.new_producer_id(), timeout_ms, now_ms);
                    let durable = self.log.put(vec![(txn_key(name), Some(value_of(&entry)))])?;
                    Ok((entry.clone(), (entry.identity(), durable)))
                })?;
                match added {
                    Some(added) => return Ok(added),
                    None => continue,
                }
            };
            let mut id = lock(&slot);
            if id.gone {
                continue;
            }
            return match id.transaction.init(expected, timeout_ms, now_ms, || self.log.new_producer_id())? {
                Init::Given(entry) => Ok((entry.identity(), self.store(&mut id, entry)?)),
                Init::AbortFirst(ending) => {
                    self.end_now(&slot, &mut id, ending, Cause::Fenced)?;
                    Err(TxnError::Concurrent)
                }
            };
        }
    }

    fn begin_end(&self, name: &str, call: EndCall) -> Result<(Identity, Ended), TxnError> {
        self.with(name, |slot, id| {
            match id.transaction.end(call, self.clock.now_ms(), || self.log.new_producer_id())? {
                End::Before(identity) => Ok((identity, None)),
                End::Now(ending) => {
                    let identity = ending.entry.identity();
                    Ok((identity, Some(self.end_now(slot, id, ending, Cause::Producer)?)))
                }
            }
        })
    }
}
