//! Client connections: reads requests, writes responses, and injects failures of both.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Response, StatusCode,
    body::{Frame, Incoming},
    header::{CONTENT_LENGTH, ORIGIN},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use super::{Gateway, Outcome};
use crate::{
    action::Request,
    answer::Answer,
    control, guard,
    route::{self, Scope},
};

type Body = BoxBody<Bytes, io::Error>;

/// Serves until it is stopped.
pub(crate) async fn serve(gateway: Arc<Gateway>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = gateway.stop.notified() => return,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(Arc::clone(&gateway), stream))),
            Err(error) => {
                // Most likely there are too many open files, and connections that end free some.
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(gateway: Arc<Gateway>, stream: TcpStream) {
    // Disables Nagle's algorithm, so that small responses are not delayed. If that fails, the connection still works.
    let _slower = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let stream = Resettable { stream, reset: Arc::clone(&reset) };
    let service = service_fn(move |request| {
        let (gateway, reset) = (Arc::clone(&gateway), Arc::clone(&reset));
        async move {
            // A separate task: as in AWS, a request that has started completes even if its client disconnects.
            let handled = tokio::spawn(handle(gateway, request)).await;
            match handled.unwrap_or(Outcome::Reset) {
                Outcome::Answer(answer) => Ok(response(answer, false)),
                Outcome::Truncated(answer) => Ok(response(answer, true)),
                Outcome::Reset => {
                    reset.store(true, Ordering::Relaxed);
                    Err(io::Error::from(io::ErrorKind::ConnectionReset))
                }
            }
        }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::trace!("a connection ended: {error}");
    }
}

async fn handle(gateway: Arc<Gateway>, request: hyper::Request<Incoming>) -> Outcome {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Outcome::Reset;
    };
    if let Some(reason) = guard::refusal(&head.uri, &head.headers, &gateway.origins) {
        return Outcome::Answer(refused("AccessDeniedException", &reason));
    }
    if let Some(path) = head.uri.path().strip_prefix(control::PREFIX) {
        if !guard::has_token(&head.headers, &gateway.secrets.owner) {
            return Outcome::Answer(refused(
                "AccessDeniedException",
                "The control API requires the token of the user who started the emulated AWS",
            ));
        }
        return Outcome::Answer(control::answer(&gateway, &head.method, path, &body).await);
    }
    let origin = head.headers.get(ORIGIN).cloned();
    let mut outcome = match Scope::of(&head.headers, &head.uri) {
        Some(scope) => gateway.handle(Request::new(scope, head.method, head.uri, head.headers, body)).await,
        None if route::is_data_plane(&head.headers, &head.uri) => {
            Outcome::Answer(gateway.forward_data(&head.method, &head.uri, &head.headers, body).await)
        }
        // The CORS preflight of a browser for an allowed page.
        None if origin.is_some() && head.method == Method::OPTIONS => {
            Outcome::Answer(gateway.forward_preflight(&head.uri, &head.headers).await)
        }
        None => {
            let message = "The request is not signed, so the emulated AWS cannot determine its service: \
                           set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (any value will do)";
            Outcome::Answer(refused("MissingAuthenticationToken", message))
        }
    };
    if let Outcome::Answer(answer) | Outcome::Truncated(answer) = &mut outcome {
        guard::restrict(&mut answer.headers, origin);
    }
    outcome
}

/// An error of the gateway itself.
fn refused(code: &str, message: &str) -> Answer {
    Answer::json(StatusCode::FORBIDDEN, &json!({ "__type": code, "message": message }))
}

/// The body of a response, complete or truncated.
fn response(answer: Answer, truncate: bool) -> Response<Body> {
    let Answer { status, headers, body } = answer;
    let length = body.len();
    let body = if truncate {
        let half = Frame::data(body.slice(..length / 2));
        let broken = io::Error::from(io::ErrorKind::UnexpectedEof);
        BodyExt::boxed(StreamBody::new(futures_util::stream::iter([Ok(half), Err(broken)])))
    } else {
        Full::new(body).map_err(|never: Infallible| match never {}).boxed()
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if truncate {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// A connection that can be closed with a TCP reset.
struct Resettable {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Resettable {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // If this fails, the connection closes normally, which clients treat as the same failure.
            let _orderly = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Resettable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
