use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use arrow::util::display::array_value_to_string;

use super::*;
use crate::arrow_types::{boundary_schema, column_type_to_arrow};

/// No row that crosses holds these bytes; every row that must not cross does.
const CANARY: &str = "CANARY";
const CANARY_NUMBER: i64 = i64::from_le_bytes(*b"CANARY!!");

fn batch_of(array: ArrayRef) -> RecordBatch {
    let field = Field::new("c", array.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap()
}

fn boundary(batch: &RecordBatch) -> SchemaRef {
    Arc::new(boundary_schema(&batch.schema()).unwrap())
}

fn encode_all(batch: &RecordBatch) -> Columns {
    let indices: Vec<u32> = (0..batch.num_columns() as u32).collect();
    encode(batch, &boundary(batch), &indices, u64::MAX).unwrap()
}

fn assert_no_canary(columns: &Columns) {
    for buffer in &columns.buffers {
        let found = buffer.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "a canary left in a buffer of {} bytes", buffer.len());
    }
}

fn texts(array: &dyn Array) -> Vec<Option<String>> {
    (0..array.len())
        .map(|row| array.is_valid(row).then(|| array_value_to_string(array, row).unwrap()))
        .collect()
}

fn list_of(items: ArrayRef, offsets: Vec<i32>, nulls: Option<Vec<bool>>) -> ArrayRef {
    Arc::new(ListArray::new(
        Arc::new(Field::new("element", items.data_type().clone(), true)),
        OffsetBuffer::new(ScalarBuffer::from(offsets)),
        items,
        nulls.map(NullBuffer::from),
    ))
}

/// Arrays of six rows whose first and last rows hold the canary and whose row 2 is a null slot
/// with the canary behind it.
fn marked() -> Vec<ArrayRef> {
    let nulls = || Some(NullBuffer::from(vec![true, true, false, true, true, true]));
    let words = || vec![CANARY, "one", CANARY, "a longer text than twelve", "", CANARY];
    let numbers = || ScalarBuffer::from(vec![CANARY_NUMBER, 1, CANARY_NUMBER, 3, 4, CANARY_NUMBER]);
    let string = {
        let plain = StringArray::from(words());
        StringArray::new(plain.offsets().clone(), plain.values().clone(), nulls())
    };
    let binary = {
        let plain = BinaryArray::from_iter_values(words());
        BinaryArray::new(plain.offsets().clone(), plain.values().clone(), nulls())
    };
    let large = {
        let plain = LargeStringArray::from(words());
        LargeStringArray::new(plain.offsets().clone(), plain.values().clone(), nulls())
    };
    // The builder puts every long text into one block, so a view's block holds its neighbours.
    let long = || {
        [CANARY, "one", CANARY, "three", "four", CANARY]
            .map(|word| format!("{word} in more than twelve bytes"))
    };
    let views = {
        let plain = StringViewArray::from_iter_values(long());
        StringViewArray::new(plain.views().clone(), plain.data_buffers().to_vec(), nulls())
    };
    let binary_views = {
        let plain = BinaryViewArray::from_iter_values(long());
        BinaryViewArray::new(plain.views().clone(), plain.data_buffers().to_vec(), nulls())
    };
    let dictionary = DictionaryArray::<Int8Type>::new(
        Int8Array::new(ScalarBuffer::from(vec![0, 1, 0, 2, 1, 0]), nulls()),
        Arc::new(StringArray::from(vec![CANARY, "one", "two", CANARY])),
    );
    let fixed = FixedSizeBinaryArray::new(
        6,
        Buffer::from(b"CANARYoneoneCANARYtwotwothreesCANARY".as_slice()),
        nulls(),
    );
    let integers = Int64Array::new(numbers(), nulls());
    let decimals = Decimal128Array::new(
        numbers().iter().map(|number| i128::from(*number)).collect::<Vec<_>>().into(),
        nulls(),
    );
    let structs = StructArray::new(
        Fields::from(vec![
            Field::new("text", DataType::Utf8View, true),
            Field::new("number", DataType::Int64, true),
        ]),
        vec![
            Arc::new(StringViewArray::from_iter_values(long())),
            Arc::new(Int64Array::new(numbers(), None)),
        ],
        nulls(),
    );
    let list_nulls = || Some(vec![true, true, false, true, true, true]);
    let items: ArrayRef =
        Arc::new(StringArray::from(vec![CANARY, "a", "b", CANARY, CANARY, "c", "d", CANARY]));
    let lists = list_of(items, vec![0, 1, 3, 5, 6, 7, 8], list_nulls());
    let struct_lists = list_of(Arc::new(structs.clone()), vec![0, 1, 2, 3, 4, 5, 6], list_nulls());
    vec![
        Arc::new(string),
        Arc::new(binary),
        Arc::new(large),
        Arc::new(views),
        Arc::new(binary_views),
        Arc::new(dictionary),
        Arc::new(fixed),
        Arc::new(integers),
        Arc::new(decimals),
        Arc::new(structs),
        lists,
        struct_lists,
    ]
}

