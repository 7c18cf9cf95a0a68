//! The index of an Arrow IPC file, checked before anything believes it.
//!
//! The reader allocates what a block of the index claims, and an allocation that fails ends the
//! process. So every block must lie inside the file, as the format demands
//! (<https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format>).

use arrow::error::ArrowError;
use arrow::ipc::root_as_footer;
use datafusion::common::DataFusionError;

use crate::read_at::ReadAt;

/// The length of the footer, then `ARROW1`.
const TRAILER_BYTES: u64 = 10;

/// Longest footer that is read.
const MAX_FOOTER_BYTES: u64 = 64 << 20;

/// Fails unless every block that the file's index names lies inside the file.
pub(crate) fn check(file: &dyn ReadAt) -> Result<(), DataFusionError> {
    let corrupt =
        || DataFusionError::from(ArrowError::IpcError("the index of the file is not valid".into()));
    let footer_end = file.bytes().checked_sub(TRAILER_BYTES).ok_or_else(corrupt)?;
    let mut length = [0; 4];
    file.read_exact_at(&mut length, footer_end)?;
    let length = u64::try_from(i32::from_le_bytes(length)).map_err(|_| corrupt())?;
    let start = footer_end.checked_sub(length).ok_or_else(corrupt)?;
    if length > MAX_FOOTER_BYTES {
        return Err(corrupt());
    }
    let mut footer = vec![0; usize::try_from(length).map_err(|_| corrupt())?];
    file.read_exact_at(&mut footer, start)?;
    let footer = root_as_footer(&footer).map_err(|_| corrupt())?;
    let blocks = [footer.dictionaries(), footer.recordBatches()];
    for block in blocks.into_iter().flatten().flatten() {
        let parts = [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()]
            .map(u64::try_from);
        let [Ok(offset), Ok(metadata), Ok(body)] = parts else { return Err(corrupt()) };
        let end = offset.checked_add(metadata).and_then(|end| end.checked_add(body));
        if end.is_none_or(|end| end > file.bytes()) {
            return Err(corrupt());
        }
    }
    Ok(())
}
