//! What holds for every text.

use glovebox_join_keys::{KeyKind, Profile, RoomKey, hash, keyed_hash, normalise};
use proptest::prelude::*;
use proptest::sample::select;

fn profile() -> impl Strategy<Value = Profile> {
    select(&Profile::ALL[..])
}

fn kind() -> impl Strategy<Value = KeyKind> {
    select(&KeyKind::ALL[..])
}

/// Any text, and texts that are nearly what they should be.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r"[ \t]{0,2}[A-Za-zİΣſ.+@ ]{0,12}@(gmail|GoogleMail|exAmple)\.[cC]om[ \u{a0}]{0,2}",
        r"[+(]?[0-9() ./+\-٣a]{0,20}",
        "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn normalising_twice_changes_nothing(profile in profile(), kind in kind(), value in value()) {
        if let Ok(once) = normalise(profile, kind, &value) {
            prop_assert_eq!(normalise(profile, kind, &once), Ok(once));
        }
    }

    #[test]
    fn the_hash_is_that_of_the_normal_form(profile in profile(), kind in kind(), value in value()) {
        match normalise(profile, kind, &value) {
            Ok(normal) => prop_assert_eq!(hash(profile, kind, &value), hash(profile, kind, &normal)),
            Err(error) => prop_assert_eq!(hash(profile, kind, &value), Err(error)),
        }
    }

    #[test]
    fn case_and_surrounding_space_never_matter(profile in profile(), name in "[a-z.]{1,8}", domain in "[a-z]{1,8}") {
        let address = format!("{name}@{domain}.com");
        let shouted = format!(" \t{}\n", address.to_uppercase());
        prop_assert_eq!(
            hash(profile, KeyKind::Email, &address),
            hash(profile, KeyKind::Email, &shouted)
        );
    }

    #[test]
    fn punctuation_of_a_number_never_matters(profile in profile(), digits in "[1-9][0-9]{9,14}") {
        let (front, back) = digits.split_at(4);
        let plain = hash(profile, KeyKind::Phone, &digits);
        prop_assert!(plain.is_ok());
        for spelt in [format!("+{digits}"), format!("+{front} {back}"), format!(" {front}-({back})")] {
            prop_assert_eq!(&hash(profile, KeyKind::Phone, &spelt), &plain);
        }
    }

    #[test]
    fn another_key_profile_or_kind_is_another_hash(one in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        let number = "+441134960987";
        let hashed = |key, profile, kind| keyed_hash(&RoomKey::from_bytes(key), profile, kind, number);
        let first = hashed(one, Profile::Uid2V1, KeyKind::Phone).unwrap();
        prop_assert_ne!(&hashed(one, Profile::GoogleV2, KeyKind::Phone).unwrap(), &first);
        if one != other {
            prop_assert_ne!(&hashed(other, Profile::Uid2V1, KeyKind::Phone).unwrap(), &first);
        }
    }

    #[test]
    fn an_error_does_not_show_the_value(profile in profile(), kind in kind(), secret in "[qxz]{6,20}") {
        let error = hash(profile, kind, &secret).unwrap_err();
        let shown = format!("{error} {error:?}");
        prop_assert!(!shown.contains(&secret));
    }
}
