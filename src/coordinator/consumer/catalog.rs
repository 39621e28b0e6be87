//! The topics that there are, as groups of consumers need to know them.
use std::collections::{BTreeMap, BTreeSet};

use super::pattern::Pattern;
use crate::base::Uuid;
use crate::coordinator::items::consumer::ConsumerMember;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicShape {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Uuid,
    /// Number of partitions.
    pub partitions: i32,
}

/// The topics that there are.
pub trait Catalog {
    /// A number that is another one when topics or partitions were added or removed.
    fn version(&self) -> u64;
    /// A topic by name.
    fn shape(&self, name: &str) -> Option<TopicShape>;
    /// The name of a topic.
    fn name_of(&self, id: Uuid) -> Option<String>;
    /// All topics.
    fn shapes(&self) -> Vec<TopicShape>;
}

/// What members are subscribed to, as of one version of the catalog.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Subscribed {
    /// Ids of the topics that somebody wants by name.
    pub names: BTreeMap<String, Uuid>,
    /// Number of partitions of each topic that somebody is subscribed to.
    pub topics: BTreeMap<Uuid, i32>,
    /// Topics that each pattern matches.
    pub patterns: BTreeMap<String, BTreeSet<Uuid>>,
}

impl Subscribed {
    /// Looks up what members want.
    pub fn resolve<'a>(members: impl Iterator<Item = &'a ConsumerMember>, catalog: &dyn Catalog) -> Self {
        let (mut names, mut found) = (BTreeSet::<&str>::new(), Self::default());
        for member in members {
            names.extend(member.names.iter().map(String::as_str));
            if let Some(pattern) = &member.pattern {
                found.patterns.entry(pattern.clone()).or_default();
            }
        }
        for shape in names.into_iter().filter_map(|name| catalog.shape(name)) {
            found.topics.insert(shape.id, shape.partitions);
            found.names.insert(shape.name, shape.id);
        }
        if found.patterns.is_empty() {
            return found;
        }
        let shapes = catalog.shapes();
        for (pattern, ids) in &mut found.patterns {
            // It was read when the member came; one that only an earlier version could read matches nothing.
            let Ok(compiled) = Pattern::new(pattern) else { continue };
            for shape in shapes.iter().filter(|shape| compiled.matches(&shape.name)) {
                ids.insert(shape.id);
                found.topics.insert(shape.id, shape.partitions);
            }
        }
        found
    }
}
