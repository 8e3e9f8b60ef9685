//! The program on an emulated AWS, which needs Python 3.11 or newer.

use payinfra_localstack::Bench;

#[test]
fn it_applies_plans_empty_and_is_destroyed() {
    let program = env!("CARGO_BIN_EXE_hello");
    let bench = Bench::new(program, include_str!("../payinfra.toml"));
    bench.run(&["apply", "--yes"]).ok();
    bench.run(&["plan", "--exit-code"]).ok();
    bench.run(&["drift"]).ok();
    bench.run(&["destroy", "--yes", "--accept-loss"]).ok();
    assert!(bench.addresses("demo").is_empty());
}
