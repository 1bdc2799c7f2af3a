//! Our share of the partitions: which are ours, what is in them, and what nobody needs any more. Each of these is one step
//! of the server, which looks whose the partition is: whoever was away for too long finds that it is not theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{RedisResult, Value, cmd};

use super::entry::{Entry, list};
use crate::redis::{Link, Partitions, Script, beside};

/// What the server knows of us.
pub struct Share {
    link: Link,
    keys: Partitions,
    /// Who shares them, by when they were heard of last: a sorted set.
    members: String,
    /// Who has which of them: a hash.
    owners: String,
    member: String,
    /// After this long without a sign of life, others have what is ours.
    session: Duration,
    share: Script,
    read: Script,
    done: Script,
    give: Script,
}

/// A partition that is ours since a certain time, and until another has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// Which.
    pub partition: u32,
    mark: String,
}

/// Where somebody reads on.
pub enum From {
    /// Behind this entry, of those that were given to whoever had the partition.
    Again(String),
    /// What nobody was given yet.
    New,
}

impl Share {
    /// All that read partitions are one group, since what one has dealt with is gone for all.
    const GROUP: &'static str = "spanlight";

    /// Of nothing yet.
    pub fn new(link: Link, name: &str, member: String, session: Duration) -> Share {
        let script = |code| Script::new(code);
        Share {
            link,
            keys: Partitions::of(name),
            members: beside(name, "members"),
            owners: beside(name, "owners"),
            member,
            session,
            share: script(include_str!("share.lua")),
            read: script(include_str!("read.lua")),
            done: script(include_str!("done.lua")),
            give: script(include_str!("give.lua")),
        }
    }

    /// Where it is.
    pub fn server(&self) -> &crate::redis::Server {
        self.link.server()
    }

    /// Says that we are alive, and which partitions are ours now, each with whether somebody else is to have it.
    pub async fn renew(&mut self) -> RedisResult<Vec<(Lease, bool)>> {
        self.take_part(b"").await
    }

    /// Gives a partition back.
    pub async fn give(&mut self, lease: &Lease) -> RedisResult<()> {
        let number = lease.partition.to_string();
        let arguments = [number.as_bytes(), lease.mark.as_bytes()];
        self.link.run(&self.give, &[&self.owners], &arguments).await.map(drop)
    }

    /// Gives everything back.
    pub async fn leave(&mut self) -> RedisResult<()> {
        self.take_part(b"1").await.map(drop)
    }

    async fn take_part(&mut self, leaves: &[u8]) -> RedisResult<Vec<(Lease, bool)>> {
        let keys = [self.members.as_str(), &self.owners, self.keys.count()];
        let session = self.session.as_millis().to_string();
        let answer = self.link.run(&self.share, &keys, &[self.member.as_bytes(), session.as_bytes(), leaves]).await?;
        let leases: Vec<(u32, String, bool)> = redis::from_redis_value(answer)?;
        Ok(leases.into_iter().map(|(partition, mark, goes)| (Lease { partition, mark }, goes)).collect())
    }

    /// Some entries of each of these partitions; nothing of those that are not ours.
    pub async fn read(&mut self, from: &[(&Lease, &From)], count: usize) -> RedisResult<Vec<Option<Vec<Entry>>>> {
        let streams: Vec<String> = from.iter().map(|(lease, _)| self.keys.stream(lease.partition)).collect();
        let mut keys = vec![self.owners.as_str()];
        keys.extend(streams.iter().map(String::as_str));
        let numbers: Vec<String> = from.iter().map(|(lease, _)| lease.partition.to_string()).collect();
        let count = count.to_string();
        let mut arguments = vec![Share::GROUP.as_bytes(), count.as_bytes()];
        for ((lease, from), number) in from.iter().zip(&numbers) {
            let from = match from {
                From::Again(id) => id,
                From::New => ">",
            };
            arguments.extend([number.as_bytes(), lease.mark.as_bytes(), from.as_bytes()]);
        }
        let read = match self.link.run(&self.read, &keys, &arguments).await? {
            Value::Array(read) => read,
            _ => Vec::new(),
        };
        let entries = |value: Value| match value {
            Value::Int(_) => None,
            entries => Some(list(entries)),
        };
        Ok(read.into_iter().map(entries).collect())
    }

    /// Takes entries out that nobody needs any more, unless the partition is another's.
    pub async fn done(&mut self, lease: &Lease, entries: &[String]) -> RedisResult<()> {
        /// So that one step stays short.
        const AT_ONCE: usize = 1000;
        let (stream, number) = (self.keys.stream(lease.partition), lease.partition.to_string());
        for entries in entries.chunks(AT_ONCE) {
            let mut arguments = vec![Share::GROUP.as_bytes(), number.as_bytes(), lease.mark.as_bytes()];
            arguments.extend(entries.iter().map(String::as_bytes));
            self.link.run(&self.done, &[&self.owners, &stream], &arguments).await?;
        }
        Ok(())
    }

    /// Waits until there is something behind the last entries that we know of, or for so long.
    pub async fn wait(&mut self, last: &BTreeMap<u32, String>, patience: Duration) -> RedisResult<()> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(1).arg("BLOCK").arg((patience.as_millis() as u64).max(1)).arg("STREAMS");
        last.keys().for_each(|partition| _ = read.arg(self.keys.stream(*partition)));
        last.values().for_each(|id| _ = read.arg(id));
        self.link.query_within(&read, patience + Duration::from_secs(5)).await.map(drop)
    }
}
