//! The shared parts of all services, driven from outside: real servers, a real process.

mod answers;
mod bodies;
mod figures;
mod limits;
mod loops;
mod process;
mod stopping;
mod support;
