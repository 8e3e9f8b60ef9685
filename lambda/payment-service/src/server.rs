//! Connections: so many at once, and when the end is announced those that are busy are let finish.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use payment_core::{Audit, Clock, Store};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::routes::App;

/// How many connections at once; others wait in the system's queue.
const CONNECTIONS: usize = 1_024;
/// How long a connection may be silent: longer than the load balancer's minute, which otherwise may send a request into
/// a connection that is just being closed.
const SILENT: Duration = Duration::from_secs(75);
/// How many bytes of a request's head are kept.
const HEAD: usize = 32 * 1024;
/// How long busy connections may go on: ECS kills after 30 seconds.
const DRAINING: Duration = Duration::from_secs(25);
/// How long to wait when no connection can be taken, such as for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `app` on `listener` until `stop`, then lets busy connections finish.
///
/// # Errors
/// None yet; a connection's failure ends that connection.
pub async fn serve<S, A, C>(listener: TcpListener, app: App<S, A, C>, stop: impl Future<Output = ()>) -> io::Result<()>
where
    S: Store + 'static,
    A: Audit + 'static,
    C: Clock + 'static,
{
    let (app, places) = (Arc::new(app), Arc::new(Semaphore::new(CONNECTIONS)));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            accepted = accept => accepted,
            () = &mut stop => break,
        };
        while connections.try_join_next().is_some() {}
        match stream {
            Ok((stream, _)) => {
                let (app, stopped) = (Arc::clone(&app), stopped.clone());
                connections.spawn(async move {
                    connection(stream, &app, stopped).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    tracing::info!(connections = connections.len(), "stopping");
    // Without connections nobody listens.
    let _ = stopping.send(true);
    let rest = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAINING, rest).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn connection<S, A, C>(stream: TcpStream, app: &App<S, A, C>, mut stopped: watch::Receiver<bool>)
where
    S: Store,
    A: Audit,
    C: Clock,
{
    let service = service_fn(|request| app.handle(request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(SILENT).max_buf_size(HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // The sender outlives all connections.
    let stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
