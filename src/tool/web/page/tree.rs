//! The elements and texts of a page as a tree in one vector: parents come before their children.
//!
//! Wrong HTML is taken as browsers roughly take it: what must be closed is closed, what closes
//! nothing is ignored. Nodes and depth are bounded; beyond them the page is cut, or flat.

use super::tokens::{Token, Tokens, attributes, decode, decode_into};
use std::ops::Range;

/// Elements and texts kept; some 5 MB. A long book has 50,000.
const MAX_NODES: usize = 80_000;
/// Open elements at once; deeper ones become children of the deepest. Reading the tree recurses.
pub const MAX_DEPTH: usize = 100;

pub type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Root,
    Text,
    Heading(u8),
    Paragraph,
    Break,
    Rule,
    Link,
    Image,
    Strong,
    Emphasis,
    Code,
    Pre,
    Quote,
    List,
    Ordered,
    Item,
    Term,
    Table,
    Row,
    HeadCell,
    Cell,
    /// The body of an article, or the page's main part.
    Article,
    /// Surroundings: navigation, header, footer, forms.
    Around,
    /// Any other element that begins a line.
    Block,
    Inline,
    /// Nothing to read.
    Hidden,
}

#[derive(Debug)]
pub struct Node {
    pub tag: Tag,
    pub parent: Id,
    pub first: Option<Id>,
    pub next: Option<Id>,
    last: Option<Id>,
    /// A text's characters, a link's or an image's address, a code block's language.
    value: Range<usize>,
    /// An image's description.
    about: Range<usize>,
    /// What class and id say: content is positive, surroundings are negative.
    pub weight: i8,
}

#[derive(Debug)]
pub struct Tree {
    pub nodes: Vec<Node>,
    texts: String,
    pub title: String,
    /// The page had more than is kept.
    pub cut: bool,
}

struct Builder<'a> {
    tree: Tree,
    /// Names and nodes of the open elements.
    open: Vec<(&'a str, Id)>,
    title: bool,
}

impl Node {
    fn new(tag: Tag, parent: Id) -> Node {
        Node {
            tag,
            parent,
            first: None,
            next: None,
            last: None,
            value: 0..0,
            about: 0..0,
            weight: 0,
        }
    }
}

impl Tree {
    pub fn parse(page: &str) -> Tree {
        let mut builder = Builder {
            tree: Tree {
                nodes: vec![Node::new(Tag::Root, 0)],
                texts: String::new(),
                title: String::new(),
                cut: false,
            },
            open: Vec::new(),
            title: false,
        };
        for token in Tokens::new(page) {
            if builder.tree.nodes.len() >= MAX_NODES {
                builder.tree.cut = true;
                break;
            }
            match token {
                Token::Text(text) => builder.text(text),
                Token::Raw(text) => builder.raw(text),
                Token::Open { name, attributes } => builder.open(name, attributes),
                Token::Close(name) => builder.close(name),
            }
        }
        builder.tree
    }

    pub fn value(&self, id: Id) -> &str {
        &self.texts[self.nodes[id].value.clone()]
    }

    pub fn about(&self, id: Id) -> &str {
        &self.texts[self.nodes[id].about.clone()]
    }

    pub fn children(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        std::iter::successors(self.nodes[id].first, |id| self.nodes[*id].next)
    }
}

impl<'a> Builder<'a> {
    fn here(&self) -> Id {
        self.open.last().map_or(0, |(_, id)| *id)
    }

    fn add(&mut self, tag: Tag) -> Id {
        let (id, parent) = (self.tree.nodes.len(), self.here());
        self.tree.nodes.push(Node::new(tag, parent));
        match self.tree.nodes[parent].last.replace(id) {
            Some(before) => self.tree.nodes[before].next = Some(id),
            None => self.tree.nodes[parent].first = Some(id),
        }
        id
    }

    fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.tree.texts.len();
        decode_into(text, &mut self.tree.texts);
        start..self.tree.texts.len()
    }

    fn text(&mut self, text: &str) {
        let id = self.add(Tag::Text);
        self.tree.nodes[id].value = self.keep(text);
    }

    fn raw(&mut self, text: &str) {
        if self.title && self.tree.title.is_empty() {
            let title = decode(text);
            let words: Vec<&str> = title.split_whitespace().collect();
            self.tree.title = words.join(" ").chars().take(MAX_TITLE).collect();
        }
        self.title = false;
    }

    fn open(&mut self, name: &'a str, text: &str) {
        let lower = name.to_ascii_lowercase();
        self.title = lower == "title";
        let mut tag = tag(&lower);
        let within = |names: &[&str]| {
            let same = |name: &&str, open: &str| name.eq_ignore_ascii_case(open);
            let mut open = self.open.iter();
            open.any(|(open, _)| names.iter().any(|name| same(name, open)))
        };
        // An article's own head is part of it.
        if lower == "header" && within(&["article", "main"]) {
            tag = Tag::Block;
        }
        self.close_implied(&lower, tag);
        let mut weight: i32 = 0;
        let (mut address, mut about, mut language) = ("", "", "");
        for (key, value) in attributes(text).take(MAX_ATTRIBUTES) {
            match key.to_ascii_lowercase().as_str() {
                "class" | "id" => {
                    weight += words(value);
                    let code = ["language-", "lang-", "highlight-source-"];
                    if let Some(at) = code.iter().find_map(|c| Some(value.find(c)? + c.len())) {
                        let end = value[at..].find(char::is_whitespace);
                        language = &value[at..end.map_or(value.len(), |end| at + end)];
                    }
                }
                "role" => match value.to_ascii_lowercase().as_str() {
                    "main" | "article" => weight += 25,
                    "navigation" | "banner" | "contentinfo" | "complementary" | "search"
                    | "dialog" | "menu" | "alertdialog" => tag = Tag::Around,
                    _ => {}
                },
                "href" if tag == Tag::Link => address = value,
                "src" if tag == Tag::Image => address = value,
                "alt" => about = value,
                "hidden" => tag = Tag::Hidden,
                "aria-hidden" if value.eq_ignore_ascii_case("true") => tag = Tag::Hidden,
                "style" if is_invisible(value) => tag = Tag::Hidden,
                "content" if lower == "meta" => about = value,
                "property" | "name" if lower == "meta" => address = value,
                _ => {}
            }
        }
        if lower == "meta" {
            if address == "og:title" && self.tree.title.is_empty() {
                self.tree.title = decode(about).chars().take(MAX_TITLE).collect();
            }
            return;
        }
        let id = self.add(tag);
        let node = &mut self.tree.nodes[id];
        node.weight = weight.clamp(-50, 50) as i8;
        if matches!(tag, Tag::Code | Tag::Pre) {
            address = language;
        }
        self.tree.nodes[id].value = self.keep(address.get(..MAX_VALUE).unwrap_or(address));
        if tag == Tag::Image {
            self.tree.nodes[id].about = self.keep(about);
        }
        let closed = VOID.contains(&lower.as_str());
        if !closed && self.open.len() < MAX_DEPTH {
            self.open.push((name, id));
        }
    }

    fn close(&mut self, name: &str) {
        let is = |(open, _): &(&str, Id)| open.eq_ignore_ascii_case(name);
        if let Some(at) = self.open.iter().rposition(is) {
            self.open.truncate(at);
        }
    }

    /// What `name` ends without saying so.
    fn close_implied(&mut self, name: &str, tag: Tag) {
        let (ends, within): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol", "menu"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl"]),
            "tr" => (&["tr", "td", "th"], &["table"]),
            "td" | "th" => (&["td", "th"], &["table", "tr"]),
            "tbody" | "thead" | "tfoot" => {
                (&["tr", "td", "th", "tbody", "thead", "tfoot"], &["table"])
            }
            "option" | "optgroup" => (&["option"], &["select"]),
            "body" => (&["head"], &["html"]),
            _ if tag.is_block() => (&["p"], &["td", "th", "li", "div", "blockquote", "button"]),
            _ => return,
        };
        let among = |list: &[&str], open: &str| list.iter().any(|l| l.eq_ignore_ascii_case(open));
        let outer = self
            .open
            .iter()
            .rposition(|(open, _)| among(within, open))
            .map_or(0, |at| at + 1);
        if let Some(at) = self.open[outer..]
            .iter()
            .position(|(open, _)| among(ends, open))
        {
            self.open.truncate(outer + at);
        }
    }
}

const MAX_TITLE: usize = 300;
const MAX_ATTRIBUTES: usize = 50;
/// Longest address kept of a link.
const MAX_VALUE: usize = 4096;

const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];

impl Tag {
    pub fn is_block(self) -> bool {
        !matches!(
            self,
            Tag::Text
                | Tag::Break
                | Tag::Link
                | Tag::Image
                | Tag::Strong
                | Tag::Emphasis
                | Tag::Code
                | Tag::Inline
                | Tag::Hidden
        )
    }
}

fn tag(name: &str) -> Tag {
    match name {
        "h1" => Tag::Heading(1),
        "h2" => Tag::Heading(2),
        "h3" => Tag::Heading(3),
        "h4" => Tag::Heading(4),
        "h5" => Tag::Heading(5),
        "h6" => Tag::Heading(6),
        "p" | "summary" | "figcaption" | "caption" => Tag::Paragraph,
        "br" => Tag::Break,
        "hr" => Tag::Rule,
        "a" => Tag::Link,
        "img" => Tag::Image,
        "strong" | "b" => Tag::Strong,
        "em" | "i" | "cite" | "dfn" => Tag::Emphasis,
        "code" | "kbd" | "samp" | "tt" | "var" => Tag::Code,
        "pre" | "xmp" | "listing" => Tag::Pre,
        "blockquote" => Tag::Quote,
        "ul" | "menu" | "dir" => Tag::List,
        "ol" => Tag::Ordered,
        "li" | "dd" => Tag::Item,
        "dt" => Tag::Term,
        "table" => Tag::Table,
        "tr" => Tag::Row,
        "th" => Tag::HeadCell,
        "td" => Tag::Cell,
        "article" | "main" => Tag::Article,
        "nav" | "aside" | "footer" | "header" | "form" | "dialog" | "fieldset" => Tag::Around,
        "div" | "section" | "body" | "html" | "dl" | "figure" | "address" | "details"
        | "center" | "hgroup" | "legend" | "search" => Tag::Block,
        "script" | "style" | "noscript" | "template" | "svg" | "math" | "iframe" | "object"
        | "embed" | "canvas" | "select" | "textarea" | "button" | "input" | "datalist"
        | "title" | "audio" | "video" | "map" | "link" | "base" | "noembed" | "noframes"
        | "progress" | "meter" | "head" => Tag::Hidden,
        _ => Tag::Inline,
    }
}

