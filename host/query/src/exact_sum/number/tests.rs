use proptest::prelude::*;

use super::{ExactSum, Parts};

fn sum(values: &[f64]) -> f64 {
    let mut sum = ExactSum::default();
    values.iter().for_each(|value| sum.add(*value));
    sum.value()
}

/// An unlimited integer times 2^-1074, slow and obvious: sign, then 32-bit digits from the lowest.
fn slow_sum(values: &[f64]) -> f64 {
    let mut positive = vec![0_u64; 80];
    let mut negative = vec![0_u64; 80];
    for value in values {
        let bits = value.abs().to_bits();
        let (mantissa, shift) = match bits >> 52 {
            0 => (bits, 0),
            biased => ((bits & ((1 << 52) - 1)) | (1 << 52), usize::try_from(biased).unwrap() - 1),
        };
        let digits = if value.is_sign_negative() { &mut negative } else { &mut positive };
        let spread = u128::from(mantissa) << (shift % 32);
        for part in 0..3 {
            digits[shift / 32 + part] +=
                u64::try_from((spread >> (32 * part)) & 0xffff_ffff).unwrap();
        }
    }
    let carried = |digits: &mut Vec<u64>| {
        let mut carry = 0;
        for digit in digits.iter_mut() {
            let total = *digit + carry;
            (*digit, carry) = (total & 0xffff_ffff, total >> 32);
        }
    };
    carried(&mut positive);
    carried(&mut negative);
    let is_negative = positive.iter().rev().lt(negative.iter().rev());
    let (large, small) = if is_negative { (&negative, &positive) } else { (&positive, &negative) };
    let mut borrow = 0;
    let mut difference = Vec::new();
    for (large, small) in large.iter().zip(small) {
        let (mut digit, owed) = (i128::from(*large) - i128::from(*small) - borrow, 0);
        borrow = owed;
        if digit < 0 {
            digit += 1 << 32;
            borrow = 1;
        }
        difference.push(u32::try_from(digit).unwrap());
    }
    let bit = |index: usize| difference.get(index / 32).is_some_and(|d| d >> (index % 32) & 1 == 1);
    let Some(top) = (0..difference.len() * 32).rev().find(|index| bit(*index)) else { return 0.0 };
    let lowest = top.saturating_sub(52);
    let mut mantissa = (lowest..=top).rev().fold(0_u64, |m, index| m << 1 | u64::from(bit(index)));
    let half = lowest > 0 && bit(lowest - 1);
    let below = (0..lowest.saturating_sub(1)).any(bit);
    if half && (below || mantissa & 1 == 1) {
        mantissa += 1;
    }
    // Scaled in two steps, so that neither power leaves the range.
    let lowest = i32::try_from(lowest).unwrap();
    let magnitude = if lowest > 1_000 {
        mantissa as f64 * 2_f64.powi(lowest - 1_074 - 60) * 2_f64.powi(60)
    } else {
        mantissa as f64 * 2_f64.powi(lowest - 74 - 1_000 + 1_000) * 2_f64.powi(-1_000)
    };
    if is_negative { -magnitude } else { magnitude }
}

#[test]
fn sums_are_exact_and_rounded_once() {
    #[track_caller]
    fn check(values: &[f64], expect: f64) {
        assert_eq!(sum(values).to_bits(), expect.to_bits(), "{values:?}: {}", sum(values));
    }
    check(&[], 0.0);
    check(&[-0.0], 0.0);
    check(&[0.1, 0.2], 0.30000000000000004);
    check(&[0.1; 10], 1.0);
    check(&[1e16, 1.0, -1e16], 1.0);
    check(&[1e300, 1.0, -1e300], 1.0);
    check(&[f64::MAX, f64::MIN_POSITIVE, -f64::MAX], f64::MIN_POSITIVE);
    check(&[f64::MAX, f64::MAX, -f64::MAX], f64::MAX);
    check(&[f64::MAX, f64::MAX], f64::INFINITY);
    check(&[f64::MIN, f64::MIN], f64::NEG_INFINITY);
    check(&[5e-324, 5e-324], 1e-323);
    check(&[5e-324, -5e-324], 0.0);
    check(&[1.0, f64::EPSILON / 2.0], 1.0);
    check(&[1.0, f64::EPSILON / 2.0, 5e-324], 1.0 + f64::EPSILON);
    check(&[1.0 + f64::EPSILON, f64::EPSILON / 2.0], 1.0 + 2.0 * f64::EPSILON);
    check(&[f64::INFINITY, 1.0], f64::INFINITY);
    check(&[f64::NEG_INFINITY, f64::MAX], f64::NEG_INFINITY);
    check(&[f64::INFINITY, f64::NEG_INFINITY], f64::NAN);
    check(&[f64::from_bits(0xfff8_0000_0000_1234), 1.0], f64::NAN);
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e6..1e6_f64,
        2 => any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |v| v.is_finite()),
        1 => prop::sample::select(vec![0.0, -0.0, 1.0, 5e-324, f64::MAX, f64::MIN, 1e16, 0.1]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_sum_is_the_rational_sum_rounded(values in prop::collection::vec(any_number(), 0..40)) {
        prop_assert_eq!(sum(&values).to_bits(), slow_sum(&values).to_bits());
    }

    #[test]
    fn order_and_grouping_do_not_matter(
        values in prop::collection::vec(any_number(), 0..40),
        seed in any::<u64>(),
        parts in 1..5_usize,
    ) {
        let expect = sum(&values).to_bits();
        let mut shuffled = values.clone();
        for index in (1..shuffled.len()).rev() {
            let other = (seed.wrapping_mul(index as u64 + 0x9e37_79b9) >> 7) % (index as u64 + 1);
            shuffled.swap(index, usize::try_from(other).unwrap());
        }
        prop_assert_eq!(sum(&shuffled).to_bits(), expect);

        let mut total = ExactSum::default();
        for part in 0..parts {
            let mut partial = ExactSum::default();
            shuffled.iter().skip(part).step_by(parts).for_each(|value| partial.add(*value));
            let stored = partial.with_parts(|stored| {
                let wide = stored.wide.map(<[u8]>::to_vec);
                ExactSum::from_parts(Parts { wide: wide.as_deref(), ..stored })
            });
            total.merge(&stored.unwrap());
        }
        prop_assert_eq!(total.value().to_bits(), expect);
    }

    #[test]
    fn what_is_taken_away_leaves_no_trace(
        values in prop::collection::vec(any_number(), 1..20),
        others in prop::collection::vec(any_number(), 1..20),
    ) {
        let mut both = ExactSum::default();
        values.iter().chain(&others).for_each(|value| both.add(*value));
        others.iter().for_each(|value| both.subtract(*value));
        prop_assert_eq!(both.value().to_bits(), sum(&values).to_bits());
    }

    #[test]
    fn foreign_parts_never_panic(
        window in any::<i128>(),
        scale in any::<i32>(),
        wide in prop::option::of(prop::collection::vec(any::<u8>(), 0..600)),
    ) {
        if let Some(sum) = ExactSum::from_parts(Parts { window, scale, wide: wide.as_deref() }) {
            sum.value();
        }
    }
}

#[test]
fn carries_survive_many_additions() {
    let mut sum = ExactSum::default();
    sum.add(1e300);
    sum.add(1e-300);
    for _ in 0..200_000 {
        sum.add(f64::MAX / 4.0);
        sum.add(-f64::MAX / 4.0);
    }
    sum.add(-1e300);
    assert_eq!(sum.value(), 1e-300);
}
