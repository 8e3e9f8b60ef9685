//! The payments function: reads its settings from the environment and handles events until Lambda ends it.

use std::process::ExitCode;

use payment_aws::{ClaimStore, DynamoStore, JsonLines, Sdks, Table, processor, sdks};
use payment_core::Store;
use payment_processor::runtime::{Runtime, RuntimeError};
use payment_processor::{Function, Settings};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lambda gives a function of 512 MB less than one CPU.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry().with(filter).with(JsonLines).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function ends");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API").map_err(|_| "AWS_LAMBDA_RUNTIME_API is not set")?;
    let runtime = Runtime::new(&address);
    let settings = match Settings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => {
            runtime.cannot_start(&error.to_string()).await?;
            return Err(error.into());
        }
    };
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
