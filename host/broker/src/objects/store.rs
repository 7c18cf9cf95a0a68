//! Object stores by their URLs, made of what the owner gave and of nothing else: neither the
//! environment nor the machine's own identity in a cloud opens a party's table.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use glovebox_room::remote::Credential;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::ClientConfigKey;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig, StaticCredentialProvider};
use url::Url;

use super::connector::Connector;
use crate::error::Failure;
use crate::http::Http;
use crate::source::Request;

/// A place in a store.
pub(super) struct Place {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    /// Whether the URL ends like a folder's.
    pub(super) is_folder: bool,
    /// Whether it is of this machine.
    pub(super) is_local: bool,
}

/// How often and how long a request is sent again: when a store throttles, fails or says nothing.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 6,
        retry_timeout: Duration::from_secs(90),
    }
}

/// The store that a URL names.
pub(super) fn open(request: &Request, url: &str) -> Result<Place, Failure> {
    let wrong = |why: &dyn Display| Failure::unreadable(format!("`{url}` is no place: {why}"));
    let parsed = Url::parse(url).map_err(|error| wrong(&error))?;
    let path = Path::from_url_path(parsed.path()).map_err(|error| wrong(&error))?;
    let is_folder = parsed.path().ends_with('/');
    if parsed.scheme() == "file" {
        return local(request, &parsed);
    }
    let bucket = parsed.host_str().filter(|host| !host.is_empty());
    let bucket = bucket.ok_or_else(|| wrong(&"the bucket is missing"))?;
    let connector = Connector(Arc::new(Http::new(request.outbound.clone())));
    let credential = request.credential.as_ref();
    let store = match parsed.scheme() {
        "s3" | "s3a" => s3(bucket, credential, connector)?,
        "gs" => google(bucket, credential, connector)?,
        _ => azure(&parsed, credential, connector)?,
    };
    Ok(Place { store, path, is_folder, is_local: false })
}

fn local(request: &Request, url: &Url) -> Result<Place, Failure> {
    if !request.outbound.may_read_files() {
        return Err(Failure::refused("files of this machine are not for parties elsewhere"));
    }
    let wrong = |why: &dyn Display| Failure::unreadable(format!("`{url}` cannot be read: {why}"));
    let directory = url.to_file_path().map_err(|()| wrong(&"it is no path"))?;
    let store = LocalFileSystem::new_with_prefix(directory).map_err(|error| wrong(&error))?;
    Ok(Place { store: Arc::new(store), path: Path::default(), is_folder: true, is_local: true })
}

/// Reads the settings of a credential, each of which has to be one that is taken.
fn settings<K: FromStr>(
    credential: Option<&Credential>,
    is_taken: impl Fn(&K) -> bool,
) -> Result<Vec<(K, &str)>, Failure> {
    let settings = credential.into_iter().flat_map(Credential::settings);
    let settings = settings.map(|(name, value)| {
        let key = name.to_ascii_lowercase().parse().ok().filter(&is_taken);
        let shown: String = name.chars().take(80).collect();
        let shown = shown.escape_debug();
        let key = key.ok_or_else(|| {
            Failure::denied(format!("the credential has a setting `{shown}`, which is not taken"))
        })?;
        Ok((key, value))
    });
    settings.collect()
}

/// A store that could not be made, because of its settings.
fn unmade(error: object_store::Error) -> Failure {
    Failure::denied(format!("the credential does not fit: {error}"))
}

fn s3(
    bucket: &str,
    credential: Option<&Credential>,
    connector: Connector,
) -> Result<Arc<dyn ObjectStore>, Failure> {
    use AmazonS3ConfigKey as Key;
    let settings = settings(credential, |key| {
        matches!(
            key,
            Key::AccessKeyId
                | Key::SecretAccessKey
                | Key::Token
                | Key::Region
                | Key::DefaultRegion
                | Key::Endpoint
                | Key::S3Endpoint
                | Key::VirtualHostedStyleRequest
                | Key::SkipSignature
                | Key::RequestPayer
                | Key::Client(ClientConfigKey::AllowHttp)
        )
    })?;
    let has = |wanted: Key| settings.iter().any(|(key, _)| *key == wanted);
    let is_signed = has(Key::AccessKeyId) || has(Key::SecretAccessKey);
    let mut builder = AmazonS3Builder::new().with_retry(retry()).with_http_connector(connector);
    for (key, value) in settings {
        builder = builder.with_config(key, value);
    }
    if !is_signed {
        // Without a key it would ask the machine's cloud for one.
        builder = builder.with_skip_signature(true);
    }
    Ok(Arc::new(builder.with_bucket_name(bucket).build().map_err(unmade)?))
}

fn google(
    bucket: &str,
    credential: Option<&Credential>,
    connector: Connector,
) -> Result<Arc<dyn ObjectStore>, Failure> {
    use GoogleConfigKey as Key;
    let settings = settings(credential, |key| {
        matches!(
            key,
            Key::ServiceAccountKey
                | Key::BaseUrl
                | Key::SkipSignature
                | Key::Client(ClientConfigKey::AllowHttp)
        )
    })?;
    let is_signed = settings.iter().any(|(key, _)| *key == Key::ServiceAccountKey);
    let mut builder =
        GoogleCloudStorageBuilder::new().with_retry(retry()).with_http_connector(connector);
    for (key, value) in settings {
        builder = builder.with_config(key, value);
    }
    if !is_signed {
        // Without a key it would look for one on the machine, then ask the machine's cloud.
        let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
        builder = builder.with_credentials(Arc::new(nobody)).with_skip_signature(true);
    }
    Ok(Arc::new(builder.with_bucket_name(bucket).build().map_err(unmade)?))
}

fn azure(
    url: &Url,
    credential: Option<&Credential>,
    connector: Connector,
) -> Result<Arc<dyn ObjectStore>, Failure> {
    use AzureConfigKey as Key;
    let settings = settings(credential, |key| {
        matches!(
            key,
            Key::AccountName
                | Key::AccessKey
                | Key::SasKey
                | Key::Token
                | Key::ClientId
                | Key::ClientSecret
                | Key::AuthorityId
                | Key::AuthorityHost
                | Key::Endpoint
                | Key::SkipSignature
                | Key::Client(ClientConfigKey::AllowHttp)
        )
    })?;
    let has = |wanted: &Key| settings.iter().any(|(key, _)| key == wanted);
    let is_application = [Key::ClientId, Key::ClientSecret, Key::AuthorityId].iter().all(&has);
    let is_signed = is_application || [Key::AccessKey, Key::SasKey, Key::Token].iter().any(has);
    let mut root = url.clone();
    root.set_path("");
    let mut builder = MicrosoftAzureBuilder::new()
        .with_url(root.as_str())
        .with_retry(retry())
        .with_http_connector(connector);
    for (key, value) in settings {
        builder = builder.with_config(key, value);
    }
    if !is_signed {
        // Without a key it would ask the machine's cloud for one.
        builder = builder.with_skip_signature(true);
    }
    Ok(Arc::new(builder.build().map_err(unmade)?))
}
