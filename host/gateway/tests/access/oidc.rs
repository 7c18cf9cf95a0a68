//! JWTs against a tiny issuer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use glovebox_gateway::access::{
    Access, AccessError, Action, Kind, OidcConfig, Principal, Privilege, Scope, UserClaim,
};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::{Gateway, START, in_room};

const RSA_1: &str = include_str!("keys/rsa-1.pem");
const RSA_1_PUBLIC: &str = include_str!("keys/rsa-1.pub.pem");
const RSA_2: &str = include_str!("keys/rsa-2.pem");
const EC: &str = include_str!("keys/ec.pem");
const ED: &str = include_str!("keys/ed.pem");

/// An issuer on loopback: what it answers can be changed, and it counts.
#[derive(Clone)]
struct Issuer {
    url: String,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<AtomicU64>,
}

struct Answers {
    status: &'static str,
    issuer: String,
    jwks_uri: String,
    keys: Value,
}

impl Issuer {
    fn start(keys: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Answers {
            status: "200 OK",
            issuer: url.clone(),
            jwks_uri: format!("{url}/keys"),
            keys: json!({ "keys": keys }),
        };
        let issuer = Self {
            url,
            answers: Arc::new(Mutex::new(answers)),
            asked: Arc::new(AtomicU64::new(0)),
        };
        let serving = issuer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serving.answer(stream.unwrap());
            }
        });
        issuer
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        let answers = self.answers.lock().unwrap();
        let body = match first.split(' ').nth(1).unwrap() {
            "/.well-known/openid-configuration" => {
                json!({ "issuer": answers.issuer, "jwks_uri": answers.jwks_uri }).to_string()
            }
            "/keys" => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                answers.keys.to_string()
            }
            other => panic!("asked for {other}"),
        };
        let status = answers.status;
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nlocation: /keys\r\nconnection: close\r\n\r\n{body}"
        );
        // The client may have heard enough.
        let _gone = stream.write_all(answer.as_bytes());
    }

    fn change(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().unwrap());
    }

    fn publish(&self, keys: Value) {
        self.change(|answers| answers.keys = json!({ "keys": keys }));
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn config(&self) -> OidcConfig {
        OidcConfig {
            issuer: self.url.clone(),
            audience: "glovebox".into(),
            user_claim: UserClaim::Subject,
            groups_claim: Some("groups".into()),
            ca: None,
        }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": "glovebox", "sub": "u-1", "exp": START + 300,
            "iat": START, "nbf": START, "groups": ["g-1", "g-unknown"],
        })
    }
}

fn rsa(pem: &str) -> EncodingKey {
    EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
}

/// The public half of a key, as an issuer publishes it.
fn published(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    jwk["kid"] = kid.into();
    jwk["use"] = "sig".into();
    jwk
}

fn rsa_keys(pems: &[(&str, &str)]) -> Value {
    pems.iter().map(|(kid, pem)| published(&rsa(pem), Algorithm::RS256, kid)).collect()
}

fn header(algorithm: Algorithm, kid: &str) -> Header {
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.into());
    header
}

fn signed(claims: &Value) -> String {
    encode(&header(Algorithm::RS256, "k1"), claims, &rsa(RSA_1)).unwrap()
}

/// `alice` is `u-1` at the issuer, `analysts` is `g-1` and may read.
fn gateway(config: OidcConfig) -> Gateway {
    let gateway = Gateway::with(|all| all.oidc = Some(config));
    gateway.add_known_as(Kind::User, "alice", Some("u-1"));
    gateway.add_known_as(Kind::ServicePrincipal, "etl", Some("client-7"));
    gateway.add_known_as(Kind::Group, "analysts", Some("g-1"));
    gateway.add(Kind::Group, "g-unknown");
    gateway.grant("analysts", Privilege::Browse, &Scope::Gateway);
    gateway.grant("g-unknown", Privilege::Manage, &Scope::Gateway);
    gateway
}

fn one_key() -> (Issuer, Gateway) {
    let issuer = Issuer::start(rsa_keys(&[("k1", RSA_1)]));
    let gateway = gateway(issuer.config());
    (issuer, gateway)
}

fn refused(gateway: &Gateway, token: &str) -> (u16, String) {
    let error: AccessError = gateway.authenticate(token).unwrap_err();
    (error.status(), gateway.last_reason())
}

