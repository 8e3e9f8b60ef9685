//! The function that processes objects: reads its settings from the environment and handles events until Lambda ends it.

use std::process::ExitCode;

use object_processor::{Bucket, Function, Settings, Table};
use payment_aws::{JsonLines, sdk};
use payment_processor::runtime::Runtime;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
    let sdk = sdk(&settings.region).await;
    let function = Function::new(Bucket::new(&sdk), Table::new(&sdk, &settings.table), &settings.region, settings.days);
    runtime.serve(async |event, left| function.handle(event, left).await).await?;
    Ok(())
}
