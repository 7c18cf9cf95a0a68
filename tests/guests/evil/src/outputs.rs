//! Writing what was not declared, or not when it may be written.

use glovebox_guest::raw::{data, outputs, types};
use glovebox_guest::{Error, ErrorCode, Result, columns};

use crate::{Attack, behave};

pub(crate) const ATTACKS: &[Attack] = &[
    // An output that the manifest does not declare.
    ("write_undeclared", |room| {
        room.output("undeclared")?.finish()?;
        behave(room)
    }),
    // A path instead of a name.
    ("write_path", |room| {
        room.output("../../out")?.finish()?;
        behave(room)
    }),
    // Texts where integers are declared.
    ("wrong_type", |_| {
        let schema = schema(&[("x", "utf8", false), ("y", "float64", true)])?;
        let columns = data::ColumnsParam {
            nodes: &[node(1, 0), node(1, 0)],
            buffers: &[&[], &[0, 0, 0, 0, 1, 0, 0, 0], b"a", &[], &0.5_f64.to_le_bytes()],
        };
        write_batch(&schema, 1, columns)
    }),
    // The declared columns and one more.
    ("extra_column", |_| {
        let schema =
            schema(&[("x", "int64", false), ("y", "float64", true), ("z", "int64", true)])?;
        let one = 1_u64.to_le_bytes();
        let columns = data::ColumnsParam {
            nodes: &[node(1, 0), node(1, 0), node(1, 0)],
            buffers: &[&[], &one, &[], &one, &[], &one],
        };
        write_batch(&schema, 1, columns)
    }),
    // A null in a column that is declared `not null`, in a batch whose own schema allows it.
    ("null_in_not_null", |_| {
        let schema = schema(&[("x", "int64", true), ("y", "float64", true)])?;
        let one = 1_u64.to_le_bytes();
        let columns = data::ColumnsParam {
            nodes: &[node(1, 1), node(1, 0)],
            buffers: &[&[0], &one, &[], &one],
        };
        write_batch(&schema, 1, columns)
    }),
    // The same in a batch of the output's schema.
    ("null_in_not_null_batch", |room| {
        let mut output = room.output("out")?;
        output.write(columns! { "x" => vec![None::<i64>], "y" => vec![0.5] })?;
        output.finish()?;
        Ok(())
    }),
    // Eleven rows where ten are declared, in one batch.
    ("one_row_too_many", |room| {
        let mut output = room.output("out")?;
        output.write(columns! { "x" => vec![1_i64; 11], "y" => vec![0.5; 11] })?;
        output.finish()?;
        Ok(())
    }),
    // The same in two batches.
    ("one_row_too_many_later", |room| {
        let mut output = room.output("out")?;
        output.write(columns! { "x" => vec![1_i64; 10], "y" => vec![0.5; 10] })?;
        output.write(columns! { "x" => vec![1_i64], "y" => vec![0.5] })?;
        output.finish()?;
        Ok(())
    }),
    // Opens an output that was finished.
    ("open_twice", |room| {
        behave(room)?;
        behave(room)
    }),
    // Opens an output that is open.
    ("open_while_open", |room| {
        let _first = room.output("out")?;
        behave(room)
    }),
    // Finishes a handle that is gone.
    ("finish_twice", |_| {
        let handle = finished_handle()?;
        // SAFETY: deliberately wrong: the handle was given away. The host must trap.
        let stale = unsafe { outputs::Output::from_handle(handle) };
        outputs::Output::finish(stale).map_err(host_error)?;
        Ok(())
    }),
    // Writes to a handle that is gone.
    ("write_after_finish", |_| {
        let schema = schema(&[("x", "int64", false), ("y", "float64", true)])?;
        let one = 1_u64.to_le_bytes();
        let columns = data::ColumnsParam {
            nodes: &[node(1, 0), node(1, 0)],
            buffers: &[&[], &one, &[], &one],
        };
        let batch = data::RecordBatch::from_columns(&schema, 1, columns).map_err(host_error)?;
        let handle = finished_handle()?;
        // SAFETY: deliberately wrong: the handle was given away. The host must trap.
        let stale = unsafe { outputs::Output::from_handle(handle) };
        stale.write(&batch).map_err(host_error)?;
        Ok(())
    }),
    // Writes and never finishes.
    ("never_finish", |room| {
        let mut output = room.output("out")?;
        output.write(columns! { "x" => vec![1_i64], "y" => vec![0.5] })?;
        Ok(())
    }),
    // Does not even open its output.
    ("never_open", |_| Ok(())),
    // Finishes its output, then fails: nothing may be published.
    ("fail_after_finish", |room| {
        behave(room)?;
        Err(Error::new("the notebook fails after its output is finished"))
    }),
    // Finishes its output, then traps: nothing may be published.
    ("panic_after_finish", |room| {
        behave(room)?;
        panic!("the notebook panics after its output is finished")
    }),
    // Hides bits in a NaN and in the sign of zero. The output is fine, its bits are canonical.
    ("nan_bits", |room| {
        let y = vec![f64::from_bits(0x7ff8_dead_beef_cafe), f64::from_bits(0xfff0_0000_0000_0001)];
        let mut output = room.output("out")?;
        output.write(columns! { "x" => vec![1_i64, 2], "y" => y })?;
        output.finish()?;
        Ok(())
    }),
    // Hides a number in the slot of a null.
    ("null_slot", |_| {
        let schema = schema(&[("x", "int64", false), ("y", "float64", true)])?;
        let one = 1_u64.to_le_bytes();
        let columns = data::ColumnsParam {
            nodes: &[node(1, 0), node(1, 1)],
            buffers: &[&[], &one, &[0], &0x5ec2e7_u64.to_le_bytes()],
        };
        write_batch(&schema, 1, columns)
    }),
];

pub(crate) fn node(length: u64, null_count: u64) -> data::FieldNode {
    data::FieldNode { length, null_count }
}

/// The host's error as it is: so the run's public reason is the host's too.
pub(crate) fn host_error(error: types::Error) -> Error {
    let code = match error.code {
        types::ErrorCode::NotGranted => ErrorCode::NotGranted,
        types::ErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
        types::ErrorCode::SchemaMismatch => ErrorCode::SchemaMismatch,
        types::ErrorCode::LimitExceeded => ErrorCode::LimitExceeded,
        types::ErrorCode::PolicyDenied => ErrorCode::PolicyDenied,
        types::ErrorCode::Closed => ErrorCode::Closed,
        types::ErrorCode::Internal => ErrorCode::Internal,
    };
    Error::with_code(code, error.message)
}

pub(crate) fn schema(fields: &[(&str, &str, bool)]) -> Result<data::Schema> {
    let fields: Vec<_> = fields
        .iter()
        .map(|&(name, data_type, nullable)| data::FieldParam { name, data_type, nullable })
        .collect();
    data::Schema::create(&fields).map_err(host_error)
}

/// Writes one batch to the output, whatever it is, and finishes.
fn write_batch(schema: &data::Schema, rows: u64, columns: data::ColumnsParam<'_>) -> Result<()> {
    let batch = data::RecordBatch::from_columns(schema, rows, columns).map_err(host_error)?;
    let output = outputs::open_output("out").map_err(host_error)?;
    output.write(&batch).map_err(host_error)?;
    outputs::Output::finish(output).map_err(host_error)?;
    Ok(())
}

/// Finishes the output and gives the number that its handle had.
fn finished_handle() -> Result<u32> {
    let output = outputs::open_output("out").map_err(host_error)?;
    let handle = output.handle();
    outputs::Output::finish(output).map_err(host_error)?;
    Ok(handle)
}
