//! Where the talk of two processes has come to, for tests that stop one of them there.
//!
//! What is promised of a hand-over is promised at every step: whoever stands still, is killed or goes
//! on too late there. No test from outside hits a step that takes microseconds, so a debug build
//! stops itself: with `COREMUX_STOP_AT` in its environment, a directory, at the step whose name a
//! file in it has. The file is removed, so that the test sees that it was reached, and each file
//! stops once. A release build has none of it.

use std::path::Path;

/// The test's directory.
const VARIABLE: &str = "COREMUX_STOP_AT";

/// This process has come to the step `name`.
pub(super) fn reached(name: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(directory) = std::env::var_os(VARIABLE) else {
        return;
    };
    if std::fs::remove_file(Path::new(&directory).join(name)).is_ok() {
        // To this thread, which then goes no step further; to the process, another one would be
        // chosen, and this one would go on until that has stopped all.
        let _ = signal_hook::low_level::raise(signal_hook::consts::SIGSTOP);
    }
}
