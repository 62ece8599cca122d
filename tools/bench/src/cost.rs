//! What a million vends cost, from what was measured and the prices below.
//!
//! The prices are AWS's list prices of us-east-1 as of November 2026, from memory: **not verified here**. The pages: "AWS Lambda
//! pricing" (arm64), "Pricing for Amazon DynamoDB on-demand capacity", "Amazon CloudWatch pricing" (Logs, data collected), "AWS
//! Secrets Manager pricing". STS is free of charge.

use serde::Serialize;

const LAMBDA_REQUEST: f64 = 0.20 / 1e6;
const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
const DYNAMODB_WRITE: f64 = 0.625 / 1e6;
const SECRETS_MANAGER_CALL: f64 = 0.05 / 1e4;
const LOG_BYTE: f64 = 0.50 / (1024.0 * 1024.0 * 1024.0);

/// Memory at which a function has one processor. Source: the Lambda developer guide, "Configure Lambda function memory".
const MIB_PER_PROCESSOR: f64 = 1_769.0;
/// How long a call to an AWS service is taken to wait, in milliseconds.
pub(crate) const WAIT: f64 = 5.0;

/// What one vend takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vend {
    /// Processor time, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// Calls to services, one after the other.
    pub(crate) waits: f64,
    pub(crate) writes: f64,
    pub(crate) secrets: f64,
    pub(crate) log_bytes: f64,
}

/// What vends of one kind cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// What Lambda bills, in milliseconds.
    pub(crate) billed_ms: f64,
    pub(crate) dollars_per_million: f64,
}

impl Vend {
    /// With this much memory, in MiB. The processor's share is that of the memory.
    pub(crate) fn cost(self, memory: f64) -> Cost {
        let duration = self.cpu_ms * MIB_PER_PROCESSOR / memory + self.waits * WAIT;
        let billed_ms = duration.ceil();
        let each = LAMBDA_REQUEST
            + billed_ms / 1e3 * memory / 1024.0 * LAMBDA_GB_SECOND
            + self.writes * DYNAMODB_WRITE
            + self.secrets * SECRETS_MANAGER_CALL
            + self.log_bytes * LOG_BYTE;
        Cost { billed_ms, dollars_per_million: each * 1e6 }
    }
}
