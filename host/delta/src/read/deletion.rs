//! Which rows of a file are deleted, as Delta writes it.
//!
//! A vector is four bytes that say its format and a bitmap. It stands in the log itself, or in a
//! file with its length in front and a checksum behind.

use std::ops::Range;

use serde::Deserialize;

use super::SourceError;
use super::roaring;

/// Most deleted rows of one file.
const MAX_DELETED_ROWS: u64 = 32 << 20;

/// Longest vector in bytes.
const MAX_BYTES: u32 = 256 << 20;

/// The one format of bitmaps there is, as its first four bytes, least significant first.
const PORTABLE: u32 = 1_681_511_377;

/// Length of the text that is the number of a file.
const FILE_NUMBER_CHARS: usize = 20;

/// Where a vector is and how many rows it has, as an `add` action says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletionVector {
    storage_type: StorageKind,
    path_or_inline_dv: String,
    #[serde(default)]
    offset: Option<u32>,
    size_in_bytes: u32,
    cardinality: u64,
}

/// How a vector is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum StorageKind {
    /// In a file of the table.
    #[serde(rename = "u")]
    File,
    /// In the log.
    #[serde(rename = "i")]
    Inline,
    /// At an address.
    #[serde(rename = "p")]
    Address,
}

/// Where the bytes of a vector are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VectorPlace {
    /// In a file below the table; these of its bytes.
    File(String, Range<u64>),
    /// In what an address leads to; these of its bytes.
    Address(String, Range<u64>),
    /// Nowhere else: these are the rows.
    Rows(Vec<u64>),
}

impl DeletionVector {
    pub(super) fn new(
        storage: &str,
        text: String,
        offset: Option<i32>,
        bytes: i32,
        cardinality: i64,
    ) -> Result<Self, SourceError> {
        let wrong = |_| damaged("has impossible numbers");
        Ok(Self {
            storage_type: match storage {
                "u" => StorageKind::File,
                "i" => StorageKind::Inline,
                "p" => StorageKind::Address,
                _ => return Err(damaged("is kept in an unknown way")),
            },
            path_or_inline_dv: text,
            offset: offset.map(u32::try_from).transpose().map_err(wrong)?,
            size_in_bytes: u32::try_from(bytes).map_err(wrong)?,
            cardinality: u64::try_from(cardinality).map_err(wrong)?,
        })
    }

    /// How many rows are deleted.
    pub fn cardinality(&self) -> u64 {
        self.cardinality
    }

    /// Where its bytes are, or the rows themselves.
    ///
    /// # Errors
    /// When it is too large, or is not written as it should be.
    pub fn place(&self) -> Result<VectorPlace, SourceError> {
        if self.cardinality > MAX_DELETED_ROWS || self.size_in_bytes > MAX_BYTES {
            return Err(SourceError::Unsupported(format!(
                "a file has {} deleted rows, at most {MAX_DELETED_ROWS} are read; `OPTIMIZE` or \
                 `REORG TABLE … APPLY (PURGE)` writes it anew",
                self.cardinality
            )));
        }
        match self.storage_type {
            StorageKind::Inline => {
                let mut bytes = base85(self.path_or_inline_dv.as_bytes())?;
                let length = usize::try_from(self.size_in_bytes).unwrap_or(usize::MAX);
                if bytes.len() < length {
                    return Err(damaged("is shorter than it should be"));
                }
                bytes.truncate(length);
                Ok(VectorPlace::Rows(self.bitmap(&bytes)?))
            }
            StorageKind::File => Ok(VectorPlace::File(self.relative_path()?, self.range())),
            StorageKind::Address => {
                Ok(VectorPlace::Address(self.path_or_inline_dv.clone(), self.range()))
            }
        }
    }

    /// The rows, from 0, ascending, each once. `bytes` are those of [`VectorPlace`].
    ///
    /// # Errors
    /// When they are damaged.
    pub fn rows(&self, bytes: &[u8]) -> Result<Vec<u64>, SourceError> {
        let short = || damaged("is shorter than it should be");
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
        if u32::from_be_bytes(*length) != self.size_in_bytes {
            return Err(damaged("is not as long as the log says"));
        }
        let (bitmap, sum) = rest.split_last_chunk::<4>().ok_or_else(short)?;
        if u64::try_from(bitmap.len()).ok() != Some(self.size_in_bytes.into()) {
            return Err(short());
        }
        if crc32(bitmap) != u32::from_be_bytes(*sum) {
            return Err(damaged("does not have its checksum"));
        }
        self.bitmap(bitmap)
    }

    fn bitmap(&self, bytes: &[u8]) -> Result<Vec<u64>, SourceError> {
        let (magic, bitmap) = bytes
            .split_first_chunk::<4>()
            .ok_or_else(|| damaged("is shorter than it should be"))?;
        if u32::from_le_bytes(*magic) != PORTABLE {
            return Err(damaged("is of an unknown format"));
        }
        let rows =
            roaring::decode(bitmap, self.cardinality).ok_or_else(|| damaged("is damaged"))?;
        match u64::try_from(rows.len()) {
            Ok(count) if count == self.cardinality => Ok(rows),
            _ => Err(damaged("has not as many rows as the log says")),
        }
    }

    /// Its length, itself and its checksum.
    fn range(&self) -> Range<u64> {
        // A file begins with its version, one byte.
        let start = u64::from(self.offset.unwrap_or(1));
        start..start + u64::from(self.size_in_bytes) + 8
    }

