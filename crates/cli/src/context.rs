//! What commands start from: the configuration, the account, the state.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use payinfra_aws::{Access, Aws, Identity};
use payinfra_engine::sweep::Census;
use payinfra_engine::{Class, Cloud, Error, Graph, Result, State};
use payinfra_stacks::{Configuration, Workspace};
use payinfra_state::{Backend, Backing};

use crate::arguments::Global;
use crate::failure::Failure;
use crate::lost::CaughtUp;
use crate::rescue::{Found, Rescue};
use crate::screen::WARNING;
use crate::{account, lock, lost, screen};

/// The account of those commands that do not sign in.
pub(crate) const ANY_ACCOUNT: &str = "000000000000";

/// What was typed beside the command.
#[derive(Debug)]
pub(crate) struct Context {
    global: Global,
}

/// The configuration.
#[derive(Debug)]
pub(crate) struct Project {
    /// As it was parsed.
    pub(crate) configuration: Configuration,
    /// As it is written.
    text: String,
    backend: Backend,
    /// The configuration's file.
    file: PathBuf,
    /// Where it is.
    folder: PathBuf,
    chosen: Option<String>,
}

/// A workspace's state and lock.
pub(crate) struct Kept {
    /// The configuration.
    pub(crate) project: Project,
    /// The workspace.
    pub(crate) workspace: String,
    /// The account; `None` if nobody had to sign in.
    pub(crate) account: Option<String>,
    /// State and lock.
    pub(crate) backing: Backing,
    /// Whether it has been told where the state came from.
    told: AtomicBool,
    /// Whether it has been told that the state is older than the history.
    told_older: AtomicBool,
}

/// A workspace in an account that we are signed in to.
pub(crate) struct Session {
    /// The workspace's state and lock.
    pub(crate) kept: Kept,
    /// The account.
    pub(crate) account: String,
    /// The way into it.
    pub(crate) access: Access,
    /// AWS.
    pub(crate) cloud: Arc<dyn Cloud>,
    /// AWS, to be asked for all that is ours.
    pub(crate) census: Arc<dyn Census>,
}

/// A state, and the version under which it is stored.
pub(crate) struct Loaded {
    /// The state; a new one if there is none yet.
    pub(crate) state: State,
    /// `None` if there is none yet.
    pub(crate) version: Option<String>,
    /// Whether it was taken from where an earlier run had to leave it.
    pub(crate) rescued: bool,
    /// Whether a file is left from an earlier run whose contents are all in the stored state.
    pub(crate) spent: bool,
    /// Whether more may have been done than is recorded, as after an older state was restored.
    pub(crate) uncertain: bool,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        Self { global }
    }

    /// Whether everything is to be shown.
    pub(crate) fn verbose(&self) -> bool {
        self.global.verbose > 0
    }

    /// The configuration's file, which need not exist.
    pub(crate) fn configuration(&self) -> &Path {
        &self.global.config
    }

    /// Reads and checks the configuration; calls nobody.
    pub(crate) fn project(&self) -> Result<Project, Failure> {
        let path = &self.global.config;
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::invalid(format!("the configuration {name} cannot be read: {error}"))
                .hint("run payinfra where payinfra.toml is, or name it with --config")
        })?;
        let configuration =
            Configuration::parse(&text, &name).map_err(|error| Failure::in_configuration(*error, &text))?;
        let backend = backend(&configuration, path);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Project { configuration, text, backend, file: path.clone(), folder, chosen: self.global.workspace.clone() })
    }

    /// The configuration, an account, and the state of the workspace: everything that is checked before a plan.
    pub(crate) async fn session(&self) -> Result<Session, Failure> {
        let project = self.project()?;
        let workspace = project.workspace()?.name.clone();
        // What can be known to be wrong without AWS is told before AWS is asked.
        project.graph(&workspace, ANY_ACCOUNT)?;
        let access = project.sign_in().await?;
        let account = access.account().to_owned();
        let config = access.config(project.region());
        let backing =
            payinfra_state::open(&project.backend, &config, &account, &project.configuration.stack, &workspace)?;
        let kept = Kept::new(project, workspace, Some(account.clone()), backing);
        let aws = Arc::new(Aws::new(access.clone()));
        let cloud: Arc<dyn Cloud> = aws.clone();
        // A command that changes something takes the lock, and with it a guard that lets it.
        cloud.guard(Arc::new(|| Err(Error::failed("nothing is changed in AWS without the lock"))));
        Ok(Session { kept, account, access, cloud, census: aws })
    }

    /// The state of the workspace only. Where it is in a folder nobody has to sign in.
    pub(crate) async fn kept(&self) -> Result<Kept, Failure> {
        let project = self.project()?;
        let workspace = project.workspace()?.name.clone();
        let (config, account) = match project.backend {
            Backend::S3 { .. } => {
                let access = project.sign_in().await?;
                (access.config(project.region()), Some(access.account().to_owned()))
            }
            Backend::File { .. } => (aws_config::SdkConfig::builder().build(), None),
        };
        let named = account.as_deref().unwrap_or(ANY_ACCOUNT);
        let backing = payinfra_state::open(&project.backend, &config, named, &project.configuration.stack, &workspace)?;
        Ok(Kept::new(project, workspace, account, backing))
    }
}

