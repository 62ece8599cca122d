//! The program as its callers run it, against stub end points on this machine.

mod cached;
mod faults;
mod requests;
mod sharing;
mod support;