    /// The text of a file is a folder, which may be empty, and the number of the file.
    fn relative_path(&self) -> Result<String, SourceError> {
        let text = &self.path_or_inline_dv;
        let wrong = || damaged("is in a file without a name");
        let at = text.len().checked_sub(FILE_NUMBER_CHARS).ok_or_else(wrong)?;
        let (folder, number) = text.split_at_checked(at).ok_or_else(wrong)?;
        let number = base85(number.as_bytes())?;
        let hex: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut name = String::from("deletion_vector_");
        for (place, digit) in hex.chars().enumerate() {
            if matches!(place, 8 | 12 | 16 | 20) {
                name.push('-');
            }
            name.push(digit);
        }
        Ok(match folder {
            "" => format!("{name}.bin"),
            folder => format!("{folder}/{name}.bin"),
        })
    }
}

fn damaged(what: &str) -> SourceError {
    SourceError::Damaged(format!("the list of a file's deleted rows {what}"))
}

/// Digits of ZeroMQ's base 85 (<https://rfc.zeromq.org/spec/32/>).
const DIGITS: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// Four bytes for every five characters.
fn base85(text: &[u8]) -> Result<Vec<u8>, SourceError> {
    let wrong = || damaged("is not written in base 85");
    let mut bytes = Vec::with_capacity(text.len() / 5 * 4);
    let chunks = text.chunks_exact(5);
    if !chunks.remainder().is_empty() {
        return Err(wrong());
    }
    for chunk in chunks {
        let mut value: u64 = 0;
        for character in chunk {
            let digit = DIGITS.iter().position(|digit| digit == character).ok_or_else(wrong)?;
            value = value * 85 + u64::try_from(digit).unwrap_or(0);
        }
        let value = u32::try_from(value).map_err(|_| wrong())?;
        bytes.extend(value.to_be_bytes());
    }
    Ok(bytes)
}

/// The checksum of ISO 3309, as zip files have it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = sum & 1 == 1;
            sum >>= 1;
            if carry {
                sum ^= 0xedb8_8320;
            }
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows 3, 4, 7, 11, 18, 29, as Spark writes them.
    const INLINE: &str = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";

    fn vector(kind: StorageKind, text: &str, bytes: u32, cardinality: u64) -> DeletionVector {
        DeletionVector {
            storage_type: kind,
            path_or_inline_dv: text.into(),
            offset: None,
            size_in_bytes: bytes,
            cardinality,
        }
    }

    #[test]
    fn a_vector_in_the_log_is_read() {
        let check = |text: &str, bytes: u32, cardinality: u64, expect: Result<&[u64], &str>| {
            let place = vector(StorageKind::Inline, text, bytes, cardinality).place();
            match expect {
                Ok(rows) => assert_eq!(place, Ok(VectorPlace::Rows(rows.to_vec()))),
                Err(why) => {
                    let error = place.unwrap_err().to_string();
                    assert!(error.contains(why), "{error}");
                }
            }
        };
        check(INLINE, 44, 6, Ok(&[3, 4, 7, 11, 18, 29]));
        check(INLINE, 44, 5, Err("is damaged"));
        check(INLINE, 44, 7, Err("not as many rows"));
        check(INLINE, 48, 6, Err("shorter"));
        check(INLINE, 20, 6, Err("is damaged"));
        check(INLINE, 2, 6, Err("shorter"));
        check("", 0, 0, Err("shorter"));
        check("wi5b", 3, 0, Err("base 85"));
        check("#####", 4, 0, Err("base 85"));
        check("00000", 4, 0, Err("unknown format"));
        check(INLINE, 44, u64::MAX, Err("deleted rows"));
    }

    #[test]
    fn a_vector_in_a_file_is_found_and_checked() {
        let bitmap = base85(INLINE.as_bytes()).unwrap();
        assert_eq!(bitmap.len(), 44);
        let mut file = 44_u32.to_be_bytes().to_vec();
        file.extend(&bitmap);
        file.extend(crc32(&bitmap).to_be_bytes());

        let found = DeletionVector {
            offset: Some(4),
            ..vector(StorageKind::File, "ab^-aqEH.-t@S}K{vb[*k^", 44, 6)
        };
        let name = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin";
        assert_eq!(found.place(), Ok(VectorPlace::File(name.into(), 4..56)));
        assert_eq!(found.rows(&file), Ok(vec![3, 4, 7, 11, 18, 29]));
        for cut in 0..file.len() {
            assert!(found.rows(&file[..cut]).is_err(), "{cut}");
        }
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(found.rows(&changed).is_err(), "{at}");
        }
        for text in ["", "short", "äääääääääääääääääääää", "~~~~~~~~~~~~~~~~~~~~"]
        {
            assert!(vector(StorageKind::File, text, 40, 6).place().is_err(), "{text}");
        }
    }

    #[test]
    fn an_action_is_read() {
        let text = r#"{"storageType":"p","pathOrInlineDv":"https://h/x","offset":1,"sizeInBytes":40,"cardinality":6}"#;
        let read: DeletionVector = serde_json::from_str(text).unwrap();
        assert_eq!(read.place(), Ok(VectorPlace::Address("https://h/x".into(), 1..49)));
    }

    #[test]
    fn the_checksum_is_that_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
