//! The drift detector: reads its settings from the environment and handles events until Lambda ends it.

use std::process::ExitCode;

use drift_detector::{Detector, Settings};
use payment_aws::logged;
use payment_processor::runtime::Runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    Box::pin(logged(run(), "the function ends")).await
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (runtime, settings) = Runtime::start(|variable| Settings::read(variable)).await?;
    let detector = Detector::new(settings);
    // Whatever the event is, it is time to look.
    runtime.serve(async |_, left| detector.run(left).await).await?;
    Ok(())
}
