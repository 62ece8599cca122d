//! The built program itself, under a stand-in for Lambda's Runtime API.

mod lambda;
mod payloads;
mod sharing;
mod start;
