//! One function a door: bytes in, whether they were taken. What is taken must hold together.

use glovebox_contract::bundle::{Bundle, Expectations, verify};
use glovebox_contract::canonical;
use glovebox_contract::column::ColumnType;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::manifest::Manifest;

const MAX_BYTES: usize = 1 << 20;

/// A statement in its envelope, from any party or stranger.
pub(crate) fn envelope(bytes: &[u8]) -> bool {
    let Ok(envelope) = Envelope::from_bytes(bytes) else { return false };
    assert_eq!(envelope.to_bytes(), bytes, "another encoding says the same");
    let _ = envelope.unverified();
    let _ = envelope.verify(&PrivateKey::from_seed(&[7; 32]).public());
    true
}

/// A room's history, from whoever hands it to an auditor.
pub(crate) fn bundle(bytes: &[u8]) -> bool {
    let Ok(bundle) = Bundle::from_bytes(bytes) else { return false };
    assert_eq!(bundle.to_bytes().expect("it was read"), bytes, "another encoding says the same");
    let _ = verify(bytes, &Expectations::default());
    true
}

/// What a component says about itself.
pub(crate) fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = canonical::decode::<Manifest>(bytes, MAX_BYTES) else { return false };
    assert_eq!(canonical::encode(&manifest).expect("it was read"), bytes);
    manifest.validate().is_ok()
}

/// A component, before anything of it is compiled.
pub(crate) fn component(bytes: &[u8]) -> bool {
    let _ = glovebox_build::verify_sql(bytes);
    let Ok(inspection) = glovebox_sandbox::inspect(bytes) else { return false };
    assert_eq!(inspection.digest, ContentDigest::of(bytes));
    if let Some(manifest) = &inspection.manifest {
        manifest.validate().expect("it was inspected");
    }
    true
}

/// The text of an SQL notebook, as its author builds it.
pub(crate) fn notebook(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(built) = glovebox_build::build_sql(text) else { return false };
    assert!(glovebox_build::verify_sql(built.bytes()), "what was built is not what is verified");
    assert!(glovebox_sandbox::inspect(built.bytes()).is_ok(), "built, but no room takes it");
    true
}

/// The type of a column, in a manifest, a statement or from a guest.
pub(crate) fn column_type(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(parsed) = text.parse::<ColumnType>() else { return false };
    let shown = parsed.to_string();
    assert_eq!(shown.parse().as_ref(), Ok(&parsed), "{shown}");
    true
}
