//! Payments that are sent to the real service while a workspace changes, and an audit of what became of them.
//!
//! Each request takes the path that the invariant checker follows: Route 53 answers with a load balancer, whose listener
//! forwards to a healthy target. Behind the targets of a task definition runs one process of the service, with the
//! environment of the task definition, from the first request until its targets are gone for the deregistration delay.
//!
//! AWS's times are divided by [`SCALE`]: clients keep an answer of Route 53 for a TTL of 60 s, which is what
//! `domain.drain_seconds` allows for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::types::ReplicaRegionType;
use payinfra_localstack::{Control, Paths};
use serde_json::json;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::audit::{Contents, Payment, audit};
use crate::faults::Dice;
use crate::service::{Answer, Service};
use crate::{Bench, sdk};

/// What AWS's times are divided by.
pub const SCALE: u32 = 20;
/// The access key of the services' calls, which distinguishes them from those of payinfra.
pub const ACCESS_KEY: &str = "payments";

/// The TTL of alias records for load balancers: Route 53 Developer Guide, Choosing between alias and non-alias records.
const TTL: Duration = Duration::from_mins(1);
/// The number of concurrent clients.
const CLIENTS: u64 = 4;
/// The number of resolvers that a client asks in turn, so that at any time some have the answer with the smallest share.
const RESOLVERS: u64 = 10;
/// The pause of a client between two payments; the emulated AWS handles calls one at a time.
const PAUSE: Duration = Duration::from_millis(150);
/// One payment in so many is a repeat of an earlier one.
const REPEAT: u64 = 5;
/// The number of times that a client sends a payment: responses with status 500 or 503, and no response, allow it to send
/// the payment again.
const ATTEMPTS: u32 = 5;
/// The pause before the first retry, if the response has no `Retry-After`; then twice as long each time.
const RETRY: Duration = Duration::from_millis(200);
/// The number of times that ECS starts a task which ends before it listens.
const STARTS: usize = 10;
/// The reason of an attempt that reached a service without a response.
const NO_RESPONSE: &str = "no response";
/// The clients' API key, and its hash in the secret.
const KEY: &str = "the-key-of-all-clients-of-the-moves";
const HASH: &str = "e62b553f6382d11c6228f1fb5d5df91934bc83aef095c1fe429a00bbeb03d5c9";

/// Clients that send payments until they are stopped, and the services that they send them to.
pub struct Payments {
    world: Arc<World>,
    tasks: Vec<JoinHandle<()>>,
}

/// What has happened since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The payments that were sent, without repeats.
    pub sent: usize,
    /// Those with a 2xx response.
    pub accepted: usize,
    /// Repeats of payments that had a 2xx response as well.
    pub repeated: usize,
    /// The 2xx responses, by the region of the service.
    pub regions: BTreeMap<String, usize>,
    /// The attempts that failed and were followed by another one, by their status or reason.
    pub retried: BTreeMap<String, usize>,
    /// The payments and repeats whose last attempt failed, by the same.
    pub refused: BTreeMap<String, usize>,
}

/// What clients and tasks share.
struct World {
    control: Control,
    endpoint: String,
    /// The name of the service.
    name: String,
    stop: AtomicBool,
    next: AtomicU64,
    /// Held for reading during each payment, and for writing while there may be none.
    quiet: tokio::sync::RwLock<()>,
    /// The running services, by the ARN of their task definition.
    running: tokio::sync::Mutex<BTreeMap<String, Running>>,
    history: Mutex<History>,
}

struct Running {
    service: Service,
    environment: BTreeMap<String, String>,
    /// Since when no target has its task definition.
    gone: Option<Instant>,
    /// The deregistration delay of its target groups.
    delay: Duration,
}

#[derive(Default)]
struct History {
    payments: BTreeMap<String, Payment>,
    /// The regions at the last audit.
    regions: BTreeSet<String>,
    traffic: Traffic,
    problems: Vec<String>,
}

