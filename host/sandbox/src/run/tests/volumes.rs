use glovebox_contract::canonical;
use glovebox_contract::manifest::{MANIFEST_SECTION, Manifest};

use super::*;
use crate::testing::{manifest, with_section};

/// Opens a file of the volume at 5140, reads from it and logs what it got.
fn read(volume_length: u32, path: &str, offset: u64, length: u32) -> String {
    let code = body(&format!(
        r#"(call $open-file (i32.const 5140) (i32.const {volume_length}) (i32.const 100)
            (i32.const {}) (i32.const 200))
        (if (i32.load8_u (i32.const 200)) (then (return (i32.const 200))))
        (call $read-file (i32.load (i32.const 204)) (i64.const {}) (i32.const {})
            (i32.const 220))
        (if (i32.load8_u (i32.const 220)) (then (return (i32.const 220))))
        (call $log (i32.const 1) (i32.load (i32.const 224)) (i32.load (i32.const 228)))
        (global.get $ok)"#,
        path.len(),
        offset.cast_signed(),
        length.cast_signed(),
    ));
    format!(r#"(data (i32.const 100) "{path}") {code}"#)
}

const USES: [&str; 3] = ["open-file", "read-file", "log"];

#[test]
fn a_file_is_read_within_its_bounds() {
    let check = |offset, length, expect: &[&str]| {
        let code = read(9, "sub/weights", offset, length);
        let journal = check(&USES, &code, Err((ReasonCode::OutputUnfinished, "`result`")));
        assert_eq!(journal, expect, "{offset} {length}");
    };
    check(0, 10, &["log Info 0123456789"]);
    check(3, 4, &["log Info 3456"]);
    check(8, 100, &["log Info 89"]);
    check(0, u32::MAX, &["log Info 0123456789"]);
    check(0, 0, &[]);
    check(10, 1, &[]);
    check(11, u32::MAX, &[]);
    check(u64::MAX, u32::MAX, &[]);
}

#[test]
fn what_is_not_pinned_cannot_be_named() {
    let refused = |volume_length, path: &str, detail: &str| {
        let code = read(volume_length, path, 0, 1);
        check(&USES, &code, Err((ReasonCode::NotFound, detail)));
    };
    refused(9, "weights", "volume air.model has no file `weights`");
    refused(8, "sub/weights", "volume `air.mode` is not granted");
    for path in ["", "sub", "sub/", "/sub/weights", "./sub/weights", "sub//weights"] {
        refused(9, path, "has no file");
    }
    refused(9, "sub/../sub/weights", "has no file");
    refused(9, "../air.model/sub/weights", "has no file");
    refused(9, r"sub/weights\00", "has no file");
    refused(9, r"sub\5cweights", "has no file");
}

#[test]
fn a_file_that_changed_fails_the_run_whatever_the_guest_does() {
    let code = read(9, "short", 0, 5);
    check(&USES, &code, Err((ReasonCode::VolumeChanged, "air.model has changed")));
    // The guest pretends that nothing happened.
    let code = code.replace("(then (return (i32.const 220)))", "(then (return (global.get $ok)))");
    check(&USES, &code, Err((ReasonCode::VolumeChanged, "air.model has changed")));
}

#[test]
fn files_are_handles_and_handles_are_bounded() {
    let code = body(
        r#"(loop $again
            (call $open-file (i32.const 5140) (i32.const 9) (i32.const 100) (i32.const 11)
                (i32.const 200))
            (br_if $again (i32.eqz (i32.load8_u (i32.const 200)))))
        (i32.const 200)"#,
    );
    let code = format!(r#"(data (i32.const 100) "sub/weights") {code}"#);
    check(&["open-file"], &code, Err((ReasonCode::MemoryLimit, "open handles")));
    let code = body(
        r#"(call $read-file (i32.const 77) (i64.const 0) (i32.const 1) (i32.const 200))
        (global.get $ok)"#,
    );
    check(&["read-file"], &code, Err((ReasonCode::GuestTrap, "")));
}

#[test]
fn without_the_grant_nothing_is_linked() {
    let without: Vec<&str> =
        SERVED.iter().copied().filter(|name| !name.contains("volumes")).collect();
    let (result, _) = run_granted(&guest(&USES, &read(9, "sub/weights", 0, 1)), &without);
    assert_eq!(result.unwrap_err().reason(), ReasonCode::ImportNotGranted);
}

#[test]
fn whoever_imports_volumes_declares_one() {
    let admitted = |manifest: &Manifest| {
        let text = r#"(component (import "glovebox:guest/volumes@0.1.0" (instance)))"#;
        let section = canonical::encode(manifest).unwrap();
        let component = with_section(wat::parse_str(text).unwrap(), MANIFEST_SECTION, &section);
        admit(&component, &served_interfaces(), &limits()).unwrap_err().detail().to_owned()
    };
    let without = Manifest { volumes: Default::default(), ..manifest() };
    assert!(admitted(&without).ends_with("but its manifest declares no volume"));
    assert!(admitted(&manifest()).contains("does not export"));
}
