//! Memory of columns: numbers, bitmaps and which values are there.

use std::ops::Deref;
use std::sync::Arc;

mod sealed {
    pub trait Sealed {}
}

/// A number that lies in a column as it lies in memory.
///
/// Every bit pattern is a value and there is no padding, which the views rely on.
pub trait Native: Copy + Default + PartialEq + std::fmt::Debug + sealed::Sealed + 'static {}

macro_rules! native {
    ($($number:ty)*) => {
        $(impl sealed::Sealed for $number {} impl Native for $number {})*
    };
}
native!(i8 i16 i32 i64 i128 u8 u16 u32 u64 f32 f64);

/// Numbers, shared and immutable.
#[derive(Debug, Clone)]
pub(crate) enum Values<T: Native> {
    /// As received: the bytes are aligned for `T` and hold whole numbers.
    Received(Arc<Vec<u8>>),
    /// As computed.
    Computed(Arc<Vec<T>>),
}

/// The bytes as numbers, when they are aligned and whole.
fn cast<T: Native>(bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: `Native` is implemented for numbers only: every bit pattern is valid.
    let (before, numbers, after) = unsafe { bytes.align_to::<T>() };
    (before.is_empty() && after.is_empty()).then_some(numbers)
}

/// Numbers as bytes.
pub(crate) fn as_bytes<T: Native>(numbers: &[T]) -> &[u8] {
    // SAFETY: numbers have no padding, and bytes need no alignment.
    let (_, bytes, _) = unsafe { numbers.align_to::<u8>() };
    bytes
}

impl<T: Native> Values<T> {
    /// Takes received bytes as they are when they are aligned, else copies them once.
    /// None when they are not whole numbers.
    pub(crate) fn from_received(bytes: Vec<u8>) -> Option<Self> {
        if cast::<T>(&bytes).is_some() {
            return Some(Self::Received(Arc::new(bytes)));
        }
        let width = size_of::<T>();
        if !bytes.len().is_multiple_of(width) {
            return None;
        }
        let mut numbers = vec![T::default(); bytes.len() / width];
        // SAFETY: as in `as_bytes`; any bytes written make valid numbers.
        let (_, target, _) = unsafe { numbers.align_to_mut::<u8>() };
        target.copy_from_slice(&bytes);
        Some(Self::Computed(Arc::new(numbers)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Received(bytes) => bytes,
            Self::Computed(numbers) => as_bytes(numbers),
        }
    }
}

impl<T: Native> From<Vec<T>> for Values<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self::Computed(Arc::new(numbers))
    }
}

impl<T: Native> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Received(bytes) => cast(bytes).unwrap_or_default(),
            Self::Computed(numbers) => numbers,
        }
    }
}

/// Bits, the lowest of a byte first. Shared and immutable.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bitmap(Arc<Vec<u8>>);

impl Bitmap {
    pub(crate) fn from_received(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }

    pub(crate) fn get(&self, index: usize) -> bool {
        self.0[index / 8] >> (index % 8) & 1 == 1
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromIterator<bool> for Bitmap {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut builder = BitmapBuilder::default();
        bits.into_iter().for_each(|bit| builder.push(bit));
        builder.finish()
    }
}

/// Collects bits.
#[derive(Debug, Clone, Default)]
pub(crate) struct BitmapBuilder {
    bytes: Vec<u8>,
    len: usize,
}

impl BitmapBuilder {
    pub(crate) fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (self.len % 8);
        }
        self.len += 1;
    }

    pub(crate) fn finish(self) -> Bitmap {
        Bitmap(Arc::new(self.bytes))
    }
}

/// How many values a column has and which of them are null.
#[derive(Debug, Clone, Default)]
pub(crate) struct Validity {
    len: usize,
    null_count: usize,
    /// A bit is 1 where there is a value. Absent when all are there.
    present: Option<Bitmap>,
}

impl Validity {
    pub(crate) fn all(len: usize) -> Self {
        Self { len, null_count: 0, present: None }
    }

    /// None when the bitmap is too short.
    pub(crate) fn from_received(len: usize, null_count: usize, bytes: Vec<u8>) -> Option<Self> {
        if bytes.is_empty() || null_count == 0 {
            return (null_count == 0).then_some(Self::all(len));
        }
        let enough = bytes.len() >= len.div_ceil(8);
        enough.then(|| Self { len, null_count, present: Some(Bitmap::from_received(bytes)) })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn null_count(&self) -> usize {
        self.null_count
    }

    /// Panics when there is no such value, like a slice.
    pub(crate) fn is_null(&self, index: usize) -> bool {
        assert!(index < self.len, "row {index} of a column with {} rows", self.len);
        self.present.as_ref().is_some_and(|present| !present.get(index))
    }

    /// Empty when all values are there.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.present.as_ref().map_or(&[], Bitmap::as_bytes)
    }
}

impl FromIterator<bool> for Validity {
    fn from_iter<I: IntoIterator<Item = bool>>(present: I) -> Self {
        let mut builder = ValidityBuilder::default();
        present.into_iter().for_each(|present| builder.push(present));
        builder.finish()
    }
}

/// Collects which values are there.
#[derive(Debug, Clone, Default)]
pub(crate) struct ValidityBuilder {
    bits: BitmapBuilder,
    null_count: usize,
}

impl ValidityBuilder {
    pub(crate) fn push(&mut self, present: bool) {
        self.bits.push(present);
        self.null_count += usize::from(!present);
    }

    pub(crate) fn finish(self) -> Validity {
        let (len, null_count) = (self.bits.len, self.null_count);
        let present = (null_count > 0).then(|| self.bits.finish());
        Validity { len, null_count, present }
    }
}
