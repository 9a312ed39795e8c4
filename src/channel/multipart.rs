//! `multipart/form-data` (RFC 7578), read piece by piece: a file that is sent is never held whole.

use crate::base::id;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub struct Parts {
    boundary: String,
    /// What is sent, in order; the last piece is the end mark.
    pieces: Vec<Piece>,
    at: usize,
}

enum Piece {
    Text(io::Cursor<Vec<u8>>),
    File(io::Take<File>),
}

impl Parts {
    pub fn begin() -> Parts {
        Parts {
            boundary: format!("openclaw-{}", id::token()),
            pieces: Vec::new(),
            at: 0,
        }
    }

    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    pub fn field(mut self, name: &str, value: &str) -> Parts {
        self.head(name, "");
        self.text(value);
        self.text("\r\n");
        self
    }

    /// One that says what it is: JSON beside files.
    pub fn typed(mut self, name: &str, mime: &str, value: &str) -> Parts {
        self.head(name, &format!("\r\nContent-Type: {mime}"));
        self.text(value);
        self.text("\r\n");
        self
    }

    pub fn file(mut self, name: &str, file: &str, mime: &str, path: &Path) -> io::Result<Parts> {
        let content = File::open(path)?;
        let length = content.metadata()?.len();
        let (file, mime) = (quoted(file), clean(mime));
        self.head(
            name,
            &format!("; filename=\"{file}\"\r\nContent-Type: {mime}"),
        );
        self.pieces.push(Piece::File(content.take(length)));
        self.text("\r\n");
        Ok(self)
    }

    /// Writes the end mark; the length of everything.
    pub fn finish(&mut self) -> u64 {
        let end = format!("--{}--\r\n", self.boundary);
        self.text(&end);
        let length = |piece: &Piece| match piece {
            Piece::Text(text) => text.get_ref().len() as u64,
            Piece::File(file) => file.limit(),
        };
        self.pieces.iter().map(length).sum()
    }

    fn head(&mut self, name: &str, rest: &str) {
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{}\"{rest}\r\n\r\n",
            self.boundary,
            quoted(name)
        );
        self.text(&head);
    }

    fn text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.get_mut().extend_from_slice(text.as_bytes()),
            _ => {
                let text = io::Cursor::new(text.as_bytes().to_vec());
                self.pieces.push(Piece::Text(text));
            }
        }
    }
}

/// As browsers write it into a quoted name.
fn quoted(name: &str) -> String {
    let name = name.replace('"', "%22");
    name.replace('\r', "%0D").replace('\n', "%0A")
}

/// A type that cannot end the head.
fn clean(mime: &str) -> &str {
    let plain = !mime.is_empty() && mime.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if plain {
        mime
    } else {
        "application/octet-stream"
    }
}

impl Read for Parts {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(piece) = self.pieces.get_mut(self.at) {
            let read = match piece {
                Piece::Text(text) => text.read(buf)?,
                Piece::File(file) => file.read(buf)?,
            };
            if read > 0 || buf.is_empty() {
                return Ok(read);
            }
            // A file that became shorter meanwhile must not look like a whole one.
            if let Piece::File(file) = piece {
                if file.limit() > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            self.at += 1;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_written_as_a_form() {
        let dir = id::temp_dir("multipart");
        let path = dir.join("f");
        std::fs::write(&path, "content").unwrap();
        let mut parts = Parts::begin()
            .field("a", "1")
            .typed("payload_json", "application/json", "{}")
            .file("files[0]", "x\"\r\ny.txt", "text/plain\r\nX: y", &path)
            .unwrap();
        let boundary = parts.boundary.clone();
        let length = parts.finish();
        let mut text = String::new();
        parts.read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, length);
        let expected = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
            --B\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\
            Content-Type: application/json\r\n\r\n{}\r\n\
            --B\r\nContent-Disposition: form-data; name=\"files[0]\"; \
            filename=\"x%22%0D%0Ay.txt\"\r\nContent-Type: application/octet-stream\r\n\r\n\
            content\r\n--B--\r\n";
        assert_eq!(text.replace(&boundary, "B"), expected);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_sent_is_an_error() {
        let dir = id::temp_dir("multipart");
        let path = dir.join("f");
        std::fs::write(&path, "content").unwrap();
        let mut parts = Parts::begin().file("f", "f", "", &path).unwrap();
        parts.finish();
        std::fs::write(&path, "c").unwrap();
        let err = parts.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::UnexpectedEof);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
