use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::reason::ReasonCode;
use proptest::prelude::*;

use super::{Nonce, Request, SignedHeaders, Verified, sign, sign_with, verify};
use crate::limits::MAX_SKEW_SECONDS;

const NOW: u64 = 1_790_000_000;
const REQUEST: Request<'static> = Request {
    method: "POST",
    path: "/v1/rooms",
    query: "page_size=10&page_token=a%2Fb",
    body: b"{\"a\":1}",
};

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn host() -> PublicKey {
    key(9).public()
}

fn signed(request: &Request<'_>) -> SignedHeaders {
    sign_with(request, &key(1), &host(), NOW, Nonce::from_bytes([0xab; 16])).unwrap()
}

fn accepts(request: &Request<'_>, headers: &SignedHeaders) -> bool {
    verify(request, headers, &host(), NOW).is_ok()
}

#[test]
fn the_form_is_constant() {
    insta::assert_snapshot!(
        {
            let SignedHeaders { content_digest, signature_input, signature } = signed(&REQUEST);
            format!("{content_digest}\n{signature_input}\n{signature}")
        },
        @r#"
    sha-256=:AVq9f1zFei3ZS3WQ8ErYCEJzkF7jPsXOvq5iJ2qX+GI=:
    glovebox=("@method" "@path" "@query" "content-digest");created=1790000000;nonce="abababababababababababababababab";keyid="ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";alg="ed25519";tag="glovebox-v1:ed25519:fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f618"
    glovebox=:0kNygGZv6D3YLJe5sDOefGuRfGAJllKY+J4/F+eN6EwOn65DkckWRbmDIZmUIzn2oE4vvYO+rNiHH2YOfirmBQ==:
    "#
    );
}

/// The vector is put together here by hand, with nothing of the code under test.
#[test]
fn a_signature_over_the_base_of_the_rfc_is_accepted() {
    let me = key(3);
    let parameters = format!(
        "(\"@method\" \"@path\" \"@query\" \"content-digest\");created={NOW};\
         nonce=\"000102030405060708090a0b0c0d0e0f\";keyid=\"{}\";alg=\"ed25519\";\
         tag=\"glovebox-v1:{}\"",
        me.public(),
        host()
    );
    // The digest of nothing, as RFC 9530 writes it.
    let digest = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    let base = [
        "\"@method\": GET",
        "\"@path\": /v1/rooms",
        "\"@query\": ?",
        &format!("\"content-digest\": {digest}"),
        &format!("\"@signature-params\": {parameters}"),
    ]
    .join("\n");
    let signature = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(me.sign(base.as_bytes()))
    };
    let headers = SignedHeaders {
        content_digest: digest.into(),
        signature_input: format!("glovebox={parameters}"),
        signature: format!("glovebox=:{signature}:"),
    };
    let request = Request { method: "GET", path: "/v1/rooms", query: "", body: b"" };
    let nonce = Nonce::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    let expected = Verified { key: me.public(), nonce, created: NOW };
    assert_eq!(verify(&request, &headers, &host(), NOW), Ok(expected));
    assert_eq!(sign_with(&request, &me, &host(), NOW, nonce), Ok(headers));
}

#[test]
fn nonces_differ() {
    let nonce = |_| {
        let headers = sign(&REQUEST, &key(1), &host(), NOW).unwrap();
        verify(&REQUEST, &headers, &host(), NOW).unwrap().nonce
    };
    let nonces: std::collections::BTreeSet<Nonce> = (0..100).map(nonce).collect();
    assert_eq!(nonces.len(), 100);
}

#[test]
fn a_changed_request_is_refused() {
    let headers = signed(&REQUEST);
    assert!(accepts(&REQUEST, &headers));
    for other in [
        Request { method: "PUT", ..REQUEST },
        Request { method: "post", ..REQUEST },
        Request { method: "", ..REQUEST },
        Request { path: "/v1/rooms/", ..REQUEST },
        Request { path: "/v1/ROOMS", ..REQUEST },
        Request { path: "", ..REQUEST },
        Request { query: "", ..REQUEST },
        Request { query: "page_size=10&page_token=a/b", ..REQUEST },
        Request { query: "page_token=a%2Fb&page_size=10", ..REQUEST },
        Request { query: "?page_size=10&page_token=a%2Fb", ..REQUEST },
        Request { body: b"", ..REQUEST },
        Request { body: b"{\"a\":2}", ..REQUEST },
        Request { body: b"{\"a\":1} ", ..REQUEST },
    ] {
        let error = verify(&other, &headers, &host(), NOW).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::Unauthenticated, "{other:?}");
    }
}

/// A path that holds a line end could take the place of the lines after it.
#[test]
fn lines_cannot_be_smuggled_in() {
    for request in [
        Request { path: "/v1/rooms\n\"@query\": ?a", ..REQUEST },
        Request { path: "/v1/rooms?a", ..REQUEST },
        Request { path: "/v1/ rooms", ..REQUEST },
        Request { path: "/v1/räume", ..REQUEST },
        Request { path: "v1/rooms", ..REQUEST },
        Request { query: "a\n\"content-digest\": b", ..REQUEST },
        Request { query: "a#b", ..REQUEST },
        Request { method: "GET\n", ..REQUEST },
    ] {
        assert!(sign(&request, &key(1), &host(), NOW).is_err(), "{request:?}");
        assert!(!accepts(&request, &signed(&REQUEST)), "{request:?}");
    }
}

