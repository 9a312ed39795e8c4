//! Finding pieces by the words of a question. A piece need not have all of them: how much of the
//! question it covers is its score, rare words counting more than frequent ones, and how often it
//! says them decides among equals. (The original wants every word, and then gives every hit 1.)

use super::error::Error;
use super::store::Store;
use std::collections::{HashMap, HashSet};

/// Words of a question that are looked for.
const MAX_WORDS: usize = 16;
/// A word in more pieces than this says nothing of any of them; reading on would only take time.
const FREQUENT: usize = 2_000;
/// Of this length on, a word also finds those that begin with it: `decide`, `decided`.
const STEM: usize = 4;
/// What tells equals apart, at most.
const BY_COUNT: f64 = 0.1;

/// Words a question has for grammar's sake.
const SMALL: [&str; 52] = [
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "did", "do",
    "does", "for", "from", "had", "has", "have", "how", "i", "in", "is", "it", "me", "my", "of",
    "on", "or", "our", "should", "so", "that", "the", "their", "there", "they", "this", "to", "us",
    "was", "we", "were", "what", "when", "where", "which", "who", "with", "you", "your",
];

/// A word, and how it is looked for.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// An expression of the full text index.
    Indexed(String),
    /// Of a script without blanks, which the index does not cut into words.
    Anywhere(String),
}

/// Pieces by their row in the full text table, best first, with scores up to 1.
pub fn find(store: &Store, question: &str, most: usize) -> Result<Vec<(i64, f64)>, Error> {
    let words = words(question);
    let pieces = store.number("SELECT count(*) FROM chunks", &[])? as f64;
    let mut found: Vec<(f64, HashSet<i64>)> = Vec::new();
    let mut expressions: Vec<&str> = Vec::new();
    let mut nowhere = 0usize;
    for word in &words {
        let rows = rows(store, word)?;
        match rows.len() {
            0 => nowhere += 1,
            n if n > FREQUENT => {}
            n => {
                let n = n as f64;
                found.push(((1.0 + (pieces - n + 0.5).max(0.0) / (n + 0.5)).ln(), rows));
                if let Word::Indexed(expression) = word {
                    expressions.push(expression);
                }
            }
        }
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let known: f64 = found.iter().map(|(weight, _)| weight).sum();
    // A word that is nowhere takes something from every piece, yet less than one that is.
    let all = known + nowhere as f64 * known / found.len() as f64 / 2.0;
    let ranks = ranks(store, &expressions)?;
    let mut scores: HashMap<i64, f64> = HashMap::new();
    for (weight, rows) in &found {
        for row in rows {
            *scores.entry(*row).or_default() += weight / all;
        }
    }
    let mut list: Vec<(i64, f64)> = scores
        .into_iter()
        .map(|(row, covered)| {
            let often = ranks.get(&row).copied().unwrap_or(0.0).max(0.0);
            let often = often / (1.0 + often);
            (row, covered * (1.0 - BY_COUNT + BY_COUNT * often))
        })
        .collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    list.truncate(most);
    Ok(list)
}

fn rows(store: &Store, word: &Word) -> Result<HashSet<i64>, Error> {
    let limit = FREQUENT + 1;
    let (sql, value) = match word {
        Word::Indexed(expression) => (
            format!("SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ?1 LIMIT {limit}"),
            expression,
        ),
        Word::Anywhere(text) => (
            format!("SELECT rowid FROM chunks_fts WHERE instr(text, ?1) LIMIT {limit}"),
            text,
        ),
    };
    let mut rows = HashSet::new();
    store.each(&sql, &[value], &mut |row| {
        rows.insert(row.get(0)?);
        Ok(())
    })?;
    Ok(rows)
}

/// BM25, larger for better.
fn ranks(store: &Store, expressions: &[&str]) -> Result<HashMap<i64, f64>, Error> {
    let mut ranks = HashMap::new();
    if expressions.is_empty() {
        return Ok(ranks);
    }
    let any = expressions.join(" OR ");
    let sql = "SELECT rowid, -bm25(chunks_fts) FROM chunks_fts WHERE chunks_fts MATCH ?1";
    store.each(sql, &[&any], &mut |row| {
        ranks.insert(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    Ok(ranks)
}

/// The words of a question, each once; grammar's only when there are no others.
fn words(question: &str) -> Vec<Word> {
    let lower = question.to_lowercase();
    let mut all: Vec<&str> = Vec::new();
    for word in lower.split(|c: char| !c.is_alphanumeric() && c != '_') {
        if word.chars().any(char::is_alphanumeric) && !all.contains(&word) {
            all.push(word);
        }
    }
    let telling: Vec<&str> = all
        .iter()
        .copied()
        .filter(|word| !SMALL.contains(word))
        .collect();
    let chosen = if telling.is_empty() { all } else { telling };
    chosen
        .iter()
        .flat_map(|word| looked_for(word))
        .take(MAX_WORDS)
        .collect()
}

fn looked_for(word: &str) -> Vec<Word> {
    let chars: Vec<char> = word.chars().collect();
    if chars.len() > 1 && chars.iter().all(|c| is_unspaced(*c)) {
        return chars
            .windows(2)
            .map(|two| Word::Anywhere(two.iter().collect()))
            .collect();
    }
    if chars.iter().any(|c| is_unspaced(*c)) {
        return vec![Word::Anywhere(word.into())];
    }
    let prefix = if chars.len() >= STEM { "*" } else { "" };
    // Only letters, digits and `_` are in it: nothing ends the quotes.
    vec![Word::Indexed(format!("\"{word}\"{prefix}"))]
}

/// Kana, Han, Thai and their like.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexed(text: &str) -> Word {
        Word::Indexed(text.into())
    }

    #[test]
    fn grammar_is_left_out_unless_there_is_nothing_else() {
        assert_eq!(
            words("What did we decide about the DB? decide"),
            [indexed("\"decide\"*"), indexed("\"db\"")]
        );
        assert_eq!(words("to be"), [indexed("\"to\""), indexed("\"be\"")]);
        assert_eq!(words("\" OR * ( _ -- "), [indexed("\"or\"")]);
        assert_eq!(words("\" * ( _ -- "), []);
        assert_eq!(
            words("a\"b* NEAR"),
            [indexed("\"b\""), indexed("\"near\"*")]
        );
        assert_eq!(words(&"word1 x2 ".repeat(3)).len(), 2);
    }

    #[test]
    fn scripts_without_blanks_are_looked_for_by_pairs() {
        let pair = |text: &str| Word::Anywhere(text.into());
        assert_eq!(words("数据库"), [pair("数据"), pair("据库")]);
        assert_eq!(words("v2数据"), [pair("v2数据")]);
    }
}
