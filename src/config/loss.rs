//! Whether a file may be half of one that is being written: half a file is often valid, too.
//!
//! Owns: what counts as a loss (a pool, or most servers of one). Never: decides what follows; a reload by
//! itself (`--reload-on-change`) waits, one that somebody asked for does not.

use crate::config::file::Config;
use crate::config::table::matches;

/// What `new` no longer has of `old`, if it is a pool or most of a pool's servers: so looks the half
/// of a file that somebody is writing. They are counted, because a server without a name is another one
/// at another address.
#[must_use]
pub fn loss(old: &Config, new: &Config) -> Option<String> {
    let matches = matches(old, new);
    let mut pools = old.pools.iter().enumerate();
    pools.find_map(|(position, was)| {
        let name = &was.name;
        match matches.iter().position(|of| *of == Some(position)) {
            None => Some(format!("pool {name}")),
            Some(now) => {
                let (now, was) = (new.pools[now].servers.len(), was.servers.len());
                (2 * now < was).then(|| format!("{} of {was} servers of pool {name}", was - now))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(pools: &[(&str, u16, usize)]) -> Config {
        let pool = |(name, port, servers): &(&str, u16, usize)| {
            let servers = (0..*servers).map(|n| format!("  - 127.0.0.1:{}:1\n", n + 1));
            let head = format!("{name}:\n  listen: 127.0.0.1:{port}\n  redis: true\n  servers:\n");
            head + &servers.collect::<String>()
        };
        let text: String = pools.iter().map(pool).collect();
        Config::parse(&text, "test.yml").expect("a good configuration")
    }

    #[test]
    fn a_pool_that_is_gone_or_has_less_than_half_of_its_servers_is_a_loss() {
        let old = pools(&[("a", 1, 4), ("b", 2, 1)]);
        let lost = |new: &[(&str, u16, usize)]| loss(&old, &pools(new));
        assert_eq!(lost(&[("a", 1, 4)]).as_deref(), Some("pool b"));
        let few = lost(&[("a", 1, 1), ("b", 2, 1)]);
        assert_eq!(few.as_deref(), Some("3 of 4 servers of pool a"));
        for kept in [
            [("a", 1, 2), ("b", 2, 1)],
            [("renamed", 1, 4), ("b", 2, 9)],
            [("b", 3, 1), ("a", 4, 4)],
        ] {
            assert_eq!(lost(&kept), None, "{kept:?}");
        }
    }
}
