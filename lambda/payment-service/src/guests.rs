//! Limits connections, and closes idle ones when there are too many.
//!
//! A connection without a complete request is closed to make room for a new one: the oldest first, from the address
//! with
//! the most connections. So half-sent requests cannot block the load balancer's health checks.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::routes::Crowd;

/// The maximum number of connections.
const CONNECTIONS: usize = 1_024;
/// The maximum number of connections from one address. A load balancer has an address in each zone, and reuses
/// connections.
const PER_ADDRESS: usize = 512;
/// The number of additional connections, which only get a response to health checks.
const SPARE: usize = 64;
/// The time limit for a request's headers, from their first byte, or from the start of the connection for the first
/// request.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(10);
/// The idle timeout: longer than the load balancer's timeout of 60 s, which otherwise may send a request on a
/// connection that is being closed.
const SILENT: Duration = Duration::from_secs(75);

/// The open connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guests(Arc<Mutex<Register>>);

#[derive(Debug, Default)]
struct Register {
    last: u64,
    /// In order of arrival.
    present: BTreeMap<u64, Entry>,
    spare: usize,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    moment: Mutex<Moment>,
    leave: Notify,
}

/// The state of a connection.
#[derive(Debug)]
struct Moment {
    /// Whether a request is being processed.
    busy: bool,
    /// When it started to wait for headers, or to receive them.
    head: Option<Instant>,
    /// When data was last read or written.
    moved: Instant,
}

/// A connection. Dropping it frees its place.
#[derive(Debug)]
pub(crate) struct Guest {
    guests: Guests,
    /// `None` for an additional connection.
    number: Option<u64>,
    state: Arc<State>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Register {
    fn count(&self, address: IpAddr) -> usize {
        self.present.values().filter(|entry| entry.address == address).count()
    }

    /// The oldest idle connection, of `address` or of the address with the most connections.
    fn idle(&self, address: Option<IpAddr>) -> Option<u64> {
        let mut idle = BTreeMap::<IpAddr, (usize, u64)>::new();
        for (number, entry) in &self.present {
            if address.is_none_or(|address| address == entry.address) && !held(&entry.state.moment).busy {
                idle.entry(entry.address).or_insert((0, *number)).0 += 1;
            }
        }
        idle.into_values().max_by_key(|(count, _)| *count).map(|(_, number)| number)
    }
}

impl Guests {
    /// Admits a connection from `address`: as an additional one, with the reason, if no other place is free; `None` if
    /// the additional places are taken too.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<(Guest, Option<Crowd>)> {
        let mut register = held(&self.0);
        let crowd = if register.count(address) >= PER_ADDRESS {
            Some(Crowd::Address)
        } else if register.present.len() >= CONNECTIONS {
            Some(Crowd::All)
        } else {
            None
        };
        let leaves = crowd.and_then(|crowd| register.idle((crowd == Crowd::Address).then_some(address)));
        if let Some(entry) = leaves.and_then(|number| register.present.remove(&number)) {
            entry.state.leave.notify_one();
        }
        let crowd = crowd.filter(|_| leaves.is_none());
        if crowd.is_some() && register.spare >= SPARE {
            return None;
        }
        let now = Instant::now();
        let moment = Mutex::new(Moment { busy: false, head: Some(now), moved: now });
        let state = Arc::new(State { moment, leave: Notify::new() });
        let number = if crowd.is_some() {
            register.spare += 1;
            None
        } else {
            register.last += 1;
            let number = register.last;
            register.present.insert(number, Entry { address, state: Arc::clone(&state) });
            Some(number)
        };
        Some((Guest { guests: self.clone(), number, state }, crowd))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut register = held(&self.guests.0);
        match self.number {
            Some(number) => drop(register.present.remove(&number)),
            None => register.spare -= 1,
        }
    }
}

impl Guest {
    /// Waits until the connection has to be closed to make room.
    pub(crate) async fn asked_to_leave(&self) {
        self.state.leave.notified().await;
    }