#[test]
fn a_slice_leaves_without_its_neighbours_and_without_what_null_slots_hide() {
    for array in marked() {
        let batch = batch_of(array).slice(1, 4);
        let columns = encode_all(&batch);
        assert_no_canary(&columns);
        assert_eq!(
            columns.nodes[0],
            FieldNode { length: 4, null_count: 1 },
            "{:?}",
            batch.schema()
        );
        let back = decode(columns, &boundary(&batch), 4).unwrap();
        assert_eq!(texts(back.column(0)), texts(batch.column(0)), "{:?}", batch.schema());
    }
}

#[test]
fn bits_of_neighbours_do_not_leave() {
    for offset in [0, 1, 8, 9] {
        let bits = BooleanBuffer::new(Buffer::from_vec(vec![0xff_u8; 4]), 0, 32);
        let values = BooleanArray::new(bits.clone(), Some(NullBuffer::new(bits)));
        let validity: Vec<bool> = (0..32).map(|row| row != offset + 1).collect();
        let values = BooleanArray::new(values.values().clone(), Some(validity.into()));
        let columns = encode_all(&batch_of(Arc::new(values)).slice(offset, 3));
        assert_eq!(columns.buffers[0].as_ref(), [0b101], "validity from bit {offset}");
        assert_eq!(columns.buffers[1].as_ref(), [0b101], "values from bit {offset}");
    }
}

#[test]
fn the_layout_is_the_one_in_the_wit() {
    let batch = batch_of(list_of(
        Arc::new(StringArray::from(vec![Some("x"), Some("ab"), None, Some("c")])),
        vec![1, 3, 3, 4],
        Some(vec![true, false, true]),
    ));
    let columns = encode_all(&batch);
    let node = |length, null_count| FieldNode { length, null_count };
    assert_eq!(columns.nodes, [node(3, 1), node(3, 1)]);
    let expect: [&[u8]; 5] = [
        &[0b101],
        &[0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0],
        &[0b101],
        &[0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0],
        b"abc",
    ];
    assert_eq!(columns.buffers, expect);
}

#[test]
fn plain_columns_leave_without_a_copy() {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    let batch = batch_of(Arc::clone(&values)).slice(10, 50);
    let columns = encode_all(&batch);
    let data = values.to_data();
    assert_eq!(columns.buffers[1].as_ptr(), data.buffers()[0].as_slice()[80..].as_ptr());
}

#[test]
fn reading_more_than_the_limit_is_an_error_and_so_is_a_column_that_is_not_there() {
    let batch = batch_of(Arc::new(Int64Array::from_iter_values(0..100)));
    let check = |indices: &[u32], limit, expect: ErrorCode| {
        let error = encode(&batch, &boundary(&batch), indices, limit).unwrap_err();
        assert_eq!(error.code(), expect);
    };
    assert!(encode(&batch, &boundary(&batch), &[0], 800).is_ok());
    check(&[0], 799, ErrorCode::LimitExceeded);
    check(&[0; 3], 2399, ErrorCode::LimitExceeded);
    check(&[1], 800, ErrorCode::InvalidArgument);
    check(&[u32::MAX], 800, ErrorCode::InvalidArgument);
}

#[test]
fn the_size_is_known_before_the_buffers_are_made() {
    for array in marked().into_iter().chain(every_type()) {
        for batch in [batch_of(Arc::clone(&array)), batch_of(array).slice(1, 3)] {
            let bytes = encode_all(&batch).byte_len();
            let known = boundary_bytes(batch.column(0));
            assert!(bytes <= known && known <= bytes + 256, "{bytes} {known} {:?}", batch.schema());
        }
    }
}