/// Creates the secret with the API key of the clients in these regions, the primary first, and returns its ARN.
pub async fn create_secret(bench: &Bench, regions: &[&str]) -> String {
    let (first, others) = regions.split_first().unwrap();
    let call = aws_sdk_secretsmanager::Client::new(&bench.sdk(first)).create_secret().name("payment-api-keys");
    let call = call.secret_string(json!({ "sha256": [HASH] }).to_string());
    let replica = |region: &&str| ReplicaRegionType::builder().region(*region).build();
    let call = call.set_add_replica_regions(Some(others.iter().map(replica).collect()));
    call.send().await.unwrap().arn.unwrap()
}

impl Traffic {
    /// Adds what happened later.
    pub fn add(&mut self, later: Self) {
        self.sent += later.sent;
        self.accepted += later.accepted;
        self.repeated += later.repeated;
        let sums = [
            (&mut self.regions, later.regions),
            (&mut self.retried, later.retried),
            (&mut self.refused, later.refused),
        ];
        for (sum, counts) in sums {
            for (reason, count) in counts {
                *sum.entry(reason).or_default() += count;
            }
        }
    }
}

impl Payments {
    /// Starts to send payments to the service with this name.
    #[must_use]
    pub fn start(bench: &Bench, name: &str) -> Self {
        let world = Arc::new(World {
            control: bench.aws.control(),
            endpoint: bench.aws.endpoint(),
            name: name.to_owned(),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
            quiet: tokio::sync::RwLock::default(),
            running: tokio::sync::Mutex::default(),
            history: Mutex::default(),
        });
        let clients = (0..CLIENTS).map(|number| tokio::spawn(Arc::clone(&world).send_until_stopped(number)));
        let mut tasks: Vec<_> = clients.collect();
        tasks.push(tokio::spawn(Arc::clone(&world).stop_tasks()));
        Self { world, tasks }
    }

    /// What has happened since the last call, and what is wrong: payments that were accepted and are not stored and
    /// audited exactly once in every region, or that are although they were refused. Meanwhile no payment is sent.
    pub async fn audit(&self) -> (Traffic, Vec<String>) {
        let _quiet = self.world.quiet.write().await;
        let contents = self.world.contents().await;
        let mut history = self.world.history();
        let mut problems = std::mem::take(&mut history.problems);
        match contents {
            Ok(contents) => {
                let History { payments, regions, .. } = &mut *history;
                problems.extend(audit(payments, regions, &contents));
                *regions = contents.into_keys().collect();
            }
            Err(problem) => problems.push(problem),
        }
        (std::mem::take(&mut history.traffic), problems)
    }

    /// Stops the clients, and then the services. Returns what is wrong with these.
    pub async fn stop(self) -> Vec<String> {
        self.world.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        let running = std::mem::take(&mut *self.world.running.lock().await);
        for (arn, running) in running {
            self.world.terminate(&arn, running).await;
        }
        std::mem::take(&mut self.world.history().problems)
    }
}

/// A client, with the load balancer that Route 53 answered each resolver with, and until when it is valid.
struct Client {
    dice: Dice,
    answers: BTreeMap<u64, (String, Instant)>,
}

impl Client {
    /// The load balancer to send a request to, as Route 53 said at most a TTL ago.
    fn resolve(&mut self, paths: &Paths, name: &str) -> Result<String, String> {
        let resolver = self.dice.between(0, RESOLVERS);
        if let Some((balancer, until)) = self.answers.get(&resolver)
            && Instant::now() < *until
        {
            return Ok(balancer.clone());
        }
        let answers = paths.answers(name).into_iter().map(|answer| (answer.weight, answer.balancer));
        let balancer = self.dice.weighted(answers.collect()).ok_or("no record")?;
        self.answers.insert(resolver, (balancer.clone(), Instant::now() + TTL / SCALE));
        Ok(balancer)
    }
}

/// Number `number` of the payments; the same for a repeat.
fn payment(number: u64) -> (String, String) {
    let id = format!("order-{number}");
    let amount = format!("{}.{:02}", number % 900 + 1, number % 100);
    let body = json!({ "transactionId": id, "customerId": format!("c-{}", number % 7), "amount": amount });
    (id, body.to_string())
}