impl Project {
    /// The workspace that was named, or the only one.
    pub(crate) fn workspace(&self) -> Result<&Workspace, Failure> {
        let declared = &self.configuration.workspaces;
        match (&self.chosen, declared.len()) {
            (Some(name), _) => {
                self.configuration.workspace(name).map_err(|error| Failure::in_configuration(*error, &self.text))
            }
            (None, 1) => declared.values().next().ok_or_else(|| Error::invalid("no workspace is declared").into()),
            (None, _) => {
                let names: Vec<_> = declared.keys().map(String::as_str).collect();
                Err(Error::invalid(format!("which workspace? Declared are {}", names.join(", ")))
                    .hint("name one with --workspace, or with the variable PAYINFRA_WORKSPACE")
                    .into())
            }
        }
    }

    /// The configuration's file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The workspace that was named, if one was.
    pub(crate) fn chosen(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// What `workspace` should be in `account`.
    pub(crate) fn graph(&self, workspace: &str, account: &str) -> Result<Graph> {
        let graph = payinfra_stacks::build(&self.configuration, workspace, account)?;
        graph.sorted()?;
        Ok(graph)
    }

    /// Where state and lock are.
    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    fn region(&self) -> &str {
        match &self.backend {
            Backend::S3 { region, .. } => region,
            Backend::File { .. } => "us-east-1",
        }
    }

    /// Signs in, and checks that it is an account that may be touched.
    pub(crate) async fn sign_in(&self) -> Result<Access> {
        let aws = &self.configuration.aws;
        let identity = Identity { profile: aws.profile.clone(), role: aws.role.clone() };
        let access = Access::open(&identity).await.map_err(unreachable)?;
        let allowed: Vec<_> = aws.account_ids.iter().map(payinfra_stacks::AccountId::as_str).collect();
        if allowed.is_empty() || allowed.contains(&access.account()) {
            return Ok(access);
        }
        let message = format!(
            "these credentials are of account {}, `[aws] account_ids` allows {}",
            access.account(),
            allowed.join(", ")
        );
        Err(Error::invalid(message).hint("use other credentials (AWS_PROFILE, `[aws] profile`), or allow the account"))
    }
}

impl Kept {
    fn new(project: Project, workspace: String, account: Option<String>, backing: Backing) -> Self {
        Self { project, workspace, account, backing, told: AtomicBool::default(), told_older: AtomicBool::default() }
    }

    /// The state, which must be this deployment's; a new one if there is none.
    pub(crate) async fn load(&self) -> Result<Loaded> {
        let stack = &self.project.configuration.stack;
        // Listed before the state is read: a run that ends in between is not taken for one that was lost.
        let history = lost::serials(&self.backing).await?;
        let stored = self.backing.store.load().await?;
        let version = stored.as_ref().map(|stored| stored.version.clone());
        let state = stored.map(|stored| payinfra_state::migrate(&stored.bytes)).transpose()?;
        let rescue = self.rescue();
        let found = rescue.find(state.as_ref())?;
        let rescued = matches!(found, Found::Newer(_));
        let spent = found == Found::Spent;
        let account = self.account.as_deref();
        let mut state = match found {
            Found::Newer(kept) => *kept,
            Found::Nothing | Found::Spent => {
                state.unwrap_or_else(|| State::new(stack, &self.workspace, account.unwrap_or(ANY_ACCOUNT)))
            }
        };
        state.belongs(stack, &self.workspace, account.unwrap_or(&state.account))?;
        if rescued && !self.told.swap(true, Ordering::Relaxed) {
            screen::note(&format!(
                "The state was taken from {}: an earlier run could not write it.",
                rescue.path().display()
            ));
        }
        let newest = history.last().copied().unwrap_or_default();
        let uncertain = (version.is_some() || rescued) && newest > state.serial;
        if uncertain {
            let serial = state.serial;
            let caught = lost::catch_up(&self.backing, &mut state, &history).await?;
            if !self.told_older.swap(true, Ordering::Relaxed) {
                screen::note(&older(serial, newest, caught.as_ref()));
            }
        }
        Ok(Loaded { state, version, rescued, spent, uncertain })
    }

