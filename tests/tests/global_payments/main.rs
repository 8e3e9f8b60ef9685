//! The stack `global-payments` on the emulated AWS.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod api;
mod failover;
mod hidden;
mod life;
mod permissions;
mod rows;

use std::collections::BTreeMap;
use std::fs;

use payinfra_tests::Bench;
use payinfra_tests::api::{Api, write_package};
use serde_json::Value;
use tokio::sync::OnceCell;

const EXAMPLE: &str = include_str!("../../../crates/stacks/src/global_payments/payinfra.toml");
/// A table with multi-region strong consistency.
const STRONG: &str = "[defaults.table]\nconsistency = \"strong\"\nwitness = \"us-east-2\"\n";
/// The regions of the example, the primary first.
const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];

/// The applied example.
struct Running {
    bench: Bench,
    apis: Vec<Api>,
    outputs: Value,
}

impl Running {
    async fn start(configuration: &str) -> Self {
        let bench = bench(configuration).await;
        bench.run(&["apply", "--yes"]).ok();
        let outputs = fs::read_to_string(bench.file("cfn-outputs/flat-outputs.json")).unwrap();
        let outputs: Value = serde_json::from_str(&outputs).unwrap();
        let mut apis = Vec::new();
        for region in REGIONS {
            apis.push(Api::of(&bench, &outputs, region).await);
        }
        Self { bench, apis, outputs }
    }

    /// The output with this name, of a region if it has one per region.
    fn output(&self, name: &str, region: &str) -> &str {
        let own = format!("{name}_{}", region.replace('-', "_"));
        let value = self.outputs.get(&own).or_else(|| self.outputs.get(name));
        value.and_then(Value::as_str).unwrap_or_else(|| panic!("no output {name} in {}", self.outputs))
    }

    /// The table and the audit bucket, by region.
    fn places(&self) -> BTreeMap<String, (String, String)> {
        let place = |region: &str| {
            let output = |name| self.output(name, region).to_owned();
            (region.to_owned(), (output("payments_table_name"), output("audit_bucket_name")))
        };
        REGIONS.map(place).into()
    }
}

/// A configuration, with the function.
async fn bench(configuration: &str) -> Bench {
    let bench = Bench::new().await;
    bench.configure(configuration);
    write_package(&bench, "payment-processor");
    bench
}

/// The example, applied once for all tests that inject no faults.
async fn running() -> &'static Running {
    static RUNNING: OnceCell<Running> = OnceCell::const_new();
    RUNNING.get_or_init(|| Running::start(EXAMPLE)).await
}
