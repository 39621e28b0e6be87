//! The calls of members of classic groups (JoinGroup, SyncGroup, Heartbeat, LeaveGroup) and of their administrators
//! (DescribeGroups, ListGroups, DeleteGroups).
//!
//! A join or a sync may wait for as long as a rebalance takes. Its connection starts nothing else meanwhile, as in Kafka; the
//! wait ends with the answer, with the connection, or with the broker.
use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{Call, Endpoint};
use crate::coordinator::GroupError;
use crate::coordinator::calls::{JoinGroup, JoinRefused, Joined, Leaving, Listed, MemberRef, SyncGroup, Synced};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::RequestHeader;
use crate::kafka::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};
use crate::kafka::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use crate::kafka::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use crate::kafka::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use crate::kafka::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse};
use crate::kafka::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use crate::kafka::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use crate::kafka::server::connection::{Hangup, Step};
use crate::kafka::server::intake::Received;

/// Versions from which clients know MEMBER_ID_REQUIRED, and `skip_assignment`.
const MEMBER_ID_REQUIRED_FROM: i16 = 4;
const SKIP_ASSIGNMENT_FROM: i16 = 9;
/// Versions from which a protocol may be null, a sync must name the protocol, several members may leave at once, and an
/// unknown group is an error.
const NULL_PROTOCOL_FROM: i16 = 7;
const SYNC_NAMES_PROTOCOL_FROM: i16 = 5;
const LEAVE_SEVERAL_FROM: i16 = 3;
const GROUP_NOT_FOUND_FROM: i16 = 6;
/// What everybody may do with a group, as bits of Kafka's `AclOperation`: read, delete, describe, describe and alter settings.
pub(super) const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

impl Endpoint {
    /// Waits for an answer of the coordinator, but not longer than the broker serves.
    pub(super) async fn until_stop<T>(
        &self,
        answer: impl Future<Output = T>,
        stopped: impl FnOnce(GroupError) -> T,
    ) -> T {
        tokio::select! {
            answer = answer => answer,
            () = self.shared.stop.stopped() => stopped(GroupError::NotCoordinator("the broker stops".to_owned())),
        }
    }
}

/// Bytes of their own: those that were decoded would keep the whole request.
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// A client joins a group, or its next generation.
pub fn join(endpoint: &Arc<Endpoint>, call: Call, received: Received) -> Result<Step, Hangup> {
    let client_id = RequestHeader::peek_client_id(&received.frame).map_err(|error| endpoint.garbled(call, &error))?;
    let client_host = format!("/{}", received.peer);
    let request: JoinGroupRequest = endpoint.decode(call, received)?;
    let version = call.header.api_version;
    let rebalance_timeout_ms = match request.rebalance_timeout_ms {
        ms if ms < 0 => request.session_timeout_ms,
        ms => ms,
    };
    let join = JoinGroup {
        member_id: request.member_id,
        new_member_id: String::new(),
        instance_id: request.group_instance_id,
        client_id: client_id.unwrap_or_default(),
        client_host,
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: request.protocol_type,
        protocols: request.protocols.into_iter().map(|one| (one.name, own(&one.metadata))).collect(),
        knows_member_id_required: version >= MEMBER_ID_REQUIRED_FROM,
        knows_skip_assignment: version >= SKIP_ASSIGNMENT_FROM,
    };
    let member_id = join.member_id.clone();
    let joining = endpoint.shared.coordinator.join(&request.group_id, join);
    let endpoint = endpoint.clone();
    Ok(Step::Alone(Box::pin(async move {
        let answer = endpoint.until_stop(joining, |error| Err(JoinRefused { member_id, error })).await;
        endpoint.finish::<JoinGroupRequest>(call, &joined(&endpoint, call, answer), None)
    })))
}

fn joined(endpoint: &Endpoint, call: Call, answer: Result<Joined, JoinRefused>) -> JoinGroupResponse {
    let text = |text: Option<String>| {
        if call.header.api_version < NULL_PROTOCOL_FROM { text.or(Some(String::new())) } else { text }
    };
    match answer {
        Ok(joined) => JoinGroupResponse {
            generation_id: joined.generation,
            protocol_type: joined.protocol_type,
            protocol_name: text(joined.protocol),
            leader: joined.leader,
            skip_assignment: joined.skip_assignment,
            member_id: joined.member_id,
            members: joined
                .members
                .into_iter()
                .map(|member| JoinGroupResponseMember {
                    member_id: member.id,
                    group_instance_id: member.instance_id,
                    metadata: member.metadata,
                })
                .collect(),
            ..JoinGroupResponse::default()
        },
        Err(JoinRefused { member_id, error }) => JoinGroupResponse {
            error_code: endpoint.fail(call, error),
            member_id,
            protocol_name: text(None),
            ..JoinGroupResponse::default()
        },
    }
}

/// A member asks for its assignment.
pub fn sync(endpoint: &Arc<Endpoint>, call: Call, received: Received) -> Result<Step, Hangup> {
    let request: SyncGroupRequest = endpoint.decode(call, received)?;
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.header.api_version >= SYNC_NAMES_PROTOCOL_FROM && !names_protocol {
        let response = synced(endpoint, call, Err(GroupError::InconsistentProtocol));
        return Ok(Step::Done(endpoint.finish::<SyncGroupRequest>(call, &response, None)));
    }
    let sync = SyncGroup {
        member: MemberRef {
            id: request.member_id,
            instance_id: request.group_instance_id,
            generation: request.generation_id,
        },
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: request.assignments.into_iter().map(|one| (one.member_id, own(&one.assignment))).collect(),
    };
    let syncing = endpoint.shared.coordinator.sync(&request.group_id, sync);
    let endpoint = endpoint.clone();
    Ok(Step::Alone(Box::pin(async move {
        let answer = endpoint.until_stop(syncing, Err).await;
        endpoint.finish::<SyncGroupRequest>(call, &synced(&endpoint, call, answer), None)
    })))
}

