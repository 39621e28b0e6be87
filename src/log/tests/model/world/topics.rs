//! Topics that come, go and grow.
use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
/// Most partitions of a topic.
const PARTITIONS_MAX: i32 = 3;

impl World {
    pub(super) fn topics(&self) -> BTreeSet<String> {
        self.truths.keys().map(|place| place.0.clone()).collect()
    }

    pub(super) async fn create(&mut self, name: &str) {
        let created = self.log().create_topic(new_topic(name)).await;
        self.note(format!("topic {name} is created: {:?}", created.as_ref().map(|_| ())));
        match created {
            Ok(_) => {
                self.doubtful.remove(name);
                self.truths.insert(Place(name.to_owned(), 0), Truth::default());
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
        self.truths.retain(|place, _| place.0 != name);
        self.producers.retain(|(_, place), _| place.0 != name);
        self.open.iter_mut().for_each(|transaction| transaction.places.retain(|place, _| place.0 != name));
    }

    pub async fn delete_or_create_a_topic(&mut self) {
        let topics = self.topics();
        if topics.len() > 2 {
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
            Ok(()) => drop(self.truths.insert(Place(name.clone(), now), Truth::default())),
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
                    self.truths.insert(place, Truth::default());
                }
            }
        }
    }
}
