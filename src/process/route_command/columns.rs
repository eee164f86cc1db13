//! A table that a reader and `awk` both understand.
//!
//! Owns: aligning, and escaping what would break a line into other fields. Never: knows what the
//! columns mean. A field has no blank in it and is never empty; the line of titles begins with `#`.

use std::fmt::Write as _;
use std::io;
use std::io::Write;

/// Wider fields push their line to the right instead of every line.
const WIDTH_MAX: usize = 40;

/// Rows of `N` fields below a line of titles.
#[derive(Debug)]
pub(super) struct Columns<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    /// A table without rows; the first title begins with `#`.
    pub(super) fn new(titles: [&str; N]) -> Columns<N> {
        Columns {
            rows: vec![titles.map(str::to_owned)],
        }
    }

    /// Adds a row; texts that come from outside go through [`field`] first.
    pub(super) fn row(&mut self, fields: [String; N]) {
        self.rows.push(fields);
    }

    /// Writes the table, its columns two blanks apart.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, field) in widths.iter_mut().zip(row) {
                *width = field.chars().count().min(WIDTH_MAX).max(*width);
            }
        }
        for row in &self.rows {
            let mut line = String::new();
            for (field, width) in row.iter().zip(widths) {
                // Writing to a String cannot fail.
                let _ = write!(line, "{field:width$}  ");
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `text` as one field: blanks, control characters, backslashes and bytes that are not UTF-8 are
/// written as `\x20`, and nothing as `""`.
pub(super) fn field(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let mut field = String::new();
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_whitespace() || character.is_control() || character == '\\' {
                escape(&mut field, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                field.push(character);
            }
        }
        escape(&mut field, chunk.invalid());
    }
    field
}

fn escape(field: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(field, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::Columns;
    use super::field;

    #[test]
    fn a_field_is_readable_and_has_no_blank_in_it() {
        assert_eq!(field("clé-ü:鍵"), "clé-ü:鍵");
        assert_eq!(field("a b\t\\\r\n"), "a\\x20b\\x09\\x5c\\x0d\\x0a");
        assert_eq!(field(b"\xff\x80ok\0"), "\\xff\\x80ok\\x00");
        assert_eq!(field("\u{a0}"), "\\xc2\\xa0");
        assert_eq!(field(""), "\"\"");
    }

    #[test]
    fn columns_are_aligned_and_a_long_field_widens_only_its_line() {
        let mut table = Columns::new(["# one", "two", "three"]);
        table.row(["é", "b", "c"].map(str::to_owned));
        table.row(["x".repeat(50), "b".to_owned(), "c".to_owned()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let expected = format!(
            "# one{0}  two  three\né    {0}  b    c\n{1}  b    c\n",
            " ".repeat(35),
            "x".repeat(50)
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