/// What a person does not see, a model need not read either: instructions for it hide there.
fn is_invisible(style: &str) -> bool {
    let style: String = style
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    [
        "display:none",
        "visibility:hidden",
        "opacity:0;",
        "font-size:0;",
        "font-size:0px",
    ]
    .iter()
    .any(|hidden| style.contains(hidden) || style.ends_with(hidden.trim_end_matches(';')))
}

/// Words of a class or id, as readers of the web have learned them.
fn words(value: &str) -> i32 {
    const FOR: &[&str] = &[
        "article", "body", "content", "entry", "hentry", "main", "post", "text", "story", "blog",
        "markdown", "prose",
    ];
    const AGAINST: &[&str] = &[
        "nav",
        "menu",
        "sidebar",
        "footer",
        "foot",
        "header",
        "masthead",
        "comment",
        "banner",
        "cookie",
        "consent",
        "advert",
        "sponsor",
        "promo",
        "related",
        "share",
        "social",
        "popup",
        "modal",
        "breadcrumb",
        "pagination",
        "pager",
        "subscribe",
        "newsletter",
        "widget",
        "toolbar",
        "skip",
        "outbrain",
        "hidden",
        "sr-only",
        "disqus",
        "login",
        "signup",
    ];
    let value = value.get(..MAX_VALUE).unwrap_or(value).to_ascii_lowercase();
    let any = |list: &[&str]| list.iter().any(|word| value.contains(word));
    25 * (i32::from(any(FOR)) - i32::from(any(AGAINST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as nested words.
    fn shape(tree: &Tree, id: Id) -> String {
        let inner: Vec<String> = tree.children(id).map(|id| shape(tree, id)).collect();
        match tree.nodes[id].tag {
            Tag::Text => format!("{:?}", tree.value(id)),
            tag => format!("{tag:?}[{}]", inner.join(" ")),
        }
    }

    fn shape_of(page: &str) -> String {
        shape(&Tree::parse(page), 0)
    }

    #[test]
    fn what_is_left_open_is_closed_where_it_ends() {
        assert_eq!(
            shape_of("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>"),
            "Root[List[Item[\"a\"] Item[\"b\" List[Item[\"c\"]]] Item[\"d\"]]]"
        );
        assert_eq!(
            shape_of("<p>a<p>b<div>c"),
            "Root[Paragraph[\"a\"] Paragraph[\"b\"] Block[\"c\"]]"
        );
        assert_eq!(
            shape_of("<table><tr><td>1<td>2<tr><th>3</table>x"),
            "Root[Table[Row[Cell[\"1\"] Cell[\"2\"]] Row[HeadCell[\"3\"]]] \"x\"]"
        );
        assert_eq!(shape_of("</b>a</p><b>c"), "Root[\"a\" Strong[\"c\"]]");
    }

    #[test]
    fn a_title_is_found_and_hidden_things_are_marked() {
        let tree = Tree::parse("<head><title> A &amp;\n B </title></head><body>x");
        assert_eq!(tree.title, "A & B");
        for hidden in [
            "<p hidden>x",
            "<p style='Display : none'>x",
            "<div style=\"color:red;visibility:hidden\">x",
            "<span aria-hidden=true>x",
            "<svg>x",
        ] {
            assert_eq!(shape_of(hidden), "Root[Hidden[\"x\"]]", "{hidden}");
        }
        assert_eq!(
            shape_of("<p style='opacity:0.5'>x"),
            "Root[Paragraph[\"x\"]]"
        );
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let tree = Tree::parse(&"<div>".repeat(20_000));
        let depth = |mut id: Id| {
            let mut depth = 0;
            while id != 0 {
                id = tree.nodes[id].parent;
                depth += 1;
            }
            depth
        };
        assert_eq!((0..tree.nodes.len()).map(depth).max(), Some(MAX_DEPTH + 1));
        let tree = Tree::parse(&"<b>x".repeat(200_000));
        assert!(tree.cut && tree.nodes.len() <= MAX_NODES);
        let started = std::time::Instant::now();
        Tree::parse(&format!("{}{}", "<i>".repeat(200), "</x>".repeat(100_000)));
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
