//! Stands in for Delta Sharing until `sharing/` is there.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use glovebox_contract::name::RoomId;

use crate::app::App;

pub(crate) const ROUTES: &[(&str, &str)] = &[];

pub(crate) struct Sharing;

impl Sharing {
    pub(crate) fn new(_: [u8; 32], _: &Path) -> Self {
        Self
    }
}

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
}

pub(crate) async fn after_run(_: &Arc<App>, _: &RoomId) {}

pub(crate) async fn housekeep(_: &Arc<App>) {}
