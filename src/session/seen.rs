//! The ids a transcript already uses, in about two bits each: it may say "used" of a free id, never
//! "free" of a used one, which is all that drawing a fresh id needs.

use crate::base::id;

#[derive(Clone, Debug)]
pub struct Seen {
    bits: Vec<u64>,
    count: usize,
}

/// Words of an empty set: 4096 bits.
const START: usize = 64;

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
        if self.count * 2 > self.bits.len() * 64 {
            // One more bit of the number now counts: what was one place is either of two.
            self.bits.extend_from_within(..);
        }
        let (word, bit) = self.place(number);
        self.bits[word] |= bit;
    }

    /// A fresh id: 8 hex digits.
    pub fn draw(&mut self) -> String {
        loop {
            let id = id::short();
            let number = parse(&id).expect("a short id is 8 hex digits");
            let (word, bit) = self.place(number);
            if self.bits[word] & bit == 0 {
                self.insert(&id);
                return id;
            }
        }
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
        assert!(seen.bytes() <= 32 * 1024, "{}", seen.bytes());
    }
}
