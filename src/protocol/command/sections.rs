//! What `INFO` says: sections of fields, of one server or of several as if they were one.
//!
//! | of | the value of all |
//! |---|---|
//! | memory, statistics, CPU time, commands, errors, keys | the sum; averages anew |
//! | what is going on (`loading`), and peaks | the most |
//! | what is for people (`used_memory_human`) | of the sum |
//! | shares and percentiles, but for `mem_fragmentation_ratio` | none: nothing says what they would be |
//! | all else | what they say, each value once (`noeviction,allkeys-lru`) |
//!
//! Owns: this table, and the form. Never: what the proxy says of itself.

use std::collections::BTreeMap;

/// One section, and its fields in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// As behind `# `.
    pub name: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

/// Where a section stands among others; those that are not here stand between.
const ORDER: [&str; 7] = [
    "Server",
    "Clients",
    "Memory",
    "Persistence",
    "Stats",
    "Replication",
    "CPU",
];
const LAST: [&str; 2] = ["Keyspace", "Coremux"];

/// How the values of several servers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Sum,
    Most,
    Least,
    /// Of the field without `_human`.
    Human,
    /// `keys=1,expires=0`: each of them.
    Parts,
    Alike,
    None,
}

fn rule(section: &str, field: &str) -> Rule {
    if field.ends_with("_human") {
        return Rule::Human;
    }
    if field.ends_with("_perc") || field.ends_with("_ratio") {
        return Rule::None;
    }
    match (section, field) {
        ("Memory", "total_system_memory" | "mem_allocator" | "maxmemory_policy") => Rule::Alike,
        ("Stats", "latest_fork_usec") | ("Clients" | "Persistence", "maxclients" | "loading") => {
            Rule::Most
        }
        ("Memory" | "Stats" | "CPU", _)
        | ("Clients", "blocked_clients" | "tracking_clients" | "clients_in_timeout_table")
        | ("Persistence", "rdb_changes_since_last_save") => Rule::Sum,
        ("Persistence", "rdb_last_save_time") => Rule::Least,
        ("Clients" | "Persistence", _) => Rule::Most,
        ("Keyspace" | "Commandstats" | "Errorstats", _) => Rule::Parts,
        ("Latencystats", _) => Rule::None,
        _ => Rule::Alike,
    }
}

/// Reads what a server says.
#[must_use]
pub fn parse_sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# ") {
            sections.push(Section {
                name: name.trim().to_owned(),
                fields: Vec::new(),
            });
        } else if let (Some((field, value)), Some(section)) =
            (line.split_once(':'), sections.last_mut())
        {
            let field = (field.to_owned(), value.to_owned());
            section.fields.push(field);
        }
    }
    sections
}

/// Writes them as a server does.
#[must_use]
pub fn write_sections(sections: &[Section]) -> String {
    let texts: Vec<String> = sections.iter().map(text).collect();
    texts.join("\r\n")
}

fn text(section: &Section) -> String {
    let lines = section.fields.iter();
    let lines = lines.map(|(field, value)| format!("{field}:{value}\r\n"));
    format!("# {}\r\n{}", section.name, lines.collect::<String>())
}

/// What several servers say, as if they were one that says `own` of itself: a field of its own counts, and
/// a section of its own as a whole, where it is one of `whole`.
#[must_use]
pub fn join_sections(servers: &[Vec<Section>], own: Vec<Section>, whole: &[&str]) -> Vec<Section> {
    let mut joined: Vec<Section> = Vec::new();
    for name in names(servers.iter().flatten().map(|section| &section.name)) {
        let said = servers
            .iter()
            .filter_map(|of| of.iter().find(|section| section.name == name));
        joined.push(join_section(&name, &said.collect::<Vec<_>>()));
    }
    for section in own {
        match joined.iter_mut().find(|other| other.name == section.name) {
            Some(other) if whole.contains(&&section.name[..]) => *other = section,
            Some(other) => {
                let own = |(field, _): &(String, String)| {
                    !section.fields.iter().any(|(name, _)| name == field)
                };
                other.fields.retain(own);
                other.fields.splice(0..0, section.fields);
            }
            None => joined.push(section),
        }
    }
    joined.sort_by_key(|section| {
        let place = |names: &[&str]| names.iter().position(|name| *name == section.name);
        match (place(&ORDER), place(&LAST)) {
            (Some(place), _) => place,
            (_, Some(place)) => ORDER.len() + 1 + place,
            _ => ORDER.len(),
        }
    });
    joined
}