    /// Marks the connection as busy until the result is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        held(&self.state.moment).busy = true;
        Busy(Arc::clone(self))
    }

    /// Whether the headers take too long, or the connection is idle for too long.
    pub(crate) fn overdue(&self, now: Instant) -> bool {
        let moment = held(&self.state.moment);
        let late = |since: Instant, limit: Duration| now.saturating_duration_since(since) > limit;
        !moment.busy && (moment.head.is_some_and(|head| late(head, HEAD_TIME)) || late(moment.moved, SILENT))
    }

    fn moved(&self, read: bool) {
        let (now, mut moment) = (Instant::now(), held(&self.state.moment));
        moment.moved = now;
        if read && !moment.busy {
            moment.head.get_or_insert(now);
        }
    }
}

/// A request that is being processed.
pub(crate) struct Busy(Arc<Guest>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut moment = held(&self.0.state.moment);
        *moment = Moment { busy: false, head: None, moved: Instant::now() };
    }
}

/// A stream that records reads and writes.
pub(crate) struct Watched<I> {
    stream: I,
    guest: Arc<Guest>,
}

impl<I> Watched<I> {
    pub(crate) fn new(stream: I, guest: Arc<Guest>) -> Self {
        Self { stream, guest }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.guest.moved(true);
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if polled.is_ready() {
            self.guest.moved(false);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, number).into()
    }

    fn enter(guests: &Guests, number: u8) -> Option<(Arc<Guest>, Option<Crowd>)> {
        guests.enter(address(number)).map(|(guest, crowd)| (Arc::new(guest), crowd))
    }

    fn left(guest: &Guest) -> bool {
        !held(&guest.guests.0).present.contains_key(&guest.number.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_nothing_makes_room_and_the_address_with_the_most_first() {
        let guests = Guests::default();
        let one = enter(&guests, 1).unwrap().0;
        let many: Vec<_> = (0..PER_ADDRESS).map(|_| enter(&guests, 2).unwrap().0).collect();
        let busy = many[0].busy();
        let (more, crowd) = enter(&guests, 2).unwrap();
        assert_eq!(crowd, None);
        assert!(!left(&one) && !left(&many[0]) && left(&many[1]) && !left(&more));
        many[1].asked_to_leave().await;
        let _others: Vec<_> = (0..CONNECTIONS - PER_ADDRESS - 2).map(|_| enter(&guests, 3).unwrap().0).collect();
        let _another = enter(&guests, 5).unwrap();
        let (_last, crowd) = enter(&guests, 4).unwrap();
        assert_eq!(crowd, None);
        assert!(!left(&one) && left(&many[2]), "the address with the most makes room");
        drop(busy);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_busy_there_are_a_few_spare_places() {
        let guests = Guests::default();
        let many: Vec<_> = (0..PER_ADDRESS).map(|_| enter(&guests, 1).unwrap().0).collect();
        let busy: Vec<_> = many.iter().map(Guest::busy).collect();
        let spare: Vec<_> = (0..SPARE).map(|_| enter(&guests, 1).unwrap()).collect();
        assert!(spare.iter().all(|(_, crowd)| *crowd == Some(Crowd::Address)));
        assert!(enter(&guests, 1).is_none());
        assert_eq!(enter(&guests, 2).unwrap().1, None, "others have theirs");
        drop(spare);
        drop(busy);
        assert_eq!(enter(&guests, 1).unwrap().1, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_and_a_silence_another() {
        let guests = Guests::default();
        let guest = enter(&guests, 1).unwrap().0;
        let after = |time: Duration| guest.overdue(Instant::now() + time);
        assert!(!after(HEAD_TIME) && after(HEAD_TIME + TICK), "the first head");
        let busy = guest.busy();
        assert!(!after(SILENT + TICK), "what is answered takes its time");
        drop(busy);
        assert!(!after(SILENT) && after(SILENT + TICK), "between two requests");
        guest.moved(true);
        assert!(after(HEAD_TIME + TICK), "the next head has begun");
    }

    const TICK: Duration = Duration::from_millis(1);
}
