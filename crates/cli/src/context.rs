//! What commands start from: the configuration, the AWS account and the state.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use payinfra_aws::{Access, Aws, Identity};
use payinfra_engine::sweep::Census;
use payinfra_engine::{Class, Cloud, Error, Graph, Region, Result, State, counted, overwrite, read};
use payinfra_stack::{AccountId, Configuration, Stacks, Workspace};
use payinfra_state::{Backend, Backing};

use crate::commit::Commit;
use crate::failure::Failure;
use crate::global::Global;
use crate::history::Source;
use crate::recovery::{self, CaughtUp};
use crate::rescue::{Found, Rescue};
use crate::screen::WARNING;
use crate::{lock, screen};

/// The account id used by commands that do not sign in.
pub(crate) const ANY_ACCOUNT: &str = AccountId::PLACEHOLDER;

/// The beginning of a zip file.
const ZIP: &[u8] = b"PK";

/// The global options of the command line.
#[derive(Debug)]
pub(crate) struct Context {
    global: Global,
    stacks: Stacks,
}

/// A parsed configuration and the workspace that was selected.
#[derive(Debug)]
pub(crate) struct Project {
    /// The parsed configuration.
    pub(crate) configuration: Configuration,
    /// Its source text, for error messages.
    text: String,
    stacks: Stacks,
    backend: Backend,
    /// The path of the file.
    file: PathBuf,
    /// The folder that holds the file.
    folder: PathBuf,
    chosen: Option<String>,
}

/// A workspace with its state and lock.
pub(crate) struct Kept {
    /// The configuration.
    pub(crate) project: Project,
    /// The name of the stack in states and tags.
    pub(crate) stack: String,
    /// The name of the workspace.
    pub(crate) workspace: String,
    /// The account; `None` if the backend needs no sign-in.
    pub(crate) account: Option<String>,
    /// The store of the state, and the lock.
    pub(crate) backing: Backing,
    /// Whether the user has been told that the state comes from a rescue file.
    told: AtomicBool,
    /// Whether the user has been told that the state is older than the history.
    told_older: AtomicBool,
}

/// A workspace, signed in to its account.
pub(crate) struct Session {
    /// The workspace's state and lock.
    pub(crate) kept: Kept,
    /// The account id.
    pub(crate) account: String,
    /// Credentials and SDK configuration.
    pub(crate) access: Access,
    /// The AWS API.
    pub(crate) cloud: Arc<dyn Cloud>,
    /// The AWS API for finding resources by their owner tags.
    pub(crate) census: Arc<dyn Census>,
}

/// A loaded state and the version it was stored under.
pub(crate) struct Loaded {
    /// The state; empty if none is stored.
    pub(crate) state: State,
    /// The stored version; `None` if no state is stored.
    pub(crate) version: Option<String>,
    /// Whether the state comes from a rescue file of an earlier run.
    pub(crate) rescued: bool,
    /// Whether a rescue file exists whose contents are already in the stored state.
    pub(crate) spent: bool,
    /// Whether AWS may hold changes that the state does not record, as after an older state was restored.
    pub(crate) uncertain: bool,
}

impl Context {
    pub(crate) fn new(global: Global, stacks: Stacks) -> Self {
        Self { global, stacks }
    }

    /// The stacks of this program.
    pub(crate) fn stacks(&self) -> Stacks {
        self.stacks
    }

    /// Whether all details are shown.
    pub(crate) fn verbose(&self) -> bool {
        self.global.verbose > 0
    }

    /// The path of the configuration, which need not exist.
    pub(crate) fn configuration(&self) -> &Path {
        &self.global.config
    }

    /// Reads and checks the configuration; makes no calls.
    pub(crate) fn project(&self) -> Result<Project, Failure> {
        self.project_with(Ok)
    }

