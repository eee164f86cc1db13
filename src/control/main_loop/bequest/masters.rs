//! What is known of the masters that Sentinels name: a new process would follow for a second after
//! a promotion what most of them still say, which is the old master.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tracing::info;

use crate::control::main_loop::Control;
use crate::messages::Change;
use crate::sentinel::Memory;

pub(super) fn leave(control: &Control) -> serde_json::Result<Value> {
    let known = control
        .servers
        .sentinels
        .memories()
        .filter_map(|(pool, memory)| {
            let pool = control.table.pool(pool)?;
            Some((pool.name.to_string(), memory))
        });
    serde_json::to_value(known.collect::<BTreeMap<String, Memory>>())
}

pub(super) fn take(control: &mut Control, said: Value) -> serde_json::Result<()> {
    let mut said: BTreeMap<String, Memory> = serde_json::from_value(said)?;
    let table = Arc::clone(&control.table);
    for (pool, config) in table.pools() {
        let Some(memory) = said.remove(&*config.name) else {
            continue;
        };
        for change in control.servers.sentinels.inherit(pool, memory) {
            if let Change::Moved {
                server, addresses, ..
            } = &change
            {
                let (of, name) = control.labels(pool, *server);
                let at = crate::control::main_loop::in_words(addresses);
                info!(
                    pool = of,
                    server = name,
                    at,
                    source = "hand-over",
                    "master known"
                );
            }
            control.told_by_sentinels(change);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::main_loop::bequest::tests::is_understood;

    #[test]
    fn the_first_release_and_this_one_understand_each_other() {
        let said: BTreeMap<String, Memory> = is_understood("masters");
        let at = said["alpha"].master_of("m1").unwrap();
        assert_eq!(at.to_string(), "10.0.0.2:6379");
    }
}
