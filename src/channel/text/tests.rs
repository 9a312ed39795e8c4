use super::*;
use crate::wire::channel::StyleKind;

fn layout(format: Format, limit: usize) -> Layout {
    Layout {
        format,
        limit,
        ..Layout::default()
    }
}

fn texts(text: &str, layout: &Layout) -> Vec<String> {
    pieces(text, layout).into_iter().map(|p| p.text).collect()
}

fn one(text: &str, format: Format) -> String {
    let mut all = texts(text, &layout(format, 0));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn telegram_gets_its_few_tags_and_everything_else_as_words() {
    let cases = [
        (
            "**bold** and *it* and ~~no~~",
            "<b>bold</b> and <i>it</i> and <s>no</s>",
        ),
        ("***both***", "<b><i>both</i></b>"),
        ("**a **b** c**", "<b>a b c</b>"),
        ("`a < b`", "<code>a &lt; b</code>"),
        ("a & b <u>x</u>", "a &amp; b &lt;u&gt;x&lt;/u&gt;"),
        (
            "```rust\nlet a = &b;\n```",
            "<pre><code>let a = &amp;b;\n</code></pre>",
        ),
        (
            "[it](https://e.org/?a=\"1\"&b)",
            "<a href=\"https://e.org/?a=&quot;1&quot;&amp;b\">it</a>",
        ),
        (
            "see https://e.org/a_b_c.",
            "see <a href=\"https://e.org/a_b_c\">https://e.org/a_b_c</a>.",
        ),
        ("[x](javascript:alert)", "x (javascript:alert)"),
        ("# Head\n\ntext", "Head\n\ntext"),
        (
            "- a\n- b\n  - c\n\n3. d\n4. e",
            "• a\n• b\n  • c\n\n3. d\n4. e",
        ),
        ("> said", "said"),
        ("a\n\n---\n\nb", "a\n\n\nb"),
        ("![alt](http://e.org/p.png)", "alt"),
        ("a || b", "a || b"),
    ];
    for (markdown, html) in cases {
        assert_eq!(one(markdown, Format::TelegramHtml), html, "{markdown}");
    }
    let piece = &pieces("**a** < b", &layout(Format::TelegramHtml, 0))[0];
    assert_eq!(piece.plain.as_deref(), Some("a < b"));
}

#[test]
fn slack_gets_its_own_marks_and_keeps_its_own_names() {
    let cases = [
        ("**b** *i* ~~s~~ `c`", "*b* _i_ ~s~ `c`"),
        ("# A **bold** head", "*A bold head*"),
        ("> one\n> two", "> one\n> two"),
        ("[it](https://e.org/a|b)", "<https://e.org/a%7Cb|it>"),
        ("<https://e.org>", "https://e.org"),
        (
            "hi <@U1>, 1 < 2 > 0 & <x>",
            "hi <@U1>, 1 &lt; 2 &gt; 0 &amp; &lt;x&gt;",
        ),
        ("```\nx\n```", "```\nx\n```"),
    ];
    for (markdown, text) in cases {
        assert_eq!(one(markdown, Format::SlackMrkdwn), text, "{markdown}");
    }
}

#[test]
fn signal_gets_ranges_in_units_of_utf_16() {
    let piece = &pieces("😀 **b** ||secret *x*|| `c`", &layout(Format::Styles, 0))[0];
    assert_eq!(piece.text, "😀 b secret x c");
    let style = |start, length, style| Style {
        start,
        length,
        style,
    };
    assert_eq!(
        piece.styles,
        [
            style(3, 1, StyleKind::Bold),
            style(5, 8, StyleKind::Spoiler),
            style(12, 1, StyleKind::Italic),
            style(14, 1, StyleKind::Code),
        ]
    );
    // A style that reaches over a cut is there on both sides of it.
    let text = format!("**{} {}**", "a".repeat(30), "b".repeat(30));
    let cut = pieces(&text, &layout(Format::Styles, 32));
    assert_eq!(cut.len(), 2);
    assert!(
        cut.iter()
            .all(|p| p.styles == [style(0, 30, StyleKind::Bold)])
    );
}

#[test]
fn plain_text_says_where_links_lead() {
    assert_eq!(
        one("**a** [it](https://e.org)", Format::Plain),
        "a it (https://e.org)"
    );
    assert_eq!(one("[e.org](http://e.org)", Format::Plain), "e.org");
    assert_eq!(one("<ann@e.org>", Format::Plain), "ann@e.org");
}

const TABLE: &str =
    "Prices:\n\n| What | Cost |\n|---|---|\n| **Tea** | [2](http://e.org) |\n| Milk |  |\n\nBye";

#[test]
fn a_table_is_a_padded_block_or_a_list() {
    let with = |format, tables| {
        let layout = Layout {
            tables,
            ..layout(format, 0)
        };
        texts(TABLE, &layout).join("<cut>")
    };
    let rows = "| What | Cost             |\n| ---- | ---------------- |\n\
                | Tea  | 2 (http://e.org) |\n| Milk |                  |\n";
    assert_eq!(
        with(Format::Markdown, Tables::Code),
        format!("Prices:\n\n```\n{rows}```\n\nBye")
    );
    assert_eq!(
        with(Format::TelegramHtml, Tables::Code),
        format!("Prices:\n\n<pre><code>{rows}</code></pre>\nBye")
    );
    assert_eq!(
        with(Format::Markdown, Tables::Bullets),
        "Prices:\n\n**Tea**\n• Cost: [2](http://e.org)\n\n**Milk**\n\nBye"
    );
    assert_eq!(with(Format::Markdown, Tables::Off), TABLE);
    assert_eq!(
        with(Format::Plain, Tables::Off).lines().nth(2),
        Some("| What | Cost |")
    );
    let list = texts(
        "|A|\n|-|\n|x|\n",
        &Layout {
            tables: Tables::Bullets,
            ..layout(Format::Plain, 0)
        },
    );
    assert_eq!(list, ["• A: x"]);
}

#[test]
fn matrix_gets_html_only_where_there_is_something_to_show() {
    let html = |text: &str| pieces(text, &layout(Format::Html, 0))[0].html.clone();
    assert_eq!(html("just words & more"), None);
    assert_eq!(
        html("**b** <i>"),
        Some("<p><strong>b</strong> &lt;i&gt;</p>".into())
    );
    assert_eq!(
        html("|a|b|\n|-|-|\n|1|2|"),
        Some("<pre><code>| a   | b   |\n| --- | --- |\n| 1   | 2   |\n</code></pre>".into())
    );
    assert_eq!(
        html("2. x\n3. y"),
        Some("<ol start=\"2\">\n<li>x</li>\n<li>y</li>\n</ol>".into())
    );
    assert_eq!(
        html("[x](javascript:y)"),
        Some("<p>x (javascript:y)</p>".into())
    );
}

#[test]
fn a_long_text_is_cut_at_lines_then_blanks_outside_of_parentheses_then_anywhere() {
    let cut = |text: &str| texts(text, &layout(Format::Markdown, 32));
    assert_eq!(
        cut("first line here\nsecond line here\nthird"),
        ["first line here\nsecond line here", "third"]
    );
    assert_eq!(
        cut("some words come first (and these stay together)"),
        ["some words come first", "(and these stay together)"]
    );
    assert_eq!(
        cut(&"x".repeat(70)),
        ["x".repeat(32), "x".repeat(32), "x".repeat(6)]
    );
    // Two units each, and a family is one character.
    assert_eq!(cut(&"😀".repeat(17)), ["😀".repeat(16), "😀".into()]);
    let family = "👨\u{200d}👩\u{200d}👧";
    assert_eq!(cut(&family.repeat(5)), [family.repeat(4), family.into()]);
    // Marks without end are no character.
    let marks = "\u{301}".repeat(100);
    assert_eq!(cut(&format!("e{marks}")).concat(), format!("e{marks}"));
    assert!(cut(" \n \n").is_empty() && cut("").is_empty());
}

#[test]
fn code_that_is_cut_is_closed_and_opened_again() {
    let cut = |text: &str| texts(text, &layout(Format::Markdown, 40));
    assert_eq!(
        cut("Look:\n```sh\nfirst command\nsecond command\nthird command\n```\nDone."),
        [
            "Look:",
            "```sh\nfirst command\nsecond command\n```",
            "```sh\nthird command\n```\nDone."
        ]
    );
    // Nothing is left of the code but its last line.
    assert_eq!(
        cut("```\nfourteen chars\nfifteen chars !\n```\n\nAfter it there is more text."),
        [
            "```\nfourteen chars\nfifteen chars !\n```",
            "After it there is more text."
        ]
    );
    assert_eq!(
        cut(&format!("```\n  {}\n```", "y".repeat(60))),
        [
            format!("```\n  {}\n```", "y".repeat(30)),
            format!("```\n{}\n```", "y".repeat(30))
        ]
    );
    let html = texts(
        &format!("```\n{}```", "line of code\n".repeat(4)),
        &layout(Format::TelegramHtml, 32),
    );
    assert_eq!(
        html,
        [
            "<pre><code>line of code\nline of code</code></pre>",
            "<pre><code>line of code\nline of code\n</code></pre>"
        ]
    );
}

#[test]
fn paragraphs_are_pieces_of_their_own_where_that_is_asked_for() {
    let by_paragraph = Layout {
        breaks: Breaks::Paragraph,
        ..layout(Format::Markdown, 100)
    };
    assert_eq!(
        texts("one\n\ntwo\nlines\n \n\n```\na\n\nb\n```\n", &by_paragraph),
        ["one", "two\nlines", "```\na\n\nb\n```"]
    );
}

#[test]
fn lines_are_counted_where_a_service_counts_them() {
    let five = Layout {
        lines: Some(5),
        ..layout(Format::Markdown, 2000)
    };
    let text = (0..12).map(|n| format!("line {n}\n")).collect::<String>();
    let cut = texts(&text, &five);
    assert_eq!(cut.len(), 3);
    let cut = texts(&format!("```\n{text}```"), &five);
    assert!(
        cut.iter().all(|piece| piece.lines().count() <= 5),
        "{cut:?}"
    );
    assert_eq!(letters(&cut.concat()), letters(&text));
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// All of `part`, in its order, perhaps with more in between.
fn holds(text: &str, part: &str) -> bool {
    let mut chars = text.chars();
    part.chars().all(|wanted| chars.any(|c| c == wanted))
}

/// Every tag is closed, in its order.
fn is_balanced(html: &str) -> bool {
    let mut open = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let Some(end) = rest[at..].find('>') else {
            return false;
        };
        let tag = &rest[at + 1..at + end];
        match tag.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return false,
            Some(_) => {}
            None if tag == "br" || tag == "hr" => {}
            None => open.push(tag.split(' ').next().unwrap_or_default()),
        }
        rest = &rest[at + end + 1..];
    }
    open.is_empty()
}