fn join_section(name: &str, said: &[&Section]) -> Section {
    let mut fields = Vec::new();
    let values_of = |field: &str| -> Vec<&str> {
        let values = said.iter().filter_map(|section| {
            let mut fields = section.fields.iter();
            fields
                .find(|(other, _)| other == field)
                .map(|(_, value)| &value[..])
        });
        values.collect()
    };
    for field in names(
        said.iter()
            .flat_map(|section| section.fields.iter().map(|(field, _)| field)),
    ) {
        let values = values_of(&field);
        let value = match rule(name, &field) {
            Rule::Sum => sum(&values).or_else(|| Some(alike(&values))),
            Rule::Most => values.iter().copied().max_by(by_number).map(str::to_owned),
            Rule::Least => values.iter().copied().min_by(by_number).map(str::to_owned),
            Rule::Human => {
                let bytes = sum(&values_of(field.trim_end_matches("_human")));
                bytes.and_then(|bytes| bytes.parse().ok()).map(human)
            }
            Rule::Parts => parts(&values),
            Rule::Alike => Some(alike(&values)),
            Rule::None if field == "mem_fragmentation_ratio" => {
                ratio(&values_of("used_memory_rss"), &values_of("used_memory"))
            }
            // Of one there is nothing to join.
            Rule::None if values.len() == 1 => Some(values[0].to_owned()),
            Rule::None => None,
        };
        fields.extend(value.map(|value| (field, value)));
    }
    Section {
        name: name.to_owned(),
        fields,
    }
}

/// Each name once, in the order in which they come first.
fn names<'a>(all: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for name in all {
        if seen.insert(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Each value once, in the order in which servers give them.
#[must_use]
pub fn alike(values: &[&str]) -> String {
    let mut different: Vec<&str> = Vec::new();
    for value in values {
        if !different.contains(value) {
            different.push(value);
        }
    }
    different.join(",")
}

fn by_number(one: &&str, other: &&str) -> std::cmp::Ordering {
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NEG_INFINITY);
    let order = number(one).total_cmp(&number(other));
    // What is no number is `ok`, or what is wrong.
    order.then_with(|| (*other == "ok").cmp(&(*one == "ok")))
}

/// `None` if one of them is no number.
fn sum(values: &[&str]) -> Option<String> {
    let whole: Option<Vec<i128>> = values.iter().map(|value| value.parse().ok()).collect();
    if let Some(whole) = whole {
        return Some(whole.iter().sum::<i128>().to_string());
    }
    let parts: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
    let decimals = values
        .iter()
        .filter_map(|value| Some(value.split_once('.')?.1.len()));
    let decimals = decimals.max().unwrap_or(0).min(9);
    Some(format!("{:.decimals$}", parts?.iter().sum::<f64>()))
}

fn ratio(above: &[&str], below: &[&str]) -> Option<String> {
    let (above, below): (f64, f64) = (sum(above)?.parse().ok()?, sum(below)?.parse().ok()?);
    (below > 0.0).then(|| format!("{:.2}", above / below))
}

/// `keys=1,expires=0,avg_ttl=0`: sums, but for averages.
fn parts(values: &[&str]) -> Option<String> {
    let mut order: Vec<&str> = Vec::new();
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for value in values {
        let read: Option<Vec<(&str, f64)>> = value
            .split(',')
            .map(|part| {
                let (name, number) = part.split_once('=')?;
                Some((name, number.parse().ok()?))
            })
            .collect();
        let read = read?;
        let of = |name: &str| {
            read.iter()
                .find(|(other, _)| *other == name)
                .map(|(_, of)| *of)
        };
        for (name, number) in &read {
            if !order.contains(name) {
                order.push(name);
            }
            let weight = match *name {
                "avg_ttl" => of("expires").unwrap_or(1.0),
                _ => 1.0,
            };
            *sums.entry(name).or_default() += number * weight;
        }
    }
    let of = |name: &str| sums.get(name).copied().unwrap_or(0.0);
    let each = |name: &&str| match *name {
        "avg_ttl" => format!("{name}={:.0}", (of(name) / of("expires").max(1.0)).floor()),
        "usec_per_call" => format!("{name}={:.2}", of("usec") / of("calls").max(1.0)),
        name => format!("{name}={:.0}", of(name)),
    };
    Some(order.iter().map(each).collect::<Vec<_>>().join(","))
}

