//! HTML as a row of texts and tags, in one pass over the page. Every construct that has no end ends
//! with the page, so no byte is looked at twice.

/// A piece of the page. Names are as written; text is not decoded yet.
#[derive(Debug, PartialEq)]
pub enum Token<'a> {
    Text(&'a str),
    Open {
        name: &'a str,
        attributes: &'a str,
    },
    Close(&'a str),
    /// What stood between the tags of an element whose content is no markup.
    Raw(&'a str),
}

pub struct Tokens<'a> {
    page: &'a str,
    at: usize,
    /// The element whose raw text comes next.
    raw: Option<&'a str>,
}

/// Elements that hold text and no tags.
const RAW: &[&str] = &[
    "script", "style", "title", "textarea", "iframe", "noembed", "noframes", "xmp",
];

impl<'a> Tokens<'a> {
    pub fn new(page: &'a str) -> Tokens<'a> {
        Tokens {
            page,
            at: 0,
            raw: None,
        }
    }

    fn rest(&self) -> &'a str {
        &self.page[self.at..]
    }

    /// Up to the next `end`, which is passed, too; else up to the end of the page.
    fn until(&mut self, end: &str) -> &'a str {
        let rest = self.rest();
        match rest.find(end) {
            Some(found) => {
                self.at += found + end.len();
                &rest[..found]
            }
            None => {
                self.at = self.page.len();
                rest
            }
        }
    }

    /// Up to the closing tag of `name`, which is left.
    fn raw_text(&mut self, name: &str) -> &'a str {
        let rest = self.rest();
        let mut from = 0;
        while let Some(found) = rest[from..].find("</") {
            let at = from + found;
            let tail = &rest.as_bytes()[at + 2..];
            let same = tail.len() >= name.len()
                && tail[..name.len()].eq_ignore_ascii_case(name.as_bytes())
                && tail
                    .get(name.len())
                    .is_none_or(|b| !b.is_ascii_alphanumeric());
            if same {
                self.at += at;
                return &rest[..at];
            }
            from = at + 2;
        }
        self.at = self.page.len();
        rest
    }

    /// A tag behind its `<`; `None` when the page ends in it.
    fn tag(&mut self) -> Option<Token<'a>> {
        let rest = self.rest();
        let closing = rest.starts_with('/');
        let rest = &rest[usize::from(closing)..];
        let start = self.at + usize::from(closing);
        let name_end = rest
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
            .unwrap_or(rest.len());
        let mut quote = None;
        // A quotation mark counts only as a value's first character.
        let mut value = false;
        for (at, byte) in rest.bytes().enumerate().skip(name_end) {
            match (quote, byte) {
                (Some(mark), byte) if mark == byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') if value => quote = Some(byte),
                (None, b'>') => {
                    self.at = start + at + 1;
                    let name = &rest[..name_end];
                    if closing {
                        return Some(Token::Close(name));
                    }
                    self.raw = RAW
                        .iter()
                        .any(|r| r.eq_ignore_ascii_case(name))
                        .then_some(name);
                    return Some(Token::Open {
                        name,
                        attributes: &rest[name_end..at],
                    });
                }
                (None, b'=') => {
                    value = true;
                    continue;
                }
                (None, byte) if byte.is_ascii_whitespace() => continue,
                _ => {}
            }
            value = false;
        }
        self.at = self.page.len();
        None
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(name) = self.raw.take() {
            return Some(Token::Raw(self.raw_text(name)));
        }
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return None;
            }
            // A `<` opens a tag only before a letter, `/` and a letter, `!` or `?`.
            let begins = |at: usize| match rest.as_bytes().get(at + 1) {
                Some(b'!' | b'?') => true,
                Some(b'/') => rest
                    .as_bytes()
                    .get(at + 2)
                    .is_some_and(u8::is_ascii_alphabetic),
                Some(b) => b.is_ascii_alphabetic(),
                None => false,
            };
            let text = rest
                .match_indices('<')
                .map(|(at, _)| at)
                .find(|at| begins(*at))
                .unwrap_or(rest.len());
            if text > 0 {
                self.at += text;
                return Some(Token::Text(&rest[..text]));
            }
            self.at += 1;
            match rest.as_bytes()[1] {
                b'!' if rest.starts_with("<![CDATA[") => {
                    self.at += "![CDATA[".len();
                    let text = self.until("]]>");
                    if !text.is_empty() {
                        return Some(Token::Text(text));
                    }
                }
                b'!' if rest.starts_with("<!--") => {
                    self.at += "!--".len();
                    // `<!-->` and `<!--->` are whole comments.
                    match self.rest() {
                        rest if rest.starts_with('>') => self.at += 1,
                        rest if rest.starts_with("->") => self.at += 2,
                        _ => drop(self.until("-->")),
                    }
                }
                b'!' | b'?' => drop(self.until(">")),
                _ => {
                    if let Some(tag) = self.tag() {
                        return Some(tag);
                    }
                }
            }
        }
    }
}

