//! The payments function: reads its settings from the environment and handles events until Lambda ends it.

use std::process::ExitCode;

use payment_aws::{ClaimStore, DynamoStore, Sdks, Table, logged, processor, sdks};
use payment_core::Store;
use payment_processor::runtime::{Runtime, RuntimeError};
use payment_processor::{Function, Settings};

/// Lambda gives a function of 512 MB less than one CPU.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    Box::pin(logged(run(), "the function ends")).await
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (runtime, settings) = Runtime::start(|variable| Settings::read(variable)).await?;
    let sdks = sdks(settings.buckets.keys()).await;
    let table = Table::new(&sdks, &settings.table, &settings.key.id);
    match &settings.key.timestamp {
        None => Box::pin(serve(&runtime, DynamoStore::new(table, None), &sdks, &settings)).await?,
        Some(timestamp) => Box::pin(serve(&runtime, ClaimStore::new(table, timestamp), &sdks, &settings)).await?,
    }
    Ok(())
}

async fn serve<S: Store + Clone>(
    runtime: &Runtime,
    store: S,
    sdks: &Sdks,
    settings: &Settings,
) -> Result<(), RuntimeError> {
    let processor = processor(store, settings.place.clone(), settings.homes.clone(), sdks, &settings.buckets);
    let function = Function::new(processor, settings);
    runtime.serve(async |event, left| function.handle(event, left).await).await
}
