//! Tables that are elsewhere: where they are and what opens them comes with the request, and stays
//! here. What a place takes its time for holds up nobody: no room waits meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use glovebox_api::wire::{
    CredentialReplaced, Described, PartitionChoice, RemotePlace, ReplaceCredential, Secrets,
    TableFiles, Taken,
};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::text::printable;
use glovebox_job::job::FileFormat;
use glovebox_room::RoomError;
use glovebox_room::remote::{
    Credential, Location, MAX_CREDENTIAL_BYTES, Origin, PartitionFilter, RemoteOffer, RemoteTable,
};
use glovebox_room::tables::DescribedTable;

use crate::app::{App, blocking};
use crate::assets::place;
use crate::auth::{Member, Signed};
use crate::error::{HttpError, Result};
use crate::statements::taken;

/// Most partition columns that are chosen by, and most values of one.
const MAX_PARTITION_COLUMNS: usize = 16;
const MAX_PARTITION_VALUES: usize = 4096;

/// A party in the network offers this.
fn offer(files: TableFiles) -> Result<(RemoteOffer, BTreeMap<String, String>)> {
    let TableFiles { aliases, files, remote, view } = files;
    let place = remote.filter(|_| files.is_empty() && view.is_none());
    let Some(RemotePlace { credentials, format, partitions, place }) = place else {
        return Err(HttpError::malformed("a table that is elsewhere has neither files nor a view"));
    };
    let location: Location =
        place.parse().map_err(|error| invalid(&format_args!("place: {error}")))?;
    let format = format.as_deref().map(file_format).transpose()?;
    if partitions.len() > MAX_PARTITION_COLUMNS {
        return Err(invalid(&"too many partition columns"));
    }
    let partitions = partitions.into_iter().map(partition).collect::<Result<_>>()?;
    let remote = RemoteTable { format, location, partitions };
    let credential = credentials.map(credential).transpose()?;
    Ok((RemoteOffer { remote, credential, origin: Origin::Network }, aliases))
}

fn invalid(why: &dyn std::fmt::Display) -> HttpError {
    HttpError::new(ReasonCode::InvalidArgument, printable(&why.to_string()))
}

fn file_format(name: &str) -> Result<FileFormat> {
    serde_json::from_value(name.into())
        .map_err(|_| invalid(&"format: expected parquet, csv, ndjson or arrow-ipc"))
}

fn partition(PartitionChoice { column, values }: PartitionChoice) -> Result<PartitionFilter> {
    match values.len() {
        1..=MAX_PARTITION_VALUES => Ok(PartitionFilter { column, values }),
        _ => Err(invalid(&format_args!("a partition has 1 to {MAX_PARTITION_VALUES} values"))),
    }
}

fn credential(secrets: Secrets) -> Result<Credential> {
    let settings = secrets.into_settings();
    let bytes = settings.iter().map(|(name, value)| name.len().saturating_add(value.len()));
    if bytes.sum::<usize>() > MAX_CREDENTIAL_BYTES {
        return Err(invalid(&format_args!(
            "credentials have at most {MAX_CREDENTIAL_BYTES} bytes"
        )));
    }
    Ok(Credential::new(settings))
}

/// The error for the owner of a table, who knows where it is: with its cause, where that is about
/// the place. Whose address is refused learns no more about this host's network.
fn for_owner(error: RoomError) -> HttpError {
    match error.reason() {
        reason @ (ReasonCode::SourceUnavailable
        | ReasonCode::SourceDenied
        | ReasonCode::SourceUnsupported
        | ReasonCode::InputUnreadable) => HttpError::new(reason, printable(&error.to_string())),
        _ => error.into(),
    }
}

/// Opens a table and finds its columns.
async fn read(app: &Arc<App>, name: TableName, offer: RemoteOffer) -> Result<DescribedTable> {
    let turn = place(app, &app.sources).await?;
    let host = app.clone();
    let described = blocking(move || {
        DescribedTable::read_remote(&host.settings, &name, &offer).map_err(for_owner)
    });
    let described = described.await;
    drop(turn);
    described
}

