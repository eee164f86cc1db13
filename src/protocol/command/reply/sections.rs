//! The reply to `INFO`: sections of fields.

use crate::protocol::command::Args;
use crate::protocol::resp::Writer;

/// Every section, as `INFO` without a name gives it and these do.
const ALL: [&[u8]; 3] = [b"default", b"all", b"everything"];

/// Writes those of the `sections` that the request names.
pub fn info_reply<A: Args + ?Sized>(
    args: &A,
    sections: &[(&str, Vec<(&str, String)>)],
    writer: &mut Writer<'_>,
) {
    let wanted = |section: &str| {
        args.len() == 1
            || (1..args.len()).any(|index| {
                let word = args.arg(index);
                word.eq_ignore_ascii_case(section.as_bytes())
                    || ALL.iter().any(|all| word.eq_ignore_ascii_case(all))
            })
    };
    let chosen = sections.iter().filter(|(name, _)| wanted(name));
    let texts: Vec<String> = chosen.map(|(name, fields)| text(name, fields)).collect();
    writer.verbatim(texts.join("\r\n"));
}

fn text(name: &str, fields: &[(&str, String)]) -> String {
    let lines = fields.iter();
    let lines = lines.map(|(field, value)| format!("{field}:{value}\r\n"));
    format!("# {name}\r\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::Resp;

    #[test]
    fn only_sections_that_are_named_are_told() {
        let sections = [
            ("A", vec![("x", "1".to_owned()), ("y", "2".to_owned())]),
            ("B", vec![("z", String::new())]),
        ];
        let told = |args: &[&str]| {
            let mut out = Vec::new();
            info_reply(args, &sections, &mut Writer::new(Resp::V2, &mut out));
            String::from_utf8(out).expect("text")
        };
        let all = "# A\r\nx:1\r\ny:2\r\n\r\n# B\r\nz:\r\n";
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        assert_eq!(told(&["INFO"]), bulk(all));
        assert_eq!(told(&["INFO", "x", "ALL"]), bulk(all));
        assert_eq!(told(&["INFO", "b"]), bulk("# B\r\nz:\r\n"));
        assert_eq!(told(&["INFO", "c"]), bulk(""));
    }
}
