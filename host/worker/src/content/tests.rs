use std::sync::Arc;

use arrow::array::{
    BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array,
    Int64Array, LargeStringArray, ListArray, NullArray, StringArray, StringViewArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, Int32Type};

use super::*;

fn columns(types: &[&str]) -> Vec<Column> {
    let column = |(index, text): (usize, &&str)| Column {
        name: format!("c{index}"),
        nullable: true,
        column_type: text.parse().expect("a type"),
    };
    types.iter().enumerate().map(column).collect()
}

fn batch(arrays: &[ArrayRef]) -> RecordBatch {
    let names = (0..arrays.len()).map(|index| format!("c{index}"));
    RecordBatch::try_from_iter_with_nullable(
        names.zip(arrays).map(|(name, array)| (name, Arc::clone(array), true)),
    )
    .expect("a batch")
}

fn digest(types: &[&str], batches: &[RecordBatch]) -> Blake3Digest {
    let mut hasher = ContentHasher::new(&columns(types)).expect("columns");
    for batch in batches {
        hasher.update(batch).expect("a batch of these columns");
    }
    hasher.finish()
}

const TYPES: [&str; 9] = [
    "int64",
    "float64",
    "utf8",
    "boolean",
    "date32",
    "decimal(5, 2)",
    "list(utf8)",
    "struct(a: int32, b: utf8)",
    "null",
];

/// Seven rows with nulls everywhere, also between the items of a list and inside a struct.
fn table() -> RecordBatch {
    let items = StringArray::from_iter([Some("x"), None, Some(""), Some("hidden"), Some("yy")]);
    let lists = ListArray::new(
        Arc::new(Field::new_list_field(DataType::Utf8, true)),
        OffsetBuffer::from_lengths([2, 0, 1, 1, 0, 1, 0]),
        Arc::new(items),
        // The list with the hidden item is null.
        Some(NullBuffer::from(vec![true, true, true, false, true, true, false])),
    );
    let structs = StructArray::new(
        vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)].into(),
        vec![
            Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4), None, Some(6), None])),
            Arc::new(StringArray::from(vec!["p", "q", "r", "s", "t", "u", "v"])),
        ],
        Some(NullBuffer::from(vec![true, false, true, true, true, false, true])),
    );
    batch(&[
        Arc::new(Int64Array::from_iter((0..7).map(|row| (row % 3 != 1).then_some(row - 3)))),
        Arc::new(Float64Array::from_iter((0..7).map(|row| (row != 6).then_some(row as f64 / 3.0)))),
        Arc::new(StringArray::from_iter((0..7).map(|row| (row != 2).then(|| "ä".repeat(row))))),
        Arc::new(BooleanArray::from_iter((0..7).map(|row| (row != 4).then_some(row % 2 == 0)))),
        Arc::new(Date32Array::from_iter((0..7).map(|row| (row != 5).then_some(15_706 + row)))),
        Arc::new(
            Decimal128Array::from_iter((0..7).map(|row| (row != 0).then_some(row * 111)))
                .with_precision_and_scale(5, 2)
                .expect("a decimal"),
        ),
        Arc::new(lists),
        Arc::new(structs),
        Arc::new(NullArray::new(7)),
    ])
}

#[test]
fn batches_make_no_difference() {
    let whole = digest(&TYPES, &[table()]);
    for cut in 0..=7 {
        let parts = [table().slice(0, cut), table().slice(cut, 7 - cut)];
        assert_eq!(digest(&TYPES, &parts), whole, "cut at {cut}");
    }
    let rows: Vec<_> = (0..7).map(|row| table().slice(row, 1)).collect();
    assert_eq!(digest(&TYPES, &rows), whole);
}

