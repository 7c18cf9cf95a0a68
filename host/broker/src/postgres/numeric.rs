//! The digits of a `numeric`, as it comes over the wire: groups of four, the first of them worth
//! so many powers of ten thousand.

use arrow::array::ArrowNativeTypeOp;

/// Digits of one group.
const GROUP: i32 = 4;

const NEGATIVE: u16 = 0x4000;

/// The whole number that is `value` times ten to the power of `scale`; `None` when there is none, or
/// none that `T` holds: more places than the scale, infinite, not a number, or not a `numeric`.
pub(super) fn mantissa<T: ArrowNativeTypeOp + From<i16>>(value: &[u8], scale: i8) -> Option<T> {
    let (head, groups) = value.split_at_checked(8)?;
    let field = |at: usize| Some([*head.get(at)?, *head.get(at.checked_add(1)?)?]);
    let count = usize::from(u16::from_be_bytes(field(0)?));
    let weight = i32::from(i16::from_be_bytes(field(2)?));
    let sign = u16::from_be_bytes(field(4)?);
    if !matches!(sign, 0 | NEGATIVE) || groups.len() != count.checked_mul(2)? {
        return None;
    }
    let ten = T::from(10);
    let mut sum = T::ZERO;
    for (at, group) in groups.chunks_exact(2).enumerate() {
        let group = i16::from_be_bytes([*group.first()?, *group.get(1)?]);
        if !(0..10_000).contains(&group) {
            return None;
        }
        // A group of zeros may stand where no digit of the scale is.
        if group == 0 {
            continue;
        }
        let power = weight.checked_sub(i32::try_from(at).ok()?)?.checked_mul(GROUP)?;
        let power = power.checked_add(i32::from(scale))?;
        let part = match u32::try_from(power) {
            Ok(power) => ten.pow_checked(power).ok()?.mul_checked(T::from(group)).ok()?,
            Err(_) => T::from(without_zeros(group, power.unsigned_abs())?),
        };
        sum = sum.add_checked(part).ok()?;
    }
    match sign {
        NEGATIVE => sum.neg_checked().ok(),
        _ => Some(sum),
    }
}

/// A group without its last `count` digits, which must be zeros.
fn without_zeros(group: i16, count: u32) -> Option<i16> {
    let divisor = 10_i16.checked_pow(count)?;
    (group % divisor == 0).then_some(group / divisor)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::i256;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn wire(groups: &[i16], weight: i16, sign: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u16::try_from(groups.len()).unwrap().to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(0_u16.to_be_bytes());
        bytes.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
        bytes
    }

    #[test]
    fn digits_are_exact_or_refused() {
        let check = |groups: &[i16], weight, sign, scale, expect: Option<i128>| {
            let value = wire(groups, weight, sign);
            assert_eq!(mantissa::<i128>(&value, scale), expect, "{groups:?} {weight} {scale}");
            let wide = mantissa::<i256>(&value, scale);
            assert_eq!(wide, expect.map(i256::from_i128), "{groups:?} {weight} {scale}");
        };
        check(&[], 0, 0, 2, Some(0));
        check(&[12, 3400], 0, 0, 2, Some(1234)); // 12.34
        check(&[12, 3400], 0, 0, 4, Some(123_400));
        check(&[12, 3400], 0, 0, 1, None);
        check(&[12, 3400], 0, NEGATIVE, 2, Some(-1234));
        check(&[1, 0, 5], 2, 0, 0, Some(100_000_005));
        check(&[5], 1, 0, 0, Some(50_000));
        check(&[1200], 0, 0, -2, Some(12));
        check(&[1201], 0, 0, -2, None);
        check(&[1], -1, 0, 4, Some(1)); // 0.0001
        check(&[1], -3, 0, 4, None);
        check(&[], 0, 0xC000, 2, None); // not a number
        check(&[], 0, 0xD000, 2, None); // infinite
        check(&[10_000], 0, 0, 0, None);
        check(&[-1], 0, 0, 0, None);
    }

    #[test]
    fn what_is_too_large_or_torn_is_refused() {
        assert_eq!(mantissa::<i128>(&wire(&[1], 10, 0), 0), None);
        assert_eq!(
            mantissa::<i256>(&wire(&[1], 10, 0), 0),
            i256::from_i128(10).pow_checked(40).ok()
        );
        assert_eq!(mantissa::<i256>(&wire(&[1], i16::MAX, 0), 0), None);
        assert_eq!(mantissa::<i256>(&wire(&[1], i16::MIN, 0), 0), None);
        let whole = wire(&[12, 3400], 0, 0);
        for length in 0..whole.len() {
            assert_eq!(mantissa::<i128>(&whole[..length], 2), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_number_or_none(
            groups in vec(-1..10_001_i16, 0..20),
            weight in -20..20_i16,
            sign in prop_oneof![Just(0), Just(NEGATIVE), any::<u16>()],
            scale in any::<i8>(),
        ) {
            let value = wire(&groups, weight, sign);
            let (narrow, wide) = (mantissa::<i128>(&value, scale), mantissa::<i256>(&value, scale));
            if let Some(narrow) = narrow {
                prop_assert_eq!(wide, Some(i256::from_i128(narrow)));
            }
        }
    }
}