impl World {
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    async fn send_until_stopped(self: Arc<Self>, seed: u64) {
        let mut client = Client { dice: Dice::new(seed), answers: BTreeMap::new() };
        while !self.is_stopped() {
            let turn = self.quiet.read().await;
            let known = self.next.load(Ordering::SeqCst);
            if known > CLIENTS && client.dice.between(0, REPEAT) == 0 {
                let earlier = client.dice.between(0, known);
                self.pay(&mut client, earlier, true).await;
            } else {
                let new = self.next.fetch_add(1, Ordering::SeqCst);
                self.pay(&mut client, new, false).await;
            }
            drop(turn);
            sleep(PAUSE).await;
        }
    }

    /// Sends a payment, again if the response allows it.
    async fn pay(&self, client: &mut Client, number: u64, repeats: bool) {
        let (id, body) = payment(number);
        let mut pause = RETRY;
        for attempt in 1..=ATTEMPTS {
            let (reason, again, after) = match self.attempt(client, &body).await {
                Ok((region, answer)) if answer.status == 200 => {
                    let mut history = self.history();
                    history.payments.entry(id).or_default().accepted.push(answer.body);
                    let traffic = &mut history.traffic;
                    traffic.sent += usize::from(!repeats);
                    traffic.accepted += usize::from(!repeats);
                    traffic.repeated += usize::from(repeats);
                    *traffic.regions.entry(region).or_default() += 1;
                    return;
                }
                Ok((_, answer)) => {
                    let after = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
                    let again = [429, 500, 503].contains(&answer.status);
                    (answer.status.to_string(), again, after.map(Duration::from_secs))
                }
                Err(reason) => (reason, true, None),
            };
            {
                let mut history = self.history();
                let payment = history.payments.entry(id.clone()).or_default();
                payment.in_doubt |= ["500", "503", NO_RESPONSE].contains(&reason.as_str());
                let traffic = &mut history.traffic;
                if again && attempt < ATTEMPTS {
                    *traffic.retried.entry(reason).or_default() += 1;
                } else {
                    traffic.sent += usize::from(!repeats);
                    *traffic.refused.entry(reason).or_default() += 1;
                    return;
                }
            }
            sleep(after.unwrap_or(pause)).await;
            pause *= 2;
        }
    }

    /// Sends a payment once, and returns the region that it reached, and the response. An error is the reason why there is
    /// none.
    async fn attempt(&self, client: &mut Client, body: &str) -> Result<(String, Answer), String> {
        let paths = self.control.paths().await.map_err(|error| error.to_string())?;
        let balancer = client.resolve(&paths, &self.name)?;
        let groups = paths.targets(&balancer, 443)?;
        let targets = client.dice.weighted(groups).ok_or("no healthy target")?;
        let target = client.dice.weighted(targets.into_iter().map(|target| (1, target)).collect());
        let task = target.and_then(|target| target.task_definition.clone()).ok_or("no task")?;
        let address = self.address(&task).await?;
        let body = body.to_owned();
        let sent = spawn_blocking(move || {
            let headers = [("Content-Type", "application/json"), ("x-api-key", KEY)];
            Answer::to(address, "POST", "/payments", &headers, &body)
        });
        let answer = sent.await.unwrap().map_err(|_| NO_RESPONSE.to_owned())?;
        Ok((region_of(&task).to_owned(), answer))
    }

    /// The address of the service that runs for the targets of a task definition.
    async fn address(&self, task: &str) -> Result<SocketAddr, String> {
        let mut running = self.running.lock().await;
        if let Some(running) = running.get(task) {
            return Ok(running.service.address);
        }
        let environment = self.environment(task).await?;
        let mut variables: Vec<_> = environment.clone().into_iter().collect();
        variables.push(("AWS_ACCESS_KEY_ID".to_owned(), ACCESS_KEY.to_owned()));
        for start in 1.. {
            let (endpoint, variables) = (self.endpoint.clone(), variables.clone());
            match spawn_blocking(move || Service::launch(&endpoint, &variables)).await.unwrap() {
                Ok(service) => {
                    let address = service.address;
                    // The delay is known soon.
                    let started = Running { service, environment, gone: None, delay: TTL / SCALE };
                    running.insert(task.to_owned(), started);
                    return Ok(address);
                }
                // The faults hit the calls of a task that starts, too.
                Err(_) if start < STARTS => sleep(RETRY).await,
                Err(reason) => {
                    self.history().problems.push(format!("{task} does not start: {reason}"));
                    return Err("no task".to_owned());
                }
            }
        }
        unreachable!("the number of starts is limited")
    }

