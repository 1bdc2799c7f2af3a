//! Events as other systems send them, a file for each kind of system, and the events of the catalogue that they are.

// Every test that looks at them uses another part.
#![allow(dead_code)]

use serde_json::{Map, Value, json};

/// What a system sends at once.
pub struct Case {
    /// Where it stands, for whoever reads that it failed.
    pub place: String,
    /// The event as an object of its own.
    pub sent: Value,
    /// Its name and the rest, for code that emits it.
    pub name: String,
    pub rest: Value,
    /// Members that the events have which come of it; null where they have none.
    pub expected: Vec<Value>,
}

/// All of them.
pub fn all() -> Vec<Case> {
    let files = [
        ("emitter", include_str!("emitter.json")),
        ("instrumentation", include_str!("instrumentation.json")),
        ("runtime", include_str!("runtime.json")),
        ("orchestrator", include_str!("orchestrator.json")),
        ("bus", include_str!("bus.json")),
    ];
    let cases = files.iter().flat_map(|(system, file)| {
        let file: Value = serde_json::from_str(file).unwrap();
        let cases = file["cases"].as_array().unwrap().clone();
        cases.into_iter().enumerate().map(move |(at, case)| Case::read(format!("{system} {at}"), &case))
    });
    cases.collect()
}

impl Case {
    fn read(place: String, case: &Value) -> Case {
        let expected = case["expected"].as_array().unwrap().clone();
        if let Some([name, rest]) = case["emit"].as_array().map(Vec::as_slice) {
            let sent = json!({"event_type": name, "payload": rest});
            return Case { place, sent, name: name.as_str().unwrap().to_owned(), rest: rest.clone(), expected };
        }
        let sent = case["event"].clone();
        let named = if sent["event"].is_object() { &sent["event"] } else { &sent };
        // What is emitted by code is named by its argument; a scope and a type together are the catalogue's name.
        let (name, rest) = match named["scope"].as_str() {
            Some(_) => (expected[0]["name"].clone(), without(named, &["scope", "type", "event_type"])),
            None if named["event_type"].is_string() => (named["event_type"].clone(), without(named, &["event_type"])),
            None => (named["type"].clone(), without(named, &["type"])),
        };
        Case { place, sent, name: name.as_str().unwrap().to_owned(), rest, expected }
    }

    /// The event as an entry of a stream: a field for each member, all of them text.
    pub fn entry(&self) -> Vec<(String, String)> {
        let members = self.sent.as_object().unwrap().iter();
        members
            .map(|(key, value)| match value {
                Value::String(text) => (key.clone(), text.clone()),
                Value::Null => (key.clone(), "None".to_owned()),
                value => (key.clone(), value.to_string()),
            })
            .collect()
    }

    /// Holds the events that came of it against those that should.
    pub fn check(&self, got: &[Value], how: &str) {
        let place = format!("{}, {how}", self.place);
        assert_eq!(got.len(), self.expected.len(), "{place}: {got:?}");
        for (got, expected) in got.iter().zip(&self.expected) {
            fits(got, expected, &place);
        }
    }
}

fn without(object: &Value, keys: &[&str]) -> Value {
    let members = object.as_object().unwrap().iter().filter(|(key, _)| !keys.contains(&key.as_str()));
    Value::Object(members.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
}

fn fits(got: &Value, expected: &Value, place: &str) {
    match expected {
        Value::Object(members) => {
            for (key, expected) in members {
                fits(&got[key], expected, &format!("{place}, {key}"));
            }
        }
        Value::Number(number) => assert_eq!(got.as_f64(), number.as_f64(), "{place}"),
        expected => assert_eq!(got, expected, "{place}"),
    }
}
