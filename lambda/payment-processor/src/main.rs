//! The payments function: reads its settings from the environment and handles events until Lambda ends it.

use std::process::ExitCode;

use payment_aws::JsonLines;
use payment_processor::runtime::Runtime;
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
    match Settings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => runtime.serve(&Function::connect(&settings).await).await?,
        Err(error) => {
            runtime.cannot_start(&error.to_string()).await?;
            return Err(error.into());
        }
    }
    Ok(())
}