    /// The environment of a task.
    async fn environment(&self, task: &str) -> Result<BTreeMap<String, String>, String> {
        let call =
            aws_sdk_ecs::Client::new(&self.sdk(region_of(task))).describe_task_definition().task_definition(task);
        let mut tries = 0;
        let found = loop {
            match call.clone().send().await {
                Ok(found) => break found,
                Err(_) if tries < STARTS => tries += 1,
                Err(error) => return Err(format!("{task} is not described: {error:?}")),
            }
        };
        let container = found.task_definition().and_then(|definition| definition.container_definitions().first());
        let container = container.ok_or_else(|| format!("{task} has no container"))?;
        let pairs = container.environment().iter();
        Ok(pairs.filter_map(|pair| Some((pair.name()?.to_owned(), pair.value()?.to_owned()))).collect())
    }

    /// Stops the services of task definitions whose targets are gone, after the deregistration delay, as ECS does.
    async fn stop_tasks(self: Arc<Self>) {
        while !self.is_stopped() {
            sleep(PAUSE).await;
            let Ok(paths) = self.control.paths().await else { continue };
            let delays: BTreeMap<_, _> = paths.tasks().into_iter().collect();
            let mut running = self.running.lock().await;
            for (task, running) in running.iter_mut() {
                match delays.get(task.as_str()) {
                    Some(seconds) => {
                        running.gone = None;
                        running.delay = Duration::from_secs((*seconds).into()) / SCALE;
                    }
                    None => drop(running.gone.get_or_insert_with(Instant::now)),
                }
            }
            let is_over = |running: &Running| running.gone.is_some_and(|gone| gone.elapsed() > running.delay);
            let over: Vec<_> =
                running.iter().filter(|(_, running)| is_over(running)).map(|(arn, _)| arn.clone()).collect();
            let over: Vec<_> = over.into_iter().filter_map(|arn| running.remove_entry(&arn)).collect();
            drop(running);
            for (arn, running) in over {
                self.terminate(&arn, running).await;
            }
        }
    }

    async fn terminate(&self, arn: &str, running: Running) {
        running.service.terminate();
        let (code, _) = spawn_blocking(|| running.service.ended()).await.unwrap();
        if code != Some(0) {
            self.history().problems.push(format!("the service of {arn} ended with {code:?}"));
        }
    }

    /// The tables and audit buckets of the tasks that are running, by region.
    async fn contents(&self) -> Result<BTreeMap<String, Contents>, String> {
        let paths = self.control.paths().await.map_err(|error| error.to_string())?;
        let mut places = BTreeSet::new();
        for (task, _) in paths.tasks() {
            let started = self.running.lock().await.get(task).map(|running| running.environment.clone());
            let environment = match started {
                Some(environment) => environment,
                None => self.environment(task).await?,
            };
            places.insert(["PAYMENTS_TABLE", "REGIONS"].map(|name| environment.get(name).cloned().unwrap_or_default()));
        }
        let mut places = places.into_iter();
        let (Some([table, regions]), None) = (places.next(), places.next()) else {
            return Err("no task is running, or tasks have different regions".to_owned());
        };
        let mut contents = BTreeMap::new();
        for (region, bucket) in regions.split(',').filter_map(|pair| pair.split_once('=')) {
            let sdk = self.sdk(region);
            contents.insert(region.to_owned(), Contents::read(&sdk, &table, bucket).await);
        }
        Ok(contents)
    }

    fn sdk(&self, region: &str) -> SdkConfig {
        sdk(&self.endpoint, ACCESS_KEY, region)
    }
}

/// The region in an ARN.
fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}
