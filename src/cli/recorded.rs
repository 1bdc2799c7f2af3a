//! Files with recorded telemetry: events as JSON lines, and bodies of OTLP, packed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use super::Failure;
use crate::otlp::{Batch, Signal};

/// A piece of what a file has, and the line where it begins.
#[derive(Debug, PartialEq)]
pub enum Piece {
    /// An event, or several, as JSON.
    Event(String),
    /// A request of OTLP, as JSON or as protobuf.
    Otlp(Signal, Body),
    /// What nobody understands, and why.
    Broken(String),
}

/// A request of OTLP.
#[derive(Debug, PartialEq)]
pub enum Body {
    /// OTLP/JSON.
    Json(Bytes),
    /// Protobuf.
    Protobuf(Bytes),
}

/// No file of JSON in one piece, or of protobuf, is larger.
const LARGEST: u64 = 256 << 20;

/// Hands over all pieces of a file, one after the other; `-` is standard input.
pub fn read(path: &Path, mut take: impl FnMut(u64, Piece) -> Result<(), Failure>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot read {}: {error}", path.display()));
    let input: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(failed)?),
    };
    let mut input = unpacked(BufReader::new(input)).map_err(failed)?;
    let first = input.fill_buf().map_err(failed)?;
    let is_json = first.trim_ascii_start().first().is_some_and(|first| b"{[".contains(first));
    if first.is_empty() {
        return Ok(());
    }
    if !is_json {
        return take(1, protobuf(path, whole(&mut input, Vec::new()).map_err(failed)?));
    }
    let (mut line, mut number) = (Vec::new(), 0);
    while input.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        number += 1;
        let text = line.trim_ascii();
        match serde_json::from_slice::<Value>(text) {
            _ if text.is_empty() => {}
            Ok(value) => take(number, piece(&value, text))?,
            // It may be one value in many lines.
            Err(error) if number == 1 => {
                let all = whole(&mut input, std::mem::take(&mut line)).map_err(failed)?;
                return match serde_json::from_slice::<Value>(&all) {
                    Ok(value) => take(1, piece(&value, &all)),
                    Err(_) => by_line(&all, error, take),
                };
            }
            Err(error) => take(number, Piece::Broken(format!("not JSON: {error}")))?,
        }
        line.clear();
    }
    Ok(())
}

/// Lines of which the first is broken.
fn by_line(
    all: &[u8],
    error: serde_json::Error,
    mut take: impl FnMut(u64, Piece) -> Result<(), Failure>,
) -> Result<(), Failure> {
    take(1, Piece::Broken(format!("not JSON: {error}")))?;
    for (line, number) in all.split(|byte| *byte == b'\n').zip(1..).skip(1) {
        let text = line.trim_ascii();
        match serde_json::from_slice::<Value>(text) {
            _ if text.is_empty() => {}
            Ok(value) => take(number, piece(&value, text))?,
            Err(error) => take(number, Piece::Broken(format!("not JSON: {error}")))?,
        }
    }
    Ok(())
}

fn whole(input: &mut impl Read, mut begun: Vec<u8>) -> io::Result<Vec<u8>> {
    input.take(LARGEST).read_to_end(&mut begun)?;
    if begun.len() as u64 >= LARGEST {
        return Err(io::Error::other("it is in one piece, and larger than 256 MiB"));
    }
    Ok(begun)
}

/// What was packed as gzip or zstd, unpacked.
fn unpacked(mut input: impl BufRead + 'static) -> io::Result<Box<dyn BufRead>> {
    let first = input.fill_buf()?;
    Ok(if first.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(input)))
    } else if first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(BufReader::new(zstd::Decoder::with_buffer(input)?))
    } else {
        Box::new(input)
    })
}

fn piece(value: &Value, text: &[u8]) -> Piece {
    let keys =
        [("resourceSpans", Signal::Traces), ("resourceLogs", Signal::Logs), ("resourceMetrics", Signal::Metrics)];
    let signal = keys.into_iter().find(|(key, _)| value.get(key).is_some()).map(|(_, signal)| signal);
    match signal {
        Some(signal) => Piece::Otlp(signal, Body::Json(Bytes::copy_from_slice(text))),
        None => Piece::Event(String::from_utf8_lossy(text).into_owned()),
    }
}

/// A request of OTLP; of which signal says its name, or else what it can be.
fn protobuf(path: &Path, bytes: Vec<u8>) -> Piece {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let signals = [("trace", Signal::Traces), ("log", Signal::Logs), ("metric", Signal::Metrics)];
    let bytes = Bytes::from(bytes);
    let has_items = |signal| Batch::read(signal, bytes.clone()).is_ok_and(|read| read.batch.items() > 0);
    let mut by_name = signals.iter().filter(|(word, _)| name.contains(word)).chain(&signals);
    match by_name.find(|(_, signal)| has_items(*signal)) {
        Some((_, signal)) => Piece::Otlp(*signal, Body::Protobuf(bytes)),
        None => Piece::Broken("neither JSON nor a request of OTLP".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pieces(name: &str, content: &[u8]) -> Vec<(u64, Piece)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        let mut pieces = Vec::new();
        read(&path, |line, piece| {
            pieces.push((line, piece));
            Ok(())
        })
        .unwrap();
        pieces
    }

    fn event(text: &str) -> Piece {
        Piece::Event(text.into())
    }

    #[test]
    fn files_are_taken_for_what_they_are() {
        let lines = b"{\"name\":\"a.b\"}\n\nnonsense\n{\"resourceSpans\":[]}\n";
        let spans = Piece::Otlp(Signal::Traces, Body::Json(Bytes::from_static(b"{\"resourceSpans\":[]}")));
        let found = pieces("x.jsonl", lines);
        assert_eq!((&found[0], &found[2]), (&(1, event("{\"name\":\"a.b\"}")), &(4, spans)));
        assert!(matches!(&found[1], (3, Piece::Broken(why)) if why.contains("JSON")));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(lines).unwrap();
        assert_eq!(pieces("x.jsonl.gz", &packed.finish().unwrap()), found);
        assert_eq!(pieces("x.zst", &zstd::encode_all(&lines[..], 1).unwrap()), found);
        assert_eq!(pieces("x.json", b"{\n \"name\": \"a.b\"\n}\n"), [(1, event("{\n \"name\": \"a.b\"\n}\n"))]);
        assert_eq!(pieces("x.json", b"{broken\n{\"name\":\"a.b\"}").len(), 2);
        assert_eq!(pieces("empty", b""), []);
        assert!(matches!(pieces("x.pb", b"\x01\x02")[0].1, Piece::Broken(_)));
    }

    #[test]
    fn a_request_is_of_the_signal_that_it_can_be() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus");
        for (file, signal) in
            [("node_mastra/002.logs.pb", Signal::Logs), ("anthropic_sdk_tools/001.traces.pb", Signal::Traces)]
        {
            let bytes = std::fs::read(corpus.join(file)).unwrap();
            for name in [Path::new(file).file_name().unwrap().to_str().unwrap(), "body.pb"] {
                let found = pieces(name, &bytes);
                assert_eq!(found, [(1, Piece::Otlp(signal, Body::Protobuf(bytes.clone().into())))], "{name}");
            }
        }
    }
}
