//! Row 6: HTTP: health, readiness, metrics, and what the command line asks a running broker. Translates, never decides.
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process runs |
//! | `GET /readyz` | 200 when Kafka is served, else 503 and what is being waited for |
//! | `GET /metrics` | the metrics, in OpenMetrics text |
//! | `GET /v1/broker` | version, cluster id, broker id, epoch, URL of the bucket |
//! | `POST /v1/seal?topic=T` | seals now, one topic or all; answers with the layout of what was sealed |
//! | `GET /v1/segments?topic=T&partition=P` | the layout: what lies where |
//!
//! Layouts are lists of [`PartitionLayout`] in JSON. An error is `{"error": "..."}` with a status from [`status`].
pub mod bounded;
pub mod status;

use std::io;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::base::Metrics;
use crate::base::tasks::Stop;
use crate::log::{Log, PartitionLayout};
use status::Refusal;

/// How far the process is: the server turns it on, requests look at it.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Not serving yet; says what is being waited for.
    Starting(String),
    /// Serving.
    Serving(Log),
    /// Stopping: sealing what is left.
    Stopping,
}

/// What requests are answered from.
#[derive(Clone, Debug)]
pub struct Front {
    /// How far the process is.
    pub stage: watch::Receiver<Stage>,
    /// The page of `/metrics`.
    pub metrics: Metrics,
    /// URL of the bucket.
    pub store: Arc<str>,
}

/// Who a broker is: the answer of `GET /v1/broker`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// Version of the program.
    pub version: String,
    /// Id of the cluster (of the bucket).
    pub cluster_id: String,
    /// Kafka's node id.
    pub broker_id: i32,
    /// Number of this life of the broker.
    pub epoch: u32,
    /// URL of the bucket.
    pub store: String,
}

/// Which part of the log a request is about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// One topic; all if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// One partition; all if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
}

/// Serves until `stop`, then lets requests that have begun come to their end.
pub async fn serve(listener: TcpListener, front: Front, stop: Stop) -> io::Result<()> {
    let stopped = async move { stop.stopped().await };
    axum::serve(bounded::Bounded::new(listener), router(front)).with_graceful_shutdown(stopped).await
}

/// All routes.
pub fn router(front: Front) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/broker", get(about))
        .route("/v1/seal", post(seal))
        .route("/v1/segments", get(segments))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "there is /healthz, /readyz, /metrics and /v1"))
        .with_state(front)
}

impl Front {
    /// The log, if it is being served.
    fn log(&self) -> Result<Log, Refusal> {
        match &*self.stage.borrow() {
            Stage::Serving(log) => Ok(log.clone()),
            Stage::Starting(what) => Err(Refusal::unavailable(format!("starting: {what}"))),
            Stage::Stopping => Err(Refusal::unavailable("stopping")),
        }
    }
}

/// Ready, with a line for each thing that is not served while the rest goes on.
async fn ready(State(front): State<Front>) -> Result<String, Refusal> {
    let log = front.log()?;
    log.ready().map_err(Refusal::unavailable)?;
    let lines = log.not_served().into_iter().map(|line| format!("{line}\n"));
    Ok(std::iter::once("ready\n".to_owned()).chain(lines).collect())
}

async fn metrics(State(front): State<Front>) -> Response {
    match front.metrics.page() {
        Ok(page) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], page).into_response()
        }
        Err(_) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written").into_response(),
    }
}

async fn about(State(front): State<Front>) -> Result<Json<About>, Refusal> {
    let log = front.log()?;
    Ok(Json(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster_id: log.cluster_id().to_string(),
        broker_id: log.broker_id(),
        epoch: log.epoch(),
        store: front.store.to_string(),
    }))
}

async fn seal(State(front): State<Front>, Query(scope): Query<Scope>) -> Result<Json<Vec<PartitionLayout>>, Refusal> {
    if scope.partition.is_some() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "a topic is sealed as a whole: leave partition out"));
    }
    let log = front.log()?;
    let layouts = log.seal(scope.topic.as_deref()).await?;
    answer(&log, layouts).await
}

async fn segments(
    State(front): State<Front>,
    Query(scope): Query<Scope>,
) -> Result<Json<Vec<PartitionLayout>>, Refusal> {
    let log = front.log()?;
    let layouts = log.layout(scope.topic.as_deref(), scope.partition).await?;
    if let (Some(partition), true) = (scope.partition, layouts.is_empty()) {
        let text = match scope.topic {
            Some(topic) => format!("topic '{topic}' has no partition {partition}"),
            None => format!("no topic has a partition {partition}"),
        };
        return Err(Refusal::new(StatusCode::NOT_FOUND, text));
    }
    answer(&log, layouts).await
}

/// No answer leaves a broker that may have lost the bucket to another one.
async fn answer(log: &Log, layouts: Vec<PartitionLayout>) -> Result<Json<Vec<PartitionLayout>>, Refusal> {
    log.may_answer().await.map_err(Refusal::unavailable)?;
    Ok(Json(layouts))
}

#[cfg(test)]
mod tests;
