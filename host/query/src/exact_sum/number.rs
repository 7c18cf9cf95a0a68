//! An exact sum of floating-point numbers.
//!
//! Every finite `f64` is an integer times 2^-1074, so a sum of them is such an integer too, and
//! adding integers does not depend on the order. The sum is kept exactly and rounded once, when
//! it is read. Most sums fit a 128-bit window over the bits in use; a sum whose numbers differ
//! by more than that moves to [`Wide`], which spans the whole range.

/// Position of the lowest bit of any `f64`, as a power of two.
const LOWEST: i32 = -1_074;

/// Most bits by which a 53-bit number may be shifted inside the window.
const MOST_SHIFT: u32 = 72;

/// Bits kept free below the first number, so that slightly smaller ones need no move.
const ROOM_BELOW: i32 = 20;

const NAN: u8 = 1;
const INFINITY: u8 = 2;
const NEGATIVE_INFINITY: u8 = 4;

/// A sum of `f64` values that does not depend on their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExactSum {
    /// The sum divided by 2^`exponent`, unless `wide` holds it.
    window: i128,
    wide: Option<Box<Wide>>,
    exponent: i16,
    /// Which of the values that are no numbers have been added.
    specials: u8,
}

/// The parts of a sum, to be stored in columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) window: i128,
    /// Exponent in the lower half, specials in the upper half.
    pub(crate) scale: i32,
    pub(crate) wide: Option<&'a [u8]>,
}

/// Sign and magnitude of a finite number: `mantissa` × 2^`exponent`.
fn decompose(value: f64) -> Option<(i128, i32)> {
    let bits = value.to_bits();
    let biased = (bits >> 52) & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = match biased {
        0x7ff => return None,
        0 => (fraction, LOWEST),
        _ => (fraction | (1 << 52), i32::try_from(biased).unwrap_or(0) - 1_075),
    };
    let mantissa = i128::from(mantissa);
    Some((if value.is_sign_negative() { -mantissa } else { mantissa }, exponent))
}

/// `value` << `by` when no bit is lost.
fn shift_up(value: i128, by: u32) -> Option<i128> {
    // One bit is the sign's.
    (value.unsigned_abs().leading_zeros() > by.saturating_add(1)).then(|| value << by)
}

impl ExactSum {
    /// Adds `value`.
    pub(crate) fn add(&mut self, value: f64) {
        let Some((mantissa, exponent)) = decompose(value) else {
            self.specials |= if value.is_nan() {
                NAN
            } else if value > 0.0 {
                INFINITY
            } else {
                NEGATIVE_INFINITY
            };
            return;
        };
        let shift = exponent - i32::from(self.exponent);
        if let Ok(shift) = u32::try_from(shift)
            && shift <= MOST_SHIFT
            && self.wide.is_none()
            && let Some(sum) = self.window.checked_add(mantissa << shift)
        {
            self.window = sum;
        } else if mantissa != 0 {
            self.add_scaled(mantissa, exponent);
        }
    }

    /// Takes `value` away again; it must have been added before and be finite.
    pub(crate) fn subtract(&mut self, value: f64) {
        if let Some((mantissa, exponent)) = decompose(value)
            && mantissa != 0
        {
            self.add_scaled(-mantissa, exponent);
        }
    }

