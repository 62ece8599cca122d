//! Code that must not compile. Each example has a twin that differs only in the forbidden step, and
//! does compile.
//!
//! THREAT: a change to the pipeline issues credentials without asking the policy. PREVENTION:
//! `assume_role` takes a `Grant`, and only the policy can make one.
//!
//! ```
//! use sentinel_tvm::{Decision, Sts};
//! async fn vend(sts: &Sts, decision: Decision) {
//!     let grant = decision.into_grant().unwrap();
//!     sts.assume_role(&grant).await.unwrap();
//! }
//! ```
//! ```compile_fail,E0308
//! use sentinel_tvm::{Decision, Sts};
//! async fn vend(sts: &Sts, decision: Decision) {
//!     let grant = decision;
//!     sts.assume_role(&grant).await.unwrap();
//! }
//! ```
//! ```compile_fail,E0451
//! use sentinel_tvm::Grant;
//! fn forge(granted: Grant) -> Grant {
//!     Grant { role_arn: String::from("arn:aws:iam::123456789012:role/admin"), ..granted }
//! }
//! ```
//!
//! THREAT: credentials end up in a log through a `Debug` or `Display` output, or are compared in
//! variable time. PREVENTION: the secret parts are a type that prints `[REDACTED]`, and has neither
//! `Display` nor `==`.
//!
//! ```
//! fn compare(issued: &sentinel_tvm::Credentials) -> bool {
//!     issued.access_key_id == issued.access_key_id
//! }
//! ```
//! ```compile_fail,E0369
//! fn compare(issued: &sentinel_tvm::Credentials) -> bool {
//!     issued.secret_access_key == issued.secret_access_key
//! }
//! ```
//! ```compile_fail,E0277
//! fn print(issued: &sentinel_tvm::Credentials) -> String {
//!     format!("{}", issued.session_token)
//! }
//! ```
//!
//! THREAT: a token or secret that the function holds is compared in variable time, printed, or left
//! in memory. PREVENTION: tokens are kept as digests behind `verify`; secrets are a type without
//! `==` and `Display` that is zeroed on drop.
//!
//! ```
//! fn verify(tokens: &sentinel_tvm::ClientTokens) -> bool {
//!     tokens.verify(Some("token")).is_ok()
//! }
//! fn is_zeroed_on_drop<T: secrecy::zeroize::ZeroizeOnDrop>() {}
//! is_zeroed_on_drop::<secrecy::SecretString>();
//! ```
//! ```compile_fail,E0369
//! fn verify(tokens: &sentinel_tvm::ClientTokens) -> bool {
//!     tokens == tokens
//! }
//! ```
//! ```compile_fail,E0369
//! fn compare(one: &sentinel_tvm::MdmCredential, other: &sentinel_tvm::MdmCredential) -> bool {
//!     one == other
//! }
//! ```
//! ```compile_fail,E0277
//! fn print(credential: &sentinel_tvm::MdmCredential) -> String {
//!     format!("{credential}")
//! }
//! ```