/// One array of six rows for each boundary type, with and without nulls.
fn every_type() -> Vec<ArrayRef> {
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(NullArray::new(6)),
        Arc::new(BooleanArray::from(vec![true, false, true, true, false, true])),
        Arc::new(StringArray::from(vec![Some("ä"), None, Some(""), Some("x"), Some("yz"), None])),
        Arc::new(BinaryArray::from(vec![
            Some(b"\xff".as_ref()),
            None,
            Some(b""),
            None,
            None,
            None,
        ])),
        Arc::new(FixedSizeBinaryArray::new(
            2,
            Buffer::from(b"ab..cd....ef".as_slice()),
            Some(NullBuffer::from(vec![true, false, true, false, false, true])),
        )),
    ];
    let longs = Int64Array::from(vec![Some(1), None, Some(-3), Some(4), None, Some(6)]);
    for text in [
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "float32",
        "float64",
        "date32",
        "date64",
        "time32(s)",
        "time32(ms)",
        "time64(us)",
        "time64(ns)",
        "timestamp(s)",
        "timestamp(ns, +00:00)",
        "duration(ms)",
        "decimal(20, 3)",
        "decimal(5, -2)",
        "decimal256(60, 3)",
    ] {
        let target = column_type_to_arrow(&text.parse().unwrap());
        let source: ArrayRef = match target {
            DataType::Date32 | DataType::Time32(_) => {
                arrow::compute::cast(&longs, &DataType::Int32).unwrap()
            }
            _ => Arc::new(longs.clone()),
        };
        arrays.push(arrow::compute::cast(&source, &target).unwrap());
    }
    for text in ["uint8", "uint16", "uint32", "uint64"] {
        let target = column_type_to_arrow(&text.parse().unwrap());
        arrays.push(
            arrow::compute::cast(&UInt8Array::from(vec![1, 2, 3, 4, 5, 6]), &target).unwrap(),
        );
    }
    let items: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), Some("cc")]));
    let lists =
        list_of(items, vec![0, 1, 1, 3, 3, 4, 4], Some(vec![true, false, true, true, true, true]));
    let structs = StructArray::new(
        Fields::from(vec![
            Field::new("list", lists.data_type().clone(), true),
            Field::new("number", DataType::Int64, true),
        ]),
        vec![Arc::clone(&lists), Arc::new(longs)],
        Some(NullBuffer::from(vec![true, true, true, false, true, true])),
    );
    arrays.push(list_of(Arc::clone(&lists), vec![0, 2, 2, 3, 6, 6, 6], None));
    arrays.push(lists);
    arrays.push(list_of(Arc::new(structs.clone()), vec![0, 0, 1, 3, 5, 5, 6], None));
    arrays.push(Arc::new(structs));
    arrays
}

#[test]
fn every_type_crosses_and_comes_back() {
    for array in every_type() {
        for batch in [batch_of(Arc::clone(&array)), batch_of(array).slice(2, 3)] {
            let columns = encode_all(&batch);
            let again = columns.clone();
            let rows = batch.num_rows();
            let back = decode(columns, &boundary(&batch), rows as u64).unwrap();
            assert_eq!(texts(back.column(0)), texts(batch.column(0)));
            assert_eq!(encode_all(&back), again, "the encoding of {:?} is exact", batch.schema());
        }
    }
}

#[test]
fn empty_batches_cross() {
    for array in every_type().into_iter().chain(marked()) {
        let batch = batch_of(array).slice(3, 0);
        let mut columns = encode_all(&batch);
        decode(columns.clone(), &boundary(&batch), 0).unwrap();
        // A guest may leave every buffer of an empty array empty.
        columns.buffers.iter_mut().for_each(|buffer| buffer.clear());
        decode(columns, &boundary(&batch), 0).unwrap();
    }
    let none = Arc::new(Schema::empty());
    assert_eq!(decode(Columns::default(), &none, 7).unwrap().num_rows(), 7);
}

