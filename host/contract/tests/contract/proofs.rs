//! The tree, against the vectors of certificate-transparency, and the proofs over it.

use glovebox_contract::checkpoint::{Checkpoint, origin};
use glovebox_contract::log::{
    Hash, Log, ProofError, leaf_data, verify_consistency, verify_inclusion,
};
use glovebox_contract::statement::Kind;

use crate::support::{Room, key, parse};

/// The leaves of certificate-transparency's test data.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

fn log_of(count: usize) -> Log {
    let mut log = Log::new();
    LEAVES.iter().cycle().take(count).for_each(|leaf| log.append_leaf(leaf));
    log
}

fn hash(hex: &str) -> Hash {
    parse(&format!("sha256:{hex}"))
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    let check = |count: usize, root: &str| {
        assert_eq!(log_of(count).root(), hash(root), "{count}");
        assert_eq!(log_of(8).root_at(count as u64), Ok(hash(root)), "{count}");
    };
    check(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    check(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    check(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    check(4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7");
    check(5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4");
    check(6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef");
    check(7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c");
    check(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

#[test]
fn proofs_are_those_of_certificate_transparency() {
    let hashes = |proof: &[&str]| proof.iter().map(|hex| hash(hex)).collect::<Vec<_>>();
    let log = log_of(8);
    assert_eq!(
        log.inclusion_proof(0, 8).unwrap(),
        hashes(&[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ])
    );
    assert_eq!(
        log.consistency_proof(6, 8).unwrap(),
        hashes(&[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ])
    );
}

/// Every way to damage a proof that keeps it a list of hashes.
fn damaged(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let other = Hash::of(b"other");
    let mut all = vec![[proof, &[other]].concat(), [&[other], proof].concat()];
    for at in 0..proof.len() {
        let mut changed = proof.to_vec();
        changed[at] = other;
        all.push(changed);
        let mut shorter = proof.to_vec();
        shorter.remove(at);
        all.push(shorter);
        let mut swapped = proof.to_vec();
        swapped.rotate_left(1);
        if swapped != proof {
            all.push(swapped);
        }
    }
    all
}

#[test]
fn every_inclusion_proof_holds_and_no_other() {
    let log = log_of(33);
    for size in 1..=33 {
        let root = log.root_at(size).unwrap();
        for index in 0..size {
            let leaf = *log.leaf(index).unwrap();
            let proof = log.inclusion_proof(index, size).unwrap();
            assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));
            for wrong in damaged(&proof) {
                assert!(
                    verify_inclusion(&leaf, index, size, &wrong, &root).is_err(),
                    "{index} {size}"
                );
            }
            let other = Hash::of(b"leaf");
            assert!(verify_inclusion(&other, index, size, &proof, &root).is_err());
            assert!(verify_inclusion(&leaf, size, size, &proof, &root).is_err());
        }
    }
    assert_eq!(log.inclusion_proof(5, 5), Err(ProofError::OutOfRange { size: 5, wanted: 5 }));
    assert_eq!(log.inclusion_proof(0, 34), Err(ProofError::OutOfRange { size: 33, wanted: 34 }));
}

#[test]
fn every_consistency_proof_holds_and_no_other() {
    let log = log_of(33);
    let other = Hash::of(b"root");
    for new in 0..=33 {
        let new_root = log.root_at(new).unwrap();
        for old in 0..=new {
            let old_root = log.root_at(old).unwrap();
            let proof = log.consistency_proof(old, new).unwrap();
            assert_eq!(
                verify_consistency(old, &old_root, new, &new_root, &proof),
                Ok(()),
                "{old} {new}"
            );
            assert!(
                verify_consistency(old, &other, new, &new_root, &proof).is_err(),
                "{old} {new}"
            );
            for wrong in damaged(&proof) {
                assert!(
                    verify_consistency(old, &old_root, new, &new_root, &wrong).is_err(),
                    "{old} {new}"
                );
            }
            if old > 0 {
                assert!(
                    verify_consistency(old, &old_root, new, &other, &proof).is_err(),
                    "{old} {new}"
                );
            }
        }
    }
    assert!(verify_consistency(3, &other, 2, &other, &[]).is_err());
    assert!(log.consistency_proof(3, 2).is_err());
}

#[test]
fn a_leaf_names_kind_and_digests() {
    let room = Room::accepted();
    let digest = room.entries[1].content_digest();
    let expected = format!("glovebox-entry-v1\naccept\n{}\n{}\n", digest.blake3, digest.sha256);
    assert_eq!(leaf_data(Kind::Accept, &room.entries[1]), expected.into_bytes());
}

#[test]
fn a_checkpoint_is_one_text_for_one_room_and_one_key() {
    let room = Room::accepted();
    let id = *room.state.id();
    let host = key("host");
    let log = log_of(5);
    let note = Checkpoint::of(&id, &log).sign(&host);
    let lines: Vec<&str> = note.lines().collect();
    assert_eq!(lines[0], origin(&id));
    assert_eq!(lines[0], format!("glovebox/room/{}", id.0.to_hex()));
    assert_eq!(lines[1..4], ["5", "Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=", ""]);
    assert!(lines[4].starts_with(&format!("\u{2014} {} ", origin(&id))));

    let read = Checkpoint::verify(&note, &id, &host.public()).unwrap();
    assert_eq!((read.room(), read.size(), *read.root()), (&id, 5, log.root()));

    let check = |note: &str, expected: &str| {
        let error = Checkpoint::verify(note, &id, &host.public()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&note.replace("\n5\n", "\n6\n"), "does not verify");
    check(&note.replace("\n5\n", "\n05\n"), "not a checkpoint");
    check(&note.replace("\n5\n", "\n+5\n"), "not a checkpoint");
    check(&note.replace("Tju7", "Uju7"), "does not verify");
    check(&note.replace("ZNQ=", "ZNR="), "not a checkpoint");
    check(note.trim_end(), "not a checkpoint");
    check(&format!("{note}{}\n", lines[4]), "not a checkpoint");
    check(&note.replace("\n\n", "\nextra\n\n"), "not a checkpoint");
    check(&"x".repeat(2000), "too long");
    check(&Checkpoint::of(&id, &log).sign(&key("airline")), "another key");
    let other =
        glovebox_contract::name::RoomId(glovebox_contract::digest::Blake3Digest::of(b"other"));
    check(&Checkpoint::of(&other, &log).sign(&host), "another room");
}
