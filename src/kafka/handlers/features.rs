//! Features of the cluster: which there are, and that their levels stay.
//!
//! `transaction.version` 2 makes Java clients speak TV2 (KIP-890): a new epoch for each transaction, and partitions that are
//! added by being written to. `group.version` 1 lets them speak the consumer protocol (KIP-848). Both are on from the
//! beginning, for no broker of an older version could share the bucket.
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::api_versions::{FinalizedFeatureKey, SupportedFeatureKey};
use crate::kafka::messages::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

/// A feature: its name, its levels, and the one that is on.
struct Feature {
    name: &'static str,
    least: i16,
    most: i16,
    on: i16,
}

const FEATURES: &[Feature] = &[
    Feature { name: "transaction.version", least: 0, most: 2, on: 2 },
    Feature { name: "group.version", least: 0, most: 1, on: 1 },
];

/// The version of ApiVersions from which clients can read a least level of 0.
const LEVEL_0_FROM: i16 = 4;
/// The last version of UpdateFeatures that answers for each feature.
const EACH_UNTIL: i16 = 1;

/// The levels that are possible, as far as clients of that version can read them.
pub fn supported(version: i16) -> Vec<SupportedFeatureKey> {
    let is_readable = |feature: &&Feature| version >= LEVEL_0_FROM || feature.least > 0;
    let key = |feature: &Feature| SupportedFeatureKey {
        name: feature.name.to_owned(),
        min_version: feature.least,
        max_version: feature.most,
    };
    FEATURES.iter().filter(is_readable).map(key).collect()
}

/// The levels that are on.
pub fn finalized() -> Vec<FinalizedFeatureKey> {
    let key = |feature: &Feature| FinalizedFeatureKey {
        name: feature.name.to_owned(),
        max_version_level: feature.on,
        min_version_level: feature.on,
    };
    FEATURES.iter().map(key).collect()
}

/// Takes the levels that are on, and refuses others.
pub async fn update(endpoint: Arc<Endpoint>, call: Call, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let refusals: Vec<_> = request.feature_updates.iter().map(check).collect();
    let result = |(update, refusal): (&FeatureUpdateKey, &Option<String>)| UpdatableFeatureResult {
        feature: update.feature.clone(),
        error_code: if refusal.is_some() { endpoint.refuse(ErrorCode::InvalidUpdateVersion) } else { 0 },
        error_message: refusal.clone(),
    };
    if call.header.api_version <= EACH_UNTIL {
        let results = request.feature_updates.iter().zip(&refusals).map(result).collect();
        return UpdateFeaturesResponse { error_message: None, results, ..UpdateFeaturesResponse::default() };
    }
    match refusals.into_iter().flatten().next() {
        None => UpdateFeaturesResponse { error_message: None, ..UpdateFeaturesResponse::default() },
        Some(refusal) => UpdateFeaturesResponse {
            error_code: endpoint.refuse(ErrorCode::InvalidUpdateVersion),
            error_message: Some(refusal),
            ..UpdateFeaturesResponse::default()
        },
    }
}

/// Why a level cannot be had.
fn check(update: &FeatureUpdateKey) -> Option<String> {
    let (name, level) = (&update.feature, update.max_version_level);
    match FEATURES.iter().find(|feature| feature.name == name) {
        None => Some(format!("there is no feature '{name}' here")),
        Some(feature) if feature.on == level => None,
        Some(feature) => Some(format!("{name} is at level {} and stays there", feature.on)),
    }
}