#[test]
fn what_a_guest_hides_in_null_slots_and_behind_the_end_is_dropped() {
    let lie = |data_type: &str, nodes: &[(u64, u64)], buffers: &[&[u8]], expect: &[&[u8]]| {
        let field = Field::new("c", column_type_to_arrow(&data_type.parse().unwrap()), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let columns = Columns {
            nodes: nodes
                .iter()
                .map(|&(length, null_count)| FieldNode { length, null_count })
                .collect(),
            buffers: buffers.iter().map(|buffer| Bytes::copy_from_slice(buffer)).collect(),
        };
        let batch = decode(columns, &schema, nodes[0].0).unwrap();
        assert_eq!(encode_all(&batch).buffers, expect, "{data_type}");
        let hidden = batch.column(0).to_data();
        for buffer in hidden.buffers() {
            assert!(!buffer.as_slice().contains(&b'!'), "{data_type}: {buffer:?}");
        }
    };
    lie("uint8", &[(3, 1)], &[&[0xfd], b"a!b!!!"], &[&[0b101], b"a\0b"]);
    lie("boolean", &[(3, 1)], &[&[0xfd], &[0xff]], &[&[0b101], &[0b101]]);
    let offsets = [1_i32, 2, 4, 5].map(i32::to_le_bytes).concat();
    let exact = [0_i32, 1, 1, 2].map(i32::to_le_bytes).concat();
    lie("utf8", &[(3, 1)], &[&[0xfd], &offsets, b"!a!!b!"], &[&[0b101], &exact, b"ab"]);
    lie(
        "list(uint8)",
        &[(3, 1), (6, 0)],
        &[&[0xfd], &offsets, &[], b"!a!!b!"],
        &[&[0b101], &exact, &[], b"ab"],
    );
    lie(
        "struct(a: uint8)",
        &[(3, 1), (3, 0)],
        &[&[0b101], &[], b"a!b"],
        &[&[0b101], &[0b101], b"a\0b"],
    );
}

#[test]
fn lies_are_refused_with_a_reason() {
    let check =
        |data_type: &str, rows: u64, nodes: &[(u64, u64)], buffers: &[&[u8]], expect: &str| {
            let field = Field::new("c", column_type_to_arrow(&data_type.parse().unwrap()), false);
            let schema = Arc::new(Schema::new(vec![field]));
            let columns = Columns {
                nodes: nodes
                    .iter()
                    .map(|&(length, null_count)| FieldNode { length, null_count })
                    .collect(),
                buffers: buffers.iter().map(|buffer| Bytes::copy_from_slice(buffer)).collect(),
            };
            let error = decode(columns, &schema, rows).unwrap_err();
            assert!(error.detail().contains(expect), "{}", error.detail());
        };
    let offsets =
        |offsets: &[i32]| offsets.iter().flat_map(|o| o.to_le_bytes()).collect::<Vec<_>>();
    check("int64", 2, &[(2, 0)], &[&[], &[0; 15]], "values buffer of 15 bytes; 16 are needed");
    check("int64", 2, &[(3, 0)], &[&[], &[0; 24]], "3 values where 2 are expected");
    check("int64", u64::MAX, &[(u64::MAX, 0)], &[&[], &[]], "at most 16777216 are allowed");
    check("int64", 2, &[], &[], "its field node is missing");
    check("int64", 2, &[(2, 0)], &[&[]], "its values buffer is missing");
    check("int64", 2, &[(2, 0), (2, 0)], &[&[], &[0; 16]], "more field nodes");
    check("int64", 2, &[(2, 0)], &[&[], &[0; 16], &[]], "more buffers");
    check("int64", 9, &[(9, 1)], &[&[0xfe], &[0; 72]], "bitmap of 1 bytes; 2 are needed");
    check("int64", 2, &[(2, 1)], &[&[0b11], &[0; 16]], "null count of 1, but the bitmap has 0");
    check("int64", 2, &[(2, 1)], &[&[], &[0; 16]], "null count of 1 without");
    check("int64", 2, &[(2, 1)], &[&[1], &[0; 16]], "it has nulls but may not");
    check("boolean", 9, &[(9, 0)], &[&[], &[0]], "values buffer of 1 bytes; 2 are needed");
    check("utf8", 2, &[(2, 0)], &[&[], &offsets(&[0, 2, 1]), b"ab"], "valid array of type Utf8");
    check("utf8", 2, &[(2, 0)], &[&[], &offsets(&[0, -1, 1]), b"ab"], "valid array");
    check("utf8", 2, &[(2, 0)], &[&[], &offsets(&[0, 1, 3]), b"ab"], "valid array");
    check("utf8", 2, &[(2, 0)], &[&[], &offsets(&[0, 1]), b"ab"], "offsets buffer of 8 bytes");
    check("utf8", 2, &[(2, 0)], &[&[], &offsets(&[0, 1, 2]), b"\xc3\xa4"], "valid array");
    check("utf8", 1, &[(1, 0)], &[&[], &offsets(&[0, 1]), b"\xff"], "valid array");
    check("list(int8)", 1, &[(1, 0), (1, 0)], &[&[], &offsets(&[0, 2]), &[], b"a"], "valid array");
    check("list(null)", 1, &[(1, 0), (1 << 40, 0)], &[&[], &offsets(&[0, 0])], "at most 67108864");
    check("struct(a: int8)", 2, &[(2, 0), (1, 0)], &[&[], &[], b"a"], "1 values where 2");
    let big = 100_000_i128.to_le_bytes();
    check("decimal(5, 2)", 1, &[(1, 0)], &[&[], &big], "more digits than its type allows");
}

/// Small and fast, so that a hundred thousand cases take seconds.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// A number that is likely to be one off, huge or negative.
    fn odd(&mut self, near: u64) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => near.wrapping_add(1),
            2 => near.wrapping_sub(1),
            3 => u64::MAX,
            4 => 1 << 31,
            5 => i64::MAX as u64,
            6 => near ^ (1 << self.below(64)),
            _ => self.next() % 64,
        }
    }
}

