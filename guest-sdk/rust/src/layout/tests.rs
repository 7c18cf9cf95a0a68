use super::*;

fn bytes<const N: usize>(numbers: [i32; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn decode(data_type: &str, nodes: &[Node], buffers: &[Vec<u8>]) -> Result<Column> {
    let mut decoder = Decoder { nodes: nodes.iter().copied(), buffers: buffers.iter().cloned() };
    decoder.column(&data_type.parse()?)
}

/// Decodes, looks, and encodes again.
fn check(data_type: &str, nodes: &[Node], buffers: &[Vec<u8>], look: impl Fn(&Column)) {
    let column = decode(data_type, nodes, buffers).unwrap();
    look(&column);
    let columns = [column];
    let again = Encoded::of(&columns);
    assert_eq!(again.nodes, nodes, "{data_type}");
    assert_eq!(again.buffers, buffers, "{data_type}");
    let taken = columns[0].take(&(0..columns[0].len()).collect::<Vec<_>>());
    assert_eq!(Encoded::of(&[taken]).nodes[0], nodes[0], "{data_type}");
}

#[test]
fn what_is_received_is_sent_the_same() {
    check("null", &[(3, 3)], &[], |column| assert!(column.is_null(2)));
    check("boolean", &[(3, 1)], &[vec![0b101], vec![0b001]], |column| {
        let view = column.boolean().unwrap();
        assert_eq!(view.iter().collect::<Vec<_>>(), [Some(true), None, Some(false)]);
    });
    check("int32", &[(2, 0)], &[vec![], bytes([7, -8])], |column| {
        assert_eq!(column.int32().unwrap().values(), [7, -8]);
    });
    check("decimal(38, 2)", &[(1, 0)], &[vec![], 5_i128.to_le_bytes().to_vec()], |column| {
        assert_eq!(column.decimal128().unwrap().get(0), Some(5));
    });
    check("utf8", &[(3, 1)], &[vec![0b101], bytes([0, 1, 1, 4]), b"abcd".to_vec()], |column| {
        let view = column.utf8().unwrap();
        assert_eq!(view.iter().collect::<Vec<_>>(), [Some("a"), None, Some("bcd")]);
    });
    check("fixed_size_binary(2)", &[(2, 0)], &[vec![], b"abcd".to_vec()], |column| {
        assert_eq!(column.fixed_size_binary().unwrap().get(1), Some(&b"cd"[..]));
    });
}

#[test]
fn lists_and_structs_can_be_read() {
    let buffers = [vec![0b101], bytes([0, 2, 2, 3]), vec![], bytes([1, 2, 3])];
    check("list(int32)", &[(3, 1), (3, 0)], &buffers, |column| {
        let lists = column.list().unwrap();
        let items = lists.items().int32().unwrap();
        let sum = |row| lists.get(row).map(|items_of| items.values()[items_of].iter().sum());
        assert_eq!([sum(0), sum(1), sum(2)], [Some(3), None, Some(3)]);
        let turned = column.take(&[2, 1, 0]);
        assert_eq!(turned.list().unwrap().items().int32().unwrap().values(), [3, 1, 2]);
    });
    let buffers = [vec![], vec![], bytes([1, 2]), vec![], bytes([0, 1, 2]), b"xy".to_vec()];
    check("struct(a: int32, b: utf8)", &[(2, 0); 3], &buffers, |column| {
        let structs = column.structs().unwrap();
        assert_eq!(structs.field("b").unwrap().utf8().unwrap().get(1), Some("y"));
        assert!(structs.field("c").is_none());
    });
}

#[test]
fn unaligned_numbers_are_copied() {
    let mut shifted = vec![0];
    shifted.extend(1_i64.to_le_bytes());
    for start in 0..2 {
        let values: Values<i64> =
            Values::from_received(shifted[start..start + 8].to_vec()).unwrap();
        assert_eq!(values.len(), 1);
    }
    assert!(Values::<i64>::from_received(vec![0; 9]).is_none());
}

#[test]
fn buffers_that_do_not_fit_are_an_error_and_no_panic() {
    let refused = |data_type: &str, nodes: &[Node], buffers: &[Vec<u8>]| {
        let error = decode(data_type, nodes, buffers).unwrap_err();
        assert_eq!(
            error.message(),
            format!("the host sent a malformed column of type {data_type}")
        );
    };
    refused("int32", &[], &[]);
    refused("int32", &[(1, 0)], &[vec![]]);
    refused("int32", &[(2, 0)], &[vec![], bytes([1])]);
    refused("int32", &[(1, 1)], &[vec![], bytes([1])]);
    refused("boolean", &[(9, 0)], &[vec![], vec![0]]);
    refused("utf8", &[(1, 0)], &[vec![], bytes([0, 9]), b"ab".to_vec()]);
    refused("utf8", &[(1, 0)], &[vec![], bytes([-1, 1]), b"ab".to_vec()]);
    refused("utf8", &[(2, 0)], &[vec![], bytes([0, 2, 1]), b"ab".to_vec()]);
    refused("utf8", &[(1, 0)], &[vec![], bytes([0, 1]), vec![0xff]]);
    refused("list(int32)", &[(1, 0), (0, 0)], &[vec![], bytes([0, 3]), vec![], vec![]]);
    refused("struct(a: int32)", &[(2, 0), (1, 0)], &[vec![], vec![], bytes([1])]);
}
