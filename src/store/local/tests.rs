use std::time::Duration;

use object_store::ObjectStoreExt;

use super::*;

fn files(dir: &FsPath) -> Files {
    Files::new(dir.canonicalize().unwrap(), &Random::seeded(1)).unwrap()
}

#[tokio::test]
async fn of_many_creators_one_wins_and_its_bytes_stand() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let path = Path::from("a/b");
    let create = |i: usize| {
        let (files, path) = (files.clone(), path.clone());
        tokio::spawn(async move { files.put_opts(&path, format!("{i}").into(), PutMode::Create.into()).await })
    };
    let answers = futures::future::join_all((0..32).map(create)).await;
    let won: Vec<usize> = (0..32).filter(|i| answers[*i].as_ref().unwrap().is_ok()).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(fs::read_to_string(dir.path().join("a/b")).unwrap(), won[0].to_string());
    assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1, "losers leave nothing");
}

#[tokio::test]
async fn unfinished_writes_are_not_listed_and_go_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let path = Path::from("seg/one");
    let id = files.create_multipart(&path).await.unwrap();
    files.put_part(&path, &id, 0, "half".into()).await.unwrap();
    assert!(files.page(&Path::default(), None, 10).await.unwrap().is_empty());
    assert!(files.list_with_delimiter(Some(&Path::from("seg"))).await.unwrap().objects.is_empty());
    assert_eq!(files.abort_older(&Path::default(), 1000).await.unwrap(), Some(0), "it is younger");
    assert_eq!(files.abort_older(&Path::default(), i64::MAX).await.unwrap(), Some(1));
    assert!(files.complete_multipart(&path, &id, vec![]).await.is_err(), "an aborted upload cannot be completed");
    assert!(files.head(&path).await.is_err());
}

#[tokio::test]
async fn after_a_directory_that_could_not_be_synced_every_request_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    files.0.settle(FsPath::new("/nonexistent/dir/object")).unwrap_err();
    let path = Path::from("a");
    for refused in [
        files.put_opts(&path, "x".into(), PutOptions::default()).await.map(|_| ()),
        files.get_opts(&path, GetOptions::default()).await.map(|_| ()),
        files.page(&Path::default(), None, 1).await.map(|_| ()),
    ] {
        assert!(refused.unwrap_err().to_string().contains("could not be synced"));
    }
}

#[tokio::test]
async fn pages_of_a_folder_are_those_of_a_sorted_list_of_all_keys() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let random = Random::seeded(7);
    let mut keys = Vec::new();
    for i in 0..200 {
        let parts = ["a", "a.b", "a-", "b", "b=1", "zz"];
        let part = || parts[random.below(6) as usize];
        let key = format!("{}/{}/{i}", part(), part());
        files.put_opts(&Path::from(key.as_str()), "x".into(), PutMode::Create.into()).await.unwrap();
        keys.push(key);
    }
    keys.sort();
    for limit in [1, 7, 1000] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = files.page(&Path::default(), after.as_ref(), limit).await.unwrap();
            seen.extend(page.iter().map(|object| object.location.to_string()));
            match page.last() {
                Some(last) if page.len() == limit => after = Some(last.location.clone()),
                _ => break,
            }
        }
        assert_eq!(seen, keys, "pages of {limit}");
    }
}

#[tokio::test]
async fn links_that_lead_back_up_do_not_trap_a_listing() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    files.put_opts(&Path::from("d/x"), "x".into(), PutOptions::default()).await.unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("d/up")).unwrap();
    let root = Path::default();
    let listing = files.page(&root, None, 10_000);
    let found = tokio::time::timeout(Duration::from_secs(30), listing).await.expect("the listing ends").unwrap();
    assert!(found.iter().any(|object| object.location.as_ref() == "d/x"));
}

#[tokio::test]
async fn a_directory_that_is_there_is_synced_into_its_parent_too_once() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    fs::create_dir_all(dir.path().join("a/b")).unwrap(); // by a process that was killed before it synced them
    files.put_opts(&Path::from("a/b/c"), "x".into(), PutMode::Create.into()).await.unwrap();
    let root = dir.path().canonicalize().unwrap();
    assert_eq!(*files.0.synced(), [root.join("a"), root.join("a/b")].into());
    let gone = fs::remove_dir_all(dir.path().join("a"));
    gone.unwrap();
    files.put_opts(&Path::from("a/b/c"), "x".into(), PutMode::Create.into()).await.unwrap();
}