/// Name and value of each attribute; values are not decoded yet.
pub fn attributes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/' || c == '=');
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '/')
            .unwrap_or(rest.len());
        let name;
        (name, rest) = rest.split_at(end);
        let Some(value) = rest.trim_start().strip_prefix('=') else {
            return Some((name, ""));
        };
        let value = value.trim_start();
        let (value, after) = match value.chars().next() {
            Some(mark @ ('"' | '\'')) => {
                let value = &value[1..];
                value.split_once(mark).unwrap_or((value, ""))
            }
            _ => {
                let end = value.find(|c: char| c.is_ascii_whitespace());
                value.split_at(end.unwrap_or(value.len()))
            }
        };
        rest = after;
        Some((name, value))
    })
}

/// Longest reference that is looked for: `&CounterClockwiseContourIntegral;` is longer, and rare.
const MAX_REFERENCE: usize = 12;

/// Appends `text` with its character references replaced.
pub fn decode_into(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name_end = rest
            .bytes()
            .take(MAX_REFERENCE)
            .position(|b| !(b.is_ascii_alphanumeric() || b == b'#'))
            .unwrap_or(rest.len().min(MAX_REFERENCE));
        match rest.get(..name_end).and_then(reference) {
            Some(c) => {
                out.push(c);
                rest = &rest[name_end..];
                rest = rest.strip_prefix(';').unwrap_or(rest);
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
}

pub fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    decode_into(text, &mut out);
    out
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return match code.ok()? {
            // What people write who think in Windows-1252.
            0x91 => Some('‘'),
            0x92 => Some('’'),
            0x93 => Some('“'),
            0x94 => Some('”'),
            0x96 => Some('–'),
            0x97 => Some('—'),
            0 => Some(char::REPLACEMENT_CHARACTER),
            code => char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace()),
        };
    }
    NAMED
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, c)| *c)
}

