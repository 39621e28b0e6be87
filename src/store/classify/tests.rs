//! The texts are those that the object_store crate makes of real answers (MinIO, S3, Azure).
use super::*;

fn generic(text: &str) -> Error {
    Error::Generic { store: "S3", source: text.into() }
}

fn not_found(text: &str) -> Error {
    Error::NotFound { path: "p".into(), source: text.into() }
}

fn io_error(kind: io::ErrorKind) -> Error {
    Error::Generic { store: "file", source: io::Error::from(kind).into() }
}

#[test]
fn a_missing_bucket_is_told_from_a_missing_object() {
    let answer = "Server returned non-2xx status code: 404 Not Found: <Error><Code>NoSuchBucket</Code>\
                  <Message>The specified bucket does not exist</Message></Error>";
    for error in [generic(answer), not_found(answer), not_found("ContainerNotFound")] {
        assert_eq!(classify(&error, true).0, Kind::NoBucket);
    }
    let absent = not_found("status code: 404 Not Found: <Error><Code>NoSuchKey</Code></Error>");
    assert_eq!(classify(&absent, true).0, Kind::NotFound);
}

#[test]
fn every_status_says_what_to_do() {
    let cases = [
        (500, Kind::Unavailable),
        (502, Kind::Unavailable),
        (503, Kind::Unavailable),
        (507, Kind::Unavailable),
        (429, Kind::Unavailable),
        (408, Kind::Unavailable),
        (401, Kind::Denied),
        (403, Kind::Denied),
        (301, Kind::Invalid),
        (400, Kind::Refused),
        (405, Kind::Refused),
        (501, Kind::Refused),
        (416, Kind::Corrupt),
    ];
    for (status, kind) in cases {
        let error = generic(&format!("Server returned non-2xx status code: {status} Words: "));
        assert_eq!(classify(&error, true).0, kind, "{status}");
    }
    let expired = generic("status code: 400 Bad Request: <Error><Code>ExpiredToken</Code></Error>");
    assert_eq!(classify(&expired, true).0, Kind::Denied);
}

#[test]
fn no_connection_and_a_full_disk_are_worth_another_attempt() {
    for text in ["HTTP error: error sending request: tcp connect error", "operation timed out"] {
        assert_eq!(classify(&generic(text), true).0, Kind::Unavailable);
    }
    assert_eq!(classify(&io_error(io::ErrorKind::StorageFull), true).0, Kind::Unavailable);
    assert_eq!(classify(&io_error(io::ErrorKind::PermissionDenied), true).0, Kind::Denied);
    assert_eq!(classify(&io_error(io::ErrorKind::ReadOnlyFilesystem), true).0, Kind::Denied);
    assert_eq!(classify(&io_error(io::ErrorKind::UnexpectedEof), true).0, Kind::Corrupt);
}

#[test]
fn silence_of_a_credential_service_means_no_credentials_until_the_store_answered_once() {
    let error = generic("Error performing PUT http://host/latest/api/token: connection refused");
    let (kind, message) = classify(&error, false);
    assert_eq!(kind, Kind::Denied);
    assert!(message.contains("AWS_ACCESS_KEY_ID"), "{message}");
    assert_eq!(classify(&error, true).0, Kind::Unavailable);
}

#[test]
fn messages_are_the_stores_own_words_and_short() {
    let answer = "Error performing GET http://h/b in 1ms - Server returned non-2xx status code: 403 Forbidden: <?xml?>\
                  <Error><Code>InvalidAccessKeyId</Code><Message>No such key.</Message><HostId>7afa</HostId></Error>";
    let (_, message) = classify(&generic(answer), true);
    assert_eq!(
        message,
        "access denied: check the credentials and their rights; 403 Forbidden: InvalidAccessKeyId: No such key."
    );
    let page = "é".repeat(10_000);
    assert!(classify(&generic(&page), true).1.chars().count() <= MESSAGE_MAX + 1);
}
