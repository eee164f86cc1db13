//! The log level, if somebody has turned it: else the new process has its own, by its command line.

use serde_json::Value;

use crate::control::main_loop::Control;

pub(super) fn leave(control: &Control) -> serde_json::Result<Value> {
    serde_json::to_value(control.log.told_level())
}

pub(super) fn take(control: &mut Control, said: Value) -> serde_json::Result<()> {
    let level: Option<u8> = serde_json::from_value(said)?;
    if let Some(level) = level.filter(|_| level != control.log.told_level()) {
        control.log.set_level(level);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::control::main_loop::bequest::tests::is_understood;

    #[test]
    fn the_first_release_and_this_one_understand_each_other() {
        let level: Option<u8> = is_understood("log_level");
        assert_eq!(level, Some(7));
    }
}
