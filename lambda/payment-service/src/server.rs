//! Connections: who may have how many, how long they may take, and when the end is announced those that are busy are let
//! finish.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use payment_core::{Audit, Clock, Store};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::guests::{Guest, Guests, HEAD_TIME, Watched};
use crate::routes::{App, Crowd};

/// How many bytes of a request's head are kept.
const HEAD: usize = 32 * 1024;
/// How long busy connections, and payments that are being stored, may go on: ECS kills after 30 seconds.
const DRAINING: Duration = Duration::from_secs(25);
/// How often to look for payments without their audit record, and to write the metrics.
const SWEEPING: Duration = Duration::from_mins(1);
/// How long to wait when no connection can be taken, such as for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How often to look whether a connection takes too long.
const TICK: Duration = Duration::from_secs(1);

/// Serves `app` on `listener` until `stop`, then lets busy connections finish. A connection's failure ends that
/// connection.
pub async fn serve<S, A, C>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    app: App<S, A, C>,
    stop: impl Future<Output = ()>,
) where
    S: Store + 'static,
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
                // The first answer would wait 40 ms for the client to acknowledge the session tickets of TLS.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection may be slow");
                }
                // Without a place there is nothing to say that would not take one.
                let Some((guest, crowd)) = guests.enter(address.ip()) else { continue };
                let visit = Visit { app: Arc::clone(&app), guest: Arc::new(guest), crowd, stopped: stopped.clone() };
                connections.spawn(visit.admit(stream, address.ip(), tls.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // What it leaves, the next task's first sweep does.
    sweeper.abort();
    tracing::info!(connections = connections.len(), "stopping");
    // Without connections nobody listens.
    let _ = stopping.send(true);
    let end = Instant::now() + DRAINING;
    let rest = async { while connections.join_next().await.is_some() {} };
    if timeout_at(end, rest).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    if !app.finished(end.saturating_duration_since(Instant::now())).await {
        tracing::warn!("some payments were not stored in time; they are in doubt until a sweep or a repeat");
    }
    app.report();
    tracing::info!("stopped");
}

/// Sweeps at the start and then every minute.
async fn sweep<S, A, C>(app: Arc<App<S, A, C>>)
where
    S: Store + 'static,
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

/// A connection from its beginning to its end.
struct Visit<S, A, C> {
    app: Arc<App<S, A, C>>,
    guest: Arc<Guest>,
    crowd: Option<Crowd>,
    stopped: watch::Receiver<bool>,
}

impl<S, A, C> Visit<S, A, C>
where
    S: Store + 'static,
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
                    Ok(Err(error)) => tracing::debug!(%error, %address, "a connection is not encrypted as it must be"),
                    Err(_) => tracing::debug!(%address, "a connection takes too long to be encrypted"),
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
        // A client may close its side once it has asked.
        builder.half_close(true);
        // How long a head and a silence may take is watched below: hyper has one limit for both.
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
