//! Groups through this crate's own client: members that share by range, and what administrators see and change.
use std::collections::BTreeMap;

use super::*;
use crate::kafka::client::groups::{Place, Seat};
use crate::kafka::client::member::{MemberTimes, Standing};
use crate::kafka::errors::ErrorCode;

const TIMES: MemberTimes = MemberTimes { session: Duration::from_secs(10), rebalance: Duration::from_secs(10) };

async fn fresh() -> Setup {
    let options = GroupOptions { initial_rebalance_delay_ms: 100, ..GroupOptions::default() };
    Setup::on(Arc::new(tempfile::tempdir().unwrap()), BrokerOptions::default(), options).await
}

fn place(partition: i32) -> Place {
    Place { topic: "t".to_owned(), partition }
}

fn at(offsets: &[(i32, i64)]) -> BTreeMap<Place, i64> {
    offsets.iter().map(|(partition, offset)| (place(*partition), *offset)).collect()
}

async fn join(client: &Client, member: &str) -> (Seat, Vec<Place>) {
    client.join("g", member, "t", TIMES).await.unwrap()
}

#[tokio::test]
async fn members_share_by_range_and_the_last_one_has_all() {
    let setup = fresh().await;
    setup.topic("t", 3).await;
    let client = setup.client().await;
    let (a, b) = (client.coordinator("g").await.unwrap(), client.coordinator("g").await.unwrap());
    let ((seat_a, own_a), (seat_b, own_b)) = tokio::join!(join(&a, ""), join(&b, ""));
    let mut shares = [own_a, own_b];
    shares.sort();
    assert_eq!(shares, [vec![place(0), place(1)], vec![place(2)]]);
    assert_eq!(seat_a.generation, seat_b.generation);
    a.commit("g", Some(&seat_a), &at(&[(0, 0)])).await.unwrap();

    b.leave(&seat_b).await.unwrap();
    assert_eq!(a.heartbeat(&seat_a).await.unwrap(), Standing::Rebalances);
    let (next, own) = join(&a, &seat_a.member).await;
    assert_eq!((own.len(), &next.member, next.generation), (3, &seat_a.member, seat_a.generation + 1));
    assert_eq!(a.heartbeat(&next).await.unwrap(), Standing::Holds);
    // Who left, and who is behind, is told so.
    assert_eq!(b.heartbeat(&seat_b).await.unwrap(), Standing::Lost);
    let late = Standing::after(a.commit("g", Some(&seat_a), &at(&[(0, 1)])).await);
    assert_eq!(late.unwrap(), Standing::Lost);
}

#[tokio::test]
async fn administrators_see_who_is_there_and_move_offsets_when_nobody_is() {
    let setup = fresh().await;
    setup.topic("t", 2).await;
    let client = setup.client().await;
    assert_eq!(client.group("g").await.unwrap(), None);
    assert_eq!(client.delete_group("g").await.unwrap_err().code(), Some(ErrorCode::GroupIdNotFound));
    let (seat, _) = join(&client, "").await;
    client.commit("g", Some(&seat), &at(&[(0, 0)])).await.unwrap();

    let group = client.group("g").await.unwrap().unwrap();
    assert_eq!((group.kind, group.state.as_str(), group.assignor.as_str()), ("classic", "Stable", "range"));
    assert_eq!(group.members[0].assignment, [place(0), place(1)]);
    assert_eq!((group.members[0].client_id.as_str(), group.members[0].host.as_str()), ("esker", "/127.0.0.1"));
    assert_eq!(client.delete_group("g").await.unwrap_err().code(), Some(ErrorCode::NonEmptyGroup));
    assert!(client.commit("g", None, &at(&[(0, 0)])).await.is_err());

    client.leave(&seat).await.unwrap();
    client.commit("g", None, &at(&[(0, 5), (1, 6)])).await.unwrap();
    assert_eq!(client.committed("g").await.unwrap(), at(&[(0, 5), (1, 6)]));
    let listed = client.groups().await.unwrap();
    assert_eq!((listed.len(), listed[0].id.as_str(), listed[0].state.as_str()), (1, "g", "Empty"));
    let refused = client.commit("g", None, &at(&[(7, 1)])).await.unwrap_err().to_string();
    assert!(refused.contains("group 'g', topic 't' partition 7"), "{refused}");
    client.delete_group("g").await.unwrap();
    assert_eq!(client.committed("g").await.unwrap(), BTreeMap::new());
}
