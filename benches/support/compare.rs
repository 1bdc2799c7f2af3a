//! A small harness for ratios: contenders take short turns, and the medians of many are compared, so that a noisy
//! machine slows all of them alike.

use std::time::{Duration, Instant};

/// One thing to time: a name, how many units a call handles, and the call.
pub struct Contender<'a> {
    pub name: &'static str,
    pub units: usize,
    pub run: Box<dyn FnMut() + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'static str, units: usize, run: impl FnMut() + 'a) -> Contender<'a> {
        Contender { name, units, run: Box::new(run) }
    }
}

/// Times all contenders in turn and prints each one's median time per unit and its ratio to the first.
pub fn compare(title: &str, unit: &str, mut contenders: Vec<Contender<'_>>) {
    const ROUNDS: usize = 61;
    const ROUND: Duration = Duration::from_millis(8);
    let calls: Vec<u32> = contenders
        .iter_mut()
        .map(|contender| {
            let start = Instant::now();
            let mut calls = 0;
            while calls == 0 || start.elapsed() < ROUND {
                (contender.run)();
                calls += 1;
            }
            calls
        })
        .collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for _ in 0..ROUNDS {
        for (index, contender) in contenders.iter_mut().enumerate() {
            let start = Instant::now();
            for _ in 0..calls[index] {
                (contender.run)();
            }
            times[index].push(start.elapsed().as_secs_f64() / f64::from(calls[index]) / contender.units as f64);
        }
    }
    println!("{title}");
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    for (index, contender) in contenders.iter().enumerate() {
        let ratio = median(times[index].iter().zip(&times[0]).map(|(own, first)| own / first).collect());
        let nanos = median(times[index].clone()) * 1e9;
        println!("  {:<44} {nanos:>9.1} ns/{unit}  {ratio:>6.3} x", contender.name);
    }
}
