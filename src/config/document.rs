//! A configuration in its general shape, before components are typed, and what may be wrong with one.

use std::fmt;

use super::{ComponentId, Node, Override, Place, Section, Service, env, service, yaml};

/// The configuration that a bare `spanlight` runs with.
pub const DEFAULT: &str = include_str!("../../collector-config/default.yaml");

/// A configuration in its general shape: components still untyped.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tree, with variables replaced and overrides applied.
    pub tree: Node,
    /// All components by section.
    pub components: Vec<(Section, ComponentId, Node)>,
    /// What runs.
    pub service: Service,
    /// Where values stand whose variables could not be replaced.
    pub(super) unresolved: Vec<Place>,
}

/// Something wrong in a configuration: where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The keys on the way there.
    pub path: String,
    /// What is wrong, and the remedy.
    pub message: String,
}

impl Config {
    /// Reads a configuration as far as it can be read, and says what is wrong with it. `lookup` gives the
    /// environment's variables.
    pub fn parse(
        text: &str,
        overrides: &[Override],
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> (Option<Config>, Vec<Problem>) {
        let mut tree = match yaml::parse(text) {
            Ok(tree) => tree,
            Err(problem) => return (None, vec![problem]),
        };
        overrides.iter().for_each(|change| change.apply(&mut tree));
        let mut problems = Vec::new();
        env::substitute(&mut tree, lookup, &mut problems);
        let unresolved = problems.iter().map(|problem| problem.place).collect();
        let config = service::read(tree, unresolved, &mut problems);
        (config, problems)
    }

    /// Whether a problem with a component comes from a variable that could not be replaced, which is a problem of
    /// its own.
    pub fn is_explained(&self, problem: &Problem, component: &Node) -> bool {
        let of_all = problem.place == component.place;
        self.unresolved.iter().any(|place| *place == problem.place || (of_all && component.holds(*place)))
    }

    /// The untyped configuration of a component.
    pub fn component(&self, section: Section, id: &ComponentId) -> Option<&Node> {
        let mut components = self.components.iter();
        components.find(|(of, known, _)| *of == section && known == id).map(|(_, _, node)| node)
    }
}

impl Problem {
    /// The same problem, seen from further out.
    pub fn below(mut self, path: &str) -> Problem {
        self.path = match (path, self.path.as_str()) {
            (outer, "") => outer.to_owned(),
            ("", inner) => inner.to_owned(),
            (outer, inner) => format!("{outer}.{inner}"),
        };
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.line > 0 {
            write!(f, "line {}: ", self.place.line)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
