//! Names of sessions that a model can repeat without a slip: two words, `amber-fjord`.

use crate::base::id;

const FIRST: &[&str] = &[
    "agile", "amber", "azure", "bold", "brave", "brisk", "bronze", "calm", "cedar", "civil",
    "clear", "coral", "crisp", "dapper", "dusky", "early", "fancy", "fleet", "gentle", "glad",
    "golden", "grand", "hardy", "hazel", "humble", "ivory", "jolly", "keen", "kind", "lively",
    "lucid", "lunar", "mellow", "merry", "mild", "misty", "neat", "noble", "olive", "placid",
    "plucky", "proud", "quiet", "rapid", "ruby", "rustic", "sandy", "silver", "sleek", "snowy",
    "solar", "spry", "steady", "sunny", "swift", "tawny", "tidy", "velvet", "vivid", "warm",
    "witty", "young", "zesty", "plain",
];
const SECOND: &[&str] = &[
    "acorn", "anchor", "badger", "basin", "beacon", "birch", "bison", "brook", "canyon", "cliff",
    "cloud", "comet", "crane", "dune", "eagle", "ember", "falcon", "fern", "field", "finch",
    "fjord", "forest", "gale", "garden", "glade", "grove", "harbor", "heron", "hill", "island",
    "lagoon", "lake", "lantern", "lark", "maple", "marsh", "meadow", "moss", "oak", "ocean",
    "orchid", "otter", "pebble", "pine", "plover", "pond", "prairie", "quarry", "raven", "reef",
    "ridge", "river", "robin", "sparrow", "spruce", "stone", "summit", "tide", "trail", "valley",
    "willow", "wren", "thicket", "torrent",
];
/// How often two words are tried, and the numbers put behind a pair that is taken.
const TRIES: usize = 12;

/// A name for which `taken` is false.
pub fn new(taken: impl Fn(&str) -> bool) -> String {
    let pick = |words: &[&'static str]| words[usize::from(id::random::<1>()[0]) % words.len()];
    for _ in 0..TRIES {
        let base = format!("{}-{}", pick(FIRST), pick(SECOND));
        if !taken(&base) {
            return base;
        }
        let numbered = (2..=TRIES).map(|n| format!("{base}-{n}"));
        if let Some(name) = numbered.into_iter().find(|name| !taken(name)) {
            return name;
        }
    }
    let three = format!("{}-{}-{}", pick(FIRST), pick(SECOND), pick(SECOND));
    if !taken(&three) {
        return three;
    }
    format!("{three}-{}", id::short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_pair_gets_a_number_and_words_are_distinct() {
        let first = std::cell::RefCell::new(None::<String>);
        let name = new(|name| {
            let mut first = first.borrow_mut();
            first.get_or_insert_with(|| name.to_string()) == name
        });
        assert_eq!(name, format!("{}-2", first.borrow().as_ref().unwrap()));
        for words in [FIRST, SECOND] {
            let unique: std::collections::BTreeSet<_> = words.iter().collect();
            assert_eq!(unique.len(), words.len());
        }
    }
}
