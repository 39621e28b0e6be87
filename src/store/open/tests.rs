use super::*;

fn open_with(url: &str, create_directory: bool) -> Result<Place, StoreError> {
    open(url, &StoreOptions { create_directory, ..StoreOptions::default() }, &Random::seeded(1))
}

#[test]
fn a_url_that_is_wrong_is_refused_with_the_forms_that_are_right() {
    for url in ["s3://", "http://x/y", "file://rel/x", "s3://b/x?a=b", "s3://b/x#y", "gs:///x", "", "ftp://x"] {
        let Err(e) = open_with(url, false) else { panic!("{url} is taken") };
        assert_eq!(e.kind, Kind::Invalid, "{url}: {e}");
        assert!(e.to_string().contains("s3://bucket/prefix"), "{url}: {e}");
    }
}

#[test]
fn a_missing_directory_is_made_only_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    let url = format!("file://{}", path.display());
    let Err(e) = open_with(&url, false) else { panic!("a missing directory is taken") };
    assert_eq!(e.kind, Kind::NoBucket);
    assert!(!path.exists());
    open_with(&url, true).unwrap_or_else(|e| panic!("{e}"));
    assert!(path.is_dir());
    let place = open_with(path.to_str().unwrap(), false).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(place.url, format!("file://{}", path.canonicalize().unwrap().display()));
}

#[test]
fn a_file_is_not_a_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for create in [false, true] {
        let Err(e) = open_with(file.path().to_str().unwrap(), create) else { panic!("a file is taken") };
        assert_eq!(e.kind, Kind::Invalid, "{e}");
    }
}

#[test]
fn plain_http_has_to_be_allowed() {
    let check = |endpoint: Option<&str>, allowed: Option<&str>| {
        check_http("s3://b", endpoint.map(String::from), allowed.map(String::from), "AWS_ALLOW_HTTP")
    };
    let e = check(Some("http://127.0.0.1:9000"), None).unwrap_err();
    assert!(e.kind == Kind::Invalid && e.to_string().contains("AWS_ALLOW_HTTP=true"), "{e}");
    for (endpoint, allowed) in [(None, None), (Some("https://x"), None), (Some("http://x"), Some("true"))] {
        check(endpoint, allowed).unwrap();
    }
}