    /// Reads the configuration, edits it in memory, and checks it; makes no calls.
    fn project_with(&self, edit: impl FnOnce(String) -> Result<String>) -> Result<Project, Failure> {
        let path = &self.global.config;
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::invalid(format!("cannot read the configuration {name}: {error}"))
                .hint("run the command in the folder of payinfra.toml, or select a file with --config")
        })?;
        let text = edit(text)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let open = |file: &Path| Ok(Box::new(File::open(folder.join(file))?) as Box<dyn Read>);
        let configuration = Configuration::open(&text, &name, self.stacks, &open)
            .map_err(|error| Failure::in_configuration(*error, &text, self.stacks))?;
        let backend = backend(&configuration, path);
        Ok(Project {
            configuration,
            text,
            stacks: self.stacks,
            backend,
            file: path.clone(),
            folder,
            chosen: self.global.workspace.clone(),
        })
    }

    /// Loads the configuration, signs in, and opens the state of the workspace: all checks before a plan.
    pub(crate) async fn session(&self) -> Result<Session, Failure> {
        self.session_with(Ok).await
    }

    /// The same for the configuration as `edit` changes it. The file stays as it is.
    pub(crate) async fn session_with(&self, edit: impl FnOnce(String) -> Result<String>) -> Result<Session, Failure> {
        Self::signed_in(self.project_with(edit)?, None).await
    }

    /// The same as [`Self::session`], signed in through the endpoint in `region`.
    pub(crate) async fn session_in(&self, region: &str) -> Result<Session, Failure> {
        Self::signed_in(self.project()?, Some(region)).await
    }

    async fn signed_in(project: Project, region: Option<&str>) -> Result<Session, Failure> {
        let (stack, workspace) = project.names()?;
        // Report what can be found without AWS before calling AWS.
        project.graph(&workspace, ANY_ACCOUNT)?;
        let access = project.sign_in_at(region).await?.ignoring(project.workspace()?.ignored_tags.clone());
        // Graphs name the packages of functions by their digests.
        for package in project.workspace()?.files().filter(|file| file.starts_with(ZIP)) {
            access.provide(package.to_vec())?;
        }
        let account = access.account().to_owned();
        let config = access.config(project.region());
        let backing = payinfra_state::open(&project.backend, &config, &account, &stack, &workspace)?;
        let kept = Kept::new(project, (stack, workspace), Some(account.clone()), backing);
        let aws = Arc::new(Aws::new(access.clone()));
        let cloud: Arc<dyn Cloud> = aws.clone();
        // Commands that change resources take the lock, which replaces this guard with one that allows changes.
        cloud.guard(Arc::new(|| Err(Error::failed("changes in AWS require the lock"))));
        Ok(Session { kept, account, access, cloud, census: aws })
    }

    /// Opens the state of the workspace. A state in a folder needs no sign-in.
    pub(crate) async fn kept(&self) -> Result<Kept, Failure> {
        let project = self.project()?;
        let (stack, workspace) = project.names()?;
        let (config, account) = match project.backend {
            Backend::S3 { .. } => {
                let access = project.sign_in().await?;
                (access.config(project.region()), Some(access.account().to_owned()))
            }
            Backend::File { .. } => (aws_config::SdkConfig::builder().build(), None),
        };
        let named = account.as_deref().unwrap_or(ANY_ACCOUNT);
        let backing = payinfra_state::open(&project.backend, &config, named, &stack, &workspace)?;
        Ok(Kept::new(project, (stack, workspace), account, backing))
    }
}

impl Project {
    /// The selected workspace, or the only one.
    pub(crate) fn workspace(&self) -> Result<&Workspace, Failure> {
        let declared = &self.configuration.workspaces;
        match (&self.chosen, declared.len()) {
            (Some(name), _) => self
                .configuration
                .workspace(name)
                .map_err(|error| Failure::in_configuration(*error, &self.text, self.stacks)),
            (None, 1) => declared.values().next().ok_or_else(|| Error::invalid("no workspace is declared").into()),
            (None, _) => {
                let names: Vec<_> = declared.keys().map(String::as_str).collect();
                Err(Error::invalid(format!("no workspace selected; declared workspaces: {}", names.join(", ")))
                    .hint("select one with --workspace or the environment variable PAYINFRA_WORKSPACE")
                    .into())
            }
        }
    }

    /// The names of the selected workspace's stack and of itself, in states and tags.
    fn names(&self) -> Result<(String, String), Failure> {
        let workspace = self.workspace()?;
        Ok((workspace.stack.clone(), workspace.name.clone()))
    }

