//! Nothing lost, nobody in: the binary killed, starved, flooded and lied to. Each promise of `docs/reliability.md` has its
//! test here. They are heavy, so that they are a binary of their own, and come in two lengths: the short one is part
//! of `cargo test`, the long one is `tests/reliability/run`, which also gathers what was counted.

mod access;
mod crash;
mod dice;
mod disk;
mod faults;
#[cfg(target_os = "linux")]
mod floods;
mod hostile;
mod ledger;
#[cfg(target_os = "linux")]
mod proxy;
#[cfg(not(debug_assertions))]
mod released;
#[allow(dead_code)]
mod report;
#[path = "../it/support/mod.rs"]
mod support;

#[cfg(all(debug_assertions, target_os = "linux"))]
mod threads;