/// Those one meets in pages; the rest stays as it is written.
static NAMED: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("lsaquo", '‹'),
    ("rsaquo", '›'),
    ("hellip", '…'),
    ("bull", '•'),
    ("middot", '·'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("deg", '°'),
    ("plusmn", '±'),
    ("times", '×'),
    ("divide", '÷'),
    ("minus", '−'),
    ("sect", '§'),
    ("para", '¶'),
    ("euro", '€'),
    ("pound", '£'),
    ("yen", '¥'),
    ("cent", '¢'),
    ("frac12", '½'),
    ("frac14", '¼'),
    ("frac34", '¾'),
    ("sup2", '²'),
    ("sup3", '³'),
    ("micro", 'µ'),
    ("ordm", 'º'),
    ("ordf", 'ª'),
    ("iexcl", '¡'),
    ("iquest", '¿'),
    ("shy", '\u{ad}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("larr", '←'),
    ("uarr", '↑'),
    ("rarr", '→'),
    ("darr", '↓'),
    ("harr", '↔'),
    ("le", '≤'),
    ("ge", '≥'),
    ("ne", '≠'),
    ("asymp", '≈'),
    ("infin", '∞'),
    ("radic", '√'),
    ("sum", '∑'),
    ("alpha", 'α'),
    ("beta", 'β'),
    ("gamma", 'γ'),
    ("delta", 'δ'),
    ("epsilon", 'ε'),
    ("lambda", 'λ'),
    ("mu", 'μ'),
    ("pi", 'π'),
    ("sigma", 'σ'),
    ("omega", 'ω'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("atilde", 'ã'),
    ("auml", 'ä'),
    ("aring", 'å'),
    ("aelig", 'æ'),
    ("ccedil", 'ç'),
    ("egrave", 'è'),
    ("eacute", 'é'),
    ("ecirc", 'ê'),
    ("euml", 'ë'),
    ("igrave", 'ì'),
    ("iacute", 'í'),
    ("icirc", 'î'),
    ("iuml", 'ï'),
    ("ntilde", 'ñ'),
    ("ograve", 'ò'),
    ("oacute", 'ó'),
    ("ocirc", 'ô'),
    ("otilde", 'õ'),
    ("ouml", 'ö'),
    ("oslash", 'ø'),
    ("ugrave", 'ù'),
    ("uacute", 'ú'),
    ("ucirc", 'û'),
    ("uuml", 'ü'),
    ("yacute", 'ý'),
    ("szlig", 'ß'),
    ("Agrave", 'À'),
    ("Aacute", 'Á'),
    ("Acirc", 'Â'),
    ("Atilde", 'Ã'),
    ("Auml", 'Ä'),
    ("Aring", 'Å'),
    ("AElig", 'Æ'),
    ("Ccedil", 'Ç'),
    ("Egrave", 'È'),
    ("Eacute", 'É'),
    ("Ecirc", 'Ê'),
    ("Euml", 'Ë'),
    ("Iacute", 'Í'),
    ("Icirc", 'Î'),
    ("Ntilde", 'Ñ'),
    ("Oacute", 'Ó'),
    ("Ocirc", 'Ô'),
    ("Otilde", 'Õ'),
    ("Ouml", 'Ö'),
    ("Oslash", 'Ø'),
    ("Uacute", 'Ú'),
    ("Ucirc", 'Û'),
    ("Uuml", 'Ü'),
    ("scaron", 'š'),
    ("Scaron", 'Š'),
    ("oelig", 'œ'),
    ("OElig", 'Œ'),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn all(page: &str) -> Vec<String> {
        Tokens::new(page)
            .map(|token| format!("{token:?}"))
            .collect()
    }

    #[test]
    fn texts_and_tags_are_told_apart() {
        let page = "<!DOCTYPE html><p class='a>b'>1 < 2 &amp; 3<br/>x</P><!-- <b> --><![CDATA[c]]>";
        assert_eq!(
            all(page),
            [
                "Open { name: \"p\", attributes: \" class='a>b'\" }",
                "Text(\"1 < 2 &amp; 3\")",
                "Open { name: \"br\", attributes: \"/\" }",
                "Text(\"x\")",
                "Close(\"P\")",
                "Text(\"c\")",
            ]
        );
        assert_eq!(
            all("<script>if (a</b>) '</scripted>'</SCRIPT >x"),
            [
                "Open { name: \"script\", attributes: \"\" }",
                "Raw(\"if (a</b>) '</scripted>'\")",
                "Close(\"SCRIPT\")",
                "Text(\"x\")",
            ]
        );
        assert_eq!(
            all("<a title=it's>x"),
            [
                "Open { name: \"a\", attributes: \" title=it's\" }",
                "Text(\"x\")"
            ]
        );
        for page in [
            "<",
            "<a",
            "<a href=\"x",
            "<!--",
            "<!",
            "</",
            "<script>",
            "<![CDATA[",
            "<!-->",
        ] {
            assert!(all(page).len() <= 2, "{page}");
        }
    }

    #[test]
    fn attributes_have_values_in_every_style_of_quotes() {
        let found: Vec<_> = attributes(" a=1 b = 'x y' c=\"z\" d e=/f/ g=").collect();
        assert_eq!(
            found,
            [
                ("a", "1"),
                ("b", "x y"),
                ("c", "z"),
                ("d", ""),
                ("e", "/f/"),
                ("g", "")
            ]
        );
        assert_eq!(attributes("\"\"\"='<>\u{e9}=").count(), 1);
    }

    #[test]
    fn references_become_characters_and_other_ampersands_stay() {
        assert_eq!(
            decode("&lt;b&gt; &#228;&#xE4;&auml; AT&T &nosuch; &amp;lt; &#0;&#x110000; & &"),
            "<b> äää AT&T &nosuch; &lt; \u{fffd}&#x110000; & &"
        );
        assert_eq!(
            decode("&\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"),
            "&ééééééé"
        );
        assert_eq!(decode("&aaaaaaaaaaa\u{e9}"), "&aaaaaaaaaaaé");
    }

    #[test]
    fn no_page_takes_more_than_one_pass() {
        let started = std::time::Instant::now();
        for piece in [
            "<",
            "<a ",
            "<a \"",
            "<a b=\"",
            "<!--",
            "</",
            "</a",
            "<script>",
            "<script></",
            "&",
            "<![CDATA[",
            "]]>",
            "é<",
        ] {
            let page = piece.repeat(300_000 / piece.len());
            let mut length = 0;
            for token in Tokens::new(&page) {
                length += 1;
                if let Token::Open {
                    attributes: text, ..
                } = token
                {
                    length += attributes(text).count();
                }
            }
            decode(&page);
            assert!(length < 700_000);
        }
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