#[test]
fn a_good_jwt_is_its_principal_with_the_groups_it_names() {
    let (issuer, gateway) = one_key();
    let token = signed(&issuer.claims());
    let principal: Principal = gateway.authenticate(&token).unwrap();
    assert_eq!((principal.name().as_str(), principal.kind()), ("alice", Kind::User));
    gateway.ask(&token, Action::ReadRoom, &in_room("a")).unwrap();
    // A group that only bears the name of one at the issuer is not it.
    gateway.ask(&token, Action::ExecuteTask, &in_room("a")).unwrap_err();
    let mut claims = issuer.claims();
    claims["groups"] = json!([]);
    gateway.ask(&signed(&claims), Action::ReadRoom, &in_room("a")).unwrap_err();
    claims["sub"] = "client-7".into();
    let program = gateway.authenticate(&signed(&claims)).unwrap();
    assert_eq!((program.name().as_str(), program.kind()), ("etl", Kind::ServicePrincipal));
    assert_eq!(issuer.asked(), 1, "the keys are kept");
}

#[test]
fn claims_are_checked() {
    let (issuer, gateway) = one_key();
    let set = |claim: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[claim] = value;
        claims
    };
    let without = |claim: &str| {
        let mut claims = issuer.claims();
        claims.as_object_mut().unwrap().remove(claim);
        claims
    };
    for claims in [
        issuer.claims(),
        set("aud", json!(["other", "glovebox"])),
        set("exp", json!(START - 59)),
        set("exp", json!(START as f64 + 0.5)),
        set("nbf", json!(START + 60)),
        set("iat", json!(START + 60)),
        without("nbf"),
        without("iat"),
        without("groups"),
        set("groups", json!(["g-1", 7, null])),
    ] {
        gateway.authenticate(&signed(&claims)).unwrap_or_else(|error| panic!("{claims}: {error}"));
    }
    let many: Value = (0..501).map(|n| format!("g-{n}")).collect();
    for (claims, reason) in [
        (set("aud", json!("other")), "a JWT that fails: InvalidAudience"),
        (set("aud", json!(["other"])), "a JWT that fails: InvalidAudience"),
        (set("aud", json!([])), "a JWT that fails: InvalidAudience"),
        (without("aud"), "a JWT that fails: Missing required claim: aud"),
        (set("iss", json!("https://issuer.example")), "a JWT that fails: InvalidIssuer"),
        (set("iss", json!(format!("{}/", issuer.url))), "a JWT that fails: InvalidIssuer"),
        (without("iss"), "a JWT that fails: Missing required claim: iss"),
        (set("exp", json!(START - 60)), "a JWT that is expired"),
        (set("exp", json!(0)), "a JWT that is expired"),
        (set("exp", json!(-1)), "a JWT that fails: Missing required claim: exp"),
        (set("exp", json!("never")), "a JWT that fails: Missing required claim: exp"),
        (set("exp", json!(1e300)), "a JWT that fails: Missing required claim: exp"),
        (without("exp"), "a JWT that fails: Missing required claim: exp"),
        (set("nbf", json!(START + 61)), "a JWT whose nbf lies ahead"),
        (set("nbf", json!("now")), "a JWT whose nbf is not a time"),
        (set("nbf", Value::Null), "a JWT whose nbf is not a time"),
        (set("iat", json!(START + 61)), "a JWT whose iat lies ahead"),
        (set("sub", json!("u-2")), "no principal has the subject u-2"),
        (set("sub", json!("g-1")), "no principal has the subject g-1"),
        (set("sub", json!("alice")), "no principal has the subject alice"),
        (set("sub", json!("")), "a JWT without the claim sub"),
        (set("sub", json!(7)), "a JWT that fails: Missing required claim: sub"),
        (without("sub"), "a JWT that fails: Missing required claim: sub"),
        (set("groups", json!("g-1")), "a JWT whose groups are no short list"),
        (set("groups", many), "a JWT whose groups are no short list"),
    ] {
        // Each at a new gateway, so that the limit of failures does not hide the reason.
        let fresh = self::gateway(issuer.config());
        assert_eq!(refused(&fresh, &signed(&claims)), (401, reason.into()), "{claims}");
    }
}

