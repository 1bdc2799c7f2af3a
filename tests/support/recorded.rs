//! The recorded runs of `tests/data/corpus`: the requests of each, as they came.

use std::path::{Path, PathBuf};

use spanlight::otlp::json::from_json;
use spanlight::otlp::{Batch, Signal};

/// The requests of a folder in the order in which they came. `001.traces.pb` and `002.logs.otlp.json` say what they are.
pub fn requests(scenario: &Path) -> impl Iterator<Item = Batch> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(scenario).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?.to_owned();
        let mut parts = name.splitn(3, '.').skip(1);
        let said = parts.next()?;
        let signal = Signal::ALL.into_iter().find(|signal| signal.name() == said)?;
        let body = std::fs::read(&path).unwrap();
        let bytes = match parts.next()? {
            "pb" => body,
            "otlp.json" => from_json(&body, signal.schema()).unwrap(),
            _ => return None,
        };
        Some(Batch::read(signal, bytes.into()).unwrap().batch)
    })
}