    /// The path of the configuration.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The workspace that was selected by name, if any.
    pub(crate) fn chosen(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// The desired state of `workspace` in `account`.
    pub(crate) fn graph(&self, workspace: &str, account: &str) -> Result<Graph> {
        let graph = payinfra_components::graph(&self.configuration, workspace, account)?;
        graph.sorted()?;
        Ok(graph)
    }

    /// The desired state of `workspace` in `account`, as the configuration in `commit` declared it; `None` if that cannot be
    /// found or built.
    pub(crate) fn graph_in(&self, commit: &Commit, workspace: &str, account: &str) -> Option<Graph> {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let open = |file: &Path| {
            let bytes = commit.read(&self.folder, file).ok_or_else(missing)?;
            Ok(Box::new(std::io::Cursor::new(bytes)) as Box<dyn Read>)
        };
        let name = Path::new(self.file.file_name()?);
        let text = String::from_utf8(commit.read(&self.folder, name)?).ok()?;
        let configuration = Configuration::open(&text, &name.display().to_string(), self.stacks, &open).ok()?;
        payinfra_components::graph(&configuration, workspace, account).ok()
    }

    /// Where the state and the lock are stored.
    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    fn region(&self) -> &str {
        match &self.backend {
            Backend::S3 { region, .. } => region,
            Backend::File { .. } => "us-east-1",
        }
    }

    /// Signs in, and checks that the configuration allows the account.
    pub(crate) async fn sign_in(&self) -> Result<Access> {
        self.sign_in_at(None).await
    }

    /// The same through the endpoint in `region`.
    async fn sign_in_at(&self, region: Option<&str>) -> Result<Access> {
        let aws = &self.configuration.aws;
        let identity = Identity { profile: aws.profile.clone(), role: aws.role.clone() };
        let access = match region {
            None => Access::open(&identity).await,
            Some(region) => Access::open_in(&identity, region).await,
        };
        let access = access.map_err(unreachable)?;
        let allowed: Vec<_> = aws.account_ids.iter().map(AccountId::as_str).collect();
        if allowed.is_empty() || allowed.contains(&access.account()) {
            return Ok(access);
        }
        let message = format!(
            "the current credentials belong to account {}, but `[aws] account_ids` allows only {}",
            access.account(),
            allowed.join(", ")
        );
        Err(Error::invalid(message).hint("use other credentials (AWS_PROFILE or `[aws] profile`), or add the account"))
    }
}

impl Kept {
    fn new(project: Project, (stack, workspace): (String, String), account: Option<String>, backing: Backing) -> Self {
        let (told, told_older) = (AtomicBool::default(), AtomicBool::default());
        Self { project, stack, workspace, account, backing, told, told_older }
    }

    /// The state, which must belong to this deployment; an empty one if none is stored.
    pub(crate) async fn load(&self) -> Result<Loaded> {
        // List the history before reading the state, so that a run that ends in between does not look like a lost one.
        let serials = recovery::serials(&self.backing).await?;
        let stored = payinfra_state::load(&*self.backing.store).await?;
        let last = stored.as_ref().map_or(0, |stored| stored.last);
        let (state, version) = stored.map(|stored| (stored.state, stored.version)).unzip();
        let rescue = self.rescue();
        let found = rescue.find(state.as_ref())?;
        let rescued = matches!(found, Found::Newer(_));
        let spent = found == Found::Spent;
        let account = self.account.as_deref();
        let mut state = match found {
            Found::Newer(kept) => *kept,
            Found::Nothing | Found::Spent => {
                state.unwrap_or_else(|| State::new(&self.stack, &self.workspace, account.unwrap_or(ANY_ACCOUNT)))
            }
        };
        state.belongs(&self.stack, &self.workspace, account.unwrap_or(&state.account))?;
        if rescued && !self.told.swap(true, Ordering::Relaxed) {
            screen::note(&format!(
                "The state was recovered from {}, because an earlier run could not write it.",
                rescue.path().display()
            ));
        }
        let newest = serials.last().copied().unwrap_or_default();
        let uncertain = (version.is_some() || rescued) && newest > state.serial;
        if uncertain {
            let serial = state.serial;
            let caught = recovery::catch_up(&self.backing, &mut state, &serials).await?;
            if !self.told_older.swap(true, Ordering::Relaxed) {
                screen::note(&older(serial, newest, caught.as_ref()));
            }
        }
        // Entries of interrupted runs, which changed nothing, are not written again.
        state.revision = state.revision.max(last);
        Ok(Loaded { state, version, rescued, spent, uncertain })
    }

