//! Words and vectors into one list. Both sides name candidates; each candidate then gets both
//! scores, also from the side that did not name it.

use super::chunk;
use super::error::Error;
use super::store::Store;
use super::{vectors, words};
use crate::wire::memory::{Found, Index, Weights};
use std::collections::HashMap;

/// Characters of a snippet, as JavaScript counts.
const SNIPPET: usize = 700;
/// The most pieces either side names.
const MAX_CANDIDATES: usize = 200;

pub struct Search<'a> {
    pub question: &'a str,
    /// The question's vector, where there is one.
    pub vector: Option<&'a [f32]>,
    pub weights: Weights,
    pub max_results: usize,
    pub min_score: f64,
}

pub fn search(index: &Index, store: &Store, search: &Search) -> Result<Vec<Found>, Error> {
    let wanted = search
        .max_results
        .max(1)
        .saturating_mul(search.weights.candidates.max(1));
    let most = wanted.min(MAX_CANDIDATES);
    let vector_only = search.vector.is_some() && search.weights.text == 0.0;
    let mut by_words: HashMap<String, f64> = HashMap::new();
    if !vector_only {
        for (row, score) in words::find(store, search.question, most)? {
            if let Some(id) = store.text("SELECT id FROM chunks_fts WHERE rowid = ?1", &[&row])? {
                by_words.insert(id, score);
            }
        }
    }
    let mut ids: Vec<String> = by_words.keys().cloned().collect();
    if let Some(vector) = search.vector {
        for id in vectors::nearest(index, store, vector, most)? {
            if !by_words.contains_key(&id) {
                ids.push(id);
            }
        }
    }
    let mut results = Vec::new();
    for id in &ids {
        let Some((mut found, numbers)) = piece(store, id, search.vector.is_some())? else {
            continue;
        };
        if !is_wanted(index, &found.source) {
            continue;
        }
        let text = by_words.get(id).copied().unwrap_or(0.0);
        found.score = match search.vector {
            None => text,
            Some(query) => {
                let own: Vec<f32> = serde_json::from_str(&numbers).unwrap_or_default();
                search.weights.vector * vectors::cosine(query, &own) + search.weights.text * text
            }
        };
        if found.score >= search.min_score {
            results.push(found);
        }
    }
    results.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| (&a.path, a.start_line).cmp(&(&b.path, b.start_line)))
    });
    results.truncate(search.max_results);
    Ok(results)
}

fn is_wanted(index: &Index, source: &str) -> bool {
    match source {
        "memory" => index.files,
        "sessions" => index.sessions.is_some(),
        _ => false,
    }
}

/// A piece without its score, and its vector as text.
fn piece(store: &Store, id: &str, vector: bool) -> Result<Option<(Found, String)>, Error> {
    let column = if vector { "embedding" } else { "''" };
    let sql = format!(
        "SELECT path, start_line, end_line, text, source, {column} FROM chunks WHERE id = ?1"
    );
    let mut found = None;
    store.each(&sql, &[&id], &mut |row| {
        let line = |n: i64| u64::try_from(n).unwrap_or(0);
        let text: String = row.get(3)?;
        let piece = Found {
            path: row.get(0)?,
            start_line: line(row.get(1)?),
            end_line: line(row.get(2)?),
            score: 0.0,
            snippet: chunk::prefix(&text, SNIPPET).to_string(),
            source: row.get(4)?,
        };
        found = Some((piece, row.get(5)?));
        Ok(())
    })?;
    Ok(found)
}
