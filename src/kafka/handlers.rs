//! One file per API: a request becomes calls of the log, what the log says becomes a response. Nothing is decided here.
//!
//! Requests are taken in here: looked up in the table of APIs, decoded, counted, and handed to their handler. Every API of
//! the table has one, said in one place, by `handlers!` below, one line per API.
//!
//! Produce overlaps with what follows it, as its order is kept by the append itself; every other request of a connection is
//! answered before the next one is started, as Kafka does it. (A fetch that overlapped with others could wait for response
//! memory that answers behind it hold.)
mod api_versions;
mod configs;
mod consumer_groups;
mod delete_records;
mod describe_cluster;
mod describe_log_dirs;
mod describe_topic_partitions;
mod features;
pub(super) mod fetch;
mod find_coordinator;
mod groups;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod offsets;
mod placement;
mod produce;
mod quorum;
mod security;
mod telemetry;
mod topics;
mod transactions;
mod transactions_admin;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::counts::Counts;
use super::errors::ErrorCode;
use super::messages::wire::DecodeError;
use super::messages::{Api, Request, RequestHeader, decode_request, encode_response};
use super::server::Responses;
use super::server::connection::{Answer, Hangup, MayAnswer, Service, Step};
use super::server::intake::Received;
use super::server::outlet::Response;
use crate::base::tasks::Stop;
use crate::base::{BytePermit, Clock, Random};
use crate::coordinator::{BrokerSettings, Coordinator, Transactions};
use crate::log::{Log, NewTopic, TopicError};

/// What the handlers of all listeners share.
pub struct Shared {
    pub log: Log,
    pub coordinator: Coordinator,
    pub transactions: Transactions,
    pub settings: BrokerSettings,
    pub auto_create_topics: bool,
    pub sessions: fetch::session::Sessions,
    /// Memory of answers that carry records.
    pub responses: Responses,
    pub clock: Clock,
    pub random: Random,
    pub stop: Stop,
    pub counts: Counts,
    /// Whether it was said already that a replication factor above 1 is accepted and not kept.
    pub replication_noted: AtomicBool,
}

/// One listener, with what its clients are told to connect to.
pub struct Endpoint {
    pub shared: Arc<Shared>,
    pub host: String,
    pub port: u16,
}

/// A request that is being answered: where its answer belongs.
#[derive(Clone, Copy)]
pub struct Call {
    pub header: RequestHeader,
    pub api: Api,
    started: Duration,
}

/// Makes the dispatch from one line per API, by key. `alone`: a request is answered before the next one is started;
/// `start`: the handler says itself when the next one may start.
macro_rules! handlers {
    ($( $how:ident $api:ident => $handler:path; )*) => {
        impl Endpoint {
            fn dispatch(self: &Arc<Self>, call: Call, request: Received) -> Result<Step, Hangup> {
                match call.api {
                    $( Api::$api => handlers!(@$how self, call, request, $handler), )*
                }
            }
        }
    };
    (@alone $endpoint:ident, $call:ident, $request:ident, $handler:path) => { $endpoint.alone($call, $request, $handler) };
    (@start $endpoint:ident, $call:ident, $request:ident, $handler:path) => { $handler($endpoint, $call, $request) };
}

handlers! {
    start Produce => produce::start;
    start Fetch => fetch::start;
    alone ListOffsets => list_offsets::answer;
    alone Metadata => metadata::answer;
    alone OffsetCommit => offsets::commit;
    alone OffsetFetch => offsets::fetch;
    alone FindCoordinator => find_coordinator::answer;
    start JoinGroup => groups::join;
    alone Heartbeat => groups::heartbeat;
    alone LeaveGroup => groups::leave;
    start SyncGroup => groups::sync;
    alone DescribeGroups => groups::describe;
    alone ListGroups => groups::list;
    alone ApiVersions => api_versions::answer;
    alone CreateTopics => topics::create;
    alone DeleteTopics => topics::delete;
    alone DeleteRecords => delete_records::answer;
    alone InitProducerId => init_producer_id::answer;
    alone OffsetForLeaderEpoch => offset_for_leader_epoch::answer;
    alone AddPartitionsToTxn => transactions::add_partitions;
    alone AddOffsetsToTxn => transactions::add_offsets;
    alone EndTxn => transactions::end;
    alone WriteTxnMarkers => transactions_admin::write_markers;
    alone TxnOffsetCommit => transactions::commit_offsets;
    alone DescribeAcls => security::describe_acls;
    alone CreateAcls => security::create_acls;
    alone DeleteAcls => security::delete_acls;
    alone DescribeConfigs => configs::describe;
    alone AlterConfigs => configs::replace;
    alone DescribeLogDirs => describe_log_dirs::answer;
    alone CreatePartitions => topics::extend;
    alone DeleteGroups => groups::delete;
    alone ElectLeaders => placement::elect;
    alone IncrementalAlterConfigs => configs::change;
    alone AlterPartitionReassignments => placement::reassign;
    alone ListPartitionReassignments => placement::list;
    alone OffsetDelete => offsets::delete;
    alone DescribeClientQuotas => security::describe_quotas;
    alone AlterClientQuotas => security::alter_quotas;
    alone DescribeUserScramCredentials => security::describe_users;
    alone AlterUserScramCredentials => security::alter_users;
    alone DescribeQuorum => quorum::describe;
    alone UpdateFeatures => features::update;
    alone DescribeCluster => describe_cluster::answer;
    alone DescribeProducers => transactions_admin::producers;
    alone DescribeTransactions => transactions_admin::describe;
    alone ListTransactions => transactions_admin::list;
    start ConsumerGroupHeartbeat => consumer_groups::heartbeat;
    alone ConsumerGroupDescribe => consumer_groups::describe;
    alone GetTelemetrySubscriptions => telemetry::subscriptions;
    alone PushTelemetry => telemetry::push;
    alone ListConfigResources => configs::list;
    alone DescribeTopicPartitions => describe_topic_partitions::answer;
}

