//! The dependency arrows: who may use whom, and what nobody may reach.
//!
//! The arrows point from the cores outwards, so that the verifier can be
//! compiled for a browser and an agent's machine never compiles a database.
//! They are read from `cargo metadata`, which knows what is really resolved,
//! not from the manifests' text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, NodeDep};

use super::{CORES, Fault, Spot};

/// The members of the workspace, and for each those that it may use directly,
/// in whatever kind of dependency.
const ARROWS: [(&str, &[&str]); 21] = [
    ("tlog", &[]),
    ("ledger", &["tlog"]),
    ("wire", &["ledger"]),
    ("evidence", &["ledger"]),
    ("timeline", &["ledger", "proving", "tlog"]),
    ("host", &["ledger"]),
    ("process", &[]),
    ("watchdogs", &["ledger"]),
    (
        "observe",
        &["client", "host", "ledger", "tlog", "watchdogs"],
    ),
    (
        "report",
        &["ledger", "proving", "timeline", "tlog", "watchdogs"],
    ),
    ("client", &["host", "ledger", "process", "tlog", "wire"]),
    ("mcp", &["ledger"]),
    (
        "cli",
        &[
            "client",
            "evidence",
            "host",
            "ledger",
            "mcp",
            "observe",
            "proving",
            "report",
            "timeline",
            "tlog",
            "watchdogs",
            "wire",
        ],
    ),
    ("store", &["ledger", "tlog"]),
    ("store-rocks", &["ledger", "proving", "store", "tlog"]),
    (
        "server",
        &["host", "ledger", "store", "timeline", "tlog", "wire"],
    ),
    ("dragonsd", &["ledger", "server", "store", "store-rocks"]),
    ("verifier-wasm", &["evidence", "ledger", "timeline", "tlog"]),
    ("proving", &["evidence", "ledger", "tlog"]),
    ("xtask", &["ledger"]),
    (
        "tests",
        &["client", "evidence", "ledger", "proving", "tlog"],
    ),
];

/// What the cores may not even reach: whatever brings a runtime, a socket, a
/// file, a source of randomness or a log line with it.
const IMPURE: [&str; 13] = [
    "axum",
    "getrandom",
    "hyper",
    "librocksdb-sys",
    "log",
    "metrics",
    "mio",
    "rand",
    "rand_core",
    "reqwest",
    "rocksdb",
    "tokio",
    "tracing",
];

/// The packages that are compiled on an agent's machine.
const AGENT_SIDE: [&str; 2] = ["client", "cli"];

/// What an agent's machine never compiles.
const SERVICE_SIDE: [&str; 3] = ["librocksdb-sys", "rocksdb", "server"];

/// The packages that are compiled and tested without an engine: only the program `dragonsd` names the one that it has.
const ENGINELESS: [&str; 2] = ["store", "server"];

/// The engine: RocksDB and what brings it.
const ENGINE: [&str; 3] = ["librocksdb-sys", "rocksdb", "store-rocks"];

/// Packages by name and what they use. Two versions of one package are one
/// node here: that can only make a closure larger, never hide an arrow.
#[derive(Default)]
pub(super) struct Graph {
    members: BTreeSet<String>,
    uses: BTreeMap<String, BTreeSet<Use>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    package: String,
    stage: Stage,
}

/// When a dependency is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Run,
    Build,
    Test,
}

/// Every fault in the arrows of `graph`.
pub(super) fn check(graph: &Graph) -> Vec<Fault> {
    let mut faults = Vec::new();
    for member in &graph.members {
        faults.extend(unlisted_arrows(graph, member));
    }
    for core in CORES {
        let closure = graph.closure(core, &[Stage::Run]);
        faults.extend(reached(core, &closure, &IMPURE));
    }
    for package in AGENT_SIDE {
        let closure = graph.closure(package, &[Stage::Run, Stage::Build, Stage::Test]);
        faults.extend(reached(package, &closure, &SERVICE_SIDE));
    }
    for package in ENGINELESS {
        let closure = graph.closure(package, &[Stage::Run, Stage::Build, Stage::Test]);
        faults.extend(reached(package, &closure, &ENGINE));
    }
    faults
}

fn unlisted_arrows(graph: &Graph, member: &str) -> Vec<Fault> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == member) else {
        return vec![fault(member, "has no place among the arrows".to_owned())];
    };
    let mut used: Vec<&str> = graph
        .uses_of(member)
        .map(|used| used.package.as_str())
        .filter(|package| graph.members.contains(*package) && !allowed.contains(package))
        .collect();
    used.dedup();
    used.into_iter()
        .map(|package| fault(member, format!("must not use {package}")))
        .collect()
}

fn reached(member: &str, closure: &BTreeSet<&str>, forbidden: &[&str]) -> Vec<Fault> {
    forbidden
        .iter()
        .filter(|package| closure.contains(*package))
        .map(|package| fault(member, format!("must not reach {package}")))
        .collect()
}

fn fault(member: &str, what: String) -> Fault {
    Fault {
        file: format!("{member}/Cargo.toml"),
        spot: Spot::new(1, what),
    }
}

