//! A connection on which a case writes HTTP/1.1 itself: what no well-behaved client would, or in which order none would.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::answer::{Answer, Post, in_time};
use super::case::{Trouble, unmet};
use super::peer::{Peer, Stream};

/// No answer that means anything is larger.
const LARGEST: usize = 8 << 20;

/// A connection.
pub struct Raw {
    read: ReadHalf<Stream>,
    write: WriteHalf<Stream>,
    /// What has come and is not yet part of an answer.
    waiting: Vec<u8>,
}

impl Raw {
    /// To a receiver.
    pub async fn dial(peer: &Peer) -> Result<Raw, Trouble> {
        match peer.dial().await {
            Ok(stream) => {
                let (read, write) = tokio::io::split(stream);
                Ok(Raw { read, write, waiting: Vec::new() })
            }
            Err(error) => unmet("a connection", error),
        }
    }

    /// Writes bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let written = async {
            self.write.write_all(bytes).await?;
            self.write.flush().await
        };
        written.await.or_else(|error| unmet("a connection that takes the request", format!("it broke: {error}")))
    }

    /// Writes a piece again and again, until an answer begins or `times` are written.
    pub async fn flood(&mut self, piece: &[u8], times: usize) -> Result<(), Trouble> {
        let Raw { read, write, waiting } = self;
        let mut buffer = vec![0; 4096];
        let mut flooding = std::pin::pin!(async {
            for _ in 0..times {
                // Whoever has refused stops reading. What it said is looked at, not that.
                if write.write_all(piece).await.is_err() {
                    break;
                }
            }
            write.flush().await.unwrap_or_default();
        });
        let done = async {
            tokio::select! {
                () = &mut flooding => Ok(()),
                came = read.read(&mut buffer) => {
                    waiting.extend_from_slice(&buffer[..came.unwrap_or(0)]);
                    Ok(())
                }
            }
        };
        in_time(done).await
    }

    /// The next answer, interim ones too.
    pub async fn answer(&mut self, asked: &Post) -> Result<Answer, Trouble> {
        in_time(async {
            let head_len = self.until("an answer", |waiting| find(waiting, b"\r\n\r\n").map(|at| at + 4)).await?;
            let head: Vec<u8> = self.waiting.drain(..head_len).collect();
            let Some((status, headers)) = parse(&head) else {
                return unmet("an answer of HTTP/1.1", String::from_utf8_lossy(&head).into_owned());
            };
            let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let body = if status.is_informational() {
                Vec::new()
            } else if text("transfer-encoding").eq_ignore_ascii_case("chunked") {
                let len = self.until("the last chunk", |waiting| find(waiting, b"0\r\n\r\n").map(|at| at + 5)).await?;
                self.waiting.drain(..len).collect()
            } else {
                let len: usize = text("content-length").parse().unwrap_or(0);
                let len = self.until("the whole body", |waiting| (waiting.len() >= len).then_some(len)).await?;
                self.waiting.drain(..len).collect()
            };
            Ok(Answer { status, version: Version::HTTP_11, headers, body: body.into(), asked: asked.clone() })
        })
        .await
    }

    async fn until(&mut self, what: &str, enough: impl Fn(&[u8]) -> Option<usize>) -> Result<usize, Trouble> {
        let mut buffer = vec![0; 4096];
        loop {
            if let Some(len) = enough(&self.waiting) {
                return Ok(len);
            }
            if self.waiting.len() > LARGEST {
                return unmet(what, "more than 8 MiB without an end");
            }
            match self.read.read(&mut buffer).await {
                Ok(0) => return unmet(what, "the connection was closed"),
                Ok(len) => self.waiting.extend_from_slice(&buffer[..len]),
                Err(error) => return unmet(what, format!("the connection broke: {error}")),
            }
        }
    }
}

impl Peer {
    /// The head of a request as it stands on the wire, without a length and without the empty line.
    pub fn head(&self, post: &Post) -> String {
        let path = self.path(post.path());
        let mut head = format!("{} {path} HTTP/1.1\r\nHost: {}\r\n", post.method, self.authority());
        head.push_str(&format!("Content-Type: {}\r\n", post.content_type));
        for (name, value) in &self.target().headers {
            head.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
        }
        for (name, value) in &post.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head
    }

    /// A whole request as it stands on the wire.
    pub fn on_the_wire(&self, post: &Post) -> Vec<u8> {
        let mut out = format!("{}Content-Length: {}\r\n\r\n", self.head(post), post.body.len()).into_bytes();
        out.extend_from_slice(&post.body);
        out
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn parse(head: &[u8]) -> Option<(StatusCode, HeaderMap)> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
    };
    Some((status, lines.filter_map(header).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_answers_are_read() {
        let (status, headers) = parse(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nA: b\r\n\r\n").unwrap();
        assert_eq!((status.as_u16(), headers["content-length"].to_str().unwrap()), (413, "2"));
        assert!(parse(b"SSH-2.0\r\n\r\n").is_none());
    }
}
