use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn home() -> (tempfile::TempDir, Home) {
    let root = tempfile::tempdir().unwrap();
    let home = Home::open_or_create(&root.path().join("home")).unwrap();
    (root, home)
}

fn code_file(code: &[u8]) -> MachineCodeFile {
    MachineCodeFile { digest: Blake3Digest::of(code), bytes: code.len() as u64 }
}

#[test]
fn a_component_comes_back_with_its_bytes_or_not_at_all() {
    type Change = fn(&std::path::Path);
    let check = |change: Change, limit: u64, expect: Result<(), &str>| {
        let (_root, home) = home();
        let store = ComponentStore::open(&home).unwrap();
        let digest = store.put(b"component").unwrap();
        let path = home.path().join(format!("components/{}.wasm", digest.blake3.to_hex()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        change(&path);
        match (store.read(&digest, limit), expect) {
            (Ok(bytes), Ok(())) => assert_eq!(bytes, b"component"),
            (Err(error), Err(text)) => {
                assert_eq!(error.reason(), ReasonCode::ComponentMismatch, "{error}");
                assert!(error.to_string().contains(text), "{error}");
                store.put(b"component").unwrap();
                assert_eq!(store.read(&digest, 9).unwrap(), b"component", "added again");
            }
            (found, expect) => panic!("{found:?}, expected {expect:?}"),
        }
    };
    check(|_| {}, 9, Ok(()));
    check(|path| fs::write(path, b"Component").unwrap(), 9, Err("has other bytes"));
    check(|path| fs::write(path, b"").unwrap(), 9, Err("has other bytes"));
    check(|path| fs::write(path, b"component!").unwrap(), 9, Err("larger than the room allows"));
    check(|path| fs::remove_file(path).unwrap(), 9, Err("does not have it"));
}

#[test]
fn one_wrong_digest_of_two_is_a_mismatch() {
    let (_root, home) = home();
    let store = ComponentStore::open(&home).unwrap();
    let mut digest = store.put(b"component").unwrap();
    digest.sha256 = ContentDigest::of(b"other").sha256;
    assert_eq!(store.read(&digest, 9).unwrap_err().reason(), ReasonCode::ComponentMismatch);
}

#[test]
fn damaged_machine_code_is_never_handed_out() {
    let component = Blake3Digest::of(b"component");
    let engine = Blake3Digest::of(b"engine");
    let check = |file: &str, change: fn(&std::path::Path), expect: bool| {
        let (_root, home) = home();
        let cache = CodeCache::open(&home).unwrap();
        assert!(cache.get(&component, &engine).is_none());
        let mut staged = cache.stage().unwrap();
        staged.file.write_all(b"machine code").unwrap();
        cache.put(staged, &component, &engine, &code_file(b"machine code")).unwrap();
        let stem = format!("cache/{}-{}", component.to_hex(), engine.to_hex());
        change(&home.path().join(format!("{stem}.{file}")));
        let code = cache.get(&component, &engine).map(|mut code| {
            let mut bytes = Vec::new();
            code.file.read_to_end(&mut bytes).unwrap();
            bytes
        });
        assert_eq!(code.as_deref(), expect.then_some(b"machine code".as_slice()));
        assert!(cache.get(&component, &component).is_none(), "another engine");
        assert!(cache.get(&engine, &engine).is_none(), "another component");
    };
    check("code", |_| {}, true);
    check("code", |path| fs::write(path, b"Machine code").unwrap(), false);
    check("code", |path| fs::write(path, b"").unwrap(), false);
    check("code", |path| fs::remove_file(path).unwrap(), false);
    check("digest", |path| fs::remove_file(path).unwrap(), false);
    check("digest", |path| fs::write(path, b"blake3:").unwrap(), false);
    check("digest", |path| fs::write(path, Blake3Digest::of(b"evil").to_string()).unwrap(), false);
}

#[test]
fn machine_code_other_than_announced_is_refused() {
    let check = |announced: MachineCodeFile| {
        let (_root, home) = home();
        let cache = CodeCache::open(&home).unwrap();
        let mut staged = cache.stage().unwrap();
        staged.file.write_all(b"machine code").unwrap();
        let digest = Blake3Digest::of(b"");
        let error = cache.put(staged, &digest, &digest, &announced).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::WorkerProtocol);
        assert!(cache.get(&digest, &digest).is_none());
        assert_eq!(fs::read_dir(home.path().join("cache")).unwrap().count(), 0);
    };
    check(code_file(b"Machine code"));
    check(code_file(b""));
    check(MachineCodeFile { bytes: 11, ..code_file(b"machine code") });
}
