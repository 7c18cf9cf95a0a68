//! How well scores rank.

/// The share of pairs of one positive and one negative in which the positive scores higher; a tie
/// counts half. Ranks give it without looking at every pair.
pub fn auc(scores: &[f64], labels: &[u32]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*left].total_cmp(&scores[*right]));
    let (mut ranks, mut from) = (0.0, 0);
    while from < order.len() {
        let tied =
            order[from..].iter().take_while(|at| scores[**at] == scores[order[from]]).count();
        // Tied scores share the mean of their ranks, which count from 1.
        let rank = from as f64 + (tied as f64 + 1.0) / 2.0;
        let positives = order[from..from + tied].iter().filter(|at| labels[**at] == 1).count();
        ranks += rank * positives as f64;
        from += tied;
    }
    let positives = labels.iter().filter(|label| **label == 1).count() as f64;
    let negatives = labels.len() as f64 - positives;
    (ranks - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

#[cfg(test)]
mod tests {
    use super::auc;

    #[test]
    fn counts_pairs_in_order() {
        let check = |scores: &[f64], labels: &[u32], expect: f64| {
            let found = auc(scores, labels);
            assert!((found - expect).abs() < 1e-12, "{scores:?} {labels:?}: {found}");
        };
        check(&[0.1, 0.2, 0.8, 0.9], &[0, 0, 1, 1], 1.0);
        check(&[0.1, 0.2, 0.8, 0.9], &[1, 1, 0, 0], 0.0);
        check(&[0.1, 0.2, 0.8, 0.9], &[0, 1, 0, 1], 0.75);
        check(&[0.5, 0.5, 0.5], &[0, 1, 0], 0.5);
        check(&[0.1, 0.5, 0.5], &[0, 1, 0], 0.75);
    }
}