    /// Adds all that `other` has.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.specials |= other.specials;
        if let Some(theirs) = &other.wide {
            self.widen().merge(theirs);
        } else if other.window != 0 {
            self.add_scaled(other.window, other.exponent.into());
        }
    }

    /// Adds `value` × 2^`exponent`.
    fn add_scaled(&mut self, value: i128, exponent: i32) {
        if self.wide.is_none() && self.try_window(value, exponent) {
            return;
        }
        self.widen().add(value, exponent);
    }

    fn try_window(&mut self, value: i128, exponent: i32) -> bool {
        let own = i32::from(self.exponent);
        let common = if self.window == 0 {
            let room = u32::try_from(ROOM_BELOW).unwrap_or(0);
            let lower = exponent.saturating_sub(ROOM_BELOW).max(LOWEST);
            if shift_up(value, room).is_some() { lower } else { exponent }
        } else {
            own.min(exponent)
        };
        let lift = |number: i128, from: i32| shift_up(number, u32::try_from(from - common).ok()?);
        let moved = if self.window == 0 { Some(0) } else { lift(self.window, own) };
        let sum = moved
            .zip(lift(value, exponent))
            .and_then(|(mine, theirs)| mine.checked_add(theirs))
            .zip(i16::try_from(common).ok());
        match sum {
            Some((window, exponent)) => {
                (self.window, self.exponent) = (window, exponent);
                true
            }
            None => false,
        }
    }

    fn widen(&mut self) -> &mut Wide {
        let (window, exponent) = (self.window, i32::from(self.exponent));
        self.window = 0;
        self.wide.get_or_insert_with(|| {
            let mut wide = Box::<Wide>::default();
            wide.add(window, exponent);
            wide
        })
    }

    /// The sum, rounded once to the nearest number, ties to even. Zero is always +0, and NaN the
    /// one canonical NaN.
    pub(crate) fn value(&self) -> f64 {
        match self.specials {
            0 => match &self.wide {
                Some(wide) => wide.value(),
                None => {
                    let magnitude = self.window.unsigned_abs();
                    round(self.window < 0, magnitude, self.exponent.into(), false)
                }
            },
            INFINITY => f64::INFINITY,
            NEGATIVE_INFINITY => f64::NEG_INFINITY,
            _ => f64::NAN,
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.wide.as_ref().map_or(0, |_| size_of::<Wide>())
    }

    /// Calls `store` with the parts of the sum.
    pub(crate) fn with_parts<T>(&self, store: impl FnOnce(Parts<'_>) -> T) -> T {
        let [low, high] = self.exponent.to_le_bytes();
        let scale = i32::from_le_bytes([low, high, self.specials, 0]);
        let bytes = self.wide.as_ref().map(|wide| wide.to_bytes());
        store(Parts { window: self.window, scale, wide: bytes.as_deref() })
    }

    /// The sum with these parts; `None` when no sum has them.
    pub(crate) fn from_parts(parts: Parts<'_>) -> Option<Self> {
        let [low, high, specials, zero] = parts.scale.to_le_bytes();
        let exponent = i16::from_le_bytes([low, high]);
        let valid = zero == 0
            && specials <= (NAN | INFINITY | NEGATIVE_INFINITY)
            && (LOWEST..=971).contains(&i32::from(exponent));
        let wide = match parts.wide {
            None => None,
            Some(bytes) => Some(Box::new(Wide::from_bytes(bytes)?)),
        };
        valid.then_some(Self { window: parts.window, wide, exponent, specials })
    }
}

/// Bits of a limb.
const LIMB_BITS: i32 = 32;

/// Limbs: 2,240 bits, of which 2,098 hold any `f64` and the rest is room for carries.
const LIMBS: usize = 70;

/// Additions after which carries must be moved, so that no limb overflows.
const MOST_PENDING: u32 = 1 << 29;

/// An integer times 2^-1074 in limbs of 32 bits, each with room for 31 bits of carry.
#[derive(Debug, Clone)]
struct Wide {
    limbs: [i64; LIMBS],
    pending: u32,
}

impl Default for Wide {
    fn default() -> Self {
        Self { limbs: [0; LIMBS], pending: 0 }
    }
}

impl Wide {
    fn add(&mut self, value: i128, exponent: i32) {
        let bit = usize::try_from(exponent - LOWEST).unwrap_or(0);
        let (first, offset) = (bit / 32, u32::try_from(bit % 32).unwrap_or(0));
        let magnitude = value.unsigned_abs();
        for (index, limb) in self.limbs.iter_mut().skip(first).take(5).enumerate() {
            let below = u32::try_from(index).unwrap_or(0) * 32;
            let part = match below.checked_sub(offset) {
                Some(shift) => magnitude.checked_shr(shift).unwrap_or(0),
                None => magnitude << (offset - below),
            };
            let part = i64::try_from(part & 0xffff_ffff).unwrap_or(0);
            *limb += if value < 0 { -part } else { part };
        }
        self.note(1);
    }

    fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        other.carry();
        for (mine, theirs) in self.limbs.iter_mut().zip(other.limbs) {
            *mine += theirs;
        }
        self.note(1);
    }

    fn note(&mut self, additions: u32) {
        self.pending += additions;
        if self.pending >= MOST_PENDING {
            self.carry();
        }
    }

    /// Moves carries up, after which all limbs but the last are within 0..2^32.
    fn carry(&mut self) {
        let mut carry = 0;
        let last = LIMBS - 1;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let sum = *limb + carry;
            carry = sum >> LIMB_BITS;
            *limb = if index == last { sum } else { sum & 0xffff_ffff };
        }
        self.pending = 0;
    }

    fn value(&self) -> f64 {
        let mut magnitude = self.clone();
        magnitude.carry();
        let negative = magnitude.limbs.last().is_some_and(|top| *top < 0);
        if negative {
            magnitude.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            magnitude.carry();
        }
        let top = magnitude.limbs.iter().rposition(|limb| *limb != 0).unwrap_or(0);
        let lowest_kept = top.saturating_sub(3);
        let mut kept: u128 = 0;
        let mut sticky = false;
        for (index, limb) in magnitude.limbs.iter().enumerate().take(top + 1) {
            let limb = u128::from(limb.unsigned_abs());
            if index < lowest_kept {
                sticky |= limb != 0;
            } else {
                kept |= limb << (32 * u32::try_from(index - lowest_kept).unwrap_or(0));
            }
        }
        let exponent = LOWEST + LIMB_BITS * i32::try_from(lowest_kept).unwrap_or(0);
        round(negative, kept, exponent, sticky)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut carried = self.clone();
        carried.carry();
        carried.limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<8>();
        if chunks.len() != LIMBS || !rest.is_empty() {
            return None;
        }
        let mut wide = Self::default();
        for (limb, chunk) in wide.limbs.iter_mut().zip(chunks) {
            *limb = i64::from_le_bytes(*chunk);
        }
        let (top, carried) = wide.limbs.split_last()?;
        let valid = carried.iter().all(|limb| (0..1 << 32).contains(limb))
            && (-(1 << 60)..1 << 60).contains(top);
        valid.then_some(wide)
    }
}

