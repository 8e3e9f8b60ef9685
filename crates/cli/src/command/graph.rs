//! `payinfra graph`: prints the dependency graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use payinfra_engine as engine;
use payinfra_engine::{Address, Region};

use super::Execute;
use crate::context::{ANY_ACCOUNT, Context};
use crate::exit::{Exit, Outcome};
use crate::screen;

#[derive(Args)]
pub(super) struct Graph {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Dot)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Graphviz; render it with `dot -Tsvg`
    Dot,
    /// Mermaid, for Markdown pages
    Mermaid,
    /// A document for other programs, described by `schema --graph`; secrets are left out, and ARNs have the
    /// account 000000000000
    Json,
}

impl Execute for Graph {
    const NAME: &'static str = "graph";
    const ABOUT: &'static str = "Print the dependency graph; needs no credentials";

    async fn execute(self, cx: &Context) -> Outcome {
        let project = cx.project()?;
        let graph = project.graph(&project.workspace()?.name, ANY_ACCOUNT)?;
        screen::print(&match self.format {
            Format::Dot => dot(&graph),
            Format::Mermaid => mermaid(&graph),
            Format::Json => graph.without_secrets().document()? + "\n",
        });
        Ok(Exit::Done)
    }
}

fn by_region(graph: &engine::Graph) -> BTreeMap<&Region, BTreeSet<&Address>> {
    let mut regions: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for address in graph.nodes().keys() {
        regions.entry(&address.region).or_default().insert(address);
    }
    regions
}

fn dot(graph: &engine::Graph) -> String {
    let mut text = String::from("digraph payinfra {\n  rankdir = LR;\n  node [shape = box];\n");
    for (region, addresses) in by_region(graph) {
        put(&mut text, &format!("  subgraph \"cluster_{region}\" {{\n    label = \"{region}\";"));
        for address in addresses {
            let style = if graph.nodes()[address].lookup { ", style = dashed" } else { "" };
            put(&mut text, &format!("    \"{address}\" [label = \"{}\\n{}\"{style}];", address.kind, address.name));
        }
        put(&mut text, "  }");
    }
    for address in graph.nodes().keys() {
        for on in graph.depends(address) {
            put(&mut text, &format!("  \"{address}\" -> \"{on}\";"));
        }
    }
    text.push_str("}\n");
    text
}

fn mermaid(graph: &engine::Graph) -> String {
    let numbers: BTreeMap<&Address, usize> = graph.nodes().keys().zip(0..).collect();
    let mut text = String::from("flowchart LR\n");
    for (region, addresses) in by_region(graph) {
        put(&mut text, &format!("  subgraph {region}"));
        for address in addresses {
            let label = format!("{}<br/>{}", address.kind, address.name);
            let number = numbers[address];
            if graph.nodes()[address].lookup {
                put(&mut text, &format!("    n{number}([\"{label}\"])"));
            } else {
                put(&mut text, &format!("    n{number}[\"{label}\"]"));
            }
        }
        put(&mut text, "  end");
    }
    for address in graph.nodes().keys() {
        for on in graph.depends(address) {
            if let Some(on) = numbers.get(&on) {
                put(&mut text, &format!("  n{} --> n{on}", numbers[address]));
            }
        }
    }
    text
}

fn put(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
