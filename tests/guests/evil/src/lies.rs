//! Columns that are not what they say. The host refuses each when it is made a batch.

use glovebox_guest::raw::data;
use glovebox_guest::{Result, Room};

use crate::outputs::{host_error, node, schema};
use crate::{Attack, behave};

const ZEROS: [u8; 64] = [0; 64];

pub(crate) const ATTACKS: &[Attack] = &[
    // Four integers in eight bytes.
    ("short_buffer", |room| pass(room, "int64", 4, &[node(4, 0)], &[&[], &ZEROS[..8]])),
    // An enormous array in no bytes.
    ("huge_length", |room| pass(room, "int64", u64::MAX, &[node(u64::MAX, 0)], &[&[], &[]])),
    // A length whose size in bytes wraps around to zero.
    ("wrapping_length", |room| pass(room, "int64", 1 << 61, &[node(1 << 61, 0)], &[&[], &[]])),
    // Fewer values than rows.
    ("row_count", |room| pass(room, "int64", 8, &[node(4, 0)], &[&[], &ZEROS[..32]])),
    // More nulls than values, and nulls without a bitmap.
    ("null_count", |room| pass(room, "int64", 2, &[node(2, 9)], &[&[0], &ZEROS[..16]])),
    ("nulls_without_bitmap", |room| pass(room, "int64", 2, &[node(2, 1)], &[&[], &ZEROS[..16]])),
    // A bitmap that is too short.
    ("short_bitmap", |room| pass(room, "int8", 64, &[node(64, 1)], &[&[0xff], &ZEROS])),
    // Fewer and more buffers or nodes than the type has.
    ("missing_buffer", |room| pass(room, "int64", 1, &[node(1, 0)], &[&[]])),
    ("extra_buffer", |room| pass(room, "int64", 1, &[node(1, 0)], &[&[], &ZEROS[..8], &ZEROS])),
    ("missing_node", |room| pass(room, "int64", 1, &[], &[&[], &ZEROS[..8]])),
    ("extra_node", |room| pass(room, "int64", 1, &[node(1, 0); 2], &[&[], &ZEROS[..8]])),
    // Offsets beyond the bytes, below zero, and going down.
    ("offset_beyond", |room| texts(room, &[0, 1_000_000], b"abc")),
    ("offset_negative", |room| texts(room, &[-4, 3], b"abc")),
    ("offset_descending", |room| texts(room, &[0, 3, 1], b"abc")),
    // Bytes that are no text, and a text cut inside a character.
    ("invalid_utf8", |room| texts(room, &[0, 2], &[0xff, 0xfe])),
    ("split_character", |room| texts(room, &[0, 1, 2], "é".as_bytes())),
    // A list whose items are fewer than its offsets say.
    ("short_list", |room| {
        let offsets = offsets(&[0, 9]);
        let buffers: [&[u8]; 4] = [&[], &offsets, &[], &ZEROS[..8]];
        pass(room, "list(int64)", 1, &[node(1, 0), node(1, 0)], &buffers)
    }),
    // A struct whose field is shorter than it is.
    ("short_struct", |room| {
        let nodes = [node(4, 0), node(1, 0)];
        pass(room, "struct(a: int64)", 4, &nodes, &[&[], &[], &ZEROS[..8]])
    }),
    // A decimal with more digits than its precision.
    ("decimal_overflow", |room| {
        let value = i128::MAX.to_le_bytes();
        pass(room, "decimal(5, 2)", 1, &[node(1, 0)], &[&[], &value])
    }),
    // Types that are none, are nested without end, or are enormous.
    ("bad_type", |room| pass(room, "int65", 0, &[], &[])),
    ("deep_type", |room| {
        let nested = format!("{}int64{}", "list(".repeat(50_000), ")".repeat(50_000));
        pass(room, &nested, 0, &[], &[])
    }),
    ("wide_binary", |room| {
        pass(room, "fixed_size_binary(4294967295)", 2, &[node(2, 0)], &[&[], &ZEROS])
    }),
    ("long_type", |room| pass(room, &"int64".repeat(1 << 18), 0, &[], &[])),
    // A hundred thousand columns.
    ("many_columns", |room| {
        schema(&vec![("c", "int64", true); 100_000])?;
        behave(room)
    }),
    // 192 MiB in one batch; rooms allow 64 MiB.
    ("huge_batch", |room| {
        let zeros = vec![0_u8; 192 << 20];
        let rows = zeros.len() as u64 / 8;
        pass(room, "int64", rows, &[node(rows, 0)], &[&[], &zeros])
    }),
    // Ten million empty buffers in one call.
    ("many_buffers", |room| {
        let buffers: Vec<&[u8]> = vec![&[]; 10_000_000];
        pass(room, "int64", 0, &[node(0, 0)], &buffers)
    }),
];

/// Makes a batch of one column `c`; then the host has let it pass.
fn pass(
    room: &Room,
    data_type: &str,
    rows: u64,
    nodes: &[data::FieldNode],
    buffers: &[&[u8]],
) -> Result<()> {
    let schema = schema(&[("c", data_type, true)])?;
    let columns = data::ColumnsParam { nodes, buffers };
    data::RecordBatch::from_columns(&schema, rows, columns).map_err(host_error)?;
    behave(room)
}

fn offsets(offsets: &[i32]) -> Vec<u8> {
    offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect()
}

fn texts(room: &Room, ends: &[i32], bytes: &[u8]) -> Result<()> {
    let rows = ends.len() as u64 - 1;
    pass(room, "utf8", rows, &[node(rows, 0)], &[&[], &offsets(ends), bytes])
}
