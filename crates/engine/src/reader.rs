//! One poller per kind and region, which reads all awaited resources in one call.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::sleep;

use crate::address::{Address, Region};
use crate::cloud::{Cloud, Seen, spec};
use crate::error::{Class, Error, Result};
use crate::retry::reading;

/// How long a read waits for others to join it.
const GATHER: Duration = Duration::from_millis(15);
/// How many reads of a kind in a region are in flight.
const READS: usize = 4;

/// Reads single resources, many at a time.
#[derive(Clone)]
pub(crate) struct Reader {
    cloud: Arc<dyn Cloud>,
    pollers: Arc<Mutex<Pollers>>,
}

/// The pollers by region and kind.
type Pollers = HashMap<(Region, Arc<str>), Queue>;
/// The requests to a poller.
type Queue = mpsc::UnboundedSender<Request>;

struct Request {
    id: String,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Option<Seen>, Refusal>>;
/// Who waits for which id.
type Waiting = BTreeMap<String, Vec<Answer>>;

/// An error that several requests share.
#[derive(Clone)]
struct Refusal {
    class: Class,
    text: String,
    hint: Option<String>,
}

impl Reader {
    pub(crate) fn new(cloud: &Arc<dyn Cloud>) -> Self {
        Self { cloud: Arc::clone(cloud), pollers: Arc::default() }
    }

    /// Reads the resource `id` at `address`.
    pub(crate) async fn read(&self, address: &Address, id: &str) -> Result<Option<Seen>> {
        let (answer, answered) = oneshot::channel();
        let request = Request { id: id.to_owned(), answer };
        self.poller(address).send(request).map_err(|_| gone())?;
        match answered.await.map_err(|_| gone())? {
            Ok(seen) => Ok(seen),
            Err(refusal) => {
                let error = Error::new(refusal.class, refusal.text);
                Err(match refusal.hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }

    fn poller(&self, address: &Address) -> Queue {
        let mut pollers = self.pollers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address.region.clone(), Arc::clone(&address.kind));
        let poller = pollers.entry(key).or_insert_with(|| {
            let (requests, queue) = mpsc::unbounded_channel();
            tokio::spawn(poll(Arc::clone(&self.cloud), address.region.clone(), Arc::clone(&address.kind), queue));
            requests
        });
        poller.clone()
    }
}

fn gone() -> Error {
    Error::failed("the poller has stopped")
}

/// Ends when the last [`Reader`] is dropped.
async fn poll(cloud: Arc<dyn Cloud>, region: Region, kind: Arc<str>, mut queue: mpsc::UnboundedReceiver<Request>) {
    let batch = spec(&cloud, &kind).map_or(1, |spec| spec.batch.max(1));
    let free = Arc::new(Semaphore::new(READS));
    while let Some(first) = queue.recv().await {
        sleep(GATHER).await;
        // Who comes while this waits joins the next read.
        let Ok(mut slot) = Arc::clone(&free).acquire_owned().await else { return };
        let mut waiting = Waiting::from([(first.id, vec![first.answer])]);
        while let Ok(next) = queue.try_recv() {
            waiting.entry(next.id).or_default().push(next.answer);
        }
        while !waiting.is_empty() {
            let rest = waiting.keys().nth(batch).cloned().map(|id| waiting.split_off(&id)).unwrap_or_default();
            let part = std::mem::replace(&mut waiting, rest);
            let (cloud, region, kind) = (Arc::clone(&cloud), region.clone(), Arc::clone(&kind));
            tokio::spawn(async move {
                read(&cloud, &region, &kind, part).await;
                drop(slot);
            });
            if waiting.is_empty() {
                break;
            }
            let Ok(next) = Arc::clone(&free).acquire_owned().await else { return };
            slot = next;
        }
    }
}

/// Reads what they wait for in one call, and answers them.
async fn read(cloud: &Arc<dyn Cloud>, region: &Region, kind: &str, waiting: Waiting) {
    let ids: Vec<String> = waiting.keys().cloned().collect();
    let answer = reading(|| cloud.read(region, kind, &ids)).await;
    let answer = answer.map(|seen| seen.into_iter().map(|seen| (seen.id.clone(), seen)).collect::<HashMap<_, _>>());
    let answer = answer.map_err(|error| {
        let hint = error.get_hint().map(str::to_owned);
        Refusal { class: error.class(), text: error.to_string(), hint }
    });
    for (id, waiting) in waiting {
        for one in waiting {
            // The caller may have been cancelled.
            drop(one.send(answer.as_ref().map(|seen| seen.get(&id).cloned()).map_err(Clone::clone)));
        }
    }
}
