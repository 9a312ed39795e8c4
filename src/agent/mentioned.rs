//! Files that a message names by their path, and those its notes say came with it: found in its
//! words. Pure; nothing is opened here.

use std::ops::Range;

/// Endings of files that models can be shown.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "gif", "webp"];
/// Begins a note about a file that came with a message.
const ATTACHED: &str = "[media attached";
/// Paths looked at in one message; a longer list is no list of pictures for the model.
const MOST: usize = 8;

/// A file that came with a message, by the note about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached<'t> {
    /// Where the note stands.
    pub note: Range<usize>,
    pub path: &'t str,
    pub mime: Option<&'t str>,
}

/// What the notes in `text` tell of: `[media attached: /m/a b.ogg (audio/ogg) | https://x]`.
pub fn attached(text: &str) -> Vec<Attached<'_>> {
    let notes = text.match_indices(ATTACHED).filter_map(|(at, _)| {
        let length = text[at..].find(']')?;
        // Its path may have spaces.
        let (_, file) = text[at..at + length].split_once(": ")?;
        let file = file.split(" | ").next().unwrap_or(file).trim();
        let typed = file
            .strip_suffix(')')
            .and_then(|file| file.rsplit_once(" ("));
        let (path, mime) = match typed {
            Some((path, mime)) => (path, Some(mime)),
            None => (file, None),
        };
        Some(Attached {
            note: at..at + length + 1,
            path,
            mime,
        })
    });
    notes.collect()
}

/// The paths of pictures, in the order of their places, each once: absolute, or from `~`, `./` or `../` on.
pub fn paths(text: &str) -> Vec<String> {
    let notes = attached(text).into_iter();
    let mut found: Vec<(usize, &str)> = notes.map(|file| (file.note.start, file.path)).collect();
    let ends = |c: char| c.is_whitespace() || "\"'`()[]<>,;".contains(c);
    let mut at = 0;
    for word in text.split(ends) {
        let path = word.strip_prefix("file://").unwrap_or(word);
        found.push((at, path.trim_end_matches(['.', ':', '!', '?'])));
        at += word.len() + 1;
    }
    found.sort_by_key(|(at, _)| *at);
    let mut paths: Vec<String> = Vec::new();
    for (_, path) in found {
        if is_picture(path) && paths.iter().all(|known| known != path) {
            paths.push(path.into());
        }
        if paths.len() == MOST {
            break;
        }
    }
    paths
}

fn is_picture(path: &str) -> bool {
    let is_path = ["/", "~/", "./", "../"]
        .iter()
        .any(|start| path.starts_with(start));
    let ending = path
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    is_path && !path.starts_with("//") && ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_pictures_are_found_wherever_they_stand() {
        let text = "See ./a.png, (~/b.JPG) and file:///tmp/c.webp. Not d.png, //x/e.png or \
                    https://x.y/f.png; ./a.png again, /g.pdf, `../h.gif`!";
        assert_eq!(
            paths(text),
            ["./a.png", "~/b.JPG", "/tmp/c.webp", "../h.gif"]
        );
    }

    #[test]
    fn a_note_about_a_file_may_have_spaces_in_its_path() {
        let one = "[media attached: /m/my cat.png (image/png) | https://x/y]\nlook";
        assert_eq!(paths(one), ["/m/my cat.png"]);
        let two = "[media attached 1/2: /m/a.jpeg (image/jpeg)]\n[media attached 2/2: /m/v.ogg]";
        assert_eq!(paths(two), ["/m/a.jpeg"]);
        assert!(paths("[media attached: 2 files]").is_empty());
        let many: String = (0..20).map(|n| format!("/p/{n}.png ")).collect();
        assert_eq!(paths(&many).len(), MOST);
    }
}
