//! What a caller says about a room: the `CleanRoom` object as the client sends it.

use std::collections::BTreeMap;

use glovebox_contract::key::PublicKey;
use glovebox_contract::limits::Limits;
use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::statement::{
    Collaborator, LogReaders, OutputReaders, OutputSettings, RoomDocument,
};
use serde::Deserialize;
use serde_json::Value;

use crate::call::shown;
use crate::error::Failure;

const STANDARD_LIMITS: &str = include_str!("../../../../policies/limits/standard.toml");

/// What every room of this gateway says as its cloud.
pub(super) const CLOUD_VENDOR: &str = "glovebox";

/// The region of a room that names none.
const DEFAULT_REGION: &str = "local";

/// How long outputs live, in days, as on Databricks.
const TIME_TO_LIVE_DAYS: u64 = 30;

/// The `CleanRoom` object.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CleanRoom {
    access_restricted: Option<Value>,
    pub(super) comment: Option<String>,
    created_at: Option<Value>,
    enable_shared_output: Option<bool>,
    pub(super) local_collaborator_alias: Option<String>,
    pub(super) name: Option<String>,
    output_catalog: Option<Value>,
    pub(super) owner: Option<String>,
    remote_detailed_info: Option<RemoteDetail>,
    status: Option<Value>,
    updated_at: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RemoteDetail {
    central_clean_room_id: Option<String>,
    cloud_vendor: Option<String>,
    collaborators: Vec<CollaboratorBody>,
    compliance_security_profile: Option<ComplianceProfile>,
    creator: Option<CollaboratorBody>,
    egress_network_policy: Option<EgressPolicy>,
    enable_shared_output: Option<bool>,
    package_provider_collaborator_alias: Option<String>,
    region: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CollaboratorBody {
    collaborator_alias: String,
    display_name: Option<String>,
    global_metastore_id: Option<String>,
    invite_recipient_email: Option<String>,
    invite_recipient_workspace_id: Option<i64>,
    organization_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ComplianceProfile {
    compliance_standards: Vec<String>,
    is_enabled: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EgressPolicy {
    internet_access: Option<InternetAccess>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct InternetAccess {
    allowed_internet_destinations: Vec<Value>,
    allowed_storage_destinations: Vec<Value>,
    log_only_mode: Option<Value>,
    restriction_mode: Option<String>,
}

/// What a new room needs beside the caller's words.
pub(super) struct Founding {
    /// The party's key.
    pub(super) creator: PublicKey,
    /// The host's key.
    pub(super) host: PublicKey,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(super) now: u64,
    /// 32 random hex digits.
    pub(super) nonce: String,
}

impl CleanRoom {
    /// The name, which must be there.
    pub(super) fn room_name(&self) -> Result<AssetName, Failure> {
        let name = self.name.as_deref().unwrap_or_default();
        name.parse().map_err(|error| Failure::invalid(format!("the clean room's name: {error}")))
    }

    /// The document that the party signs to create the room.
    pub(super) fn document(&self, founding: Founding) -> Result<RoomDocument, Failure> {
        let detail = self.remote_detailed_info.as_ref().ok_or_else(|| {
            Failure::invalid("remote_detailed_info is needed: it names the collaborators")
        })?;
        detail.check_promises()?;
        let region = detail.region.clone().unwrap_or_else(|| DEFAULT_REGION.into());
        let collaborators = detail.collaborators(&region, &founding.creator)?;
        let creator = collaborators
            .iter()
            .find(|party| party.public_key == founding.creator)
            .map(|party| party.alias.clone())
            .ok_or_else(|| {
                Failure::invalid(format!(
                    "none of the collaborators is this party: one has the \
                     global_metastore_id {}",
                    metastore_id(&region, &founding.creator)
                ))
            })?;
        if self.local_collaborator_alias.as_ref().is_some_and(|alias| alias != creator.as_str()) {
            return Err(Failure::invalid(format!("local_collaborator_alias is {creator}")));
        }
        let package_provider = detail.package_provider()?;
        let shared = self.shared_output();
        let document = RoomDocument {
            billing: None,
            collaborators,
            created: founding.now,
            creator,
            host_key: founding.host,
            limits: standard_limits()?,
            log_readers: match package_provider {
                Some(_) => LogReaders::Runner,
                None => LogReaders::Author,
            },
            name: self.room_name()?,
            nonce: founding.nonce,
            outputs: OutputSettings {
                readers: if shared { OutputReaders::All } else { OutputReaders::Runner },
                time_to_live_days: TIME_TO_LIVE_DAYS,
            },
            package_provider,
            region,
        };
        document.validate().map_err(|error| Failure::invalid(error.to_string()))?;
        if document.exceeds_limit() {
            let most = document.limits.collaborators;
            return Err(Failure::invalid(format!("a room has at most {most} collaborators")));
        }
        Ok(document)
    }

    /// Whether what the caller says of the room is what stands in its document. Accepting signs
    /// exactly the document, so whoever expects another room must not accept this one.
    pub(super) fn agrees_with(&self, document: &RoomDocument) -> Result<(), Failure> {
        let differs = |what: &str| {
            Err(Failure::invalid(format!(
                "this party is invited to a room of this name with another {what}: read it first, \
                 then accept it as it is"
            )))
        };
        let shared = document.outputs.readers == OutputReaders::All;
        if self.shared_output_said().is_some_and(|said| said != shared) {
            return differs("enable_shared_output");
        }
        let Some(detail) = &self.remote_detailed_info else { return Ok(()) };
        detail.check_promises()?;
        if detail.region.as_ref().is_some_and(|region| *region != document.region) {
            return differs("region");
        }
        if detail.package_provider_collaborator_alias.is_some()
            && detail.package_provider()? != document.package_provider
        {
            return differs("package_provider_collaborator_alias");
        }
        if detail
            .creator
            .as_ref()
            .is_some_and(|creator| creator.collaborator_alias != document.creator.as_str())
        {
            return differs("creator");
        }
        if detail.collaborators.is_empty() {
            return Ok(());
        }
        let keys = |parties: &[Collaborator]| -> BTreeMap<Alias, String> {
            let keys =
                parties.iter().map(|party| (party.alias.clone(), party.public_key.to_string()));
            keys.collect()
        };
        // Of a collaborator without a key only the alias is said.
        let mut said = BTreeMap::new();
        for party in &detail.collaborators {
            let alias: Alias = party.alias()?;
            let present = document.collaborators.iter().find(|known| known.alias == alias);
            let key = match (&party.global_metastore_id, present) {
                (Some(id), _) => party.key(id, &document.region)?.to_string(),
                (None, Some(present)) => present.public_key.to_string(),
                (None, None) => return differs("list of collaborators"),
            };
            said.insert(alias, key);
        }
        if said == keys(&document.collaborators) {
            Ok(())
        } else {
            differs("list of collaborators")
        }
    }

    fn shared_output_said(&self) -> Option<bool> {
        let detail = self.remote_detailed_info.as_ref();
        detail.and_then(|detail| detail.enable_shared_output).or(self.enable_shared_output)
    }

    fn shared_output(&self) -> bool {
        self.shared_output_said().unwrap_or(false)
    }
}

impl RemoteDetail {
    /// What holds for every room here, and so cannot be asked otherwise.
    fn check_promises(&self) -> Result<(), Failure> {
        let vendor = self.cloud_vendor.as_deref().unwrap_or(CLOUD_VENDOR);
        if !vendor.eq_ignore_ascii_case(CLOUD_VENDOR) {
            return Err(Failure::invalid(format!(
                "the cloud_vendor of a room is `{CLOUD_VENDOR}`"
            )));
        }
        let profile = self.compliance_security_profile.as_ref();
        if profile.is_some_and(|asked| asked.is_enabled || !asked.compliance_standards.is_empty()) {
            return Err(Failure::invalid("there is no compliance_security_profile to enable"));
        }
        let access =
            self.egress_network_policy.as_ref().and_then(|policy| policy.internet_access.as_ref());
        let opens = |access: &InternetAccess| {
            !access.allowed_internet_destinations.is_empty()
                || !access.allowed_storage_destinations.is_empty()
                || access.log_only_mode.is_some()
                || access.restriction_mode.as_ref().is_some_and(|mode| mode != "RESTRICTED_ACCESS")
        };
        if access.is_some_and(opens) {
            return Err(Failure::invalid(
                "nothing leaves a run: the egress_network_policy is RESTRICTED_ACCESS without \
                 destinations, and cannot be another",
            ));
        }
        Ok(())
    }

    fn package_provider(&self) -> Result<Option<Alias>, Failure> {
        let alias =
            self.package_provider_collaborator_alias.as_ref().filter(|text| !text.is_empty());
        let read = |text: &String| {
            text.parse().map_err(|error| {
                Failure::invalid(format!("package_provider_collaborator_alias: {error}"))
            })
        };
        alias.map(read).transpose()
    }

    fn collaborators(&self, region: &str, me: &PublicKey) -> Result<Vec<Collaborator>, Failure> {
        let mut collaborators = Vec::new();
        for party in &self.collaborators {
            let invited =
                party.invite_recipient_email.as_ref().is_some_and(|mail| !mail.is_empty());
            let public_key = match &party.global_metastore_id {
                Some(id) => party.key(id, region)?,
                // The creator is the one whom nobody invites.
                None if !invited => *me,
                None => {
                    return Err(Failure::invalid(format!(
                        "collaborator {}: the global_metastore_id is needed: \
                         glovebox:{region}:<its public key>",
                        shown(&party.collaborator_alias)
                    )));
                }
            };
            let name = party.organization_name.as_ref().or(party.display_name.as_ref());
            let organisation = name.filter(|name| !name.is_empty());
            collaborators.push(Collaborator {
                alias: party.alias()?,
                organisation: organisation.unwrap_or(&party.collaborator_alias).clone(),
                public_key,
            });
        }
        Ok(collaborators)
    }
}

impl CollaboratorBody {
    fn alias(&self) -> Result<Alias, Failure> {
        let alias = self.collaborator_alias.parse();
        alias.map_err(|error| Failure::invalid(format!("collaborator_alias: {error}")))
    }

    /// The key in `glovebox:<region>:<public key>`.
    fn key(&self, id: &str, region: &str) -> Result<PublicKey, Failure> {
        let wrong = |why: &str| {
            Failure::invalid(format!(
                "collaborator {}: {why}: expected glovebox:{}:<public key>, found `{}`",
                shown(&self.collaborator_alias),
                shown(region),
                shown(id)
            ))
        };
        let rest = id.strip_prefix("glovebox:").ok_or_else(|| wrong("the global_metastore_id"))?;
        let (named, digits) =
            rest.rsplit_once(":ed25519:").ok_or_else(|| wrong("the global_metastore_id"))?;
        if named != region {
            return Err(wrong("the region is the room's"));
        }
        format!("ed25519:{digits}").parse().map_err(|_| wrong("the public key"))
    }
}

/// How a party is named where Databricks names metastores.
pub(super) fn metastore_id(region: &str, key: &PublicKey) -> String {
    format!("{CLOUD_VENDOR}:{region}:{key}")
}

fn standard_limits() -> Result<Limits, Failure> {
    toml::from_str(STANDARD_LIMITS).map_err(Failure::internal)
}