fn synced(endpoint: &Endpoint, call: Call, answer: Result<Synced, GroupError>) -> SyncGroupResponse {
    match answer {
        Ok(synced) => SyncGroupResponse {
            protocol_type: synced.protocol_type,
            protocol_name: synced.protocol,
            assignment: synced.assignment,
            ..SyncGroupResponse::default()
        },
        Err(error) => SyncGroupResponse { error_code: endpoint.fail(call, error), ..SyncGroupResponse::default() },
    }
}

/// A member is alive.
pub async fn heartbeat(endpoint: Arc<Endpoint>, call: Call, request: HeartbeatRequest) -> HeartbeatResponse {
    let member =
        MemberRef { id: request.member_id, instance_id: request.group_instance_id, generation: request.generation_id };
    let answer = endpoint.shared.coordinator.heartbeat(&request.group_id, &member);
    let error_code = answer.map_or_else(|error| endpoint.fail(call, error), |()| 0);
    HeartbeatResponse { error_code, ..HeartbeatResponse::default() }
}

/// Members leave; up to version 2 exactly one, whose error is the answer's.
pub async fn leave(endpoint: Arc<Endpoint>, call: Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let one = call.header.api_version < LEAVE_SEVERAL_FROM;
    let members = match one {
        true => vec![MemberIdentity { member_id: request.member_id, ..MemberIdentity::default() }],
        false => request.members,
    };
    let leaving: Vec<_> = members
        .into_iter()
        .map(|member| Leaving { member_id: member.member_id, instance_id: member.group_instance_id })
        .collect();
    let code = |answer: Result<(), GroupError>| answer.map_or_else(|error| endpoint.fail(call, error), |()| 0);
    match endpoint.shared.coordinator.leave(&request.group_id, &leaving) {
        Err(error) => LeaveGroupResponse { error_code: code(Err(error)), ..LeaveGroupResponse::default() },
        Ok(mut answers) if one => {
            let error_code = answers.pop().map_or(0, code);
            LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() }
        }
        Ok(answers) => {
            let response = |(member, answer): (Leaving, _)| MemberResponse {
                member_id: member.member_id,
                group_instance_id: member.instance_id,
                error_code: code(answer),
            };
            let members = leaving.into_iter().zip(answers).map(response).collect();
            LeaveGroupResponse { members, ..LeaveGroupResponse::default() }
        }
    }
}

/// Describes groups.
pub async fn describe(endpoint: Arc<Endpoint>, call: Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let operations = request.include_authorized_operations;
    let describe = |group| describe_one(&endpoint, call, group, operations);
    DescribeGroupsResponse { groups: request.groups.into_iter().map(describe).collect(), ..Default::default() }
}

fn describe_one(endpoint: &Endpoint, call: Call, group_id: String, operations: bool) -> DescribedGroup {
    let mut group = DescribedGroup::default();
    if operations {
        group.authorized_operations = GROUP_OPERATIONS;
    }
    match endpoint.shared.coordinator.describe(&group_id) {
        Ok(described) => {
            group.group_state = described.state.to_owned();
            group.protocol_type = described.protocol_type;
            group.protocol_data = described.protocol;
            let member = |member: crate::coordinator::calls::DescribedMember| DescribedGroupMember {
                member_id: member.id,
                group_instance_id: member.instance_id,
                client_id: member.client_id,
                client_host: member.client_host,
                member_metadata: member.metadata,
                member_assignment: member.assignment,
            };
            group.members = described.members.into_iter().map(member).collect();
        }
        // Older clients take a group that is not there for one that is dead.
        Err(error) => {
            group.group_state = "Dead".to_owned();
            if call.header.api_version >= GROUP_NOT_FOUND_FROM {
                group.error_message = Some(format!("Group {group_id} not found."));
                group.error_code = endpoint.fail(call, error);
            }
        }
    }
    DescribedGroup { group_id, ..group }
}

/// Lists groups by state and type.
pub async fn list(endpoint: Arc<Endpoint>, _: Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let is_any = |filter: &[String], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(value))
    };
    let is_wanted =
        |group: &Listed| is_any(&request.states_filter, group.state) && is_any(&request.types_filter, group.kind);
    let listed = |group: Listed| ListedGroup {
        group_id: group.group,
        protocol_type: group.protocol_type,
        group_state: group.state.to_owned(),
        group_type: group.kind.to_owned(),
    };
    let groups = endpoint.shared.coordinator.list().into_iter().filter(is_wanted).map(listed).collect();
    ListGroupsResponse { groups, ..ListGroupsResponse::default() }
}

/// Deletes groups without members, with their offsets.
pub async fn delete(endpoint: Arc<Endpoint>, call: Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let delete = async |group_id: String| {
        let deleted = endpoint.shared.coordinator.delete(&group_id).await;
        let error_code = match deleted {
            Ok(()) => ErrorCode::None.code(),
            Err(error) => endpoint.fail(call, error),
        };
        DeletableGroupResult { group_id, error_code }
    };
    // Each once, as it is deleted once.
    let mut told = BTreeSet::new();
    let groups = request.groups_names.into_iter().filter(|group| told.insert(group.clone()));
    let groups: Vec<String> = groups.collect();
    let results = futures::future::join_all(groups.into_iter().map(delete)).await;
    DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
}
