//! What follows the question mark of a path: known parameters, or one line that says which there are.

use percent_encoding::percent_decode_str;

/// A query, as it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    path: &'static str,
    text: &'a str,
}

impl<'a> Query<'a> {
    /// Of a request for `path`.
    pub(super) fn new(path: &'static str, text: Option<&'a str>) -> Query<'a> {
        let text = text.unwrap_or_default();
        Query { path, text }
    }

    fn pairs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.text.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    /// That there are no other parameters than `known`.
    ///
    /// # Errors
    ///
    /// A line that names one that there is not, and those that there are.
    pub(super) fn has_only(self, known: &[&str]) -> Result<(), String> {
        match self.pairs().find(|(name, _)| !known.contains(name)) {
            None => Ok(()),
            Some((name, _)) => Err(format!(
                "{} has no parameter `{name}`; it has: {}\n",
                self.path,
                match known {
                    [] => "none".to_owned(),
                    known => known.join(", "),
                }
            )),
        }
    }

    /// A parameter's text, if it is there.
    ///
    /// # Errors
    ///
    /// A line that says that it is no UTF-8.
    pub(super) fn text(self, name: &str) -> Result<Option<String>, String> {
        let Some((_, value)) = self.pairs().find(|(known, _)| *known == name) else {
            return Ok(None);
        };
        // Forms write a blank as a plus.
        let value = value.replace('+', " ");
        match percent_decode_str(&value).decode_utf8() {
            Ok(text) => Ok(Some(text.into_owned())),
            Err(_) => Err(format!("`{name}` is no UTF-8\n")),
        }
    }

    /// A parameter that is a number; 0 if it is not there.
    ///
    /// # Errors
    ///
    /// A line that says that it is none.
    pub(super) fn number(self, name: &str) -> Result<u64, String> {
        match self.text(name)? {
            None => Ok(0),
            Some(text) => text
                .parse()
                .map_err(|_| format!("`{name}={text}`: {name} is a number, 0 or more\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn parameters_are_found_by_name_and_decoded() {
        let query = Query::new("/x", Some("pool=a%26%3Cb+c&since=7&&since=8"));
        assert_eq!(query.text("pool").unwrap().as_deref(), Some("a&<b c"));
        assert_eq!(query.number("since"), Ok(7));
        assert_eq!(
            (query.number("none"), query.text("none")),
            (Ok(0), Ok(None))
        );
        assert_eq!(query.has_only(&["pool", "since"]), Ok(()));
        assert_eq!(Query::new("/x", None).has_only(&[]), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_said_in_a_line_that_says_what_would_be_right() {
        let query = Query::new("/x", Some("pol=a&since=-1&text=%ff"));
        let wrong = query.has_only(&["pool", "since"]).unwrap_err();
        assert_eq!(wrong, "/x has no parameter `pol`; it has: pool, since\n");
        let none = query.has_only(&[]).unwrap_err();
        assert_eq!(none, "/x has no parameter `pol`; it has: none\n");
        let number = query.number("since").unwrap_err();
        assert_eq!(number, "`since=-1`: since is a number, 0 or more\n");
        assert_eq!(query.text("text").unwrap_err(), "`text` is no UTF-8\n");
    }
}