/// `magnitude` × 2^`exponent` as the nearest `f64`, ties to even. `sticky` says that the exact
/// number is larger than that by less than 2^`exponent`.
fn round(negative: bool, magnitude: u128, exponent: i32, sticky: bool) -> f64 {
    if magnitude == 0 {
        return 0.0;
    }
    let bits = 128 - i32::try_from(magnitude.leading_zeros()).unwrap_or(0);
    let highest = exponent + bits - 1;
    let lowest = (highest - 52).max(LOWEST);
    if highest > 1_023 {
        return if negative { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let mantissa = match u32::try_from(lowest - exponent) {
        Ok(0) => magnitude,
        Ok(dropped) => {
            let kept = magnitude >> dropped;
            let rest = magnitude & ((1 << dropped) - 1);
            let half = 1_u128 << (dropped - 1);
            let up = rest > half || (rest == half && (sticky || kept & 1 == 1));
            kept + u128::from(up)
        }
        Err(_) => magnitude << u32::try_from(exponent - lowest).unwrap_or(0),
    };
    // At most 2^53, and the product is a number or overflows to infinity: both exact.
    #[expect(clippy::cast_precision_loss, reason = "at most 53 bits")]
    let value = mantissa as f64 * power_of_two(lowest);
    if negative { -value } else { value }
}

/// 2^`exponent` for -1074..=1023.
fn power_of_two(exponent: i32) -> f64 {
    let bits = if exponent >= -1_022 {
        u64::try_from(exponent + 1_023).unwrap_or(0) << 52
    } else {
        1 << u32::try_from(exponent - LOWEST).unwrap_or(0)
    };
    f64::from_bits(bits)
}

#[cfg(test)]
mod tests;
