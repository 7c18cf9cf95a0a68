//! A party of a room.

use crate::key::PublicKey;
use crate::name::Alias;
use crate::statement::Collaborator;

/// A collaborator and where it stands.
#[derive(Debug, Clone)]
pub struct Member {
    collaborator: Collaborator,
    accepted: bool,
    former_keys: Vec<PublicKey>,
    public_key: PublicKey,
    statements: u64,
}

impl Member {
    pub(super) fn new(collaborator: &Collaborator, creator: &Alias) -> Self {
        let is_creator = collaborator.alias == *creator;
        Self {
            accepted: is_creator,
            former_keys: Vec::new(),
            public_key: collaborator.public_key,
            statements: u64::from(is_creator),
            collaborator: collaborator.clone(),
        }
    }

    /// Its alias.
    pub fn alias(&self) -> &Alias {
        &self.collaborator.alias
    }

    /// Its name for people.
    pub fn organisation(&self) -> &str {
        &self.collaborator.organisation
    }

    /// Whether it has accepted the room.
    pub fn has_accepted(&self) -> bool {
        self.accepted
    }

    /// The key it signs with now.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The keys it signed with before, oldest first.
    pub fn former_keys(&self) -> &[PublicKey] {
        &self.former_keys
    }

    /// The number of its next statement.
    pub fn next_sequence(&self) -> u64 {
        self.statements.saturating_add(1)
    }

    pub(super) fn has_used(&self, key: &PublicKey) -> bool {
        self.public_key == *key || self.former_keys.contains(key)
    }

    pub(super) fn accept(&mut self) {
        self.accepted = true;
    }

    pub(super) fn rotate(&mut self, key: PublicKey) {
        self.former_keys.push(std::mem::replace(&mut self.public_key, key));
    }

    pub(super) fn count_statement(&mut self) {
        self.statements = self.statements.saturating_add(1);
    }
}