impl Graph {
    /// The graph that cargo resolves for the workspace at `root`.
    pub(super) fn of_workspace(root: &Path) -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .exec()
            .context("tidy asks cargo for the dependencies")?;
        Self::from_metadata(&metadata)
    }

    fn from_metadata(metadata: &Metadata) -> anyhow::Result<Self> {
        let mut graph = Self::default();
        for package in metadata.workspace_packages() {
            graph.members.insert(package.name.to_string());
        }
        let resolved = metadata.resolve.as_ref().context("nothing was resolved")?;
        for node in &resolved.nodes {
            graph.add(metadata, node);
        }
        Ok(graph)
    }

    fn add(&mut self, metadata: &Metadata, node: &Node) {
        let uses = self.uses.entry(metadata[&node.id].name.to_string());
        let uses = uses.or_default();
        for dependency in &node.deps {
            let package = metadata[&dependency.pkg].name.to_string();
            uses.extend(stages(dependency).map(|stage| Use {
                package: package.clone(),
                stage,
            }));
        }
    }

    fn uses_of(&self, package: &str) -> impl Iterator<Item = &Use> {
        self.uses.get(package).into_iter().flatten()
    }

    /// All that `package` needs at `stages`. What the packages behind it need
    /// for their own tests is never compiled for it, and does not count.
    fn closure(&self, package: &str, stages: &[Stage]) -> BTreeSet<&str> {
        let mut closure = BTreeSet::new();
        let mut open: Vec<&Use> = self.uses_of(package).collect();
        while let Some(used) = open.pop() {
            if stages.contains(&used.stage) && closure.insert(used.package.as_str()) {
                let behind = self.uses_of(&used.package);
                open.extend(behind.filter(|used| used.stage != Stage::Test));
            }
        }
        closure
    }
}

fn stages(dependency: &NodeDep) -> impl Iterator<Item = Stage> {
    dependency.dep_kinds.iter().map(|info| match info.kind {
        DependencyKind::Build => Stage::Build,
        DependencyKind::Development => Stage::Test,
        _ => Stage::Run,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of the listed members with these arrows beside none.
    fn graph(arrows: &[(&str, Stage, &str)]) -> Graph {
        let mut graph = Graph {
            members: ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect(),
            ..Graph::default()
        };
        for (from, stage, to) in arrows {
            let uses = graph.uses.entry((*from).to_owned()).or_default();
            uses.insert(Use {
                package: (*to).to_owned(),
                stage: *stage,
            });
        }
        graph
    }

    fn faults(arrows: &[(&str, Stage, &str)]) -> Vec<String> {
        let faults = check(&graph(arrows));
        faults.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn the_drawn_arrows_are_allowed() {
        let drawn: Vec<_> = ARROWS
            .iter()
            .flat_map(|(from, allowed)| allowed.iter().map(|to| (*from, Stage::Run, *to)))
            .collect();
        assert_eq!(faults(&drawn), Vec::<String>::new());
    }

    #[test]
    fn nothing_points_back() {
        for stage in [Stage::Run, Stage::Build, Stage::Test] {
            let expected = ["tlog/Cargo.toml:1: must not use ledger"];
            assert_eq!(faults(&[("tlog", stage, "ledger")]), expected);
        }
    }

    #[test]
    fn an_arrow_in_two_kinds_is_one_fault() {
        let both = [
            ("ledger", Stage::Run, "client"),
            ("ledger", Stage::Test, "client"),
        ];
        assert_eq!(faults(&both).len(), 1);
    }

    #[test]
    fn a_member_without_a_place_is_a_fault() {
        let mut graph = graph(&[]);
        graph.members.insert("helpers".to_owned());
        let expected = "helpers/Cargo.toml:1: has no place among the arrows";
        assert_eq!(check(&graph)[0].to_string(), expected);
    }

    #[test]
    fn a_core_reaches_nothing_impure_through_others() {
        let arrows = [("ledger", Stage::Run, "x"), ("x", Stage::Run, "getrandom")];
        assert_eq!(
            faults(&arrows),
            ["ledger/Cargo.toml:1: must not reach getrandom"]
        );
    }

    #[test]
    fn what_the_tests_of_a_core_need_is_its_own_affair() {
        let arrows = [("tlog", Stage::Test, "x"), ("x", Stage::Run, "rand")];
        assert_eq!(faults(&arrows), Vec::<String>::new());
    }

    #[test]
    fn an_agents_machine_never_compiles_the_service() {
        let direct = faults(&[("cli", Stage::Test, "server")]);
        assert_eq!(
            direct,
            [
                "cli/Cargo.toml:1: must not use server",
                "cli/Cargo.toml:1: must not reach server"
            ]
        );
        let behind = [("client", Stage::Build, "x"), ("x", Stage::Run, "rocksdb")];
        assert_eq!(
            faults(&behind),
            ["client/Cargo.toml:1: must not reach rocksdb"]
        );
    }

    #[test]
    fn the_service_is_tested_without_an_engine() {
        let direct = faults(&[("server", Stage::Test, "store-rocks")]);
        assert_eq!(
            direct,
            [
                "server/Cargo.toml:1: must not use store-rocks",
                "server/Cargo.toml:1: must not reach store-rocks"
            ]
        );
        let behind = [("store", Stage::Build, "x"), ("x", Stage::Run, "rocksdb")];
        let reached = faults(&behind);
        assert_eq!(reached, ["store/Cargo.toml:1: must not reach rocksdb"]);
    }

    #[test]
    fn circles_end() {
        let arrows = [("x", Stage::Run, "y"), ("y", Stage::Run, "x")];
        assert_eq!(graph(&arrows).closure("x", &[Stage::Run]).len(), 2);
    }

    #[test]
    fn the_graph_of_this_workspace_has_the_listed_members() {
        let graph = Graph::of_workspace(crate::repository()).expect("cargo resolves");
        let listed: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
        assert_eq!(graph.members.len(), listed.len());
        assert!(graph.members.iter().all(|m| listed.contains(&m.as_str())));
        assert!(graph.closure("ledger", &[Stage::Run]).contains("sha2"));
    }
}