/// `POST /v1/rooms/{id}/describe` of a table that is elsewhere.
pub(crate) async fn describe(
    app: &Arc<App>,
    name: TableName,
    files: TableFiles,
) -> Result<Described> {
    let (offer, aliases) = offer(files)?;
    let described = read(app, name, offer).await?.publish_as(aliases)?;
    Ok(Described {
        bytes: described.bytes(),
        columns: described.columns(),
        definition: None,
        files: u64::try_from(described.files()).unwrap_or(u64::MAX),
    })
}

/// `POST /v1/rooms/{id}/tables` of a table that is elsewhere.
pub(crate) async fn add_table(
    app: &Arc<App>,
    member: &Member,
    envelope: Envelope,
    name: TableName,
    files: TableFiles,
) -> Result<Taken> {
    let (offer, aliases) = offer(files)?;
    let statement = envelope.clone();
    app.with(&member.slot, move |room| Ok(room.check_acceptable(&statement)?)).await?;
    let described = read(app, name, offer).await?.publish_as(aliases)?;
    let added = app.with(&member.slot, move |room| {
        let applied = room.add_table(&envelope, &described)?;
        taken(room, &applied)
    });
    added.await
}

/// `POST /v1/rooms/{id}/credentials`
pub(crate) async fn replace_credential(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<Json<CredentialReplaced>> {
    let member = signed.member(&app).await?;
    let ReplaceCredential { credentials, table } = signed.json()?;
    let (owner, name, credential) = (member.alias.clone(), table.clone(), credential(credentials)?);
    let new = app.with(&member.slot, move |room| {
        Ok(room.new_credential(&owner, &name, credential, Origin::Network)?)
    });
    let new = new.await?;
    let turn = place(&app, &app.sources).await?;
    let host = app.clone();
    let checked = blocking(move || new.checked(&host.settings).map_err(for_owner)).await;
    drop(turn);
    let checked = checked?;
    app.with(&member.slot, move |room| Ok(room.replace_credential(&checked)?)).await?;
    Ok(Json(CredentialReplaced { table }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(json: &str) -> Result<(RemoteOffer, BTreeMap<String, String>)> {
        offer(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn an_offer_of_the_network_is_read_with_care() {
        let (offer, aliases) = elsewhere(
            r#"{"aliases":{"a":"b"},"remote":{"place":"s3://b/f","format":"csv",
                "credentials":{"aws_access_key_id":"k"},
                "partitions":[{"column":"year","values":["2013","2014"]}]}}"#,
        )
        .unwrap();
        assert_eq!(offer.origin, Origin::Network);
        assert_eq!(offer.remote.location.to_string(), "s3://b/f");
        assert_eq!(offer.remote.format, Some(FileFormat::Csv));
        assert_eq!(offer.remote.partitions.len(), 1);
        assert!(offer.credential.is_some());
        assert_eq!(aliases.len(), 1);

        let refused = |json: &str, reason: ReasonCode| {
            assert_eq!(elsewhere(json).unwrap_err().reason(), reason, "{json}");
        };
        refused(r#"{"remote":{"place":"/etc/passwd"}}"#, ReasonCode::InvalidArgument);
        refused(r#"{"remote":{"place":"s3://k:s@b/a"}}"#, ReasonCode::InvalidArgument);
        refused(r#"{"remote":{"place":"s3://b","format":"xml"}}"#, ReasonCode::InvalidArgument);
        refused(
            r#"{"remote":{"place":"s3://b","partitions":[{"column":"a","values":[]}]}}"#,
            ReasonCode::InvalidArgument,
        );
        refused(
            r#"{"remote":{"place":"s3://b"},"view":{"sql":"SELECT 1","tables":{}}}"#,
            ReasonCode::Malformed,
        );
        let long = "x".repeat(MAX_CREDENTIAL_BYTES + 1);
        refused(
            &format!(r#"{{"remote":{{"place":"s3://b","credentials":{{"a":"{long}"}}}}}}"#),
            ReasonCode::InvalidArgument,
        );
    }

    #[test]
    fn the_owner_learns_about_its_place_and_not_about_this_network() {
        let error = |reason| RoomError::new(reason, "table a.t").because("s3://b: no such bucket");
        let said = for_owner(error(ReasonCode::SourceUnavailable));
        assert!(format!("{said:?}").contains("no such bucket"));
        for reason in [ReasonCode::SourceRefused, ReasonCode::Internal, ReasonCode::InputCorrupt] {
            assert!(!format!("{:?}", for_owner(error(reason))).contains("bucket"), "{reason}");
        }
    }
}
