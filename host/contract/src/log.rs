//! The log of a room: a Merkle tree after RFC 6962 whose leaves name the envelopes.
//!
//! The tree makes two proofs short: that an entry is in the log (inclusion), and that a longer log
//! starts with a shorter one (consistency). Hashes are SHA-256 with RFC 6962's prefixes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::digest::Sha256Digest;
use crate::envelope::Envelope;
use crate::statement::Kind;

/// A hash of a leaf or a node.
pub type Hash = Sha256Digest;

const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// Why a proof cannot be made or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The log is shorter than the proof needs.
    #[error("the log has {size} entries, the proof is about {wanted}")]
    OutOfRange {
        /// Entries in the log.
        size: u64,
        /// Position or size that was asked for.
        wanted: u64,
    },
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root")]
    Mismatch,
}

/// The leaf data of an envelope: what kind of statement it is, and its digests.
pub fn leaf_data(kind: Kind, envelope: &Envelope) -> Vec<u8> {
    let digest = envelope.content_digest();
    format!("glovebox-entry-v1\n{kind}\n{}\n{}\n", digest.blake3, digest.sha256).into_bytes()
}

/// The hash of a leaf with this data.
pub fn leaf_hash(data: &[u8]) -> Hash {
    let mut bytes = Vec::with_capacity(data.len().saturating_add(1));
    bytes.push(LEAF_PREFIX);
    bytes.extend_from_slice(data);
    Hash::of(&bytes)
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = Vec::with_capacity(65);
    bytes.push(NODE_PREFIX);
    bytes.extend_from_slice(left.as_bytes());
    bytes.extend_from_slice(right.as_bytes());
    Hash::of(&bytes)
}

/// The hash of a hash as base64, as checkpoints write it.
pub(crate) fn to_base64(hash: &Hash) -> String {
    BASE64.encode(hash.as_bytes())
}

/// The leaves of a log, and roots and proofs over them.
#[derive(Debug, Clone, Default)]
pub struct Log {
    leaves: Vec<Hash>,
    /// Roots of the perfect subtrees from left to right, each with its height, so that the root
    /// after an append costs a logarithm.
    peaks: Vec<(u32, Hash)>,
}

impl Log {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the envelope of a statement of this kind.
    pub fn append(&mut self, kind: Kind, envelope: &Envelope) {
        self.append_leaf(&leaf_data(kind, envelope));
    }

    /// Adds a leaf with this data.
    pub fn append_leaf(&mut self, data: &[u8]) {
        let leaf = leaf_hash(data);
        self.leaves.push(leaf);
        let mut peak = (0_u32, leaf);
        while let Some((height, left)) = self.peaks.last().copied()
            && height == peak.0
        {
            self.peaks.pop();
            peak = (height.saturating_add(1), node_hash(&left, &peak.1));
        }
        self.peaks.push(peak);
    }

    /// Entries in the log.
    pub fn size(&self) -> u64 {
        u64::try_from(self.leaves.len()).unwrap_or(u64::MAX)
    }

    /// The root over all entries. An empty log has the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        match peaks.next() {
            None => Hash::of(&[]),
            Some(last) => peaks.fold(last, |right, left| node_hash(&left, &right)),
        }
    }

    /// The root when the log had `size` entries.
    ///
    /// # Errors
    /// When it never had so many.
    pub fn root_at(&self, size: u64) -> Result<Hash, ProofError> {
        self.first(size).map(subtree_root)
    }

    /// The hash of the leaf at `index`, from 0.
    pub fn leaf(&self, index: u64) -> Option<&Hash> {
        self.leaves.get(usize::try_from(index).ok()?)
    }

    /// Proves that the entry at `index` is among the first `size`: RFC 6962 `PATH(index, D[size])`.
    ///
    /// # Errors
    /// When the log has no such entry or size.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, ProofError> {
        let mut leaves = self.first(size)?;
        let out_of_range = ProofError::OutOfRange { size, wanted: index };
        if index >= size {
            return Err(out_of_range);
        }
        let mut index = usize::try_from(index).map_err(|_| out_of_range)?;
        let mut path = Vec::new();
        while leaves.len() > 1 {
            let (left, right) = split(leaves);
            if index < left.len() {
                path.push(subtree_root(right));
                leaves = left;
            } else {
                path.push(subtree_root(left));
                index = index.saturating_sub(left.len());
                leaves = right;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// Proves that the log of `new` entries starts with the log of `old`: RFC 6962
    /// `PROOF(old, D[new])`. Empty when `old` is 0 or equals `new`.
    ///
    /// # Errors
    /// When the log has no such sizes.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
        let mut leaves = self.first(new)?;
        let out_of_range = ProofError::OutOfRange { size: new, wanted: old };
        if old > new {
            return Err(out_of_range);
        }
        let mut old = usize::try_from(old).map_err(|_| out_of_range)?;
        let mut path = Vec::new();
        if old == 0 {
            return Ok(path);
        }
        let mut is_known = true;
        while old < leaves.len() {
            let (left, right) = split(leaves);
            if old <= left.len() {
                path.push(subtree_root(right));
                leaves = left;
            } else {
                path.push(subtree_root(left));
                old = old.saturating_sub(left.len());
                leaves = right;
                is_known = false;
            }
        }
        if !is_known {
            path.push(subtree_root(leaves));
        }
        path.reverse();
        Ok(path)
    }

    fn first(&self, size: u64) -> Result<&[Hash], ProofError> {
        usize::try_from(size)
            .ok()
            .and_then(|count| self.leaves.get(..count))
            .ok_or(ProofError::OutOfRange { size: self.size(), wanted: size })
    }
}

/// Splits more than one leaf at the largest power of two that leaves something on the right.
fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    let middle = leaves.len().div_ceil(2).next_power_of_two();
    leaves.split_at_checked(middle).unwrap_or((leaves, &[]))
}

fn subtree_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = split(leaves);
            node_hash(&subtree_root(left), &subtree_root(right))
        }
    }
}

/// Checks that the leaf with hash `leaf` stands at `index` in the log of `size` entries with this
/// root. The algorithm is that of RFC 9162, 2.1.3.2.
///
/// # Errors
/// When it does not, or the proof is not the one for this index and size.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { size, wanted: index });
    }
    let (mut node, mut last) = (index, size.saturating_sub(1));
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Mismatch);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(ProofError::Mismatch) }
}

/// Checks that the log of `new` entries with `new_root` starts with the log of `old` entries with
/// `old_root`. The algorithm is that of RFC 9162, 2.1.4.2.
///
/// # Errors
/// When it does not, or the proof is not the one for these sizes.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let holds = |condition| if condition { Ok(()) } else { Err(ProofError::Mismatch) };
    if old > new {
        return Err(ProofError::OutOfRange { size: new, wanted: old });
    }
    if old == new {
        return holds(proof.is_empty() && old_root == new_root);
    }
    if old == 0 {
        return holds(proof.is_empty() && *old_root == Hash::of(&[]));
    }
    let mut rest = proof.iter();
    let start = if old.is_power_of_two() { Some(old_root) } else { rest.next() };
    let Some(start) = start else { return Err(ProofError::Mismatch) };
    let (mut old_hash, mut new_hash) = (*start, *start);
    let (mut node, mut last) = (old.saturating_sub(1), new.saturating_sub(1));
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Mismatch);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    holds(last == 0 && old_hash == *old_root && new_hash == *new_root)
}
