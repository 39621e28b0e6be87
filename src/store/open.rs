//! From a URL to a backend. Clients never repeat a request by themselves: a create that was applied but answered with an
//! error would come back as "exists". What may be repeated is repeated by the store, where it is counted.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as S3Key};
use object_store::azure::{AzureConfigKey as AzureKey, MicrosoftAzureBuilder};
use object_store::client::{ClientConfigKey as ClientKey, HttpClient, HttpConnector};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey as GoogleKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use url::Url;

use super::local::Files;
use super::{Kind, Objects, StoreError, StoreOptions};
use crate::base::Random;

/// A backend, the prefix in it, and the URL of that prefix without a slash at its end.
pub(super) struct Place {
    pub(super) objects: Arc<dyn Objects>,
    pub(super) root: Path,
    pub(super) url: String,
}

const FORMS: &str =
    "use file:///dir, a plain directory, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix";

pub(super) fn open(url: &str, options: &StoreOptions, random: &Random) -> Result<Place, StoreError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return folder(url, PathBuf::from(url), options, random);
    };
    let invalid = |why: String| StoreError::new(Kind::Invalid, url, format!("not a store URL: {why}; {FORMS}"));
    let parsed = Url::parse(url).map_err(|e| invalid(e.to_string()))?;
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(invalid("a '?' or '#' has no meaning here".into()));
    }
    if scheme == "file" {
        let dir = parsed.to_file_path().map_err(|()| invalid("the path after file:// has to begin with '/'".into()))?;
        return folder(url, dir, options, random);
    }
    let root = Path::from_url_path(parsed.path()).map_err(|e| invalid(e.to_string()))?;
    if parsed.host_str().unwrap_or_default().is_empty() {
        return Err(invalid("it names no bucket".into()));
    }
    let objects = match scheme {
        "s3" | "s3a" => s3(url, options)?,
        "gs" => google(url, options)?,
        "az" | "azure" | "abfs" | "abfss" | "adl" => azure(url, options)?,
        _ => return Err(invalid(format!("'{scheme}' is not known"))),
    };
    Ok(Place { objects, root, url: format!("{scheme}://{}", rest.trim_end_matches('/')) })
}

fn folder(shown: &str, dir: PathBuf, options: &StoreOptions, random: &Random) -> Result<Place, StoreError> {
    let failed = |e: std::io::Error| {
        let kind = match e.kind() {
            std::io::ErrorKind::NotFound => Kind::NoBucket,
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => Kind::Denied,
            _ => Kind::Invalid,
        };
        StoreError::new(kind, shown, format!("cannot use this directory as a store: {e}"))
    };
    if dir.as_os_str().is_empty() {
        return Err(StoreError::new(Kind::Invalid, shown, format!("the store's URL is empty; {FORMS}")));
    }
    if options.create_directory {
        make(&dir).map_err(failed)?;
    }
    let dir = dir.canonicalize().map_err(failed)?;
    if !dir.is_dir() {
        return Err(failed(std::io::ErrorKind::NotADirectory.into()));
    }
    let url = format!("file://{}", dir.to_string_lossy().trim_end_matches('/'));
    let files = Files::new(dir, random).map_err(|e| StoreError::new(Kind::Invalid, shown, e.to_string()))?;
    Ok(Place { objects: Arc::new(files), root: Path::default(), url })
}

/// Makes `dir` and what is missing above it, each synced into its parent.
fn make(dir: &std::path::Path) -> std::io::Result<()> {
    let dir = std::path::absolute(dir)?;
    if dir.is_dir() {
        return Ok(());
    }
    let Some(parent) = dir.parent() else { return Ok(()) };
    make(parent)?;
    match std::fs::create_dir(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    std::fs::File::open(parent)?.sync_all()
}

/// One attempt, always: see the module's header.
fn once() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, ..RetryConfig::default() }
}

fn client_settings(options: &StoreOptions) -> [(ClientKey, String); 2] {
    let ms = |value: u64| format!("{}ms", value.max(StoreOptions::TIMEOUT_MS_MIN));
    [(ClientKey::Timeout, ms(options.request_timeout_ms)), (ClientKey::ConnectTimeout, ms(options.connect_timeout_ms))]
}

/// Connects where nobody is asked over TLS, neither the store nor a service for credentials: then the system's
/// certificates are not read, which would take longer than the rest of a start.
#[derive(Debug)]
struct Plain(StoreOptions);

impl HttpConnector for Plain {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let ms = |value: u64| Duration::from_millis(value.max(StoreOptions::TIMEOUT_MS_MIN));
        let client = reqwest::Client::builder()
            .tls_built_in_root_certs(false)
            .timeout(ms(self.0.request_timeout_ms))
            .connect_timeout(ms(self.0.connect_timeout_ms))
            .http1_only()
            .no_gzip() // it would hide how long an object is
            .build();
        let client = client.map_err(|e| object_store::Error::Generic { store: "S3", source: e.into() })?;
        Ok(HttpClient::new(client))
    }
}

/// Plain HTTP has to be asked for; without it every request would fail as if the store were away.
fn check_http(url: &str, endpoint: Option<String>, allowed: Option<String>, variable: &str) -> Result<(), StoreError> {
    match endpoint {
        Some(endpoint) if endpoint.starts_with("http://") && allowed.as_deref() != Some("true") => {
            let why = format!("the endpoint {endpoint} is plain HTTP: set {variable}=true, or use https://");
            Err(StoreError::new(Kind::Invalid, url, why))
        }
        _ => Ok(()),
    }
}

fn unusable(url: &str) -> impl Fn(object_store::Error) -> StoreError {
    move |e| StoreError::new(Kind::Invalid, url, format!("cannot use this store: {e}"))
}

fn s3(url: &str, options: &StoreOptions) -> Result<Arc<dyn Objects>, StoreError> {
    let mut builder = AmazonS3Builder::from_env().with_url(url).with_retry(once());
    for (key, value) in client_settings(options) {
        builder = builder.with_config(S3Key::Client(key), value);
    }
    let endpoint = builder.get_config_value(&S3Key::S3Endpoint).or_else(|| builder.get_config_value(&S3Key::Endpoint));
    let allowed = builder.get_config_value(&S3Key::Client(ClientKey::AllowHttp));
    let plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    check_http(url, endpoint, allowed, "AWS_ALLOW_HTTP")?;
    if plain && builder.get_config_value(&S3Key::AccessKeyId).is_some() {
        builder = builder.with_http_connector(Plain(options.clone()));
    }
    Ok(Arc::new(builder.build().map_err(unusable(url))?))
}

fn google(url: &str, options: &StoreOptions) -> Result<Arc<dyn Objects>, StoreError> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(once());
    for (key, value) in client_settings(options) {
        builder = builder.with_config(GoogleKey::Client(key), value);
    }
    Ok(Arc::new(builder.build().map_err(unusable(url))?))
}

fn azure(url: &str, options: &StoreOptions) -> Result<Arc<dyn Objects>, StoreError> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(once());
    for (key, value) in client_settings(options) {
        builder = builder.with_config(AzureKey::Client(key), value);
    }
    let endpoint = builder.get_config_value(&AzureKey::Endpoint);
    let allowed = builder.get_config_value(&AzureKey::Client(ClientKey::AllowHttp));
    let emulator = builder.get_config_value(&AzureKey::UseEmulator).as_deref() == Some("true");
    if !emulator {
        check_http(url, endpoint, allowed, "AZURE_ALLOW_HTTP")?;
    }
    Ok(Arc::new(builder.build().map_err(unusable(url))?))
}

#[cfg(test)]
mod tests;
