//! Clients that send payments to the APIs of several regions at the same time, and an audit of what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Bench;
use crate::api::Api;
use crate::audit::{Contents, Payment, audit};
use crate::faults::Dice;
use crate::service::Answer;

/// The number of times that a client sends a request. Responses with status 429 and 5xx allow it to send it again.
const ATTEMPTS: u32 = 5;
/// The pause before the first retry; then twice as long each time.
const RETRY: Duration = Duration::from_millis(100);
/// The time limit for payments that are pending.
const SETTLING: Duration = Duration::from_mins(1);

/// What clients know of all payments that they have sent.
#[derive(Debug, Default)]
pub struct Ledger {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    payments: BTreeMap<String, Payment>,
    counts: Counts,
    /// The number of clients so far: each has ids of its own.
    clients: u64,
    problems: Vec<String>,
}

/// What became of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New payments that were accepted; those that were sent to all regions at once count once for each.
    pub accepted: usize,
    /// Repeats, with the response of the payment.
    pub repeated: usize,
    /// Requests that are invalid, or are for another payment with the same id.
    pub refused: usize,
    /// The attempts that failed, and were followed by another one, by status.
    pub retried: BTreeMap<u16, usize>,
    /// The requests whose last attempt failed.
    pub failed: usize,
}

struct Client<'a> {
    apis: &'a [Api],
    number: u64,
    dice: Dice,
    ledger: &'a Ledger,
}

impl Ledger {
    /// Sends requests to random APIs: new payments, of which some go to all regions at once, repeats, and some that must
    /// be refused. Each of `clients` concurrent clients sends `count`. Returns what became of them.
    pub fn send(&self, apis: &[Api], clients: u64, count: u64) -> Counts {
        let mut known = self.known();
        let first = known.clients;
        known.clients += clients;
        drop(known);
        thread::scope(|scope| {
            for number in first..first + clients {
                let mut client = Client { apis, number, dice: Dice::new(number), ledger: self };
                scope.spawn(move || client.send(count));
            }
        });
        std::mem::take(&mut self.known().counts)
    }

    /// What is wrong with the payments: those that were accepted and are not stored and audited exactly once in each
    /// region, and those that are although they were refused. `places` are the tables and audit buckets by region. Waits
    /// for audit records that follow later.
    pub async fn audit(&self, bench: &Bench, places: &BTreeMap<String, (String, String)>) -> Vec<String> {
        let regions: BTreeSet<_> = places.keys().cloned().collect();
        let end = Instant::now() + SETTLING;
        loop {
            let mut contents = BTreeMap::new();
            for (region, (table, bucket)) in places {
                contents.insert(region.clone(), Contents::read(&bench.sdk(region), table, bucket).await);
            }
            let problems = self.problems(&regions, &contents);
            if problems.is_empty() || Instant::now() > end {
                return problems;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn problems(&self, regions: &BTreeSet<String>, contents: &BTreeMap<String, Contents>) -> Vec<String> {
        let mut known = self.known();
        let mut problems = known.problems.clone();
        problems.extend(audit(&mut known.payments, regions, contents));
        problems
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client<'_> {
    fn send(&mut self, count: u64) {
        let mut accepted = Vec::new();
        for number in 0..count {
            let new = format!("order-{}-{number}", self.number);
            let old = self.dice.weighted(accepted.iter().map(|id: &String| (1, id.clone())).collect());
            let any = &self.apis[self.dice.index(self.apis.len())];
            match (self.dice.between(0, 20), old) {
                (0, _) => self.refuse(any, &new, "1.005", 400),
                (1, Some(old)) => self.refuse(any, &old, "2.00", 409),
                (2..4, Some(old)) => {
                    if self.pay(any, &old) {
                        self.ledger.known().counts.repeated += 1;
                    }
                }
                (choice, _) => {
                    let all = if choice == 4 { self.apis } else { std::slice::from_ref(any) };
                    let this = &*self;
                    let paid: usize = thread::scope(|scope| {
                        let racing: Vec<_> = all.iter().map(|api| scope.spawn(|| this.pay(api, &new))).collect();
                        racing.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
                    });
                    self.ledger.known().counts.accepted += paid;
                    accepted.extend((paid > 0).then_some(new));
                }
            }
        }
    }

    /// Sends a valid payment; returns whether it was accepted.
    fn pay(&self, api: &Api, id: &str) -> bool {
        let (answer, in_doubt) = self.attempt(api, id, "1.00");
        let mut known = self.ledger.known();
        let payment = known.payments.entry(id.to_owned()).or_default();
        payment.in_doubt |= in_doubt;
        if answer.status == 200 {
            payment.accepted.push(answer.body);
            return true;
        }
        if !in_doubt {
            known.problems.push(format!("{id} was refused in {}: {answer:?}", api.region));
        }
        false
    }

    /// Sends a request that must be refused with `status`.
    fn refuse(&self, api: &Api, id: &str, amount: &str, status: u16) {
        let (answer, _) = self.attempt(api, id, amount);
        let mut known = self.ledger.known();
        known.payments.entry(id.to_owned()).or_default();
        if answer.status == status {
            known.counts.refused += 1;
        } else if !is_temporary(answer.status) {
            known.problems.push(format!("{id} with the amount {amount} was not refused in {}: {answer:?}", api.region));
        }
    }

    /// Sends a request, again if the response allows it. Returns the last response, and whether an earlier one or this one
    /// leaves open whether the payment is stored.
    fn attempt(&self, api: &Api, id: &str, amount: &str) -> (Answer, bool) {
        let body = json!({ "transactionId": id, "customerId": "c-1", "amount": amount }).to_string();
        let (mut pause, mut in_doubt, mut left) = (RETRY, false, ATTEMPTS);
        loop {
            let answer = api.pay(&body);
            // API Gateway answers 429 before it invokes the function.
            in_doubt |= answer.status >= 500;
            left -= 1;
            let temporary = is_temporary(answer.status);
            if !temporary || left == 0 {
                self.ledger.known().counts.failed += usize::from(temporary);
                return (answer, in_doubt);
            }
            *self.ledger.known().counts.retried.entry(answer.status).or_default() += 1;
            thread::sleep(pause);
            pause *= 2;
        }
    }
}

/// Whether a client may send a request again that has this response.
fn is_temporary(status: u16) -> bool {
    status == 429 || status >= 500
}
