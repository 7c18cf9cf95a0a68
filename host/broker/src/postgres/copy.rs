//! Rows as `COPY … TO STDOUT (FORMAT binary)` sends them.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tokio_postgres::CopyOutStream;

use super::columns::SourceColumn;
use super::decode::ColumnBuilder;
use super::failure;
use super::session::Session;
use crate::error::Failure;
use crate::source::Batches;

/// What a stream begins with.
const MAGIC: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Most rows of a batch.
const MAX_ROWS: usize = 16_384;

/// Bytes after which a batch is full.
const MAX_BYTES: usize = 8 << 20;

/// A scan that is under way.
struct Copy {
    session: Session,
    rows: Pin<Box<CopyOutStream>>,
    decoder: Decoder,
    is_done: bool,
}

/// The rows of a query, in batches.
pub(super) async fn stream(
    session: Session,
    sql: &str,
    columns: &[SourceColumn],
    schema: SchemaRef,
) -> Result<Batches, Failure> {
    let copy = format!("COPY ({sql}) TO STDOUT (FORMAT binary)");
    let rows = session
        .client()?
        .copy_out(&copy)
        .await
        .map_err(|error| failure::of("the database refuses the query", &error))?;
    let decoder = Decoder::new(columns, schema);
    let copy = Copy { session, rows: Box::pin(rows), decoder, is_done: false };
    Ok(futures::stream::try_unfold(copy, Copy::next).boxed())
}

impl Copy {
    /// The next batch and the rest.
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>, Failure> {
        while !self.is_done && !self.decoder.is_full() {
            match self.rows.next().await {
                Some(Ok(message)) => self.decoder.read(&message)?,
                Some(Err(error)) => return Err(failure::of("the database ended the scan", &error)),
                None => {
                    self.decoder.finish()?;
                    self.session.finished();
                    self.is_done = true;
                }
            }
        }
        let batch = self.decoder.take()?;
        Ok(batch.map(|batch| (batch, self)))
    }
}

/// Makes batches of messages, each of which holds whole rows.
struct Decoder {
    columns: Vec<ColumnBuilder>,
    schema: SchemaRef,
    state: State,
    rows: usize,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Rows,
    End,
}

impl Decoder {
    fn new(columns: &[SourceColumn], schema: SchemaRef) -> Self {
        let columns = columns.iter().map(ColumnBuilder::new).collect();
        Self { columns, schema, state: State::Begin, rows: 0, bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.rows >= MAX_ROWS || self.bytes >= MAX_BYTES
    }

    fn read(&mut self, message: &[u8]) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(message.len());
        let mut rest = Pieces(message);
        if self.state == State::Begin && !rest.0.is_empty() {
            let begins = rest.take(MAGIC.len()) == Some(MAGIC) && rest.number() == Some(0);
            let extension = rest.number().and_then(|length| usize::try_from(length).ok());
            if !begins || extension.and_then(|length| rest.take(length)).is_none() {
                return Err(torn());
            }
            self.state = State::Rows;
        }
        while !rest.0.is_empty() {
            let count = rest.take(2).ok_or_else(torn)?;
            match (self.state, count) {
                (State::Rows, [0xff, 0xff]) => self.state = State::End,
                (State::Rows, count) if is_count(count, self.columns.len()) => {
                    self.row(&mut rest)?;
                }
                _ => return Err(torn()),
            }
        }
        Ok(())
    }

    fn row(&mut self, rest: &mut Pieces<'_>) -> Result<(), Failure> {
        for column in &mut self.columns {
            let value = match rest.number().ok_or_else(torn)? {
                -1 => None,
                length => {
                    let length = usize::try_from(length).map_err(|_| torn())?;
                    Some(rest.take(length).ok_or_else(torn)?)
                }
            };
            column.append(value)?;
        }
        self.rows = self.rows.saturating_add(1);
        Ok(())
    }

    /// Fails when the stream is not at its end.
    fn finish(&self) -> Result<(), Failure> {
        (self.state == State::End).then_some(()).ok_or_else(torn)
    }

