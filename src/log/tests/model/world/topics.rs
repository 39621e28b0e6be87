//! Topics that come, go and grow.
use super::*;

/// The first two are as all topics are.
pub(super) const NAMES: [&str; 4] = ["a", "b", "compacted", "retained"];
const RETENTION_MS: i64 = 200_000;
/// Most partitions of a topic.
const PARTITIONS_MAX: i32 = 2;

impl World {
    pub(super) fn topics(&self) -> BTreeSet<String> {
        self.truths.keys().map(|place| place.0.clone()).collect()
    }

    pub(super) async fn create(&mut self, name: &str) {
        let created = self.log().create_topic(NewTopic { settings: settings_of(name), ..new_topic(name) }).await;
        self.note(format!("topic {name} is created: {:?}", created.as_ref().map(|_| ())));
        match created {
            Ok(_) => {
                self.doubtful.remove(name);
                self.truths.insert(Place(name.to_owned(), 0), Truth::of(policy_of(name)));
            }
            Err(TopicError::Storage(_) | TopicError::NotServing(_)) => drop(self.doubtful.insert(name.to_owned())),
            Err(TopicError::Exists(_)) if self.doubtful.contains(name) => {}
            Err(error) => panic!("topic {name} is not created: {error}"),
        }
    }

    async fn delete(&mut self, name: &str) {
        let deleted = self.log().delete_topic(name).await;
        self.note(format!("topic {name} is deleted: {deleted:?}"));
        match deleted {
            Ok(()) => self.is_gone(name),
            Err(TopicError::Unknown(_)) if self.doubtful.contains(name) => self.is_gone(name),
            Err(TopicError::Storage(_) | TopicError::NotServing(_)) => drop(self.doubtful.insert(name.to_owned())),
            Err(error) => panic!("topic {name} is not deleted: {error}"),
        }
    }

    fn is_gone(&mut self, name: &str) {
        self.doubtful.remove(name);
        self.damaged.take_if(|damage| damage.is_of(name));
        self.truths.retain(|place, _| place.0 != name);
        self.producers.retain(|(_, place), _| place.0 != name);
        self.open.iter_mut().for_each(|transaction| transaction.places.retain(|place, _| place.0 != name));
    }

    pub async fn delete_or_create_a_topic(&mut self) {
        let topics = self.topics();
        if topics.len() > 3 {
            let at = usize::try_from(self.below(topics.len() as u64)).unwrap();
            self.delete(topics.iter().nth(at).unwrap()).await;
        } else if let Some(name) = NAMES.into_iter().find(|name| !topics.contains(*name)) {
            self.create(name).await;
        }
    }

    pub async fn grow_a_topic(&mut self) {
        let topics = self.topics();
        let at = usize::try_from(self.below(topics.len().max(1) as u64)).unwrap();
        let Some(name) = topics.iter().nth(at) else { return };
        let Some(now) = self.log().topic(name).map(|topic| topic.partitions) else { return };
        if now >= PARTITIONS_MAX {
            return;
        }
        let grown = self.log().create_partitions(name, now + 1, false).await;
        self.note(format!("topic {name} grows to {} partitions: {grown:?}", now + 1));
        match grown {
            Ok(()) => drop(self.truths.insert(Place(name.clone(), now), Truth::of(policy_of(name)))),
            Err(TopicError::Storage(_) | TopicError::NotServing(_)) => drop(self.doubtful.insert(name.clone())),
            Err(error) if self.doubtful.contains(name) => self.note(format!("it is in doubt: {error}")),
            Err(error) => panic!("topic {name} does not grow: {error}"),
        }
    }

    /// What became of what was not answered shows sooner or later; nothing else comes or goes.
    pub(super) fn settle_topics(&mut self) {
        let served = self.log().topics();
        for name in self.topics() {
            if !served.iter().any(|topic| topic.name == name) {
                assert!(self.doubtful.contains(&name), "topic {name} is gone");
                self.is_gone(&name);
            }
        }
        for topic in served {
            for number in 0..topic.partitions {
                let place = Place(topic.name.clone(), number);
                if !self.truths.contains_key(&place) {
                    assert!(self.doubtful.contains(&topic.name), "{place} is there, and nobody asked for it");
                    self.truths.insert(place, Truth::of(policy_of(&topic.name)));
                }
            }
        }
    }
}

fn policy_of(name: &str) -> Policy {
    Policy { compacts: name == "compacted", retention_ms: (name == "retained").then_some(RETENTION_MS) }
}

fn settings_of(name: &str) -> BTreeMap<String, String> {
    let retention_ms = RETENTION_MS.to_string();
    let settings: &[(&str, &str)] = match name {
        "compacted" => &[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01")],
        "retained" => &[("retention.ms", &retention_ms)],
        _ => &[],
    };
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
