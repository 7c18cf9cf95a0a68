//! The profiles, by the examples in `policies/join-keys/vectors.txt`.

use std::fmt::Write as _;

use glovebox_join_keys::{InvalidValue, KeyKind, Profile, RoomKey, hash, keyed_hash, normalise};

const VECTORS: &str = include_str!("../../../policies/join-keys/vectors.txt");

fn room_key() -> RoomKey {
    RoomKey::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap()))
}

fn outcome(result: Result<String, InvalidValue>) -> String {
    result.unwrap_or_else(|error| format!("refused {}", error.why().as_str()))
}

/// What one line of the table asks for, and what came of it.
fn judge(line: &str) -> (String, String) {
    let fields: Vec<_> = line.split('|').map(str::trim).collect();
    let head: Vec<_> = fields[0].split_whitespace().collect();
    let [.., profile, kind] = head[..] else { panic!("{line}") };
    let (profile, kind): (Profile, KeyKind) = (profile.parse().unwrap(), kind.parse().unwrap());
    let input: String = serde_json::from_str(fields[1]).unwrap();
    match fields[2..] {
        [keyed] if head[0] == "keyed" => {
            (keyed.into(), outcome(keyed_hash(&room_key(), profile, kind, &input)))
        }
        ["refused", why] => (format!("refused {why}"), outcome(hash(profile, kind, &input))),
        [normal, hashed] => (
            format!("{normal} {hashed}"),
            format!(
                "{} {}",
                outcome(normalise(profile, kind, &input)),
                outcome(hash(profile, kind, &input))
            ),
        ),
        _ => panic!("{line}"),
    }
}

#[test]
fn every_vector_has_its_outcome() {
    let mut wrong = String::new();
    let mut cases = 0;
    for line in VECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (expect, got) = judge(line);
        if expect != got {
            writeln!(wrong, "{line}\n  got {got}").unwrap();
        }
        cases += 1;
    }
    assert!(cases >= 100, "only {cases} cases");
    assert_eq!(wrong, "");
}

#[test]
fn a_key_file_is_read_as_it_was_written_and_in_no_other_form() {
    let file = room_key().to_file();
    assert_eq!(file.parse::<RoomKey>().unwrap(), room_key());
    let digits = file.trim_end();
    for wrong in [
        "",
        "\n",
        &format!("{digits}0"),
        &digits[..digits.len() - 1],
        &format!("{digits}\n\n"),
        &digits.to_uppercase(),
        &digits.replace("0001", "0g01"),
        "glovebox-private-key ed25519:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    ] {
        assert!(wrong.parse::<RoomKey>().is_err(), "{wrong:?}");
    }
    assert!(!format!("{:?}", room_key()).contains("000102"));
}

#[test]
fn a_profile_without_a_version_is_the_newest() {
    let check = |name: &str, expect| assert_eq!(name.parse::<Profile>().unwrap(), expect);
    check("uid2", Profile::Uid2V1);
    check("google", Profile::GoogleV2);
    check("google/1", Profile::GoogleV1);
    check("meta", Profile::MetaV1);
    for profile in Profile::ALL {
        assert_eq!(format!("{}/{}", profile.name(), profile.version()), profile.as_str());
    }
    for unknown in ["", "UID2", "uid2/2", "uid2/", "liveramp", "meta/1 "] {
        assert!(unknown.parse::<Profile>().is_err(), "{unknown:?}");
    }
}
