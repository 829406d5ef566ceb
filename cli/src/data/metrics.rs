//! Measures of how well answers fit the truth.

/// Share of pairs that are equal.
pub(crate) fn accuracy(pairs: impl Iterator<Item = (i64, i64)>) -> (usize, usize) {
    pairs.fold((0, 0), |(right, all), (a, b)| (right + usize::from(a == b), all + 1))
}

/// Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.
/// `None` without both kinds.
pub(crate) fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut rank_sum, mut i) = (0.0, 0);
    while i < order.len() {
        let mut j = i;
        while j < order.len() && scores[order[j]] == scores[order[i]] {
            j += 1;
        }
        let end = j.max(i + 1);
        // Ranks i+1 ..= end share their mean.
        let mean = (i + 1 + end) as f64 / 2.0;
        rank_sum += mean * order[i..end].iter().filter(|k| positive[**k]).count() as f64;
        i = end;
    }
    let p = positive.iter().filter(|b| **b).count() as f64;
    let n = positive.len() as f64 - p;
    (p > 0.0 && n > 0.0).then(|| (rank_sum - p * (p + 1.0) / 2.0) / (p * n))
}

/// The coefficient of determination; `None` where the truth does not vary.
pub(crate) fn r2(predicted: &[f64], truth: &[f64]) -> Option<f64> {
    let mean = truth.iter().sum::<f64>() / truth.len() as f64;
    let total: f64 = truth.iter().map(|t| (t - mean).powi(2)).sum();
    let rest: f64 = truth.iter().zip(predicted).map(|(t, p)| (t - p).powi(2)).sum();
    (total > 0.0).then(|| 1.0 - rest / total)
}

/// Root of the mean squared error.
pub(crate) fn rmse(predicted: &[f64], truth: &[f64]) -> f64 {
    let sum: f64 = truth.iter().zip(predicted).map(|(t, p)| (t - p).powi(2)).sum();
    (sum / truth.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), Some(0.75));
        assert_eq!(auc(&[0.5, 0.5], &[false, true]), Some(0.5));
        assert_eq!(auc(&[0.5], &[true]), None);
        assert_eq!(r2(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), Some(1.0));
        assert_eq!(r2(&[2.0, 2.0], &[1.0, 3.0]), Some(0.0));
        assert_eq!(accuracy([(1, 1), (2, 3)].into_iter()), (1, 2));
    }
}
