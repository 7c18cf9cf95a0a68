//! `glovebox serve`: the rooms of this home over the network.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use glovebox_broker::SourcePolicy;
use glovebox_contract::key::PublicKey;
use glovebox_server::{Bound, Config, PartyLimits, Tls};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::arguments::{LogFormat, Serve};
use crate::context::Context;
use crate::terminal::plain;

/// Which log lines are written.
const FILTER: &str = "GLOVEBOX_LOG";

pub(crate) fn run(context: &Context, serve: &Serve) -> Result<ExitCode> {
    start_log(serve.log_format)?;
    // The worker's settings name this program's digest, which a home remembers: so it is made first.
    context.home()?;
    let mut config = Config::new(
        serve.listen.clone(),
        context.home_path().to_owned(),
        context.worker_settings_with(SourcePolicy { allow: serve.allow_sources.clone() })?,
    );
    config.sealing_key = context.sealing_key()?;
    if let (Some(cert), Some(key)) = (&serve.tls_cert, &serve.tls_key) {
        config.tls = Some(Tls { cert: cert.clone(), key: key.clone() });
    }
    if let Some(url) = &serve.public_url {
        config.public_url = Some(url.parse().with_context(|| format!("`{url}` is not a URL"))?);
    }
    config.limits.party = PartyLimits {
        runs_at_once: serve.max_concurrent_runs_per_party,
        runs_per_day: serve.quota_runs_per_day,
        cpu_seconds_per_day: serve.quota_cpu_seconds_per_day,
        ..config.limits.party
    };
    config.creators = serve.creators.as_deref().map(creators).transpose()?;
    let (json, scheme) = (context.json(), if config.tls.is_some() { "https" } else { "http" });
    config.bound = Some(Box::new(move |bound| announce(json, scheme, &bound)));
    block_on(async { Ok(glovebox_server::serve(config, told_to_stop()?).await?) })?;
    Ok(ExitCode::SUCCESS)
}

/// One line when the host can be reached: whoever started this program waits for it.
fn announce(json: bool, scheme: &str, bound: &Bound) {
    let urls: Vec<_> =
        bound.addresses.iter().map(|address| format!("{scheme}://{address}")).collect();
    let line = if json {
        let address = bound.addresses.first();
        json!({ "address": address, "listening": urls, "host_key": bound.host_key }).to_string()
    } else {
        format!("listening on {}, host key {}", urls.join(" "), bound.host_key)
    };
    print_line(&line);
}

/// Prints a line at once. Nobody may be reading: that is no reason not to serve.
pub(super) fn print_line(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Log lines of this program and what it links go to standard error.
pub(super) fn start_log(format: LogFormat) -> Result<()> {
    let filter = match std::env::var(FILTER) {
        Ok(filter) => EnvFilter::try_new(&filter)
            .map_err(|error| anyhow!("{FILTER} is `{}`: {error}", plain(&filter)))?,
        Err(_) => EnvFilter::new("info"),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!("cannot start the log: {error}"))
}

/// Runs a service to its end.
pub(super) fn block_on(service: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the service")?;
    let ended = runtime.block_on(service);
    // What has not ended within the service's own grace is not waited for.
    runtime.shutdown_background();
    ended
}

/// Ends when somebody interrupts or terminates this process.
pub(super) fn told_to_stop() -> Result<impl Future<Output = ()> + Send + 'static> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("told to stop");
    })
}

/// The public keys in a file: one a line; empty lines and what follows a `#` do not count.
fn creators(file: &Path) -> Result<Vec<PublicKey>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the keys in {}", file.display()))?;
    read_keys(&text).with_context(|| format!("{} is not a list of public keys", file.display()))
}

fn read_keys(text: &str) -> Result<Vec<PublicKey>> {
    let mut keys = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            keys.push(line.parse().with_context(|| format!("line {}", number + 1))?);
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_one_a_line() {
        let key = glovebox_contract::key::PrivateKey::from_seed(&[1; 32]).public();
        let text = format!("# who may\n\n{key}   # Gotham Air\n");
        assert_eq!(read_keys(&text).unwrap(), [key]);
        assert_eq!(read_keys("").unwrap(), []);
        let error = format!("{:#}", read_keys("\ned25519:nonsense\n").unwrap_err());
        assert!(error.starts_with("line 2"), "{error}");
    }
}
