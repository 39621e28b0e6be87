//! Changes of the broker's own settings while it runs: decided, checked against every topic, durable, and then in force.
use std::sync::Arc;

use super::defaults::{Changed, Defaults, Scope};
use super::partition::Partition;
use super::settings::{self, TopicSettings, Values};
use super::topics::Registry;
use super::{AppendError, Log, SettingInfo, TopicError};

impl Log {
    /// The broker's defaults of topic settings, and everything of the broker that was changed while it runs.
    pub fn defaults(&self) -> Arc<Defaults> {
        self.0.registry.defaults.get()
    }

    /// The broker's defaults as settings.
    pub fn default_settings(&self) -> Vec<SettingInfo> {
        settings::describe(&self.defaults(), &Values::new())
    }

    /// Changes settings of the broker, or only says whether they could be: `decide` changes the layers, and returns what is to
    /// be done once they are durable and topics follow them. One change at a time. What was begun is finished, also when the
    /// future is dropped.
    ///
    /// # Errors
    /// What `decide` returns; [`TopicError::BadSetting`] when the defaults do not fit together, or a topic does not fit them.
    pub async fn change_settings<E, A>(
        &self,
        scope: Scope,
        validate_only: bool,
        decide: impl FnOnce(&mut Changed) -> Result<A, E>,
    ) -> Result<(), E>
    where
        E: From<TopicError>,
        A: FnOnce() + Send + 'static,
    {
        let registry = self.0.registry.clone();
        let one = registry.changing.clone().lock_owned().await;
        let before = registry.defaults.get();
        let mut changed = before.changed().clone();
        let then = decide(&mut changed)?;
        let stored = changed.stored(scope, self.broker_id());
        let is_same = changed == *before.changed();
        let defaults = before.with(changed);
        let topics = registry.resolve_all(&before, &defaults)?;
        if validate_only || is_same {
            return Ok(());
        }
        let pending = self.append_state(stored).map_err(not_stored)?;
        let finish = async move {
            let _one = one;
            pending.durable().await?;
            registry.put_in_force(defaults, topics);
            then();
            Ok(())
        };
        let finished = self.0.core.env.tasks.hot.spawn(finish).await;
        let ended = |_| Err(AppendError::NotServing("the broker is stopping".to_owned()));
        Ok(finished.unwrap_or_else(ended).map_err(not_stored)?)
    }
}

fn not_stored(error: AppendError) -> TopicError {
    match error {
        AppendError::Storage(why) => TopicError::Storage(why),
        other => TopicError::NotServing(other.to_string()),
    }
}

/// Settings of each topic's partitions.
type Resolved = Vec<(Vec<Partition>, Arc<TopicSettings>)>;

impl Registry {
    /// What every topic's settings become. A topic that was not understood before is no reason to refuse.
    fn resolve_all(&self, before: &Defaults, after: &Defaults) -> Result<Resolved, TopicError> {
        self.resolve_with(after, &Values::new())?;
        let one = |(info, partitions): (Arc<super::TopicInfo>, Vec<Partition>)| match self
            .resolve_with(after, &info.settings)
        {
            Ok(settings) => Ok((partitions, Arc::new(settings))),
            Err(TopicError::BadSetting(why)) if self.resolve_with(before, &info.settings).is_ok() => {
                Err(TopicError::BadSetting(format!("topic '{}': {why}", info.name)))
            }
            Err(_) => Ok((partitions, Arc::new(self.resolve_with(after, &Values::new())?))),
        };
        self.topics_with_partitions().into_iter().map(one).collect()
    }

    fn put_in_force(&self, defaults: Defaults, topics: Resolved) {
        self.defaults.set(defaults);
        for (partitions, settings) in topics {
            partitions.iter().for_each(|partition| partition.set_settings(settings.clone()));
        }
    }
}
