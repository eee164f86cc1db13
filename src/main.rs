//! The `coremux` program: everything is in the library's `process` floor.

use std::process::ExitCode;

fn main() -> ExitCode {
    coremux::process::main()
}
