//! A shell command taken apart far enough to say which programs it starts.
//!
//! The text comes from a model and may be built to deceive. This is no shell: it knows words,
//! quotes, `&&`, `||`, `;` and `|`, and gives up on everything else, comments and line ends
//! included, because a parser that sees a quote where the shell sees a comment approves what it
//! never looked at. Giving up only means that a person is asked. One pass, linear, bounded.

/// Longer commands are not looked at, bytes.
const MAX_COMMAND: usize = 16 * 1024;
const MAX_SEGMENTS: usize = 64;

/// One program with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    pub words: Vec<Word>,
}

/// A word with its quotes taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// The shell makes something else of it (variables, globs, braces): its value is not known.
    pub expands: bool,
    /// It begins with an unquoted `~`.
    pub tilde: bool,
}

/// `None`: not understood.
pub fn analyse(command: &str) -> Option<Vec<Segment>> {
    let odd = |c: char| c != '\t' && (c.is_control() || (c.is_whitespace() && c != ' '));
    if command.len() > MAX_COMMAND || command.contains(odd) {
        return None;
    }
    let mut parser = Parser::default();
    let mut chars = command.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            ' ' | '\t' => parser.end_word(),
            '\'' => {
                parser.word();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => parser.push(c),
                    }
                }
            }
            '"' => {
                parser.word();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '`' => return None,
                        '\\' => match chars.next()? {
                            c @ ('$' | '"' | '\\' | '`') => parser.push(c),
                            c => {
                                parser.push('\\');
                                parser.push(c);
                            }
                        },
                        '$' => {
                            if matches!(chars.peek(), Some('(' | '{' | '[')) {
                                return None;
                            }
                            parser.expand('$');
                        }
                        c => parser.push(c),
                    }
                }
            }
            '\\' => parser.push(chars.next()?),
            '>' | '<' | '`' | '(' | ')' => return None,
            '#' if parser.at_start() => return None,
            // `$'…'` has escapes of its own, and `${…@P}` runs what a variable holds.
            '$' if matches!(next, Some('(' | '{' | '[' | '\'' | '"')) => return None,
            '$' | '*' | '?' | '[' | ']' | '{' | '}' | '!' => parser.expand(c),
            '=' if parser.at_start() => parser.expand(c),
            '~' if parser.at_start() => {
                parser.push(c);
                parser.word().tilde = true;
            }
            '&' if next == Some('&') => {
                chars.next();
                parser.end_segment()?;
            }
            '&' => return None,
            '|' => {
                match next {
                    Some('&') => return None,
                    Some('|') => drop(chars.next()),
                    _ => {}
                }
                parser.end_segment()?;
            }
            ';' => parser.end_segment()?,
            c => parser.push(c),
        }
    }
    parser.end_segment()?;
    Some(parser.segments)
}

#[derive(Default)]
struct Parser {
    segments: Vec<Segment>,
    segment: Segment,
    /// The word under way; an empty one in quotes is a word too.
    current: Option<Word>,
}

impl Parser {
    fn word(&mut self) -> &mut Word {
        self.current.get_or_insert_with(Word::default)
    }

    fn at_start(&self) -> bool {
        self.current.is_none()
    }

    fn push(&mut self, c: char) {
        self.word().text.push(c);
    }

    fn expand(&mut self, c: char) {
        let word = self.word();
        word.text.push(c);
        word.expands = true;
    }

    fn end_word(&mut self) {
        self.segment.words.extend(self.current.take());
    }

    fn end_segment(&mut self) -> Option<()> {
        self.end_word();
        if self.segment.words.is_empty() || self.segments.len() == MAX_SEGMENTS {
            return None;
        }
        self.segments.push(std::mem::take(&mut self.segment));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Option<Vec<Vec<String>>> {
        let plain = |segment: Segment| segment.words.into_iter().map(|w| w.text).collect();
        Some(analyse(command)?.into_iter().map(plain).collect())
    }

    #[test]
    fn programs_and_arguments_are_told_apart() {
        assert_eq!(
            words(r#"ls -l 'a b' "c \"d\"" e\ f && uptime|wc -l; x || y"#).unwrap(),
            [
                vec!["ls", "-l", "a b", "c \"d\"", "e f"],
                vec!["uptime"],
                vec!["wc", "-l"],
                vec!["x"],
                vec!["y"],
            ]
        );
        assert_eq!(words("a '' \"\"").unwrap(), [vec!["a", "", ""]]);
    }

    #[test]
    fn what_is_not_understood_is_given_up() {
        for command in [
            "",
            "  ",
            "a >b",
            "a <b",
            "a `b`",
            "a \"`b`\"",
            "a $(b)",
            "a \"$(b)\"",
            "a ${b}",
            "a \"${b@P}\"",
            "a $[b]",
            "a $'\\' ; rm -rf x #'",
            "(a)",
            "a &",
            "a & b",
            "a |& b",
            "a && && b",
            "a ;; b",
            "a |",
            "a ;",
            "a 'b",
            "a \"b",
            "a \\",
            "a\nb",
            "a # 'b",
            "# a",
            "a '\n' b",
            "a\u{a0}b",
            "a\rb",
            "a\0b",
        ] {
            assert_eq!(analyse(command), None, "{command:?}");
        }
        assert_eq!(analyse(&"a;".repeat(100)), None);
        assert_eq!(analyse(&"a".repeat(MAX_COMMAND + 1)), None);
    }

    #[test]
    fn words_the_shell_changes_are_marked() {
        let expands = |command: &str| {
            let segment = &analyse(command).unwrap()[0];
            segment.words.iter().map(|w| w.expands).collect::<Vec<_>>()
        };
        assert_eq!(
            expands("a $b \"$b\" '$b' \\$b *.c '*' {a,b} =c a=b a#b"),
            [
                false, true, true, false, false, true, false, true, true, false, false
            ]
        );
        let words = &analyse("~/bin/x '~/y' a~").unwrap()[0].words;
        assert_eq!(
            words.iter().map(|w| w.tilde).collect::<Vec<_>>(),
            [true, false, false]
        );
    }
}
