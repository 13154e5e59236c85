//! Starts the platform on this machine, makes a first export of real data, and keeps it running.
//!
//! This is what `./scripts/run` calls once everything is built. [`run`] is the walk; each module is one
//! of its steps.

mod applications;
mod arguments;
mod backend;
mod data_folder;
mod first_export;
mod identity;
mod launch;
mod left_behind;
mod listeners;
mod pauses;
mod platform;
mod programs;
mod ready_file;
mod restart;
mod screen;
mod settings;
mod supervisor;

pub use arguments::Arguments;
pub use launch::run;
