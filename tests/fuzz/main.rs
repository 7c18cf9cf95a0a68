//! Doors through which anyone's bytes come in, each as one function over bytes that must neither
//! panic nor contradict itself.
//!
//! The tests mutate real seeds some hundred times; `PROPTEST_CASES=1000000 cargo test --release
//! --test fuzz` goes on for as long as one likes. A fuzzer that wants the doors alone calls the
//! functions of [`doors`].

mod doors;

use std::sync::OnceLock;

use glovebox_contract::bundle::Bundle;
use glovebox_contract::canonical;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::name::RoomId;
use glovebox_contract::statement::{Body, Pause, Statement};
use proptest::prelude::*;

const NOTEBOOK: &str = include_str!("../../examples/flights-weather/delay-by-wind.sql");

/// Well-formed bytes to start from.
struct Seeds {
    bundle: Vec<u8>,
    component: Vec<u8>,
    envelope: Vec<u8>,
    manifest: Vec<u8>,
}

fn seeds() -> &'static Seeds {
    static SEEDS: OnceLock<Seeds> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let component = glovebox_build::build_sql(NOTEBOOK).expect("the example");
        let key = PrivateKey::from_seed(&[7; 32]);
        let statement = Statement {
            body: Body::Pause(Pause { comment: "wait".into(), notebook: None }),
            issued_at: 1_700_000_000,
            party: "airline".parse().expect("an alias"),
            room: Some(RoomId(Blake3Digest::of(b"a room"))),
            sequence: 2,
        };
        let envelope = Envelope::sign(&statement, &key).expect("an envelope");
        let bundle = Bundle::new("a checkpoint".into(), vec![envelope.clone(), envelope.clone()]);
        Seeds {
            bundle: bundle.to_bytes().expect("a bundle"),
            component: component.bytes().to_vec(),
            envelope: envelope.to_bytes(),
            manifest: canonical::encode(component.manifest()).expect("a manifest"),
        }
    })
}

/// One change to a seed. Places are fractions of what is there by then.
#[derive(Debug, Clone)]
enum Edit {
    Flip(u16, u8),
    Set(u16, u8),
    Insert(u16, Vec<u8>),
    Remove(u16, u8),
    Repeat(u16, u8),
    Truncate(u16),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: &u16| usize::from(*at) * bytes.len() / (1 << 16);
        let span = |at: &u16, length: &u8| {
            let start = place(at);
            start..(start + usize::from(*length)).min(bytes.len())
        };
        match self {
            Self::Flip(at, bit) => {
                let at = place(at);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (bit % 8));
            }
            Self::Set(at, value) => {
                let at = place(at);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = *value);
            }
            Self::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(at, length) => {
                let span = span(at, length);
                bytes.drain(span);
            }
            Self::Repeat(at, length) => {
                let span = span(at, length);
                let end = span.end;
                let again = bytes[span].to_vec();
                bytes.splice(end..end, again);
            }
            Self::Truncate(at) => {
                let at = place(at);
                bytes.truncate(at);
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (any::<u16>(), any::<u8>()).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        4 => (any::<u16>(), any::<u8>()).prop_map(|(at, value)| Edit::Set(at, value)),
        2 => (any::<u16>(), proptest::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, more)| Edit::Insert(at, more)),
        2 => (any::<u16>(), any::<u8>()).prop_map(|(at, length)| Edit::Remove(at, length)),
        2 => (any::<u16>(), any::<u8>()).prop_map(|(at, length)| Edit::Repeat(at, length)),
        1 => any::<u16>().prop_map(Edit::Truncate),
    ]
}

/// Mutants of one of the seeds, and now and then bytes without a past.
fn mutants(seed: fn(&'static Seeds) -> &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let mutant = proptest::collection::vec(edit(), 0..8).prop_map(move |edits| {
        let mut bytes = seed(seeds()).to_vec();
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    });
    prop_oneof![
        9 => mutant,
        1 => proptest::collection::vec(any::<u8>(), 0..400),
    ]
}

#[test]
fn every_seed_gets_through_its_door() {
    let Seeds { bundle, component, envelope, manifest } = seeds();
    assert!(doors::envelope(envelope));
    assert!(doors::bundle(bundle));
    assert!(doors::manifest(manifest));
    assert!(doors::component(component));
    assert!(doors::notebook(NOTEBOOK.as_bytes()));
    assert!(doors::column_type(b"struct(a: int32, b: list(timestamp(us, UTC)))"));
}

proptest! {
    #[test]
    fn envelopes(bytes in mutants(|seeds| &seeds.envelope)) {
        doors::envelope(&bytes);
    }

    #[test]
    fn bundles(bytes in mutants(|seeds| &seeds.bundle)) {
        doors::bundle(&bytes);
    }

    #[test]
    fn manifests(bytes in mutants(|seeds| &seeds.manifest)) {
        doors::manifest(&bytes);
    }

    #[test]
    fn components(bytes in mutants(|seeds| &seeds.component)) {
        doors::component(&bytes);
    }

    #[test]
    fn notebooks(bytes in mutants(|_| NOTEBOOK.as_bytes())) {
        doors::notebook(&bytes);
    }

    #[test]
    fn column_types(bytes in mutants(|_| b"struct(a: decimal(38, 10), b: list(timestamp(us, UTC)))")) {
        doors::column_type(&bytes);
    }
}
