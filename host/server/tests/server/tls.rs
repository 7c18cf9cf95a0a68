//! TLS, and HTTP/2 over it.

use glovebox_api::path;
use glovebox_server::Tls;
use reqwest::{Certificate, Version};

use crate::world::World;

/// A certificate for `localhost` and 127.0.0.1 and its key, made for this test alone.
const CERT: &str = include_str!("tls/cert.pem");
const KEY: &str = include_str!("tls/key.pem");

#[tokio::test(flavor = "multi_thread")]
async fn the_host_speaks_tls_and_both_versions_of_http() {
    let files = tempfile::tempdir().unwrap();
    let tls = Tls { cert: files.path().join("cert.pem"), key: files.path().join("key.pem") };
    std::fs::write(&tls.cert, CERT).unwrap();
    std::fs::write(&tls.key, KEY).unwrap();
    let mut world = World::start_with(|config| config.tls = Some(tls)).await;
    let root = Certificate::from_pem(CERT.as_bytes()).unwrap();
    let builder = || reqwest::Client::builder().tls_certs_only([root.clone()]);
    world.client = builder().http1_only().build().unwrap();
    let answer = world.client.get(world.url(path::HEALTH)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_11));
    world.client = builder().build().unwrap();
    let answer = world.client.get(world.url(path::HEALTH)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    let room = world.room().await;
    assert_eq!(world.party("airline").log(&room).await.size, 2);
    // Without the root, nobody trusts it; without TLS, nobody is served.
    assert!(reqwest::get(world.url(path::HEALTH)).await.is_err());
    let plain = format!("http://{}{}", world.address, path::HEALTH);
    assert!(reqwest::get(plain).await.is_err());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_told_at_once() {
    let files = tempfile::tempdir().unwrap();
    let cert = files.path().join("cert.pem");
    let key = files.path().join("key.pem");
    for (cert_text, key_text) in [("", KEY), (CERT, ""), (CERT, CERT), ("nonsense", "nonsense")] {
        std::fs::write(&cert, cert_text).unwrap();
        std::fs::write(&key, key_text).unwrap();
        let home = files.path().join("home");
        let mut config = glovebox_server::Config::new(
            vec!["127.0.0.1:0".parse().unwrap()],
            home,
            crate::world::settings(),
        );
        config.tls = Some(Tls { cert: cert.clone(), key: key.clone() });
        let error = glovebox_server::serve(config, std::future::pending()).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot use the certificate"), "{error}");
    }
}
