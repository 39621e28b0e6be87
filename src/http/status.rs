//! HTTP status of everything that can be refused: the one place where it is chosen.
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::log::TopicError;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    text: String,
}

/// Body of a refusal.
#[derive(Debug, Serialize, Deserialize)]
pub struct Body {
    /// What is wrong, and the way out.
    pub error: String,
}

impl Refusal {
    /// A refusal with this status.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// 503: try again later.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

impl From<TopicError> for Refusal {
    fn from(error: TopicError) -> Self {
        let status = match error {
            TopicError::Unknown(_) => StatusCode::NOT_FOUND,
            TopicError::Exists(_) => StatusCode::CONFLICT,
            TopicError::BadName { .. } | TopicError::BadPartitions(_) | TopicError::BadSetting(_) => {
                StatusCode::BAD_REQUEST
            }
            TopicError::Storage(_) | TopicError::NotServing(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(Body { error: self.text })).into_response()
    }
}
