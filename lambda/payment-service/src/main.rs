//! The payments service: reads its settings from the environment and serves requests until it is stopped.

use std::process::ExitCode;

use payment_aws::logged;
use payment_service::{Settings, serve, service, tls};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(logged(run(), "the service cannot start")).await
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (service, tls) = (service(&settings).await?, tls(&settings).await?);
    let listener = TcpListener::bind(settings.address).await?;
    tracing::info!(address = %listener.local_addr()?, region = settings.region, phase = settings.phase, "listening");
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve(listener, tls, service, stop).await;
    Ok(())
}