impl Service for Endpoint {
    fn start(self: &Arc<Self>, request: Received) -> Step {
        self.take_in(request).unwrap_or_else(|hangup| Step::Done(Err(hangup)))
    }

    fn may_answer(self: &Arc<Self>) -> MayAnswer {
        let log = self.shared.log.clone();
        Box::pin(async move { log.may_answer().await })
    }
}

impl Endpoint {
    fn take_in(self: &Arc<Self>, request: Received) -> Result<Step, Hangup> {
        let header = RequestHeader::peek(&request.frame).map_err(|error| Hangup(error.to_string()))?;
        let RequestHeader { api_key, api_version, .. } = header;
        let not_spoken = || Hangup(format!("a request of API {api_key}, which is not spoken here, arrived"));
        let api = Api::from_key(api_key).ok_or_else(not_spoken)?;
        let call = Call { header, api, started: self.shared.clock.elapsed() };
        self.shared.counts.request(api, request.frame.len());
        if !api.versions().contains(&api_version) {
            // The one request that a client sends before it knows the versions gets an answer that it can read.
            if api == Api::ApiVersions {
                return Ok(Step::Done(api_versions::refuse(self, call)));
            }
            let (lowest, highest) = (api.versions().start().to_owned(), api.versions().end().to_owned());
            let name = api.name();
            return Err(Hangup(format!("{name} version {api_version} arrived; {lowest} to {highest} are spoken here")));
        }
        self.dispatch(call, request)
    }

    /// Has a request answered before the next one is started.
    fn alone<R, F>(
        self: &Arc<Self>,
        call: Call,
        request: Received,
        handler: impl FnOnce(Arc<Self>, Call, R) -> F,
    ) -> Result<Step, Hangup>
    where
        R: Request,
        F: Future<Output = R::Response> + Send + 'static,
    {
        let answering = handler(self.clone(), call, self.decode(call, request)?);
        let endpoint = self.clone();
        Ok(Step::Alone(Box::pin(async move { endpoint.finish::<R>(call, &answering.await, None) })))
    }

    /// Decodes a request; its share of the request budget goes back, as what is decoded owns its strings.
    fn decode<R: Request>(&self, call: Call, request: Received) -> Result<R, Hangup> {
        decode_request(request.frame).map_err(|error| self.garbled(call, &error))
    }

    fn garbled(&self, call: Call, error: &DecodeError) -> Hangup {
        Hangup(format!("{} version {} cannot be read: {error}", call.api.name(), call.header.api_version))
    }

    /// Encodes an answer, and counts it.
    fn finish<R: Request>(&self, call: Call, response: &R::Response, permit: Option<BytePermit>) -> Answer {
        let RequestHeader { api_version, correlation_id, .. } = call.header;
        let frame = encode_response::<R>(api_version, correlation_id, response).map_err(|error| {
            tracing::error!(api = call.api.name(), version = api_version, %error, "an answer cannot be written");
            Hangup(format!("the answer to {} cannot be written: {error}", call.api.name()))
        })?;
        let took = self.shared.clock.elapsed().saturating_sub(call.started);
        self.shared.counts.answered(call.api, frame.len(), took);
        Ok(Some(Response { frame, permit }))
    }

    /// The number of an error on the wire; counts it, and notes it for who looks for the reason.
    fn fail<E>(&self, call: Call, error: E) -> i16
    where
        E: std::fmt::Display,
        ErrorCode: for<'a> From<&'a E>,
    {
        let code = ErrorCode::from(&error);
        tracing::debug!(api = call.api.name(), %code, %error, "refused");
        self.refuse(code)
    }

    /// The number of an error that has no other reason than its name; counts it.
    fn refuse(&self, code: ErrorCode) -> i16 {
        self.shared.counts.error(code);
        code.code()
    }

    /// Why a topic of that name is not there: it is none, or there is no such topic.
    fn no_such_topic(&self, name: &str) -> ErrorCode {
        let new = NewTopic { name: name.to_owned(), partitions: None, settings: Default::default() };
        match self.shared.log.check_new_topic(&new) {
            Err(TopicError::BadName { .. }) => ErrorCode::InvalidTopic,
            _ => ErrorCode::UnknownTopicOrPartition,
        }
    }

    /// The leader epoch of everything that this broker serves.
    fn leader_epoch(&self) -> i32 {
        i32::try_from(self.shared.log.epoch()).unwrap_or(i32::MAX)
    }

    /// Compares the leader epoch that a client knows (-1: none) with this broker's.
    fn check_leader_epoch(&self, known: i32) -> Result<(), ErrorCode> {
        match known {
            -1 => Ok(()),
            known if known < self.leader_epoch() => Err(ErrorCode::FencedLeaderEpoch),
            known if known > self.leader_epoch() => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }
}
