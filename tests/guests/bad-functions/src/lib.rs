//! Functions that lie about what they return, fail, or never end.
//!
//! `#[library]` would not let them, so the interface is implemented by hand.
#![cfg(target_arch = "wasm32")]

use std::hint::black_box;

use glovebox_guest::__private::export_scalar_functions;
use glovebox_guest::__private::scalar::exports::glovebox::guest::scalar_functions::{
    Guest, ScalarFunction, Volatility,
};
use glovebox_guest::wit::data::Field;
use glovebox_guest::{Batch, Column, Error, columns};

struct Bad;

const NAMES: [&str; 9] = [
    "fewer", "other_type", "gives_null", "two_columns", "fails", "panics", "overflows", "grabs",
    "spins",
];

/// `{"name":"fewer",…}`, a line for each.
macro_rules! declare {
    ($($name:literal)*) => {
        concat!($(
            r#"{"name":""#, $name, r#"","kind":"scalar","#,
            r#""arguments":[{"name":"n","type":"int64"}],"#,
            r#""returns":[{"name":"n","type":"int64","nullable":false}]}"#, "\n",
        )*)
    };
}

const DECLARED: &str = declare!(
    "fewer" "other_type" "gives_null" "two_columns" "fails" "panics" "overflows" "grabs" "spins"
);

#[used]
#[unsafe(link_section = "glovebox:functions")]
static SECTION: [u8; DECLARED.len()] = {
    let mut bytes = [0; DECLARED.len()];
    bytes.copy_from_slice(DECLARED.as_bytes());
    bytes
};

impl Guest for Bad {
    fn list_functions() -> Vec<ScalarFunction> {
        let field = |nullable| Field { name: "n".into(), data_type: "int64".into(), nullable };
        let function = |name: &str| ScalarFunction {
            name: name.into(),
            arguments: vec![field(true)],
            returns: field(false),
            volatility: Volatility::Immutable,
        };
        NAMES.map(function).into()
    }

    fn evaluate(function: u32, arguments: Batch) -> Result<Batch, Error> {
        let rows = arguments.num_rows();
        let numbers = || -> Column { vec![1_i64; rows].into() };
        match NAMES[function as usize] {
            "fewer" => arguments.slice(0, rows - 1),
            "other_type" => Batch::from_columns(columns! { "n" => vec![1.0; rows] }),
            "gives_null" => Batch::from_columns(columns! { "n" => vec![None::<i64>; rows] }),
            "two_columns" => Batch::from_columns([("n", numbers()), ("m", numbers())]),
            "fails" => Err(Error::new("the secret recipe failed")),
            "panics" => panic!("the secret recipe panicked"),
            "overflows" => {
                black_box(deeper(black_box(1)));
                Ok(arguments)
            }
            "grabs" => {
                let mut held: Vec<Vec<u8>> = Vec::new();
                loop {
                    held.push(black_box(vec![1; 1 << 20]));
                }
            }
            _ => loop {
                black_box(());
            },
        }
    }
}

fn deeper(depth: u64) -> u64 {
    if depth == 0 { 0 } else { black_box(deeper(black_box(depth + 1))) + 1 }
}

export_scalar_functions!(Bad with_types_in glovebox_guest::__private::scalar);
