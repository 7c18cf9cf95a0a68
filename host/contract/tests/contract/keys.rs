//! Keys and signatures have one form each.

use glovebox_contract::key::{PrivateKey, PublicKey};

use crate::support::{key, parse};

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn rfc_8032_test_1() {
    let seed = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let key = PrivateKey::from_seed(&seed.try_into().unwrap());
    assert_eq!(
        key.public().to_string(),
        "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    );
    assert_eq!(
        key.sign(b"").to_vec(),
        unhex(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
             5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        )
    );
}

#[test]
fn public_keys_that_are_not_one_canonical_point_of_the_prime_order_group_are_refused() {
    let check = |hex: &str, expected: &str| {
        let error = format!("ed25519:{hex}").parse::<PublicKey>().unwrap_err().to_string();
        assert!(error.contains(expected), "{hex}: {error}");
    };
    // The neutral element, and it once more as y = p + 1.
    check("0100000000000000000000000000000000000000000000000000000000000000", "prime-order group");
    check("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "not canonical");
    // A point of order 8, and points of mixed order (speccheck of "Taming the many EdDSAs").
    check("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "prime-order group");
    check("f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43", "prime-order group");
    check("cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d", "prime-order group");
    // No point, upper case, too short.
    check("0200000000000000000000000000000000000000000000000000000000000000", "not a curve point");
    check("D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A", "lower-case hex");
    check("d75a98", "64");
}

/// Adds the group order to the scalar of a signature: the classic second form.
fn malleated(signature: &[u8; 64]) -> [u8; 64] {
    let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut changed = *signature;
    let mut carry = 0_u16;
    for (byte, add) in changed[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    changed
}

#[test]
fn a_signature_has_one_form_one_key_and_one_message() {
    let key_of_airline = key("airline");
    let signature = key_of_airline.sign(b"message");
    let holds = |message: &[u8], signature: &[u8; 64], of: &str| {
        key(of).public().verify(message, signature).is_ok()
    };
    assert!(holds(b"message", &signature, "airline"));
    assert!(!holds(b"massage", &signature, "airline"));
    assert!(!holds(b"message", &signature, "weather"));
    assert!(!holds(b"message", &malleated(&signature), "airline"));
    for bit in 0..512 {
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!holds(b"message", &changed, "airline"), "bit {bit}");
    }
}

#[test]
fn a_key_file_is_one_line_and_never_shown() {
    let key = key("airline");
    let file = key.to_file();
    assert_eq!(PrivateKey::from_file(&file).unwrap().public(), key.public());
    assert_eq!(PrivateKey::from_file(file.trim_end()).unwrap().public(), key.public());
    let hex = file.trim_end().rsplit(':').next().unwrap();
    assert!(!format!("{key:?}").contains(hex));
    for wrong in ["", "ed25519:00", &format!("{file}\n"), &format!(" {file}"), &file.to_uppercase()]
    {
        let error = PrivateKey::from_file(wrong).unwrap_err().to_string();
        assert!(error.contains("one line") && !error.contains(hex), "{error}");
    }
}

#[test]
fn a_key_id_is_the_sha256_of_the_public_key() {
    let public: PublicKey =
        parse("ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let expected = glovebox_contract::digest::Sha256Digest::of(public.as_bytes()).to_hex();
    assert_eq!(public.id().to_string(), expected);
}
