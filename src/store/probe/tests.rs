use super::super::testing::{Call, Fault, Faulty, memory};
use super::*;

#[tokio::test]
async fn a_store_that_refuses_passes_and_keeps_no_probe_keys() {
    let store = memory();
    assert_eq!(probe(&store).await.unwrap().rounds, ROUNDS);
    assert_eq!(store.list("", None).await.unwrap(), []);
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_refused_by_name() {
    let faulty = Faulty::new();
    faulty.overwrites_always();
    let store = faulty.store();
    let e = probe(&store).await.unwrap_err();
    assert_eq!(e.kind, Kind::Refused);
    assert!(e.to_string().starts_with("memory://test: ") && e.to_string().contains("create-if-absent"), "{e}");
    assert_eq!(store.list("", None).await.unwrap(), [], "its keys are removed all the same");
}

#[tokio::test]
async fn a_store_that_checks_and_writes_in_two_steps_is_refused() {
    let faulty = Faulty::new();
    faulty.creates_in_two_steps();
    let e = probe(&faulty.store()).await.unwrap_err();
    assert_eq!(e.kind, Kind::Refused);
    assert!(e.to_string().contains("of 16 creators"), "{e}");
}

#[tokio::test]
async fn errors_on_the_way_do_not_pass_or_fail_a_store() {
    let faulty = Faulty::new();
    for fault in [Fault::AppliedAndFailed, Fault::Failed, Fault::Conflict, Fault::AppliedAndDropped] {
        faulty.on(Call::Create, fault);
    }
    assert_eq!(probe(&faulty.store()).await.unwrap().rounds, ROUNDS);
    faulty.away(true);
    assert!(probe(&faulty.store()).await.unwrap_err().is_retriable());
}