#[test]
fn a_jwt_ends_with_its_time() {
    let (issuer, gateway) = one_key();
    let token = signed(&issuer.claims());
    gateway.later(359);
    gateway.authenticate(&token).unwrap();
    gateway.later(1);
    assert_eq!(refused(&gateway, &token), (401, "a JWT that is expired".into()));
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[test]
fn algorithms_are_those_of_the_key() {
    let (issuer, gateway) = one_key();
    let claims = issuer.claims();
    let not_jwt = "neither a token of this gateway nor a JWT";
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let head = json!({ "alg": alg, "typ": "JWT", "kid": "k1" });
        for signature in ["", "AAAA"] {
            let token = format!("{}.{}.{signature}", part(&head), part(&claims));
            assert_eq!(refused(&gateway, &token), (401, not_jwt.into()), "{alg}");
        }
    }
    // The public key taken for a shared secret.
    let public = [
        RSA_1_PUBLIC.as_bytes().to_vec(),
        RSA_1_PUBLIC.trim_end().as_bytes().to_vec(),
        published(&rsa(RSA_1), Algorithm::RS256, "k1")["n"].as_str().unwrap().into(),
    ];
    for secret in public {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let secret = EncodingKey::from_secret(&secret);
            let token = encode(&header(algorithm, "k1"), &claims, &secret).unwrap();
            let reason = format!("a JWT with {algorithm:?}, which is not the algorithm of its key");
            let (status, said) = refused(&self::gateway(issuer.config()), &token);
            assert_eq!((status, said), (401, reason));
        }
    }
    // A real signature of the same key with another algorithm than the key's.
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let token = encode(&header(algorithm, "k1"), &claims, &rsa(RSA_1)).unwrap();
        let reason = format!("a JWT with {algorithm:?}, which is not the algorithm of its key");
        assert_eq!(refused(&self::gateway(issuer.config()), &token), (401, reason));
    }
    gateway.authenticate(&signed(&claims)).unwrap();
}

#[test]
fn signatures_and_headers_are_checked() {
    let (issuer, gateway) = one_key();
    let claims = issuer.claims();
    let good = signed(&claims);
    let parts: Vec<_> = good.split('.').collect();
    let mut other = claims.clone();
    other["sub"] = "client-7".into();
    let invalid = "a JWT that fails: InvalidSignature";
    let mut with_crit = header(Algorithm::RS256, "k1");
    with_crit.crit = Some(vec!["exp".into()]);
    let mut typed = header(Algorithm::RS256, "k1");
    typed.typ = Some("logout+jwt".into());
    let no_kid = Header::new(Algorithm::RS256);
    let mut own_key = header(Algorithm::RS256, "k1");
    own_key.jwk = Some(Jwk::from_encoding_key(&rsa(RSA_2), Algorithm::RS256).unwrap());
    own_key.jku = Some("http://127.0.0.1:1/keys".into());
    let with = |header: &Header, pem: &str| encode(header, &claims, &rsa(pem)).unwrap();
    for (token, reason) in [
        (format!("{}.{}.{}", parts[0], part(&other), parts[2]), invalid),
        (format!("{}.{}.", parts[0], parts[1]), invalid),
        (with(&header(Algorithm::RS256, "k1"), RSA_2), invalid),
        (with(&own_key, RSA_2), invalid),
        (with(&header(Algorithm::RS256, "k2"), RSA_2), "a JWT with an unknown key"),
        (with(&header(Algorithm::RS256, ""), RSA_1), "a JWT with an unknown key"),
        (with(&no_kid, RSA_1), "a JWT without a key id"),
        (with(&with_crit, RSA_1), "a JWT with critical extensions"),
        (with(&typed, RSA_1), "a JWT of another type"),
        (format!("{}.{}", parts[0], parts[1]), "neither a token of this gateway nor a JWT"),
        ("a.b.c".into(), "neither a token of this gateway nor a JWT"),
        ("...".into(), "neither a token of this gateway nor a JWT"),
        (format!("{good}.{}", "A".repeat(20_000)), "the token is too long"),
    ] {
        assert_eq!(refused(&gateway, &token), (401, reason.into()), "{token}");
    }
    gateway.authenticate(&good).unwrap();
    typed_as_access_token(&gateway, &claims);
}

