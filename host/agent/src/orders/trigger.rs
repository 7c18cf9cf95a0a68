//! What may ask for a run from outside.

use std::collections::BTreeSet;

use glovebox_contract::name::{AssetName, Identifier};

use crate::secret::TokenDigest;

/// Lets whoever has its token start an order.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Its name, which is in its address.
    pub name: AssetName,
    /// The order that it starts.
    pub order: AssetName,
    /// The parameters that may be given with it.
    pub accepts: BTreeSet<Identifier>,
    /// Of its token.
    pub(crate) token: TokenDigest,
}
