//! Columns: made, looked at, put in a new order.

use glovebox_guest::{
    BinaryBuilder, Column, DataType, Decimal128Builder, Int32Builder, Int64Builder, Result,
    TimeUnit, Utf8Builder,
};

#[test]
fn types_have_one_text() {
    let check = |text: &str| assert_eq!(text.parse::<DataType>().unwrap().to_string(), text);
    for text in [
        "null",
        "boolean",
        "int64",
        "float16",
        "utf8",
        "fixed_size_binary(16)",
        "decimal(38, -2)",
        "decimal256(76, 10)",
        "time32(ms)",
        "timestamp(us)",
        "timestamp(ns, Europe/Berlin)",
        "duration(s)",
        "list(struct(a: list(int8), b: decimal(5, 2)))",
    ] {
        check(text);
    }
    for text in ["", "int", "list", "list(", "timestamp(h)", "decimal(5)", "struct(a)"] {
        assert!(text.parse::<DataType>().is_err(), "{text}");
    }
}

#[test]
fn a_column_shows_what_was_put_in() -> Result<()> {
    let numbers = Column::from(vec![Some(1_i64), None, Some(-3)]);
    assert_eq!((numbers.len(), numbers.null_count()), (3, 1));
    let view = numbers.int64()?;
    assert_eq!(view.iter().collect::<Vec<_>>(), [Some(1), None, Some(-3)]);
    assert_eq!(view.values(), [1, 0, -3]);
    assert!(view.is_null(1) && !view.is_null(2));

    let texts: Column = ["a", "", "größer"].into_iter().collect();
    assert_eq!(texts.utf8()?.iter().flatten().collect::<Vec<_>>(), ["a", "", "größer"]);

    let flags: Column = (0..20).map(|index| (index % 3 != 0).then_some(index % 2 == 0)).collect();
    assert_eq!(flags.null_count(), 7);
    assert_eq!(flags.boolean()?.get(4), Some(true));
    assert_eq!(flags.boolean()?.get(5), Some(false));
    assert_eq!(flags.boolean()?.get(6), None);

    let mut bytes = BinaryBuilder::new();
    bytes.push([0xff, 0]);
    bytes.push_null();
    assert_eq!(bytes.finish().binary()?.iter().collect::<Vec<_>>(), [Some(&[0xff, 0][..]), None]);
    assert!(Column::from(Vec::<f64>::new()).is_empty());
    Ok(())
}

#[test]
fn types_of_the_same_layout_share_a_builder() -> Result<()> {
    let mut days = Int32Builder::of_type(DataType::Date32)?;
    days.push(15_706);
    assert_eq!(days.finish().date32()?.values(), [15_706]);

    let mut prices = Decimal128Builder::of_type(DataType::Decimal128(10, 2))?;
    prices.push(12_345);
    assert_eq!(prices.finish().decimal128()?.values(), [12_345]);

    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let times = Column::from(vec![1_i64]).with_type(zoned.clone())?;
    assert_eq!((times.data_type(), times.timestamp()?.values()), (&zoned, &[1][..]));

    let error = Int64Builder::of_type(DataType::Utf8).unwrap_err();
    assert_eq!(error.message(), "a column of type utf8 is not made of i64");
    assert!(Column::from(vec![1_i64]).with_type(DataType::Float64).is_err());
    Ok(())
}

#[test]
fn the_wrong_view_is_an_error_that_names_both_types() {
    let error = Column::from(vec![1_i64]).float64().unwrap_err();
    assert_eq!(error.message(), "a column of type int64 is not float64");
}

#[test]
fn rows_are_taken_and_columns_joined() -> Result<()> {
    let mut builder = Utf8Builder::new();
    builder.push("a");
    builder.push_null();
    builder.push("ccc");
    let texts = builder.finish();
    let taken = texts.take(&[2, 2, 1, 0]);
    assert_eq!(
        taken.utf8()?.iter().collect::<Vec<_>>(),
        [Some("ccc"), Some("ccc"), None, Some("a")]
    );
    let joined = Column::concat(&[texts.clone(), texts.take(&[]), texts])?;
    assert_eq!((joined.len(), joined.null_count()), (6, 2));
    assert!(Column::concat(&[]).is_err());
    assert!(Column::concat(&[Column::from(vec![1_i64]), Column::from(vec![1.0])]).is_err());
    Ok(())
}

#[test]
#[should_panic(expected = "row 2 of a column with 2 rows")]
fn a_row_that_does_not_exist_is_a_mistake_of_the_notebook() {
    let _ = Column::from(vec![1_i64, 2]).int64().map(|view| view.get(2));
}
