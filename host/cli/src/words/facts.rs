//! Digests and sizes.

use glovebox_sandbox::Inspection;

use crate::terminal::{self, plain};

/// What names a component, how large it is, and what it was made with.
pub(crate) fn facts(inspection: &Inspection) -> String {
    let toolchain = inspection.manifest.as_ref().map(|manifest| plain(&manifest.toolchain));
    let toolchain = toolchain.filter(|toolchain| !toolchain.is_empty());
    let mut lines = vec![
        format!("blake3     {}", inspection.digest.blake3.to_hex()),
        format!("sha256     {}", inspection.digest.sha256.to_hex()),
        format!("size       {}", terminal::bytes(inspection.bytes)),
        format!(
            "world      {}",
            inspection.world.as_deref().unwrap_or("none that this host knows")
        ),
    ];
    lines.extend(toolchain.map(|toolchain| format!("toolchain  {toolchain}")));
    lines.join("\n")
}
