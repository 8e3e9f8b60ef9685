//! Graphs as JSON documents.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io;

use payinfra_engine::{Address, GRAPH_BYTES, Graph, Ref, Tags, Text, graph_schema};
use payinfra_testkit::{catalog, history, violations};
use serde_json::{Value, json};

const ZONES: &str = "east/fake.zones/zones";
const NODE: &str = "east/fake.tagged/one";

fn example() -> Value {
    json!({
        "format": 1,
        "stack": "stack",
        "workspace": "test",
        "tags": { "team": "payments" },
        "nodes": {
            ZONES: { "args": { "prefix": "z" }, "lookup": true },
            NODE: {
                "args": args(&json!({ "$ref": format!("{ZONES}#names/0") })),
                "protect": true,
                "final_snapshot": true,
                "after": [],
            },
        },
        "outputs": {
            "arn": { "$text": ["arn: ", { "$ref": format!("{NODE}#arn") }, ", id: ", { "$ref": format!("{NODE}#id") }] },
        },
    })
}

fn args(zone: &Value) -> Value {
    json!({ "zone": zone, "size": 1, "days": null, "parents": [], "uses": [], "tags": { "team": "payments" } })
}

fn waiver(at: &str, reason: &str) -> Value {
    json!({ "rule": "named", "at": at, "reason": reason })
}

fn parse(document: &Value) -> payinfra_engine::Result<Graph> {
    Graph::parse(document.to_string().as_bytes(), &catalog())
}

/// What is wrong, and the hint.
fn refused(document: &str) -> String {
    let error = Graph::parse(document.as_bytes(), &catalog()).unwrap_err();
    format!("{error}\n  {}", error.get_hint().unwrap_or("NO HINT"))
}

#[test]
fn random_graphs_parse_back() {
    let schema = graph_schema(&catalog());
    for seed in 0..300 {
        let (mut sketch, edits) = history(seed, 9, 3).unwrap();
        for edit in &edits {
            sketch = sketch.edited(edit);
            let mut graph = sketch.graph().unwrap().with_extra_tags(Tags::new().with("cost", "1"));
            let addresses: Vec<Address> = graph.nodes().keys().cloned().collect();
            for (index, address) in addresses.iter().enumerate() {
                if !graph.nodes()[address].lookup && index % 3 == 1 {
                    graph.protect(address);
                    graph.final_snapshot(address);
                }
                // The lookup is first in the order of addresses.
                graph.order(&addresses[0], &addresses[addresses.len() - 1]);
                if !graph.nodes()[address].lookup {
                    graph.output(&address.to_string(), Text::from("id ").and(&Ref::<String>::to(address, "id")));
                }
                if index % 4 == 1 {
                    graph.waive(address, "encrypted", &format!("reason \"{index}\", – in full")).unwrap();
                }
            }
            if seed % 2 == 0 {
                graph.waive_everywhere("named", "names are chosen by others").unwrap();
            }
            let text = graph.document().unwrap();
            match Graph::parse(text.as_bytes(), &catalog()) {
                Ok(parsed) => assert_eq!(parsed, graph, "seed {seed}"),
                // An order can close a cycle, which both refuse.
                Err(error) => assert_eq!(error.to_string(), graph.sorted().unwrap_err().to_string(), "seed {seed}"),
            }
            assert_eq!(violations(&schema, &serde_json::from_str(&text).unwrap()), [""; 0]);
        }
    }
}

#[test]
fn owner_tags_are_added() {
    let graph = parse(&example()).unwrap();
    let node = &graph.nodes()[&NODE.parse::<Address>().unwrap()];
    assert_eq!(node.args["tags"]["payinfra:address"], NODE);
    assert_eq!(node.args["tags"]["team"], "payments");
    assert!(node.protect && node.final_snapshot);
    assert_eq!(
        graph.document().unwrap(),
        parse(&serde_json::from_str(&graph.document().unwrap()).unwrap()).unwrap().document().unwrap()
    );
}

#[test]
fn waivers_are_kept_in_their_order() {
    let mut document = example();
    document["waivers"] = json!([waiver("everywhere", "for all"), waiver(NODE, "for one")]);
    let graph = parse(&document).unwrap();
    let written: Value = serde_json::from_str(&graph.document().unwrap()).unwrap();
    assert_eq!(written["waivers"], document["waivers"]);
    let told: Vec<_> = graph.waivers().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["the waiver of `named` everywhere".to_owned(), format!("the waiver of `named` at {NODE}")]);
    // Without any, nothing is written.
    assert!(!parse(&example()).unwrap().document().unwrap().contains("waivers"));
}

