//! The known word nearest to a mistyped one.

/// The candidate with the fewest typing slips from `word`, when that is few enough to be one.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters, but never more than three, as other tools have found bearable.
    let most = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|(slips, _)| *slips <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn slips(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = a[i - 1] == b[j - 1];
            let mut least = (last[j - 1] + usize::from(!same))
                .min(last[j] + 1)
                .min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before_last[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_is_recognised_and_a_stranger_is_not() {
        let names = || ["gateway", "health", "status", "sessions"].into_iter();
        assert_eq!(nearest("statsu", names()), Some("status"));
        assert_eq!(nearest("helth", names()), Some("health"));
        assert_eq!(nearest("gatway", names()), Some("gateway"));
        assert_eq!(nearest("frobnicate", names()), None);
    }
}