#[test]
fn what_null_slots_hide_makes_no_difference() {
    let check = |values: Vec<i64>| {
        let nulls = NullBuffer::from(vec![true, false, true]);
        digest(&["int64"], &[batch(&[Arc::new(Int64Array::new(values.into(), Some(nulls)))])])
    };
    assert_eq!(check(vec![1, 0, 3]), check(vec![1, 99, 3]));
    // Without any null, a validity buffer says nothing.
    let all: ArrayRef = Arc::new(Int64Array::new(vec![1].into(), Some(NullBuffer::new_valid(1))));
    assert_eq!(
        digest(&["int64"], &[batch(&[all])]),
        digest(&["int64"], &[batch(&[Arc::new(Int64Array::from(vec![1]))])])
    );
}

#[test]
fn encodings_make_no_difference() {
    let values = ["x", "", "x", "yy"];
    let plain = digest(&["utf8"], &[batch(&[Arc::new(StringArray::from(values.to_vec()))])]);
    let dictionary: DictionaryArray<Int32Type> = values.into_iter().collect();
    let others: [(&str, ArrayRef); 3] = [
        ("large_utf8", Arc::new(LargeStringArray::from(values.to_vec()))),
        ("utf8_view", Arc::new(StringViewArray::from(values.to_vec()))),
        ("dictionary(int32, utf8)", Arc::new(dictionary)),
    ];
    for (text, array) in others {
        assert_eq!(digest(&[text], &[batch(&[array])]), plain, "{text}");
    }
}

/// Every two of these tables differ.
#[test]
fn all_else_makes_a_difference() {
    let ints = |values: Vec<Option<i64>>| batch(&[Arc::new(Int64Array::from(values))]);
    let texts = |values: Vec<Option<&str>>| batch(&[Arc::new(StringArray::from(values))]);
    let pair = |a: i64, b: i64| {
        batch(&[Arc::new(Int64Array::from(vec![a])), Arc::new(Int64Array::from(vec![b]))])
    };
    let named = |name: &str, nullable: bool| {
        let mut columns = columns(&["int64"]);
        columns[0].name = name.into();
        columns[0].nullable = nullable;
        ContentHasher::new(&columns).expect("columns").finish()
    };
    let digests = [
        digest(&["int64"], &[]),
        digest(&["int64"], &[ints(vec![Some(0)])]),
        digest(&["int64"], &[ints(vec![None])]),
        digest(&["int64"], &[ints(vec![None, None])]),
        digest(&["int64"], &[ints(vec![None, Some(0)])]),
        digest(&["int64"], &[ints(vec![Some(0), None])]),
        digest(&["utf8"], &[texts(vec![Some("a"), Some("bc")])]),
        digest(&["utf8"], &[texts(vec![Some("ab"), Some("c")])]),
        digest(&["utf8"], &[texts(vec![Some("abc"), Some("")])]),
        digest(&["utf8"], &[texts(vec![Some("abc"), None])]),
        digest(&["binary"], &[]),
        digest(&["int64", "int64"], &[pair(1, 2)]),
        digest(&["int64", "int64"], &[pair(2, 1)]),
        named("other", true),
        named("c0", false),
    ];
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(digest), "table {index} is not told apart");
    }
}

/// The definition, step by step, for a table of two rows: whoever computes it elsewhere gets this.
#[test]
fn the_definition() {
    let table = batch(&[Arc::new(StringArray::from(vec![Some("hi"), None]))]);
    let column = blake3::hash(
        &[*blake3::hash(&[1, 0]).as_bytes(), *blake3::hash(b"\x02\0\0\0\0\0\0\0hi").as_bytes()]
            .concat(),
    );
    let mut all = DOMAIN.to_vec();
    all.extend(br#"[["c0","utf8",true]]"#);
    all.extend(b"\n\x02\0\0\0\0\0\0\0");
    all.extend(column.as_bytes());
    assert_eq!(digest(&["utf8"], &[table]), Blake3Digest::of(&all));
}

#[test]
fn other_columns_are_an_error() {
    let mut hasher = ContentHasher::new(&columns(&["int64"])).expect("columns");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    assert!(hasher.update(&batch(&[Arc::clone(&text)])).is_err());
    assert!(hasher.update(&batch(&[Arc::clone(&text), text])).is_err());
}
