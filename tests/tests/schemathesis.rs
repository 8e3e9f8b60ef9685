//! The payment service and its OpenAPI document, `lambda/openapi.json`, tested against each other by schemathesis: it
//! sends valid and invalid requests, and compares the responses with the document.
//!
//! It is installed with pip from `lambda/contract/requirements.txt` into the target folder, once.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use payinfra_tests::built;
use payinfra_tests::service::{account, payment, start};

/// The API key for the tests, and its SHA-256.
const KEY: &str = "key";
const HASHES: &str = r#"{"sha256":["2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"]}"#;

/// The number of requests per route and kind.
const EXAMPLES: &str = "40";

fn run(command: &mut Command) {
    let ended = command.output().unwrap();
    let texts = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(ended.status.success(), "{command:?}\n{}", texts.join("\n"));
}

/// Installs schemathesis once.
fn schemathesis(requirements: &Path) -> PathBuf {
    let folder = built("payment-service").with_file_name("schemathesis");
    let program = folder.join("bin/schemathesis");
    if !program.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let mut pip = Command::new(folder.join("bin/pip"));
        run(pip
            .args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"])
            .arg(requirements));
    }
    program
}

/// P-09: no response has a status, a body or a header that is not in the document.
#[tokio::test(flavor = "multi_thread")]
async fn p09_every_answer_is_as_the_document_says() {
    let lambda = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lambda");
    let program = schemathesis(&lambda.join("contract/requirements.txt"));
    let aws = account().await;
    let service = start(&aws, &[("API_KEYS", HASHES)]);
    let paid = service.send("POST", "/payments", &[("x-api-key", KEY)], &payment("t-1"));
    assert_eq!(paid.status, 200, "{paid:?}");
    // It stores data about a run.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.arg("run").arg(lambda.join("openapi.json")).args(["--url", &format!("http://{}", service.address)]);
    command.args(["--header", &format!("x-api-key: {KEY}"), "--checks", "all", "--seed", "1"]);
    // Rules that a schema cannot express, such as a currency's number of decimals, are also enforced.
    command.args(["--exclude-checks", "positive_data_acceptance"]);
    command.args(["--max-examples", EXAMPLES, "--no-color"]).current_dir(folder.path());
    run(&mut command);
    assert_eq!(service.get("/health").status, 200);
}