/// As Redis tells bytes to people (redis: src/server.c, bytesToHuman).
fn human(bytes: f64) -> String {
    let units = ["K", "M", "G", "T", "P"];
    if bytes < 1024.0 {
        return format!("{bytes:.0}B");
    }
    let mut value = bytes / 1024.0;
    for unit in &units[..4] {
        if value < 1024.0 {
            return format!("{value:.2}{unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.2}{}", units[4])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "# Server\r\nredis_version:7.0.15\r\n\r\n# Clients\r\nconnected_clients:3\r\nblocked_clients:1\r\n\r\n# Memory\r\nused_memory:1000\r\nused_memory_human:1000B\r\nused_memory_rss:3000\r\nmem_fragmentation_ratio:3.00\r\nused_memory_peak_perc:50.00%\r\nmaxmemory_policy:noeviction\r\n\r\n# Persistence\r\nloading:0\r\naof_last_write_status:ok\r\n\r\n# Stats\r\ninstantaneous_input_kbps:0.50\r\ntotal_commands_processed:5\r\n\r\n# Commandstats\r\ncmdstat_get:calls=2,usec=10,usec_per_call=5.00,rejected_calls=0,failed_calls=0\r\n\r\n# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=100\r\n";
    const OTHER: &str = "# Server\r\nredis_version:7.2.0\r\n\r\n# Clients\r\nconnected_clients:4\r\nblocked_clients:2\r\n\r\n# Memory\r\nused_memory:2000\r\nused_memory_human:1.95K\r\nused_memory_rss:3000\r\nmem_fragmentation_ratio:1.50\r\nused_memory_peak_perc:70.00%\r\nmaxmemory_policy:allkeys-lru\r\n\r\n# Persistence\r\nloading:1\r\naof_last_write_status:err\r\n\r\n# Stats\r\ninstantaneous_input_kbps:1.25\r\ntotal_commands_processed:5\r\n\r\n# Commandstats\r\ncmdstat_get:calls=2,usec=30,usec_per_call=15.00,rejected_calls=0,failed_calls=1\r\n\r\n# Keyspace\r\ndb0:keys=4,expires=3,avg_ttl=200\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n";

    fn joined(servers: &[&str]) -> String {
        let servers: Vec<_> = servers.iter().map(|text| parse_sections(text)).collect();
        let section = |name: &str, field: &str, value: &str| Section {
            name: name.to_owned(),
            fields: vec![(field.to_owned(), value.to_owned())],
        };
        let own = vec![
            section("Server", "redis_version", "7.0.15"),
            section("Clients", "connected_clients", "9"),
            section("Coremux", "pool", "alpha"),
        ];
        write_sections(&join_sections(&servers, own, &["Server"]))
    }

    #[test]
    fn several_servers_are_told_of_as_one() {
        let expected = "# Server\r\nredis_version:7.0.15\r\n\r\n# Clients\r\nconnected_clients:9\r\nblocked_clients:3\r\n\r\n# Memory\r\nused_memory:3000\r\nused_memory_human:2.93K\r\nused_memory_rss:6000\r\nmem_fragmentation_ratio:2.00\r\nmaxmemory_policy:noeviction,allkeys-lru\r\n\r\n# Persistence\r\nloading:1\r\naof_last_write_status:err\r\n\r\n# Stats\r\ninstantaneous_input_kbps:1.75\r\ntotal_commands_processed:10\r\n\r\n# Commandstats\r\ncmdstat_get:calls=4,usec=40,usec_per_call=10.00,rejected_calls=0,failed_calls=1\r\n\r\n# Keyspace\r\ndb0:keys=7,expires=4,avg_ttl=175\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n\r\n# Coremux\r\npool:alpha\r\n";
        assert_eq!(joined(&[ONE, OTHER]), expected);
    }

    #[test]
    fn one_server_is_told_of_as_it_is() {
        let expected = ONE.replace("connected_clients:3", "connected_clients:9");
        assert_eq!(joined(&[ONE]), expected + "\r\n# Coremux\r\npool:alpha\r\n");
    }

    #[test]
    fn bytes_are_told_as_redis_tells_them() {
        for (bytes, text) in [
            (17.0, "17B"),
            (1024.0, "1.00K"),
            (916_800.0, "895.31K"),
            (25_276_510_208.0, "23.54G"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_servers_say_is_joined(one in "[a-z#:=,.0-9 \r\n]{0,200}", other in "[a-zA-Z#:=,.0-9 \n]{0,200}") {
            let servers = [parse_sections(&one), parse_sections(&other)];
            let joined = join_sections(&servers, Vec::new(), &[]);
            let _ = write_sections(&joined);
        }
    }
}