#[test]
fn every_changed_byte_of_a_header_is_refused() {
    type Header = fn(&mut SignedHeaders) -> &mut String;
    let headers = signed(&REQUEST);
    let all: [Header; 3] = [
        |headers| &mut headers.content_digest,
        |headers| &mut headers.signature_input,
        |headers| &mut headers.signature,
    ];
    for header in all {
        let text = header(&mut headers.clone()).clone();
        for at in 0..text.len() {
            for by in [1, 0x20] {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= by;
                let mut other = headers.clone();
                *header(&mut other) = String::from_utf8(bytes).unwrap();
                assert!(!accepts(&REQUEST, &other), "byte {at}: {other:?}");
            }
            let mut shorter = headers.clone();
            header(&mut shorter).remove(at);
            assert!(!accepts(&REQUEST, &shorter), "without byte {at}: {shorter:?}");
        }
        for around in [" {}", "{} ", "{}, {}", "{};a", "a={}, {}", "{}\n"] {
            let mut other = headers.clone();
            *header(&mut other) = around.replace("{}", &text);
            assert!(!accepts(&REQUEST, &other), "{other:?}");
        }
    }
}

#[test]
fn other_spellings_of_the_same_are_refused() {
    // Each is signed properly; only the form is another.
    let resigned = |from: &str, to: &str| {
        let mut headers = signed(&REQUEST);
        assert!(headers.signature_input.contains(from), "{from}");
        headers.signature_input = headers.signature_input.replacen(from, to, 1);
        let text = headers.signature_input.strip_prefix("glovebox=").unwrap().to_owned();
        let base = super::base::of(&REQUEST, &headers.content_digest, &text);
        headers.signature = super::form::signature(&key(1).sign(base.as_bytes()));
        headers
    };
    assert!(accepts(&REQUEST, &resigned("created", "created")));
    for (from, to) in [
        ("created=", "created=0"),
        ("created=", "created=+"),
        ("nonce=\"abab", "nonce=\"ABab"),
        ("nonce=\"ab", "nonce=\""),
        (";alg=\"ed25519\"", ""),
        ("ed25519\";tag", "ED25519\";tag"),
        ("\"@query\" ", ""),
        ("\"@method\" \"@path\"", "\"@path\" \"@method\""),
        ("\"content-digest\"", "\"content-digest\" \"date\""),
        (";created", " ;created"),
        (";nonce", ";expires=1;nonce"),
        ("keyid=\"ed25519:", "keyid=\"ed25519:0x"),
        ("glovebox-v1:", "glovebox-v2:"),
    ] {
        assert!(!accepts(&REQUEST, &resigned(from, to)), "{from} -> {to}");
    }
}

#[test]
fn a_request_is_good_for_a_while() {
    let headers = signed(&REQUEST);
    for (now, expect) in [
        (NOW, true),
        (NOW - MAX_SKEW_SECONDS, true),
        (NOW + MAX_SKEW_SECONDS, true),
        (NOW - MAX_SKEW_SECONDS - 1, false),
        (NOW + MAX_SKEW_SECONDS + 1, false),
        (0, false),
        (u64::MAX, false),
    ] {
        assert_eq!(verify(&REQUEST, &headers, &host(), now).is_ok(), expect, "{now}");
    }
}

#[test]
fn a_request_is_for_one_host() {
    let headers = signed(&REQUEST);
    let error = verify(&REQUEST, &headers, &key(8).public(), NOW).unwrap_err();
    assert_eq!(error.to_string(), "the request is signed for another host");
}

#[test]
fn the_named_key_must_have_signed() {
    let mine = signed(&REQUEST);
    let theirs = sign(&REQUEST, &key(2), &host(), NOW).unwrap();
    let mixed = SignedHeaders { signature: theirs.signature.clone(), ..mine.clone() };
    assert!(!accepts(&REQUEST, &mixed));
    let mixed = SignedHeaders { signature_input: theirs.signature_input, ..mine };
    assert!(!accepts(&REQUEST, &mixed));
    // The neutral point, under which some verifiers take signatures that nobody made.
    let weak = format!("ed25519:01{}", "00".repeat(31));
    let mut headers = signed(&REQUEST);
    headers.signature_input = headers.signature_input.replace(&key(1).public().to_string(), &weak);
    let error = verify(&REQUEST, &headers, &host(), NOW).unwrap_err();
    assert_eq!(error.to_string(), "the key of the signature is not usable");
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_nothing_else_does(
        method in "[A-Z]{1,8}",
        path in "/[!-\"$->@-~]{0,40}",
        query in "[!-\"$-~]{0,40}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
        other in proptest::collection::vec(any::<u8>(), 0..200),
        seed in any::<[u8; 32]>(),
        created in 1_000_u64..u64::MAX / 2,
    ) {
        let request = Request { method: &method, path: &path, query: &query, body: &body };
        let key = PrivateKey::from_seed(&seed);
        let headers = sign(&request, &key, &host(), created).unwrap();
        let verified = verify(&request, &headers, &host(), created).unwrap();
        prop_assert_eq!((verified.key, verified.created), (key.public(), created));
        let changed = Request { body: &other, ..request };
        prop_assert_eq!(verify(&changed, &headers, &host(), created).is_ok(), body == other);
    }

    #[test]
    fn no_text_makes_it_panic(
        content_digest in ".*",
        signature_input in "(glovebox=)?(\\(\"@method\" \"@path\" \"@query\" \"content-digest\"\\))?.*",
        signature in "(glovebox=:)?.*",
        path in ".*",
    ) {
        let headers = SignedHeaders { content_digest, signature_input, signature };
        let request = Request { path: &path, ..REQUEST };
        prop_assert!(verify(&request, &headers, &host(), NOW).is_err());
    }
}
