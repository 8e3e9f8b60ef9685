//! One poller per kind and region, which reads all awaited resources in one call.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::address::{Address, Region};
use crate::cloud::{Cloud, Seen, spec};
use crate::error::{Class, Error, Result};
use crate::retry::{Patience, patiently};

/// How long a read waits for others to join it.
const GATHER: Duration = Duration::from_millis(15);

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
    answer: oneshot::Sender<Result<Option<Seen>, Refusal>>,
}

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
    while let Some(first) = queue.recv().await {
        sleep(GATHER).await;
        let mut requests = vec![first];
        while let Ok(next) = queue.try_recv() {
            requests.push(next);
        }
        let ids: Vec<String> =
            requests.iter().map(|request| request.id.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        let mut seen = HashMap::new();
        let mut refusal = None;
        for ids in ids.chunks(batch) {
            match patiently(&Patience::reading(), || cloud.read(&region, &kind, ids)).await {
                Ok(some) => seen.extend(some.into_iter().map(|seen| (seen.id.clone(), seen))),
                Err(error) => {
                    let hint = error.get_hint().map(str::to_owned);
                    refusal = Some(Refusal { class: error.class(), text: error.to_string(), hint });
                }
            }
        }
        for request in requests {
            let answer = match (seen.get(&request.id), &refusal) {
                (Some(seen), _) => Ok(Some(seen.clone())),
                (None, Some(refusal)) => Err(refusal.clone()),
                (None, None) => Ok(None),
            };
            // The caller may have been cancelled.
            drop(request.answer.send(answer));
        }
    }
}