    /// Changes the state under the lock, for `command`.
    pub(crate) async fn change<T>(
        &self,
        command: &str,
        change: impl AsyncFnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let epoch = self.load().await?.state.epoch;
        let lease = lock::acquire(&self.backing, command, epoch).await?;
        let changed = async {
            let mut loaded = self.load().await?;
            let changed = change(&mut loaded.state).await?;
            loaded.state.serial += 1;
            loaded.state.revision += 1;
            loaded.state.epoch = loaded.state.epoch.max(lease.epoch());
            lease.check()?;
            self.backing.store.save(&loaded.state.bytes()?, loaded.version.as_deref()).await?;
            if loaded.rescued || loaded.spent {
                self.drop_rescue();
            }
            Ok(changed)
        }
        .await;
        lock::release(lease).await;
        changed
    }

    /// Writes another state in the place of what is stored, which `make` is given with the epoch of the lock. More may have
    /// been done than the new state records: it keeps an epoch below that, so that the next apply looks first.
    pub(crate) async fn replace(
        &self,
        command: &str,
        epoch: u64,
        make: impl AsyncFnOnce(Option<&[u8]>, u64) -> Result<State>,
    ) -> Result<()> {
        let lease = lock::acquire(&self.backing, command, epoch).await?;
        let written = async {
            let stored = self.backing.store.load().await?;
            let mut state = make(stored.as_ref().map(|stored| &stored.bytes[..]), lease.epoch()).await?;
            state.revision = state.revision.saturating_add(1);
            state.epoch = lease.epoch().saturating_sub(1);
            lease.check()?;
            let version = stored.as_ref().map(|stored| &stored.version[..]);
            self.backing.store.save(&state.bytes()?, version).await
        }
        .await;
        lock::release(lease).await;
        written.map(drop)
    }

    /// Removes the rescue file, whose contents are in the stored state. A file that stays is ignored by later runs.
    pub(crate) fn drop_rescue(&self) {
        let rescue = self.rescue();
        screen::note(&match rescue.done() {
            Ok(()) => format!("{} was removed: the state has what was in it.", rescue.path().display()),
            Err(error) => format!("{error}; the state has what is in it, and later runs ignore it."),
        });
    }

    /// Where the state goes when it cannot be written.
    pub(crate) fn rescue(&self) -> Rescue {
        Rescue::new(&self.project.folder, &self.project.configuration.stack, &self.workspace)
    }
}

impl Session {
    /// Refuses to change an account that nobody allowed; see [`account::may_change`].
    pub(crate) async fn may_change(&self, yes: bool) -> Result<()> {
        account::may_change(&self.kept.project, &self.access, yes).await
    }

    /// What the workspace should be.
    pub(crate) fn graph(&self) -> Result<Graph> {
        self.kept.project.graph(&self.kept.workspace, &self.account)
    }

    /// Shows what every plan of the workspace warns of.
    pub(crate) fn warn(&self) {
        let workspace = self.kept.project.configuration.workspaces.get(&self.kept.workspace);
        if let Some(warning) = workspace.and_then(|workspace| workspace.service.warning()) {
            screen::note(&format!("{WARNING}warning{WARNING:#}: {warning}"));
        }
    }
}

/// That the state is older than the history.
fn older(serial: u64, newest: u64, caught: Option<&CaughtUp>) -> String {
    let taken = match caught {
        Some(CaughtUp { serial, records }) => format!("{records} records were taken from run {serial}"),
        None => "No run in it has a newer state of this lineage".to_owned(),
    };
    format!(
        "The state is older than the history: it has serial {serial}, and the newest run has {newest}. {taken}. Every \
         create first looks for what exists already."
    )
}

/// A failure to sign in without an answer: there is nothing wrong with the credentials then.
fn unreachable(error: Error) -> Error {
    if !error.is(Class::Ambiguous) {
        return error;
    }
    let at = std::env::var("AWS_ENDPOINT_URL").map_or_else(|_| String::new(), |url| format!(" at {url}"));
    let call = error.get_call().unwrap_or_default().to_owned();
    // The SDK nests its reasons; the innermost says it.
    let why = error.message().rsplit(": ").next().unwrap_or_default().to_owned();
    Error::new(Class::Ambiguous, format!("AWS cannot be reached{at}: {why}"))
        .call(call)
        .hint("check the network, and AWS_ENDPOINT_URL")
        .source(error)
}

/// Where state and lock are kept; a folder is found from where the configuration is.
fn backend(configuration: &Configuration, path: &Path) -> Backend {
    let state = &configuration.state;
    match &state.path {
        Some(folder) => Backend::File { path: path.parent().unwrap_or(Path::new("")).join(folder) },
        None => Backend::S3 {
            bucket: state.bucket.clone(),
            region: state.region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
            table: state.table.clone().unwrap_or_else(|| "payinfra-locks".to_owned()),
        },
    }
}