fn typed_as_access_token(gateway: &Gateway, claims: &Value) {
    for typ in [None, Some("jwt"), Some("at+jwt")] {
        let mut header = header(Algorithm::RS256, "k1");
        header.typ = typ.map(Into::into);
        gateway.authenticate(&encode(&header, claims, &rsa(RSA_1)).unwrap()).unwrap();
    }
}

#[test]
fn keys_of_other_kinds_are_taken_and_bad_ones_are_not() {
    let ec = EncodingKey::from_ec_pem(EC.as_bytes()).unwrap();
    let ed = EncodingKey::from_ed_pem(ED.as_bytes()).unwrap();
    let strong = rsa(RSA_1);
    let twice = published(&strong, Algorithm::RS256, "twice");
    let again = published(&rsa(RSA_2), Algorithm::RS256, "twice");
    let mut encryption = published(&strong, Algorithm::RS256, "encryption");
    encryption["use"] = "enc".into();
    let mut any = published(&strong, Algorithm::RS256, "any");
    any.as_object_mut().unwrap().remove("alg");
    let mut confused = published(&strong, Algorithm::RS256, "confused");
    confused["alg"] = "HS256".into();
    let short = json!({
        "kty": "RSA", "kid": "short", "alg": "RS256", "e": "AQAB",
        "n": URL_SAFE_NO_PAD.encode([0xc3; 128]),
    });
    let secret = json!({ "kty": "oct", "kid": "secret", "alg": "HS256", "k": "c2VjcmV0" });
    let odd = json!({ "kty": "PQ", "kid": "odd", "alg": "ML-DSA-87", "pub": "AAAA" });
    let keys = json!([
        published(&ec, Algorithm::ES256, "ec"),
        published(&ed, Algorithm::EdDSA, "ed"),
        twice,
        again,
        encryption,
        any,
        confused,
        short,
        secret,
        odd,
    ]);
    let issuer = Issuer::start(keys);
    let gateway = gateway(issuer.config());
    let with = |algorithm, kid: &str, key: &EncodingKey| {
        encode(&header(algorithm, kid), &issuer.claims(), key).unwrap()
    };
    gateway.authenticate(&with(Algorithm::ES256, "ec", &ec)).unwrap();
    gateway.authenticate(&with(Algorithm::EdDSA, "ed", &ed)).unwrap();
    gateway.authenticate(&with(Algorithm::RS256, "any", &strong)).unwrap();
    gateway.authenticate(&with(Algorithm::PS512, "any", &strong)).unwrap();
    for kid in ["twice", "encryption", "confused", "short", "odd"] {
        let said = refused(&gateway, &with(Algorithm::RS256, kid, &strong));
        assert_eq!(said, (401, "a JWT with an unknown key".into()), "{kid}");
    }
    let secret = EncodingKey::from_secret(b"secret");
    let said = refused(&gateway, &with(Algorithm::HS256, "secret", &secret));
    assert_eq!(said, (401, "a JWT with an unknown key".into()));
    assert_eq!(refused(&gateway, &with(Algorithm::ES256, "any", &ec)).0, 401);
}

#[test]
fn rotated_keys_come_and_go() {
    let (issuer, gateway) = one_key();
    let mut claims = issuer.claims();
    claims["exp"] = json!(START + 100_000);
    let old = signed(&claims);
    let new = encode(&header(Algorithm::RS256, "k2"), &claims, &rsa(RSA_2)).unwrap();
    gateway.authenticate(&old).unwrap();
    issuer.publish(rsa_keys(&[("k1", RSA_1), ("k2", RSA_2)]));
    // Just asked: unknown keys do not make the gateway ask again and again.
    assert_eq!(refused(&gateway, &new), (401, "a JWT with an unknown key".into()));
    assert_eq!(issuer.asked(), 1);
    gateway.later(20);
    gateway.authenticate(&new).unwrap();
    gateway.authenticate(&old).unwrap();
    assert_eq!(issuer.asked(), 2);
    issuer.publish(rsa_keys(&[("k2", RSA_2)]));
    gateway.later(599);
    gateway.authenticate(&old).unwrap();
    gateway.later(1);
    assert_eq!(refused(&gateway, &old), (401, "a JWT with an unknown key".into()));
    gateway.authenticate(&new).unwrap();
    assert_eq!(issuer.asked(), 3);
    // The same id, another key.
    issuer.publish(rsa_keys(&[("k2", RSA_1)]));
    gateway.later(600);
    assert_eq!(refused(&gateway, &new), (401, "a JWT that fails: InvalidSignature".into()));
}

