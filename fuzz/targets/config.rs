//! Configuration: no text makes the parser or the planner panic, and every problem has a place.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use spanlight::config::{Config, Problem, print};
use spanlight::pipeline::plan;

fuzz_target!(|text: &str| -> Corpus {
    let lookup = |name: &str| match name {
        "PORT" => Some("4317".to_owned()),
        "MAP" => Some("{a: 1}".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    // Nothing outside is asked: hosts are looked up when an address is read, and files when they are named.
    if text.contains("endpoint") && !text.contains("127.0.0.1") || text.contains("file:/") {
        return Corpus::Reject;
    }
    let (config, problems) = Config::parse(text, &[], &lookup);
    problems.iter().for_each(has_place);
    let Some(config) = config else {
        assert!(!problems.is_empty(), "refused without a word");
        return Corpus::Keep;
    };
    assert!(!print(&config.tree).contains('\0'));
    match plan(&config) {
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word");
            problems.iter().for_each(has_place);
        }
        Ok(plan) => plan.warnings.iter().for_each(has_place),
    }
    Corpus::Keep
});

fn has_place(problem: &Problem) {
    assert!(problem.place.line > 0, "{problem:?}");
    assert!(!problem.message.is_empty(), "{problem:?}");
}
