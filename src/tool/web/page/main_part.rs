//! Which part of a page is its text. Paragraphs speak for the elements around them; names of classes
//! and the share of links speak for or against. It is the way reader views of browsers take.

use super::tree::{Id, Node, Tag, Tree};

/// Shorter paragraphs say nothing about where the text is.
const MIN_PARAGRAPH: usize = 25;
/// A part smaller than this, and than this share of all text, is not believed to be the text.
const MIN_PART: usize = 250;
const MIN_SHARE: usize = 5;

/// The elements to show, in order, and which nodes of them are left out.
pub struct Part {
    pub roots: Vec<Id>,
    pub skipped: Vec<bool>,
}

struct Measured {
    /// Bytes of text below a node, and of those in links.
    text: Vec<usize>,
    links: Vec<usize>,
    commas: Vec<usize>,
}

pub fn all(tree: &Tree) -> Part {
    Part {
        roots: vec![0],
        skipped: hidden(tree),
    }
}

pub fn find(tree: &Tree) -> Part {
    let mut skipped = hidden(tree);
    let whole = Measured::of(tree, &skipped);
    for (id, node) in tree.nodes.iter().enumerate() {
        skipped[id] |= skipped[node.parent] || is_around(node, &whole, id);
    }
    let measured = Measured::of(tree, &skipped);
    let scores = scores(tree, &measured, &skipped);
    let best = (1..tree.nodes.len())
        .filter(|id| scores[*id] > 0.0)
        .max_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(b.cmp(a)));
    let Some(best) = best else {
        return if measured.text[0] * MIN_SHARE < whole.text[0] {
            all(tree)
        } else {
            body(skipped)
        };
    };
    // Neighbours that look like more of the same: a text cut in two by an advertisement.
    let parent = tree.nodes[best].parent;
    let enough = (scores[best] * 0.2).max(10.0);
    let roots: Vec<Id> = tree
        .children(parent)
        .filter(|id| {
            let lone = tree.nodes[*id].tag == Tag::Paragraph
                && measured.text[*id] > 80
                && measured.density(*id) < 0.25;
            let heading = matches!(tree.nodes[*id].tag, Tag::Heading(_)) && *id < best;
            *id == best || (!skipped[*id] && (scores[*id] >= enough || lone || heading))
        })
        .collect();
    let found: usize = roots.iter().map(|id| measured.text[*id]).sum();
    if found < MIN_PART && found * MIN_SHARE < measured.text[0] {
        return body(skipped);
    }
    if measured.text[0] < MIN_PART && measured.text[0] * MIN_SHARE < whole.text[0] {
        return all(tree);
    }
    Part { roots, skipped }
}

fn body(skipped: Vec<bool>) -> Part {
    Part {
        roots: vec![0],
        skipped,
    }
}

fn hidden(tree: &Tree) -> Vec<bool> {
    let mut hidden = vec![false; tree.nodes.len()];
    for (id, node) in tree.nodes.iter().enumerate() {
        hidden[id] = hidden[node.parent] || node.tag == Tag::Hidden;
    }
    hidden
}

/// Navigation and the like. What holds most of the page's text is not, whatever its name.
fn is_around(node: &Node, whole: &Measured, id: Id) -> bool {
    let much = whole.text[id] * 2 > whole.text[0];
    match node.tag {
        Tag::Around => !much,
        Tag::Block | Tag::List | Tag::Table | Tag::Inline | Tag::Paragraph => {
            node.weight < 0 && !much
        }
        _ => false,
    }
}

fn scores(tree: &Tree, measured: &Measured, skipped: &[bool]) -> Vec<f32> {
    let mut scores = vec![0.0_f32; tree.nodes.len()];
    for (id, node) in tree.nodes.iter().enumerate() {
        let speaks = match node.tag {
            Tag::Paragraph | Tag::Pre | Tag::Quote | Tag::Item => true,
            // Texts that lie in a block without a paragraph.
            Tag::Text => matches!(
                tree.nodes[node.parent].tag,
                Tag::Block | Tag::Article | Tag::Cell
            ),
            _ => false,
        };
        let length = measured.text[id];
        if !speaks || skipped[id] || length < MIN_PARAGRAPH {
            continue;
        }
        let points = 1.0 + measured.commas[id] as f32 + (length as f32 / 100.0).min(3.0);
        let mut at = id;
        for share in [1.0, 0.5, 0.2] {
            at = tree.nodes[at].parent;
            scores[at] += points * share;
            if at == 0 {
                break;
            }
        }
    }
    for (id, node) in tree.nodes.iter().enumerate() {
        let kind = match node.tag {
            Tag::Article => 25.0,
            Tag::Block => 5.0,
            Tag::Cell | Tag::Quote | Tag::Pre => 3.0,
            Tag::List | Tag::Ordered | Tag::Item | Tag::Term => -3.0,
            Tag::Heading(_) | Tag::HeadCell => -5.0,
            _ => 0.0,
        };
        // Only what has something to say is lifted by its name.
        if scores[id] > 0.0 {
            scores[id] += kind + f32::from(node.weight);
            scores[id] *= 1.0 - measured.density(id);
        }
        let fits = matches!(
            node.tag,
            Tag::Block | Tag::Article | Tag::Cell | Tag::Quote | Tag::Around | Tag::Inline
        );
        if !fits || skipped[id] {
            scores[id] = 0.0;
        }
    }
    scores
}

impl Measured {
    fn of(tree: &Tree, skipped: &[bool]) -> Measured {
        let zero = vec![0; tree.nodes.len()];
        let mut measured = Measured {
            text: zero.clone(),
            links: zero.clone(),
            commas: zero,
        };
        // Children come after their parents.
        for (id, node) in tree.nodes.iter().enumerate().rev() {
            if node.tag == Tag::Text {
                let text = tree.value(id).trim();
                measured.text[id] = text.len();
                measured.commas[id] = text.matches([',', '、', '，', '،']).count();
            }
            if skipped[id] {
                measured.text[id] = 0;
                measured.links[id] = 0;
                measured.commas[id] = 0;
            }
            if node.tag == Tag::Link {
                measured.links[id] = measured.text[id];
            }
            if id > 0 {
                let parent = node.parent;
                measured.text[parent] += measured.text[id];
                measured.links[parent] += measured.links[id];
                measured.commas[parent] += measured.commas[id];
            }
        }
        measured
    }

    fn density(&self, id: Id) -> f32 {
        match self.text[id] {
            0 => 0.0,
            text => self.links[id] as f32 / text as f32,
        }
    }
}
