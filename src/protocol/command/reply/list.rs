//! `COMMAND LIST`: names, subcommands included, all or filtered.

use super::Writer;
use super::glob;
use crate::protocol::command::Args;
use crate::protocol::command::Categories;
use crate::protocol::command::Command;
use crate::protocol::command::commands;

pub(super) fn write<A: Args + ?Sized>(args: &A, writer: &mut Writer<'_>) {
    let Some(filter) = Filter::of(args) else {
        return writer.error("ERR syntax error");
    };
    let names = || {
        let rows = commands().flat_map(|row| std::iter::once(row).chain(row.subcommands));
        rows.filter(|row| filter.passes(row)).map(|row| row.name)
    };
    writer.array(names().count());
    names().for_each(|name| writer.bulk(name));
}

enum Filter<'a> {
    All,
    /// No module's commands are told apart here.
    Nothing,
    Category(Categories),
    Pattern(&'a [u8]),
}

impl<'a> Filter<'a> {
    fn of<A: Args + ?Sized>(args: &'a A) -> Option<Filter<'a>> {
        match args.len() {
            2 => Some(Filter::All),
            5 if args.arg(2).eq_ignore_ascii_case(b"FILTERBY") => {
                let value = args.arg(4);
                match args.arg(3).to_ascii_uppercase().as_slice() {
                    b"MODULE" => Some(Filter::Nothing),
                    b"ACLCAT" => Some(match Categories::named(value) {
                        Some(category) => Filter::Category(category),
                        None => Filter::Nothing,
                    }),
                    b"PATTERN" => Some(Filter::Pattern(value)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn passes(&self, row: &Command) -> bool {
        match self {
            Filter::All => true,
            Filter::Nothing => false,
            Filter::Category(category) => row.categories().has(*category),
            Filter::Pattern(pattern) => glob::matches(pattern, row.name.as_bytes()),
        }
    }
}