    /// Changes the state while holding the lock, for `command`.
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
            loaded.state.epoch = loaded.state.epoch.max(lease.epoch());
            lease.check()?;
            overwrite(&*self.backing.store, loaded.state, loaded.version.as_deref()).await?;
            if loaded.rescued || loaded.spent {
                self.drop_rescue();
            }
            Ok(changed)
        }
        .await;
        lock::release(lease).await;
        changed
    }

    /// Replaces the stored state with the result of `make`, which gets the stored bytes and the lock's epoch. AWS may
    /// hold changes that the new state does not record, so the state gets an epoch below the lock's; the next apply
    /// then looks for existing resources before it creates any.
    pub(crate) async fn replace(
        &self,
        command: &str,
        epoch: u64,
        make: impl AsyncFnOnce(Option<&[u8]>, u64) -> Result<State>,
    ) -> Result<()> {
        let lease = lock::acquire(&self.backing, command, epoch).await?;
        let written = async {
            let store = &*self.backing.store;
            let version = store.load().await?.map(|stored| stored.version);
            // The journal may be corrupt, which is a reason to replace the state.
            let stored = read(store).await.ok().flatten();
            let mut state = make(stored.as_ref().map(|stored| &stored.bytes[..]), lease.epoch()).await?;
            state.revision = state.revision.max(store.entries(0).await?.last().copied().unwrap_or_default());
            state.epoch = lease.epoch().saturating_sub(1);
            lease.check()?;
            overwrite(store, state, version.as_deref()).await
        }
        .await;
        lock::release(lease).await;
        written
    }

    /// Deletes the rescue file, whose contents are in the stored state. If that fails, later runs ignore the file.
    pub(crate) fn drop_rescue(&self) {
        let rescue = self.rescue();
        screen::note(&match rescue.done() {
            Ok(()) => format!("Removed {}: its contents are now in the state.", rescue.path().display()),
            Err(error) => format!("{error}; its contents are in the state, and later runs ignore it."),
        });
    }

    /// The rescue file: where the state is saved if it cannot be written to its store.
    pub(crate) fn rescue(&self) -> Rescue {
        Rescue::new(&self.project.folder, &self.stack, &self.workspace)
    }
}

impl Session {
    /// The desired state of the workspace.
    pub(crate) fn graph(&self) -> Result<Graph> {
        self.kept.project.graph(&self.kept.workspace, &self.account)
    }

    /// The regions in which the workspace has resources, the primary first.
    pub(crate) fn declared_regions(&self) -> Vec<Region> {
        let Project { configuration, .. } = &self.kept.project;
        let workspace = configuration.workspaces.get(&self.kept.workspace);
        let regions = workspace.into_iter().flat_map(|workspace| configuration.stack.regions(workspace));
        regions.map(|config| config.region.clone()).collect()
    }

    /// Where the desired state is declared.
    pub(crate) fn source(&self) -> Source {
        let project = &self.kept.project;
        let workspace = project.configuration.workspaces.get(&self.kept.workspace);
        let headline = workspace.map(|workspace| project.configuration.stack.headline(workspace)).unwrap_or_default();
        Source { commit: Commit::of(project.file()), headline }
    }

    /// Shows the warnings that come with every plan of the workspace.
    pub(crate) fn warn(&self) {
        let workspace = self.kept.project.configuration.workspaces.get(&self.kept.workspace);
        let stack = self.kept.project.configuration.stack;
        for warning in workspace.into_iter().flat_map(|workspace| stack.warnings(workspace)) {
            screen::note(&format!("{WARNING}warning{WARNING:#}: {warning}"));
        }
    }
}

/// The note that the state is older than the history.
fn older(serial: u64, newest: u64, caught: Option<&CaughtUp>) -> String {
    let taken = match caught {
        Some(CaughtUp { serial, records }) => {
            format!("{} recovered from run {serial}", counted(*records, "record was", "records were"))
        }
        None => "The history has no newer state of this lineage".to_owned(),
    };
    format!(
        "The state is older than the history: it has serial {serial}, but the newest run has {newest}. {taken}. \
         Before creating a resource, payinfra checks whether it already exists."
    )
}

/// Turns a sign-in failure without a response into a connection error; the credentials are not the cause.
fn unreachable(error: Error) -> Error {
    if !error.is(Class::Ambiguous) {
        return error;
    }
    let at = std::env::var("AWS_ENDPOINT_URL").map_or_else(|_| String::new(), |url| format!(" at {url}"));
    let call = error.get_call().unwrap_or_default().to_owned();
    // The SDK nests its errors; the innermost has the reason.
    let why = error.message().rsplit(": ").next().unwrap_or_default().to_owned();
    Error::new(Class::Ambiguous, format!("AWS cannot be reached{at}: {why}"))
        .call(call)
        .hint("check the network and AWS_ENDPOINT_URL")
        .source(error)
}

/// Where the state and the lock are stored; a relative folder is resolved from the configuration's folder.
fn backend(configuration: &Configuration, path: &Path) -> Backend {
    let state = &configuration.state;
    match &state.path {
        Some(folder) => Backend::File { path: path.parent().unwrap_or(Path::new("")).join(folder) },
        None => Backend::S3 { bucket: state.bucket.clone(), region: state.region.clone(), table: state.table.clone() },
    }
}
