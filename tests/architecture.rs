//! The rules of the house, checked: who may import whom, what stays pure, and how long things may get.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order of the data path, and what each may import. A module that is not here may not be.
const IMPORTS: &[(&str, &[&str])] = &[
    ("duration", &[]),
    ("nearest", &[]),
    ("blocking", &[]),
    ("semconv", &[]),
    ("event", &["duration", "nearest"]),
    ("otlp", &["event", "semconv"]),
    ("dialect", &["event", "otlp", "semconv"]),
    ("derive", &["dialect", "duration", "event", "otlp", "semconv"]),
    ("measure", &["derive", "dialect", "duration", "event", "otlp", "semconv"]),
    ("budget", &["derive", "event", "nearest"]),
    ("layer", &["derive", "event", "otlp", "semconv"]),
    ("flow", &["duration", "event", "otlp"]),
    ("health", &["measure"]),
    ("bus", &["duration", "event", "flow", "health"]),
    ("content", &["event", "flow", "health", "otlp", "semconv"]),
    ("config", &["duration", "nearest", "otlp"]),
    ("console", &["duration", "event"]),
    ("report", &["console", "event"]),
    ("reload", &[]),
    ("tls", &["config", "event", "reload", "report"]),
    ("kafka", &["config", "reload", "tls"]),
    ("redis", &["config", "duration", "tls"]),
    ("auth", &["config", "event", "reload"]),
    ("listen", &["flow", "health", "reload", "report", "tls"]),
    (
        "receive",
        &["auth", "config", "event", "flow", "health", "kafka", "listen", "otlp", "redis", "reload", "report", "tls"],
    ),
    ("process", &["config", "content", "dialect", "event", "flow", "health", "otlp", "semconv"]),
    ("hub", &["bus", "event", "flow"]),
    ("recent", &["event", "otlp"]),
    ("journal", &["event", "health"]),
    ("history", &["derive", "dialect", "event", "flow", "health", "journal", "report"]),
    ("merge", &["event", "flow", "hub"]),
    ("state", &[]),
    (
        "connector",
        &["budget", "derive", "event", "flow", "health", "measure", "otlp", "recent", "report", "semconv", "state"],
    ),
    (
        "export",
        &[
            "blocking", "config", "console", "content", "derive", "duration", "event", "flow", "health", "journal",
            "kafka", "measure", "otlp", "redis", "reload", "report", "semconv", "tls",
        ],
    ),
    (
        "archive",
        &[
            "blocking", "config", "console", "content", "duration", "event", "export", "health", "history", "journal",
            "report", "tls",
        ],
    ),
    (
        "web",
        &[
            "auth",
            "blocking",
            "budget",
            "config",
            "connector",
            "derive",
            "dialect",
            "duration",
            "event",
            "flow",
            "health",
            "history",
            "hub",
            "listen",
            "measure",
            "nearest",
            "otlp",
            "recent",
            "tls",
        ],
    ),
    (
        "pipeline",
        &[
            "archive",
            "auth",
            "blocking",
            "budget",
            "config",
            "connector",
            "console",
            "derive",
            "event",
            "export",
            "flow",
            "health",
            "history",
            "hub",
            "journal",
            "listen",
            "measure",
            "merge",
            "nearest",
            "otlp",
            "process",
            "receive",
            "recent",
            "reload",
            "report",
            "tls",
            "web",
        ],
    ),
    (
        "telemetry",
        &[
            "bus",
            "budget",
            "connector",
            "console",
            "content",
            "derive",
            "event",
            "export",
            "flow",
            "health",
            "hub",
            "layer",
            "measure",
            "otlp",
            "report",
            "semconv",
            "tls",
        ],
    ),
    // From the outside, with nothing of the receiver that it is tried on.
    ("conformance", &["console", "export", "otlp", "tls"]),
    ("demo", &[]),
    (
        "cli",
        &[
            "config",
            "conformance",
            "console",
            "demo",
            "duration",
            "event",
            "measure",
            "otlp",
            "pipeline",
            "report",
            "telemetry",
            "tls",
        ],
    ),
];

/// No I/O, no clock, no tasks: what these mean must not depend on where they run.
const PURE: &[&str] =
    &["duration", "nearest", "semconv", "event", "otlp", "dialect", "derive", "measure", "budget", "flow"];

