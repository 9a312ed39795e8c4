//! The ids a transcript already uses, in about a byte each: it may say "used" of a free id, never
//! "free" of a used one, which is all that drawing a fresh id needs.

use crate::base::id;

#[derive(Clone, Debug)]
pub struct Seen {
    bits: Vec<u64>,
    count: usize,
}

/// Words of an empty set: 4096 bits.
const START: usize = 64;
/// Bits for each id. Growing copies the set bits, so the set fills up by a sixteenth with every
/// doubling; a fresh read of the file starts thin again.
const BITS_EACH: usize = 8;
/// Tries before a taken place is used all the same: one in four thousand million is a clash then.
const MAX_TRIES: usize = 1000;

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            bits: vec![0; START],
            count: 0,
        }
    }
}

impl Seen {
    /// Ids of another form than ours can never be drawn and are not kept.
    pub fn insert(&mut self, id: &str) {
        let Some(number) = parse(id) else { return };
        self.count += 1;
        if self.count * BITS_EACH > self.bits.len() * 64 {
            // One more bit of the number now counts: what was one place is either of two.
            self.bits.extend_from_within(..);
        }
        let (word, bit) = self.place(number);
        self.bits[word] |= bit;
    }

    /// A fresh id: 8 hex digits.
    pub fn draw(&mut self) -> String {
        let mut id = id::short();
        for _ in 0..MAX_TRIES {
            let number = parse(&id).expect("a short id is 8 hex digits");
            let (word, bit) = self.place(number);
            if self.bits[word] & bit == 0 {
                break;
            }
            id = id::short();
        }
        self.insert(&id);
        id
    }

    pub fn bytes(&self) -> usize {
        self.bits.len() * 8
    }

    fn place(&self, number: u32) -> (usize, u64) {
        let at = number as usize % (self.bits.len() * 64);
        (at / 64, 1 << (at % 64))
    }
}

fn parse(id: &str) -> Option<u32> {
    (id.len() == 8).then(|| u32::from_str_radix(id, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn drawn_ids_never_repeat_and_the_set_stays_small() {
        let mut seen = Seen::default();
        let mut all = HashSet::new();
        for _ in 0..50_000 {
            assert!(all.insert(seen.draw()));
        }
        assert!(seen.bytes() <= 64 * 1024, "{}", seen.bytes());
    }
}
