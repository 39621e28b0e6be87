//! DescribeCluster (key 60): the brokers and who is the controller.
use super::declare::messages;
use super::metadata::NO_OPERATIONS;

messages! {
    /// Asks for the brokers.
    struct DescribeClusterRequest {
        /// Whether to say what the asker may do with the cluster.
        include_cluster_authorized_operations: bool;
        /// 1: brokers, 2: controllers.
        endpoint_type: i8 [1..] = 1;
        /// Whether to list brokers that are fenced.
        include_fenced_brokers: bool [2..];
    }

    /// The answer.
    struct DescribeClusterResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String>;
        /// 1: brokers, 2: controllers.
        endpoint_type: i8 [1..] = 1;
        /// Id of the cluster.
        cluster_id: String;
        /// Broker that does the controller's work.
        controller_id: i32 = -1;
        /// The brokers.
        brokers: Vec<DescribeClusterBroker>;
        /// What the asker may do with the cluster, a bit field.
        cluster_authorized_operations: i32 = NO_OPERATIONS;
    }

    /// A broker's address.
    struct DescribeClusterBroker {
        /// Its id.
        broker_id: i32;
        /// Host name or address.
        host: String;
        /// Port.
        port: i32;
        /// Rack, if it has one.
        rack: Option<String>;
        /// Whether it is fenced.
        is_fenced: bool [2..];
    }
}
