//! The stack `global-payments` on the emulated AWS.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod api;
mod life;

use payinfra_tests::Bench;
use payinfra_tests::api::write_package;

const EXAMPLE: &str = include_str!("../../../crates/stacks/src/global_payments/payinfra.toml");
/// The regions of the example, the primary first.
const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];

/// The example, with the function.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.configure(EXAMPLE);
    write_package(&bench);
    bench
}