fn mutate(columns: &mut Columns, rows: &mut u64, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let node = random.below(columns.nodes.len());
        let buffer = random.below(columns.buffers.len());
        match random.below(10) {
            0 => *rows = random.odd(*rows),
            1 => columns.nodes[node].length = random.odd(columns.nodes[node].length),
            2 => columns.nodes[node].null_count = random.odd(columns.nodes[node].null_count),
            3 => drop(columns.nodes.swap_remove(node)),
            _ if columns.buffers.is_empty() => {}
            4 => drop(columns.buffers.swap_remove(buffer)),
            5 => columns.buffers.push(columns.buffers[buffer].clone()),
            6 => {
                let keep = random.below(columns.buffers[buffer].len());
                columns.buffers[buffer].truncate(keep);
            }
            7 => {
                // Misaligned: the copy starts one byte into its allocation.
                let shifted = [&[0], columns.buffers[buffer].as_ref()].concat();
                columns.buffers[buffer] = Bytes::from(shifted).slice(1..);
            }
            _ => {
                let mut bytes = columns.buffers[buffer].to_vec();
                let at = random.below(bytes.len());
                let odd = random.odd(0).to_le_bytes();
                for (byte, odd) in bytes.iter_mut().skip(at).zip(odd) {
                    *byte = odd;
                }
                columns.buffers[buffer] = Bytes::from(bytes);
            }
        }
        if columns.nodes.is_empty() {
            return;
        }
    }
}

#[test]
fn a_hundred_thousand_mutants_are_arrays_or_errors() {
    let samples: Vec<_> = every_type()
        .into_iter()
        .map(|array| {
            let batch = batch_of(array);
            (boundary(&batch), encode_all(&batch))
        })
        .collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut refused) = (0, 0);
    for case in 0..100_000 {
        let (schema, columns) = &samples[case % samples.len()];
        let (mut columns, mut rows) = (columns.clone(), 6);
        mutate(&mut columns, &mut rows, &mut random);
        match decode(columns, schema, rows) {
            Ok(batch) => {
                accepted += 1;
                for column in batch.columns() {
                    column.to_data().validate_full().unwrap();
                }
                // What was accepted is exact: it leaves as it came in, and every value can be read.
                let exact = encode_all(&batch);
                assert_eq!(exact, encode_all(&decode(exact.clone(), schema, rows).unwrap()));
                if batch.num_rows() < 100 {
                    texts_or_errors(&batch);
                }
            }
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}

/// Reads every value; a time out of the calendar may fail to print but not panic.
fn texts_or_errors(batch: &RecordBatch) {
    for column in batch.columns() {
        for row in 0..column.len() {
            let _ = array_value_to_string(column, row);
        }
    }
}
