//! Serves the gateway until it is told to stop.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use glovebox_gateway::access::{OidcConfig, UserClaim};
use glovebox_gateway::{Bound, Config, Inspected, Tls};
use serde_json::json;

use crate::arguments::{OidcClaim, ServeGateway};
use crate::commands::serve::{block_on, print_line, start_log, told_to_stop};
use crate::context::{Context, read_key};
use crate::output_file::table_preview;

pub(super) fn run(context: &Context, serve: &ServeGateway, state: &Path) -> Result<()> {
    let Some(host) = context.host_url() else {
        bail!("a gateway needs `--host URL`: it keeps a key, the host keeps the rooms");
    };
    let key = serve.key.as_deref().ok_or_else(|| anyhow!("a gateway needs `--key FILE`"))?;
    let key = read_key(key)?;
    start_log(serve.log_format)?;
    super::make_private(state)?;
    let tls = match (&serve.tls_cert, &serve.tls_key) {
        (Some(cert), Some(key)) => Some(Tls { cert: cert.clone(), key: key.clone() }),
        _ => None,
    };
    let (json, scheme) = (context.json(), if tls.is_some() { "https" } else { "http" });
    let public_key = key.public();
    let config = Config {
        listen: vec![serve.listen],
        tls,
        key,
        host: host.to_owned(),
        options: context.client_options(),
        state: state.to_owned(),
        catalog: serve.catalog.clone(),
        policies: serve.policies.clone(),
        oidc: oidc(serve),
        inspect,
        preview: Some(table_preview),
        bound: Some(Box::new(move |bound: Bound| {
            let url = bound.addresses.first().map(|address| format!("{scheme}://{address}"));
            let url = url.unwrap_or_default();
            print_line(&if json {
                let address = bound.addresses.first();
                json!({ "address": address, "listening": [url], "public_key": public_key })
                    .to_string()
            } else {
                format!("listening on {url} for the party with the key {public_key}")
            });
        })),
    };
    block_on(async { Ok(glovebox_gateway::serve(config, told_to_stop()?).await?) })
}

/// The party's own issuer of tokens.
fn oidc(serve: &ServeGateway) -> Option<OidcConfig> {
    let (issuer, audience) = serve.oidc_issuer.clone().zip(serve.oidc_audience.clone())?;
    Some(OidcConfig {
        issuer,
        audience,
        user_claim: match serve.oidc_user_claim {
            OidcClaim::Sub => UserClaim::Subject,
            OidcClaim::Email => UserClaim::Email,
        },
        groups_claim: serve.oidc_groups_claim.clone(),
        ca: serve.oidc_ca.clone(),
    })
}

/// What a component says of itself, for a gateway, which does not link an engine.
fn inspect(bytes: &[u8]) -> Result<Inspected, String> {
    let inspection = glovebox_sandbox::inspect(bytes).map_err(|error| error.to_string())?;
    let manifest = inspection
        .manifest
        .ok_or_else(|| "it has no manifest: build it with `glovebox build`".to_owned())?;
    Ok(Inspected {
        digest: inspection.digest,
        manifest,
        imports: inspection.imports,
        exports: inspection.exports,
        hidden: inspection.source.is_empty(),
    })
}