#[test]
fn an_issuer_that_is_away_is_waited_for_a_while() {
    let (issuer, gateway) = one_key();
    let mut claims = issuer.claims();
    claims["exp"] = json!(START + 100_000);
    let token = signed(&claims);
    gateway.authenticate(&token).unwrap();
    issuer.change(|answers| answers.status = "503 Service Unavailable");
    gateway.later(3599);
    gateway.authenticate(&token).unwrap();
    gateway.later(1);
    let failed = gateway.authenticate(&token).unwrap_err();
    assert_eq!((failed.status(), failed.error_code()), (503, "TEMPORARILY_UNAVAILABLE"));
    assert_eq!(gateway.audit(), [], "an issuer that is away is nobody's denial");
    issuer.change(|answers| answers.status = "200 OK");
    gateway.later(20);
    gateway.authenticate(&token).unwrap();
}

#[test]
fn what_another_answers_in_the_issuers_place_is_not_taken() {
    type Change = fn(&mut Answers);
    let changes: [(&str, Change); 7] = [
        ("another issuer", |answers| answers.issuer = "https://issuer.example".into()),
        ("plain http elsewhere", |answers| answers.jwks_uri = "http://issuer.example/keys".into()),
        ("a file", |answers| answers.jwks_uri = "file:///etc/passwd".into()),
        ("a redirect", |answers| answers.status = "302 Found"),
        ("an error", |answers| answers.status = "500 Internal Server Error"),
        ("no keys", |answers| answers.keys = json!({ "error": "none" })),
        ("too much", |answers| answers.keys["padding"] = "x".repeat(2 << 20).into()),
    ];
    for (case, change) in changes {
        let (issuer, gateway) = one_key();
        issuer.change(change);
        let failed = gateway.authenticate(&signed(&issuer.claims())).unwrap_err();
        assert_eq!(failed.status(), 503, "{case}");
    }
    let (issuer, gateway) = one_key();
    gateway.authenticate(&signed(&issuer.claims())).unwrap();
}

#[test]
fn an_email_counts_when_it_is_verified() {
    let issuer = Issuer::start(rsa_keys(&[("k1", RSA_1)]));
    let mut config = issuer.config();
    config.user_claim = UserClaim::Email;
    config.groups_claim = None;
    let gateway = gateway(config);
    gateway.add_known_as(Kind::User, "bob", Some("bob@airline.example"));
    let mut claims = issuer.claims();
    claims["email"] = "bob@airline.example".into();
    for unverified in [Value::Null, json!(false), json!("true"), json!(1)] {
        claims["email_verified"] = unverified;
        let said = refused(&gateway, &signed(&claims));
        assert_eq!(said, (401, "a JWT without a verified email".into()));
    }
    claims["email_verified"] = json!(true);
    assert_eq!(gateway.authenticate(&signed(&claims)).unwrap().name().as_str(), "bob");
    // Groups are not read when no claim is set for them.
    gateway.ask(&signed(&claims), Action::ReadRoom, &in_room("a")).unwrap_err();
}

#[test]
fn settings_that_are_not_safe_refuse_to_start() {
    for (issuer, audience, expected) in [
        ("issuer.example", "glovebox", "issuer: "),
        ("http://issuer.example", "glovebox", "https is needed"),
        ("https://issuer.example?a=b", "glovebox", "without query"),
        ("https://a:b@issuer.example", "glovebox", "no user and password"),
        ("https://issuer.example", "", "an audience is needed"),
    ] {
        let mut config = Gateway::new().config;
        let directory = tempfile::tempdir().unwrap();
        config.store = directory.path().join("access.sqlite");
        config.oidc = Some(OidcConfig {
            issuer: issuer.into(),
            audience: audience.into(),
            user_claim: UserClaim::Subject,
            groups_claim: None,
            ca: None,
        });
        let error = Access::open(config).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{issuer}: {error}");
    }
}

#[tokio::test]
async fn the_issuer_can_be_asked_from_an_async_task_too() {
    let (issuer, gateway) = one_key();
    gateway.authenticate(&signed(&issuer.claims())).unwrap();
}
