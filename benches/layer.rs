//! The layer: what a span costs the agent's own thread, against a span that a registry and an idle layer see.
//!
//! A process has one subscriber, so every scenario is a process: this program again, with the scenario's name. Each
//! is paired with a run of its unit right before it, so that a noisy machine slows both alike.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "layer/burst.rs"]
mod burst;
#[path = "layer/scenario.rs"]
mod scenario;

use std::process::Command;

use burst::Measured;
use scenario::{Form, SCENARIOS, Scenario};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match &words[..] {
        [marker, name, form] if marker == "--scenario" => child(name, form),
        [rounds] => parent(rounds.parse().expect("a number of rounds")),
        _ => parent(5),
    }
}

fn child(name: &str, form: &str) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
    let measured = (scenario.run)(Form::parse(form));
    println!("{}", serde_json::to_string(&measured).expect("JSON"));
}

fn parent(rounds: usize) {
    let mut lines: Vec<Line> = SCENARIOS.iter().flat_map(Line::of).collect();
    for _ in 0..rounds {
        lines.iter_mut().for_each(Line::run);
    }
    println!("{:<48} {:>4} {:>22} {:>9} {:>7} {:>7}", "", "", "x its unit", "ns/span", "CPU ns", "events");
    let mut unit = "";
    for line in &lines {
        if line.scenario.unit != unit {
            unit = line.scenario.unit;
            println!("against {unit}");
        }
        line.print();
    }
}

/// One scenario in one form, and what it took, each time behind the unit of that time.
struct Line {
    scenario: &'static Scenario,
    form: Form,
    pairs: Vec<(Measured, Measured)>,
}

impl Line {
    fn of(scenario: &'static Scenario) -> impl Iterator<Item = Line> {
        scenario.forms.iter().map(move |form| Line { scenario, form: *form, pairs: Vec::new() })
    }

    fn run(&mut self) {
        let unit = measure(self.scenario.unit, self.form);
        self.pairs.push((unit, measure(self.scenario.name, self.form)));
    }

    fn print(&self) {
        let mut ratios: Vec<f64> = self.pairs.iter().map(|(unit, own)| own.nanos / unit.nanos).collect();
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        let range = format!("{:.2} ({least:.2} to {most:.2})", median(ratios));
        let of = |read: fn(&Measured) -> f64| median(self.pairs.iter().map(|(_, own)| read(own)).collect());
        let (nanos, cpu, events) = (of(|own| own.nanos), of(|own| own.cpu_nanos), of(|own| own.events));
        let (name, form) = (self.scenario.name, self.form.name());
        println!("  {name:<46} {form:>4} {range:>22} {nanos:>9.0} {cpu:>7.0} {events:>7.2}");
        let dropped: u64 = self.pairs.iter().map(|(_, own)| own.dropped).sum();
        if dropped > 0 {
            println!("    {dropped} pieces found no room, so the figure flatters");
        }
    }
}

fn measure(scenario: &str, form: Form) -> Measured {
    let program = std::env::current_exe().expect("this program");
    let out = Command::new(program).args(["--scenario", scenario, form.name()]).output().expect("a process");
    assert!(out.status.success(), "{scenario}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("what was measured")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
