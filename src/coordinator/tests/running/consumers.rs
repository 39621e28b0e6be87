//! Groups of the consumer protocol: when they are answered, what a restart and a loss leave of them, and how a group goes
//! from one protocol to the other.
use super::*;
use crate::coordinator::consumer::calls::{ENTER, LEAVE};
use crate::coordinator::consumer::{Beat, Beaten};

fn enter(member: &str) -> Beat {
    Beat {
        member_id: member.to_owned(),
        has_own_id: true,
        epoch: ENTER,
        rebalance_timeout_ms: 10_000,
        names: Some(vec!["t".to_owned()]),
        owned: Some(Default::default()),
        ..Beat::default()
    }
}

fn beat(member: &str, epoch: i32) -> Beat {
    Beat { member_id: member.to_owned(), has_own_id: true, epoch, rebalance_timeout_ms: -1, ..Beat::default() }
}

impl Setup {
    async fn beat(&self, beat: Beat) -> Result<Beaten, GroupError> {
        let beating = self.coordinator.consumer_heartbeat("g", beat);
        self.fake.sync();
        beating.await
    }

    async fn epoch(&self, beat: Beat) -> Result<i32, GroupError> {
        self.beat(beat).await.map(|beaten| beaten.epoch)
    }

    fn kind(&self) -> Option<(&'static str, &'static str)> {
        self.coordinator.list().first().map(|listed| (listed.kind, listed.state))
    }

    async fn commit_as(&self, member: &str, epoch: i32) -> Result<(), GroupError> {
        let member = MemberRef { id: member.to_owned(), instance_id: None, generation: epoch };
        let committing = self.coordinator.commit("g", &member, None, vec![(PLACE, Commit::default())]);
        self.fake.sync();
        committing.await.map(|mut answers| answers.remove(0))?
    }
}

#[tokio::test]
async fn a_heartbeat_is_answered_when_what_it_tells_is_durable() {
    let setup = Setup::new().await;
    let first = tokio::spawn(setup.coordinator.consumer_heartbeat("g", enter("a")));
    let second = tokio::spawn(setup.coordinator.consumer_heartbeat("g", enter("b")));
    tokio::task::yield_now().await;
    assert!(!first.is_finished() && !second.is_finished());
    assert_eq!(setup.fake.state().journal.waiting.len(), 1, "the second change waits for the first one's write");
    setup.fake.sync();
    assert_eq!(first.await.unwrap().unwrap().epoch, 2);
    assert!(!second.is_finished());
    setup.pass(0).await;
    assert_eq!(second.await.unwrap().unwrap().epoch, 3);
    setup.beat(beat("a", 2)).await.unwrap();
    setup.beat(beat("b", 3)).await.unwrap();
    assert!(setup.fake.state().journal.waiting.is_empty());
    setup.coordinator.consumer_heartbeat("g", beat("b", 3)).await.expect("what changes nothing is not written");
}

#[tokio::test]
async fn a_full_journal_is_told_and_the_next_heartbeat_goes_on() {
    let mut setup = Setup::new().await;
    setup.fake.state().journal.is_full = true;
    assert_eq!(setup.epoch(enter("a")).await, Err(GroupError::NotAvailable("full".to_owned())));
    setup.fake.state().journal.is_full = false;
    assert_eq!(setup.epoch(enter("a")).await, Ok(2));
    setup.restart(None).await;
    assert_eq!(setup.epoch(beat("a", 2)).await, Ok(2));
}

#[tokio::test]
async fn members_go_on_after_a_restart_and_are_gone_after_a_loss() {
    let mut setup = Setup::new().await;
    assert_eq!(setup.epoch(enter("a")).await, Ok(2));
    assert_eq!(setup.commit_as("a", 2).await, Ok(()));
    setup.restart(None).await;
    assert_eq!(setup.epoch(beat("a", 2)).await, Ok(2));
    assert_eq!(setup.commit_as("a", 2).await, Ok(()));
    setup.restart(Some(Uuid([9; 16]))).await;
    assert_eq!(setup.kind(), Some(("consumer", "Empty")));
    assert_eq!(setup.epoch(beat("a", 2)).await, Err(GroupError::UnknownMember));
    assert_eq!(setup.commit_as("a", 2).await, Err(GroupError::UnknownMember));
    assert_eq!(setup.epoch(enter("a")).await, Ok(4));
}

