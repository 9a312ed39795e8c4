//! What an edit changed, as numbered lines with some context, for people.

/// Unchanged lines shown on either side.
const CONTEXT: usize = 4;

pub struct Diff {
    pub text: String,
    /// Counted from 1, in the new text.
    pub first_line: usize,
}

/// Treats everything between the first and the last difference as one change: an edit replaces one
/// piece.
pub fn lines(old: &str, new: &str) -> Diff {
    let old: Vec<&str> = old.split('\n').collect();
    let new: Vec<&str> = new.split('\n').collect();
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - same;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(most)
        .take_while(|(a, b)| a == b)
        .count();
    let width = old.len().max(new.len()).to_string().len();
    let mut out = Vec::new();
    let from = same.saturating_sub(CONTEXT);
    if from > 0 {
        out.push(format!(" {:width$} ...", ""));
    }
    for (at, line) in old.iter().enumerate().take(same).skip(from) {
        out.push(format!(" {:>width$} {line}", at + 1));
    }
    for (at, line) in old.iter().enumerate().take(old.len() - tail).skip(same) {
        out.push(format!("-{:>width$} {line}", at + 1));
    }
    for (at, line) in new.iter().enumerate().take(new.len() - tail).skip(same) {
        out.push(format!("+{:>width$} {line}", at + 1));
    }
    let after = old.len() - tail;
    for (at, line) in old.iter().enumerate().skip(after).take(CONTEXT) {
        out.push(format!(" {:>width$} {line}", at + 1));
    }
    if tail > CONTEXT {
        out.push(format!(" {:width$} ...", ""));
    }
    Diff {
        text: out.join("\n"),
        first_line: same + 1,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_change_is_shown_with_its_surroundings() {
        let diff = super::lines("1\n2\n3\n4\n5\n6\n7\n", "1\n2\n3\n4\n5\nsix\n7\n");
        assert_eq!(diff.first_line, 6);
        assert_eq!(
            diff.text,
            "   ...\n 2 2\n 3 3\n 4 4\n 5 5\n-6 6\n+6 six\n 7 7\n 8 "
        );
    }
}
