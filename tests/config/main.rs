//! Configuration files: those that come with the project, and those with mistakes.

mod errors;
mod examples;
