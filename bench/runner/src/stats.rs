//! Medians over rounds.

use crate::info::Calls;

/// The median: the middle one, or the mean of the two in the middle; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The median of each command's calls. Where a round has none, they are zero in it.
pub(crate) fn median_calls(rounds: &[Calls]) -> Calls {
    let names: std::collections::BTreeSet<&String> = rounds.iter().flat_map(Calls::keys).collect();
    let mut medians = Calls::new();
    for name in names {
        let calls: Vec<f64> =
            rounds.iter().map(|round| round.get(name).copied().unwrap_or_default()).collect();
        if let Some(calls) = median(&calls).filter(|calls| *calls > 0.0) {
            medians.insert(name.clone(), calls);
        }
    }
    medians
}

/// The median of the ratios of what was measured in the same round, by the round's number.
pub(crate) fn paired_ratio(of: &[(usize, f64)], to: &[(usize, f64)]) -> Option<f64> {
    let base = |round: usize| to.iter().find(|(other, _)| *other == round).map(|(_, value)| value);
    let ratios: Vec<f64> =
        of.iter().filter_map(|(round, value)| Some(value / base(*round)?)).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(median(&[f64::NAN, 2.0]), Some(2.0));
    }

    #[test]
    fn a_command_that_most_rounds_lack_is_left_out() {
        let round = |calls: &[(&str, f64)]| {
            calls.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect::<Calls>()
        };
        let rounds = [round(&[("get", 1.0)]), round(&[("get", 0.5), ("del", 1.0)]), round(&[])];
        assert_eq!(median_calls(&rounds), round(&[("get", 0.5)]));
    }

    #[test]
    fn ratios_are_paired_by_round() {
        let of = [(1, 20.0), (2, 60.0), (3, 90.0)];
        let to = [(3, 30.0), (1, 10.0)];
        assert_eq!(paired_ratio(&of, &to), Some(2.5));
        assert_eq!(paired_ratio(&of, &[]), None);
    }
}
