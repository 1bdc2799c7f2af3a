//! Derivation from the outside: telemetry arrives in any order, twice, late or never, and means the same.
#![allow(clippy::unwrap_used, clippy::panic)]

mod arrival;
mod billing;
mod bounds;
mod coding_agents;
mod conformance;
mod cost;
mod dialects;
mod events;
mod frameworks;
mod inference;
mod instrumentations;
mod joining;
mod lateness;
mod loops;
mod made_up;
mod outcomes;
mod people;
mod promoted;
mod references;
mod rust;
mod said;
mod scene;
mod simulation;
mod spending;
mod tasks;