#[tokio::test]
async fn who_lost_its_place_cannot_commit() {
    let setup = Setup::new().await;
    setup.epoch(enter("a")).await.unwrap();
    setup.epoch(enter("b")).await.unwrap();
    assert_eq!(setup.commit_as("a", 3).await, Err(GroupError::StaleMemberEpoch));
    assert_eq!(setup.commit_as("", -1).await, Err(GroupError::UnknownMember));
    assert_eq!(setup.coordinator.check_fetch("g", Some("a"), 2), Ok(()));
    assert_eq!(setup.coordinator.check_fetch("g", Some("a"), 1), Err(GroupError::StaleMemberEpoch));
    assert_eq!(setup.coordinator.check_fetch("g", Some("x"), 2), Err(GroupError::UnknownMember));
    assert_eq!(setup.coordinator.check_fetch("g", None, -1), Ok(()));
    assert_eq!(setup.coordinator.check_fetch("none", Some("x"), 2), Ok(()));
    for ms in [44_999, 1] {
        assert_eq!(setup.coordinator.describe_consumers("g").unwrap().members.len(), 2);
        setup.pass(ms).await;
    }
    assert_eq!(setup.commit_as("a", 2).await, Err(GroupError::UnknownMember));
    assert_eq!(setup.commit_as("", -1).await, Ok(()), "there are no members any more");
}

#[tokio::test]
async fn a_group_without_members_goes_from_one_protocol_to_the_other() {
    let mut setup = Setup::new().await;
    let classic = setup.member("g").await;
    let refused = setup.epoch(enter("a")).await.unwrap_err().to_string();
    assert!(refused.contains("embedded consumer protocol is malformed"), "{refused}");
    assert_eq!(setup.kind(), Some(("classic", "Stable")));
    let leaving = [calls::Leaving { member_id: classic, instance_id: None }];
    setup.coordinator.leave("g", &leaving).unwrap();
    setup.pass(0).await;
    setup.commit("g", 7).await.unwrap();
    let bad = Beat { assignor: Some("none".to_owned()), ..enter("a") };
    setup.epoch(bad).await.unwrap_err();
    assert_eq!(setup.kind(), Some(("classic", "Empty")), "what is refused changes nothing");
    let epoch = setup.epoch(enter("a")).await.unwrap();
    assert!(epoch > 1, "epochs go on where generations were");
    assert_eq!((setup.kind(), setup.offset("g")), (Some(("consumer", "Stable")), Some(7)));
    assert!(setup.coordinator.describe("g").is_err());

    let join = || JoinGroup {
        session_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), bytes::Bytes::new())],
        ..JoinGroup::default()
    };
    let refused = setup.coordinator.join("g", join()).await.unwrap_err();
    assert_eq!(refused.error, GroupError::InconsistentProtocol);
    let at = MemberRef { id: "a".to_owned(), instance_id: None, generation: epoch };
    assert_eq!(setup.coordinator.heartbeat("g", &at), Err(GroupError::UnknownMember));
    let leaving = [calls::Leaving { member_id: "x".to_owned(), instance_id: None }];
    assert_eq!(setup.coordinator.leave("g", &leaving), Ok(vec![Err(GroupError::UnknownMember)]));

    assert_eq!(setup.epoch(beat("a", LEAVE)).await, Ok(LEAVE));
    assert_eq!(setup.kind(), Some(("consumer", "Empty")));
    setup.member("g").await;
    assert_eq!((setup.kind(), setup.offset("g")), (Some(("classic", "Stable")), Some(7)));
    setup.restart(None).await;
    assert_eq!(setup.kind(), Some(("classic", "Stable")));
}

#[tokio::test]
async fn offsets_of_topics_that_members_read_stay_and_groups_with_nothing_left_go() {
    let setup = Setup::new().await;
    let retention = 7 * 24 * 3600 * 1000;
    setup.epoch(enter("a")).await.unwrap();
    setup.commit_as("a", 2).await.unwrap();
    assert_eq!(setup.coordinator.delete("g").await, Err(GroupError::NonEmptyGroup));
    assert_eq!(setup.coordinator.delete_offsets("g", &[PLACE]).await, Ok(vec![Err(GroupError::SubscribedToTopic)]));
    for _ in 0..=(retention / 40_000) {
        setup.clock.advance(Duration::from_millis(40_000));
        setup.epoch(beat("a", 2)).await.unwrap();
    }
    setup.coordinator.0.clean();
    setup.pass(0).await;
    assert_eq!(setup.offset("g"), Some(0), "a member reads the topic");
    setup.epoch(beat("a", LEAVE)).await.unwrap();
    setup.coordinator.0.clean();
    setup.pass(0).await;
    assert!(setup.coordinator.list().is_empty() && setup.fake.state().journal.items.is_empty());
}