#[test]
fn invalid_documents_are_refused_with_place_and_fix() {
    let text = example().to_string();
    insta::assert_snapshot!("truncated", refused(&text[..text.len() / 2]));
    insta::assert_snapshot!(
        "twice",
        refused(&text.replacen(&format!("\"{NODE}\":"), &format!("\"{NODE}\":{{\"args\":{{}}}},\"{NODE}\":"), 1))
    );
    let node = |path: &str| format!("/nodes/{}{path}", NODE.replace('/', "~1"));
    let mut all = Vec::new();
    for (what, path, value) in [
        ("a newer format", "/format".to_owned(), json!(2)),
        ("no number as format", "/format".to_owned(), json!("1")),
        ("an unknown member", "/regions".to_owned(), json!([])),
        ("an unknown member of a node", node("/proteced"), json!(true)),
        ("an unknown argument", node("/args/sise"), json!(1)),
        ("a wrong type", node("/args/size"), json!("large")),
        ("a wrong type beside a reference", node("/args/zone"), json!(7)),
        ("a malformed reference", node("/args/zone"), json!({ "$ref": "zones" })),
        ("a reference to nothing", node("/args/zone"), json!({ "$ref": "east/fake.zones/other#names/0" })),
        ("a reference to no output", node("/args/zone"), json!({ "$ref": format!("{ZONES}#name") })),
        ("a lookup's id", node("/args/zone"), json!({ "$ref": format!("{ZONES}#id") })),
        ("a cycle", node("/args/uses"), json!([{ "$ref": format!("{NODE}#id") }])),
        ("an order after nothing", node("/after"), json!(["east/fake.tagged/none"])),
        ("an order after no address", node("/after"), json!(["none"])),
        ("a trigger that is nothing", node("/replace_triggered_by"), json!(["east/fake.tagged/none"])),
        ("another owner", node("/args/tags/payinfra:stack"), json!("other")),
        ("a missing secret", node("/args/zone"), json!({ "$secret": null })),
        ("a resource as a lookup", node("/lookup"), json!(true)),
        ("no address", "/nodes/east~1fake.tagged".to_owned(), json!({ "args": {} })),
        ("an unknown kind", "/nodes/east~1fake.taged~1two".to_owned(), json!({ "args": {} })),
        (
            "an output's reference to nothing",
            "/outputs/arn".to_owned(),
            json!({ "$text": [{ "$ref": "a/fake.tagged/c#id" }] }),
        ),
        ("an output that is no text", "/outputs/arn".to_owned(), json!(["a"])),
        (
            "a waiver without a reason",
            "/waivers".to_owned(),
            json!([waiver(NODE, "because"), waiver("everywhere", " ")]),
        ),
        ("a waiver with a line break", "/waivers".to_owned(), json!([waiver(NODE, "because\nof")])),
        ("a waiver twice", "/waivers".to_owned(), json!([waiver(NODE, "because"), waiver(NODE, "therefore")])),
        ("a waiver nowhere", "/waivers".to_owned(), json!([{ "rule": "named", "reason": "because" }])),
        ("a waiver at no address", "/waivers".to_owned(), json!([waiver("all", "because")])),
        (
            "an unknown member of a waiver",
            "/waivers".to_owned(),
            json!([{ "rule": "named", "at": NODE, "reason": "because", "until": "2027" }]),
        ),
    ] {
        let mut document = example();
        let (parent, name) = path.rsplit_once('/').unwrap();
        let name = name.replace("~1", "/");
        document.pointer_mut(parent).unwrap()[&name] = value;
        all.push(format!("{what}: {}", refused(&document.to_string())));
    }
    let all = all.join("\n");
    assert!(!all.contains("NO HINT"), "{all}");
    insta::assert_snapshot!("invalid", all);
}

#[test]
fn large_documents_are_not_read_to_the_end() {
    struct Endless(u64);
    impl io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b' ');
            self.0 += buffer.len() as u64;
            assert!(self.0 < 3 * GRAPH_BYTES, "read far beyond the limit");
            Ok(buffer.len())
        }
    }
    let error = Graph::read(Endless(0), &catalog()).unwrap_err();
    assert_eq!(error.to_string(), "the graph document is larger than 40 MB");
}

#[test]
fn secrets_can_be_left_out() {
    let mut graph = Graph::new("stack", "test", Tags::new());
    graph.output("secret", "hunter2");
    graph.conceal_output("secret");
    assert!(graph.document().unwrap().contains("hunter2"));
    let text = graph.without_secrets().document().unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(refused(&text).starts_with("output secret: `the value`: the value of a secret is missing"), "{text}");
}
