//! The function that processes objects: reads its settings from the environment and handles events until Lambda ends it.

use std::process::ExitCode;

use object_processor::{Bucket, Function, Settings, Table};
use payment_aws::{logged, sdk};
use payment_processor::runtime::Runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    Box::pin(logged(run(), "the function ends")).await
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (runtime, settings) = Runtime::start(|variable| Settings::read(variable)).await?;
    let sdk = sdk(&settings.region).await;
    let function = Function::new(Bucket::new(&sdk), Table::new(&sdk, &settings.table), &settings.region, settings.days);
    runtime.serve(async |event, left| function.handle(event, left).await).await?;
    Ok(())
}
