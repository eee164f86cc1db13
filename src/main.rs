//! The `coremux` program: everything is in the library's `process` floor.

use std::process::ExitCode;

use coremux::reactor::Counting;

/// `--memory-limit` is kept by what is counted here.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    coremux::process::main()
}
