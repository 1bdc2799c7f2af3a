//! The built binary, from the outside: what goes in, what comes out, and what it says when something is wrong.
#![allow(clippy::unwrap_used, clippy::panic)]

mod auth;
mod budgets;
mod clients;
mod commands;
mod configuration;
mod conformance;
mod content;
mod corpus;
mod credentials;
mod deliver;
mod demo;
mod disk_queue;
mod documents;
mod example_configurations;
mod exporters;
mod files;
mod forward;
mod guides;
mod history;
mod hostile;
mod isolation;
mod journal;
mod ledger;
mod library;
mod measure;
mod pages;
mod process;
mod prometheus;
mod queue;
mod read_back;
mod receive;
#[path = "../support/recorded.rs"]
mod recorded;
mod redis;
mod sdk;
mod secrets;
mod socket;
mod stack;
mod stop;
mod support;
mod tls;
#[path = "../golden/truth.rs"]
mod truth;
