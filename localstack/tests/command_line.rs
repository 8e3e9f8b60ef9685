//! The life of a `cargo local` process, and its end by SIGKILL.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use payinfra_localstack::{Profile, Status, cache_folder, install};

/// The command with its own cache folder, which shares only the installed packages.
fn local(cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payinfra-localstack"));
    command.env("XDG_CACHE_HOME", cache).env_remove("PAYINFRA_LOCAL_LOG");
    command
}

fn cache() -> tempfile::TempDir {
    install(Profile::Default).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("payinfra");
    fs::create_dir(&own).unwrap();
    for entry in fs::read_dir(cache_folder().unwrap()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("python-") {
            symlink(entry.path(), own.join(entry.file_name())).unwrap();
        }
    }
    folder
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The listening ports: of the gateway and its emulators.
fn addresses(status: &Status) -> Vec<String> {
    let backends = status.backends.iter().map(|backend| backend.rsplit(' ').next().unwrap().to_owned());
    backends.chain([status.endpoint.replace("http://", "")]).collect()
}

/// Waits up to ten seconds for a condition.
fn eventually(what: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !what() {
        if begun.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn up_status_faults_calls_reset_down() {
    let cache = cache();
    let misleading =
        [("AWS_ENDPOINT_URL_S3", "http://elsewhere"), ("HTTPS_PROXY", "x"), ("https_proxy", "y"), ("AWS_$(id)", "z")];
    let up = run(local(cache.path()).args(["up", "--port", "0"]).envs(misleading));
    assert!(up.status.success(), "{}", text(&up));
    assert!(text(&up).contains("export AWS_ENDPOINT_URL=http://127.0.0.1:"), "{}", text(&up));
    let unset = text(&up).lines().find(|line| line.starts_with("unset ")).unwrap().to_owned();
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "HTTPS_PROXY", "https_proxy"] {
        assert!(unset.split(' ').any(|word| word == name), "{name} in {unset}");
    }
    assert!(!unset.contains("id)") && !unset.split(' ').any(|word| word == "AWS_ENDPOINT_URL"), "{unset}");

    // Only the owner can read the token.
    let note = cache.path().join("payinfra/local.json");
    assert_eq!(fs::metadata(&note).unwrap().permissions().mode() & 0o777, 0o600);
    let noted: serde_json::Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    let token = noted["token"].as_str().unwrap();
    assert!(token.len() == 64 && !text(&up).contains(token));
    let page = run(local(cache.path()).args(["up", "--allow-origin", "http://localhost:3000"]));
    assert!(!page.status.success() && text(&page).contains("cargo local down"), "{}", text(&page));

    let status = run(local(cache.path()).args(["status", "--json"]));
    let status: Status = serde_json::from_slice(&status.stdout).unwrap();
    assert!(text(&run(local(cache.path()).arg("up"))).contains(&status.endpoint));

    let wrong = run(local(cache.path()).args(["faults", "set", r#"{"rules": [{"fault": {"kind": "fire"}}]}"#]));
    assert!(!wrong.status.success() && text(&wrong).contains("unknown variant `fire`"), "{}", text(&wrong));
    let rule = r#"{"rules": [{"match": {"service": "ec2"}, "fault": {"kind": "throttle"}}]}"#;
    assert!(run(local(cache.path()).args(["faults", "set", rule])).status.success());
    assert!(text(&run(local(cache.path()).args(["faults", "list"]))).contains("kind = \"throttle\""));
    assert!(run(local(cache.path()).args(["faults", "clear"])).status.success());
    let down = r#"{"outages": [{"region": "us-east-2", "calls": "reset"}], "health": {"*": false}}"#;
    assert!(run(local(cache.path()).args(["faults", "set", down])).status.success());
    let listed = text(&run(local(cache.path()).args(["faults", "list"])));
    assert!(listed.contains("region = \"us-east-2\"") && listed.contains("\"*\" = false"), "{listed}");
    assert!(run(local(cache.path()).args(["faults", "clear"])).status.success());
    assert!(
        run(local(cache.path()).args(["checks", "start", "--name", "api.*", "--store", "audit-*"])).status.success()
    );
    let list = run(local(cache.path()).args(["checks", "list"]));
    assert!(list.status.success() && text(&list).is_empty(), "{}", text(&list));
    assert!(run(local(cache.path()).args(["checks", "stop"])).status.success());
    assert!(run(local(cache.path()).arg("reset")).status.success());
    assert_eq!(text(&run(local(cache.path()).args(["calls", "--json"]))), "");

    assert!(run(local(cache.path()).arg("down")).status.success());
    assert!(eventually(|| addresses(&status).iter().all(|address| TcpStream::connect(address).is_err())));
    let calls = run(local(cache.path()).arg("calls"));
    assert!(!calls.status.success() && text(&calls).contains("cargo local up"), "{}", text(&calls));
}

#[test]
fn nothing_outlives_a_killed_process() {
    let cache = cache();
    let mut process =
        local(cache.path()).args(["up", "--foreground"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let note = cache.path().join("payinfra/local.json");
    assert!(eventually(|| note.exists()) || eventually(|| note.exists()));
    let status: Status = serde_json::from_slice(&fs::read(note).unwrap()).unwrap();
    assert!(addresses(&status).iter().all(|address| TcpStream::connect(address).is_ok()));

    process.kill().unwrap();
    process.wait().unwrap();
    assert!(eventually(|| addresses(&status).iter().all(|address| TcpStream::connect(address).is_err())));
    // The file that it left is ignored.
    assert!(!run(local(cache.path()).arg("status")).status.success());
}
