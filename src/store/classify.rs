//! Tells what an error of the `object_store` crate means. Its own variants mix cases that matter to us (a missing bucket
//! and a missing object are both "not found"; a listing that was denied is "generic"), so the HTTP status and the store's
//! error code are read from the text of the whole chain of causes.
use std::error::Error as _;
use std::io;

use object_store::Error;

use super::Kind;

/// Codes of S3, GCS (XML) and Azure for a bucket or container that is not there.
const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"];
/// Codes that come with status 400 and mean credentials.
const BAD_CREDENTIALS: [&str; 5] =
    ["ExpiredToken", "InvalidToken", "AuthorizationHeaderMalformed", "InvalidAccessKeyId", "AuthenticationFailed"];
/// What the crate's own range arithmetic says of an object that ends before a range begins.
const BEYOND_END: &str = "Wanted range starting at";
/// Parts of the URLs that hand out credentials to a cloud machine, a container or a web identity.
const CREDENTIAL_SERVICES: [&str; 6] =
    ["/latest/api/token", "/latest/meta-data/", "/computeMetadata/", "/metadata/identity/", "169.254.170.", "://sts."];
/// What the crate says before an HTTP status.
const STATUS: &str = "status code: ";
/// Longest message kept: some stores answer with a page.
const MESSAGE_MAX: usize = 500;

/// Kind and message of `error`. `answered`: whether this store has ever answered; before that, a credential service
/// that does not answer means that there are no credentials.
pub(super) fn classify(error: &Error, answered: bool) -> (Kind, String) {
    let text = chain(error);
    let kind = kind(error, &text, answered);
    let hint = match kind {
        Kind::Denied if !answered && names_any(&text, &CREDENTIAL_SERVICES) => {
            "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (GOOGLE_APPLICATION_CREDENTIALS, \
             AZURE_STORAGE_ACCOUNT_KEY), or run on a machine with a role; "
        }
        Kind::Denied => "access denied: check the credentials and their rights; ",
        Kind::NoBucket => "no such bucket: create it, or correct --store; ",
        Kind::Unavailable => "no good answer from the store; ",
        _ => "",
    };
    (kind, cut(&format!("{hint}{}", answer_in(&text).unwrap_or(text))))
}

/// The store's own code and words, where it answered in XML: `403 Forbidden: InvalidAccessKeyId: The Access Key …`.
fn answer_in(text: &str) -> Option<String> {
    let between = |from: &str, to: &str| {
        let rest = &text[text.find(from)? + from.len()..];
        Some(&rest[..rest.find(to)?])
    };
    let code = between("<Code>", "</Code>")?;
    let status = between(STATUS, ":").unwrap_or("error");
    Some(format!("{status}: {code}: {}", between("<Message>", "</Message>").unwrap_or_default()))
}

fn kind(error: &Error, text: &str, answered: bool) -> Kind {
    if names_any(text, &CREDENTIAL_SERVICES) {
        return if answered { Kind::Unavailable } else { Kind::Denied };
    }
    if names_any(text, &NO_BUCKET) {
        return Kind::NoBucket;
    }
    if text.contains(BEYOND_END) {
        return Kind::Corrupt;
    }
    match error {
        Error::NotFound { .. } => Kind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Kind::Denied,
        Error::InvalidPath { .. } | Error::UnknownConfigurationKey { .. } => Kind::Invalid,
        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => Kind::Refused,
        Error::NotSupported { .. } | Error::NotImplemented { .. } => Kind::Refused,
        _ => match (status(text), io_kind(error)) {
            (Some(status), _) => of_status(status, text),
            (None, Some(io)) => of_io(io),
            (None, None) => Kind::Unavailable,
        },
    }
}

fn of_status(status: u16, text: &str) -> Kind {
    match status {
        401 | 403 => Kind::Denied,
        400 if names_any(text, &BAD_CREDENTIALS) => Kind::Denied,
        404 => Kind::NotFound,
        416 => Kind::Corrupt,
        408 | 425 | 429 => Kind::Unavailable,
        501 => Kind::Refused,
        500.. => Kind::Unavailable,
        300..400 => Kind::Invalid,
        _ => Kind::Refused,
    }
}

fn of_io(kind: io::ErrorKind) -> Kind {
    match kind {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Denied,
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::UnexpectedEof => Kind::Corrupt,
        io::ErrorKind::InvalidFilename | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Kind::Invalid,
        io::ErrorKind::Unsupported => Kind::Refused,
        _ => Kind::Unavailable,
    }
}

/// The HTTP status in the text of the crate's `RetryError`, whose type is private.
fn status(text: &str) -> Option<u16> {
    let at = text.find(STATUS)? + STATUS.len();
    text.get(at..at + 3)?.parse().ok()
}

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(e) = cause {
        if let Some(io) = e.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = e.source();
    }
    None
}

/// The error and its causes, each said once.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let next = e.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = e.source();
    }
    text
}

fn names_any(text: &str, names: &[&str]) -> bool {
    names.iter().any(|name| text.contains(name))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests;
