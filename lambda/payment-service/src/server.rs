//! Connections: their number, their time limits, and graceful shutdown.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use payment_core::{Audit, Clock, Sweep};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::guests::{Guest, Guests, HEAD_TIME, Watched};
use crate::routes::{App, Crowd};

/// The maximum size of a request's headers, in bytes.
const HEAD: usize = 32 * 1024;
/// How long busy connections and payments in progress may continue after SIGTERM: ECS kills the task after 30 seconds.
const DRAINING: Duration = Duration::from_secs(25);
/// The interval of sweeps and metrics.
const SWEEPING: Duration = Duration::from_mins(1);
/// The delay after a connection could not be accepted, for example because there are no file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// The interval of checks for connections that take too long.
const TICK: Duration = Duration::from_secs(1);

/// Serves `app` on `listener` until `stop`, then waits for busy connections. An error of a connection ends only that
/// connection.
pub async fn serve<S, A, C>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    app: App<S, A, C>,
    stop: impl Future<Output = ()>,
) where
    S: Sweep + 'static,
    A: Audit + 'static,
    C: Clock + 'static,
{
    let (app, guests) = (Arc::new(app), Guests::default());
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let sweeper = tokio::spawn(sweep(Arc::clone(&app)));
    let mut stop = pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        while connections.try_join_next().is_some() {}
        match stream {
            Ok((stream, address)) => {
                // Otherwise the first response waits 40 ms for the client to acknowledge the TLS session tickets.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection may be slow");
                }
                // A response that there is no place would need a place itself.
                let Some((guest, crowd)) = guests.enter(address.ip()) else { continue };
                let visit = Visit { app: Arc::clone(&app), guest: Arc::new(guest), crowd, stopped: stopped.clone() };
                connections.spawn(visit.admit(stream, address.ip(), tls.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // The first sweep of the next task completes what this one leaves.
    sweeper.abort();
    tracing::info!(connections = connections.len(), "stopping");
    // No connections are accepted from here on.
    let _ = stopping.send(true);
    let end = Instant::now() + DRAINING;
    let rest = async { while connections.join_next().await.is_some() {} };
    if timeout_at(end, rest).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    if !app.finished(end.saturating_duration_since(Instant::now())).await {
        tracing::warn!("some payments were not stored in time; a sweep or a repeated request completes them");
    }
    app.report();
    tracing::info!("stopped");
}

/// Sweeps at the start and then every minute.
async fn sweep<S, A, C>(app: Arc<App<S, A, C>>)
where
    S: Sweep + 'static,
    A: Audit + 'static,
    C: Clock + 'static,
{
    let mut minute = interval(SWEEPING);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minute.tick().await;
        app.minute().await;
    }
}

/// Handles a connection from start to end.
struct Visit<S, A, C> {
    app: Arc<App<S, A, C>>,
    guest: Arc<Guest>,
    crowd: Option<Crowd>,
    stopped: watch::Receiver<bool>,
}

impl<S, A, C> Visit<S, A, C>
where
    S: Sweep + 'static,
    A: Audit + 'static,
    C: Clock + 'static,
{
    async fn admit(self, stream: TcpStream, address: IpAddr, tls: Option<TlsAcceptor>) {
        let guest = Arc::clone(&self.guest);
        let visit = async {
            match tls {
                None => self.serve(stream).await,
                Some(tls) => match timeout(HEAD_TIME, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.serve(stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, %address, "the TLS handshake of a connection failed"),
                    Err(_) => tracing::debug!(%address, "the TLS handshake of a connection timed out"),
                },
            }
        };
        tokio::select! {
            () = visit => {}
            () = guest.asked_to_leave() => {}
        }
    }

    async fn serve<I: AsyncRead + AsyncWrite + Unpin>(self, stream: I) {
        let Self { app, guest, crowd, mut stopped } = self;
        let service = service_fn(|request| {
            let (app, guest) = (Arc::clone(&app), Arc::clone(&guest));
            async move {
                let _busy = guest.busy();
                app.handle(request, crowd).await
            }
        });
        let mut builder = http1::Builder::new();
        // A client may close its side after it has sent a request.
        builder.half_close(true);
        // The timeouts for headers and idle connections are checked below, because hyper has one timeout for both.
        builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD);
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&guest)));
        let mut connection = pin!(builder.serve_connection(stream, service));
        let mut tick = interval(TICK);
        let mut stopping = false;
        let ended = loop {
            // The sender outlives all connections.
            let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = stop, if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = tick.tick() => {
                    if guest.overdue(Instant::now()) {
                        return;
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