    /// The rows so far; `None` when there are none.
    fn take(&mut self) -> Result<Option<RecordBatch>, Failure> {
        if self.rows == 0 {
            return Ok(None);
        }
        (self.rows, self.bytes) = (0, 0);
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)
            .map(Some)
            .map_err(|_| Failure::unreadable("the database sends nulls where it declares none"))
    }
}

fn is_count(bytes: &[u8], columns: usize) -> bool {
    <[u8; 2]>::try_from(bytes).is_ok_and(|it| usize::from(u16::from_be_bytes(it)) == columns)
}

fn torn() -> Failure {
    Failure::unavailable("the database sends rows that are not whole")
}

/// What is left of a message.
struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (piece, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(piece)
    }

    fn number(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::AsArray as _;
    use arrow::datatypes::{Int32Type, Schema};
    use glovebox_contract::column::{Column, ColumnType};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::postgres::columns::Kind;

    fn decoder() -> Decoder {
        let column = |name: &str, kind, column_type| SourceColumn {
            column: Column { name: name.into(), nullable: true, column_type },
            kind,
        };
        let columns =
            [column("n", Kind::Int4, ColumnType::Int32), column("t", Kind::Text, ColumnType::Utf8)];
        let fields = columns.iter().map(SourceColumn::field).collect::<Vec<_>>();
        Decoder::new(&columns, Arc::new(Schema::new(fields)))
    }

    fn header() -> Vec<u8> {
        [MAGIC, &[0; 8]].concat()
    }

    fn row(number: i32, text: Option<&str>) -> Vec<u8> {
        let mut bytes = vec![0, 2, 0, 0, 0, 4];
        bytes.extend(number.to_be_bytes());
        match text {
            Some(text) => {
                bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            None => bytes.extend((-1_i32).to_be_bytes()),
        }
        bytes
    }

    #[test]
    fn rows_become_batches() {
        let mut decoder = decoder();
        decoder.read(&[header(), row(7, Some("é"))].concat()).unwrap();
        decoder.read(&row(-1, None)).unwrap();
        decoder.read(&[0xff, 0xff]).unwrap();
        decoder.finish().unwrap();
        let batch = decoder.take().unwrap().unwrap();
        assert_eq!(batch.column(0).as_primitive::<Int32Type>().values(), &[7, -1]);
        let texts: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("é"), None]);
        assert!(decoder.take().unwrap().is_none());
    }

    #[test]
    fn what_is_torn_is_an_error() {
        let whole = [header(), row(7, Some("abc")), vec![0xff, 0xff]].concat();
        for length in 1..whole.len() {
            let mut decoder = decoder();
            let read = decoder.read(&whole[..length]);
            assert!(read.is_err() || decoder.finish().is_err(), "{length}");
        }
        let check = |bytes: Vec<u8>| assert!(decoder().read(&bytes).is_err(), "{bytes:?}");
        check(b"PGCOPY\n\xff\r\n\x01\0\0\0\0\0\0\0\0".to_vec());
        check([header(), vec![0, 1, 0, 0, 0, 0]].concat());
        check([header(), vec![0xff, 0xff], row(1, None)].concat());
        check([header(), vec![0, 2, 0xff, 0xff, 0xff, 0xfe]].concat());
        check([header(), vec![0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0]].concat());
        check([header(), vec![0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0xff]].concat());
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_or_an_error(
            changes in vec((0..200_usize, any::<u8>()), 0..8),
            length in 0..200_usize,
        ) {
            let rows = (0..9).map(|number| row(number, Some("abcdefgh"))).collect::<Vec<_>>();
            let mut bytes = [header(), rows.concat(), vec![0xff, 0xff]].concat();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            bytes.truncate(length);
            let mut decoder = decoder();
            if decoder.read(&bytes).is_ok() {
                let batch = decoder.take();
                prop_assert!(batch.is_ok_and(|batch| batch.is_none_or(|it| it.num_rows() <= 9)));
            }
        }
    }
}
