//! Advertising ids of devices: UUIDs in lower case with their hyphens.

use alloc::string::String;

use crate::{Profile, Why};

const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

pub(crate) fn normalise(profile: Profile, value: &str) -> Result<String, Why> {
    match profile {
        // UID2 makes ids from addresses and numbers only.
        Profile::Uid2V1 => return Err(Why::NoRule),
        Profile::GoogleV1 | Profile::GoogleV2 | Profile::MetaV1 => {}
    }
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return Err(Why::Empty);
    }
    if !is_uuid(trimmed) {
        return Err(Why::NotAnId);
    }
    if trimmed.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
        return Err(Why::Opaque);
    }
    Ok(trimmed.to_ascii_lowercase())
}

fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    let right = |group: &str, digits: usize| {
        group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    GROUPS.into_iter().all(|digits| groups.next().is_some_and(|group| right(group, digits)))
        && groups.next().is_none()
}