/// The same numbers every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % sides
    }

    fn text(&mut self, words: &[&str]) -> String {
        let parts = 5 + self.next(120);
        (0..parts).map(|_| words[self.next(words.len())]).collect()
    }
}

const WORDS: &[&str] = &[
    "word ",
    "a",
    "longer text of words ",
    "\n",
    "\n\n",
    "**",
    "*",
    "~~",
    "`",
    "||",
    "```\n",
    "\n```\n",
    "~~~~\n",
    "- ",
    "1. ",
    "> ",
    "# ",
    "[x](http://e.org)",
    "(",
    ")",
    " ",
    "    ",
    "<b>",
    "&",
    "😀",
    "e\u{301}",
    "| a | b |\n|---|---|\n| c | d |\n",
    "\r\n",
    "_",
    "https://e.org/q ",
    "\\",
];

#[test]
fn whatever_a_text_holds_its_pieces_fit_lose_nothing_and_are_whole() {
    let mut dice = Dice(7);
    for round in 0..200 {
        let text = dice.text(WORDS);
        let limit = 32 + dice.next(80);
        for breaks in [Breaks::Length, Breaks::Paragraph] {
            for format in [
                Format::Plain,
                Format::Markdown,
                Format::TelegramHtml,
                Format::SlackMrkdwn,
                Format::Styles,
                Format::Html,
            ] {
                let with = |limit| Layout {
                    breaks,
                    ..layout(format, limit)
                };
                let cut = pieces(&text, &with(limit));
                let said = |pieces: &[Piece]| {
                    let text = |p: &Piece| {
                        let text = p.plain.as_ref().unwrap_or(&p.text);
                        // Slack's escapes are letters, too.
                        let escapes = ["&lt;", "&gt;", "&amp;"];
                        letters(&escapes.iter().fold(text.clone(), |t, e| t.replace(e, "")))
                    };
                    pieces.iter().map(text).collect::<String>()
                };
                let whole = pieces(&text, &with(0));
                // A block that is opened again says its language again.
                let is_said = match format {
                    Format::Markdown | Format::Html => holds(&said(&cut), &said(&whole)),
                    _ => said(&cut) == said(&whole),
                };
                assert!(is_said, "{round} {format:?} {text:?}\n{cut:?}");
                for piece in &cut {
                    let counted = match format {
                        Format::SlackMrkdwn => continue,
                        _ => piece.plain.as_ref().unwrap_or(&piece.text),
                    };
                    let units = counted.encode_utf16().count();
                    assert!(units <= limit, "{round} {format:?} {text:?}\n{piece:?}");
                    assert!(!counted.trim().is_empty());
                    if format == Format::TelegramHtml {
                        assert!(is_balanced(&piece.text), "{text:?}\n{piece:?}");
                    }
                    if let Some(html) = &piece.html {
                        assert!(is_balanced(html), "{text:?}\n{html}");
                    }
                    for style in &piece.styles {
                        assert!(style.length > 0 && style.start + style.length <= units);
                    }
                }
            }
        }
    }
}

/// Would take minutes if what a text costs grew with the square of its length.
#[test]
fn a_hostile_text_costs_no_more_than_a_long_one() {
    const LENGTH: usize = 32 * 1024;
    let long = |part: &str| part.repeat(LENGTH / part.len());
    let head = format!(
        "{}\n{}\n{}",
        "|a".repeat(2000),
        "|-".repeat(2000),
        "|\n".repeat(LENGTH)
    );
    for text in [
        long("**a "),
        long("**a**\n\n"),
        long("```\n\na\n"),
        long("a ```\n```\n"),
        long("http://)"),
        long("<"),
        long("<@"),
        long("> ") + "x",
        long("- ") + "x",
        long("[a](b) ||"),
        long("| a | b |\n"),
        long("*a **b "),
        long("("),
        head,
        "x".repeat(MAX_PARSED + 1),
    ] {
        for format in [
            Format::Markdown,
            Format::TelegramHtml,
            Format::SlackMrkdwn,
            Format::Styles,
        ] {
            for limit in [0, 32] {
                let layout = Layout {
                    breaks: Breaks::Paragraph,
                    ..layout(format, limit)
                };
                assert!(!pieces(&text, &layout).is_empty());
            }
        }
    }
}
