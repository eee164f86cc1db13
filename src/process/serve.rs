//! The proxy's life. This is a stand-in; the merge takes the real one.

use std::process::ExitCode;

use crate::config::Config;
use crate::process::cli::Options;
use crate::process::cores;

/// Serves until told to end.
pub fn serve(options: &Options, config: Config) -> ExitCode {
    let _ = config;
    match cores::resolve(&options.cores) {
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("coremux: --cores: {error}");
            ExitCode::FAILURE
        }
    }
}
