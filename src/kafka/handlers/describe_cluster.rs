//! DescribeCluster: one broker, which is its own controller.
use std::sync::Arc;

use super::{Call, Endpoint, metadata};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use crate::kafka::messages::metadata::NO_OPERATIONS;

/// `EndpointType.BROKER`.
const BROKERS: i8 = 1;
/// `EndpointType.CONTROLLER`.
const CONTROLLERS: i8 = 2;

/// Describes the cluster.
pub async fn answer(endpoint: Arc<Endpoint>, _: Call, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let error = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some(ErrorCode::MismatchedEndpointType),
        _ => Some(ErrorCode::UnsupportedEndpointType),
    };
    let (broker_id, cluster_id) = (endpoint.shared.log.broker_id(), endpoint.shared.log.cluster_id().to_string());
    if let Some(code) = error {
        return DescribeClusterResponse {
            error_code: endpoint.refuse(code),
            error_message: Some(code.meaning().to_owned()),
            ..DescribeClusterResponse::default()
        };
    }
    let operations = request.include_cluster_authorized_operations;
    DescribeClusterResponse {
        cluster_id,
        controller_id: broker_id,
        brokers: vec![DescribeClusterBroker {
            broker_id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            ..DescribeClusterBroker::default()
        }],
        cluster_authorized_operations: if operations { metadata::CLUSTER_OPERATIONS } else { NO_OPERATIONS },
        ..DescribeClusterResponse::default()
    }
}