const LONGEST_FILE: usize = 500;
const LONGEST_MEDIAN: usize = 150;
const LONGEST_FUNCTION: usize = 80;

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(module) = source.module() else { continue };
        let known = IMPORTS.iter().position(|(name, _)| *name == module);
        let Some(at) = known else {
            wrong.push(format!("{}: the module `{module}` has no line in IMPORTS", source.name()));
            continue;
        };
        for imported in source.imports() {
            if imported != module && !IMPORTS[at].1.contains(&imported.as_str()) {
                wrong.push(format!("{}: `{module}` may not import `{imported}`", source.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_imports_has_no_cycle_and_nothing_that_is_unused() {
    for (at, (module, imports)) in IMPORTS.iter().enumerate() {
        let used: BTreeSet<String> = sources()
            .iter()
            .filter(|source| source.module().as_deref() == Some(module))
            .flat_map(Source::imports)
            .collect();
        for import in *imports {
            let before = IMPORTS[..at].iter().any(|(name, _)| name == import);
            assert!(before, "`{module}` imports `{import}`, which does not come before it");
            assert!(used.contains(*import), "`{module}` may import `{import}`, and does not");
        }
    }
}

/// What the demonstration does, any program can do.
#[test]
fn the_demonstration_uses_what_the_library_gives_to_programs() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let given = library.split("pub use ").skip(1).filter_map(|list| list.split(';').next());
    let mut given: BTreeSet<&str> =
        given.flat_map(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
    given.extend(["workflow_span", "step_span", "agent_span", "llm_span", "tool_span"]);
    let mut seen = 0;
    for source in sources().iter().filter(|source| source.module().as_deref() == Some("demo")) {
        for used in names_behind(&source.code(), "spanlight::") {
            assert!(given.contains(used.as_str()), "{} uses `spanlight::{used}`", source.name());
            seen += 1;
        }
    }
    assert!(seen > 5, "the demonstration uses nothing of the library");
}

#[test]
fn pure_modules_wait_for_nothing() {
    for source in sources() {
        if source.module().is_none_or(|module| !PURE.contains(&module.as_str())) {
            continue;
        }
        let code = source.code();
        for word in ["tokio", "async fn", "std::net", "std::fs", "Instant::now"] {
            assert!(!code.contains(word), "{} is pure and names `{word}`", source.name());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for source in sources() {
        let first = source.text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! "), "{} does not open with `//!` and its job", source.name());
        assert!(first.trim_end().len() > 15, "{} says too little of its job: {first}", source.name());
    }
}

#[test]
fn files_and_functions_stay_small() {
    let sources = sources();
    let mut lengths: Vec<usize> = sources.iter().map(|source| source.code().lines().count()).collect();
    for (source, length) in sources.iter().zip(&lengths) {
        assert!(*length <= LONGEST_FILE, "{} has {length} lines", source.name());
    }
    for source in &sources {
        for (line, length) in functions(&source.text) {
            assert!(length <= LONGEST_FUNCTION, "{}:{line}: a function of {length} lines", source.name());
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= LONGEST_MEDIAN, "half of the files have more than {median} lines");
}

#[test]
fn main_only_calls_the_command_line() {
    let main = fs::read_to_string(root().join("src/main.rs")).unwrap();
    let code: Vec<&str> = main.lines().filter(|line| !line.starts_with("//") && !line.is_empty()).collect();
    assert!(code.len() < 15, "main.rs does more than parse, load and run:\n{main}");
}

/// A source file of the crate.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The path below `src`.
    fn name(&self) -> String {
        self.path.strip_prefix(root().join("src")).unwrap().display().to_string()
    }

    /// The top-level module it belongs to; none for `lib.rs` and `main.rs`.
    fn module(&self) -> Option<String> {
        let name = self.name();
        let first = name.split('/').next()?.trim_end_matches(".rs").to_owned();
        (!["lib", "main"].contains(&first.as_str())).then_some(first)
    }

    /// Everything but comments and tests.
    fn code(&self) -> String {
        let text = self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// The modules of the crate that it names.
    fn imports(&self) -> BTreeSet<String> {
        // `crate::nearest` is a function that the root re-exports from the module of the same name.
        names_behind(&self.code(), "crate::")
    }
}

/// The names behind a path in code, also those in braces.
fn names_behind(code: &str, path: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // What macros expand to is the business of whoever uses them.
    for (at, _) in code.match_indices(path).filter(|(at, _)| !code[..*at].ends_with('$')) {
        let after = &code[at + path.len()..];
        let named = match after.strip_prefix('{') {
            Some(list) => list.split_once('}').map_or(list, |(list, _)| list).split(',').collect(),
            None => vec![after],
        };
        let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        names.extend(named.into_iter().map(name));
    }
    names
}

/// Line and length of every function, tests included. `rustfmt` puts the closing brace below the `fn`.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let begins = ["fn ", "pub fn ", "pub(super) fn ", "async fn ", "pub async fn ", "const fn ", "pub const fn "];
        if begins.iter().any(|begin| code.starts_with(begin)) {
            let end = format!("{indent}}}");
            let length = lines[at..].iter().position(|line| *line == end).map_or(1, |length| length + 1);
            found.push((at + 1, length));
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source { text: fs::read_to_string(&path).unwrap(), path });
            }
        }
    }
    assert!(found.len() > 100, "the sources were not found");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}
