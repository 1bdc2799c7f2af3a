//! What stands between a collector and its storage, so that the collector can be killed at a moment of an upload.

use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// When a connection stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Never: everything goes through.
    Never,
    /// When this many bytes of the request have gone on.
    Within(usize),
    /// When the storage has answered, before the answer comes back.
    BeforeAnswer,
    /// When the answer has come back.
    BehindAnswer,
}

/// A port that hands everything on.
pub struct Front {
    pub endpoint: String,
    moment: Arc<Mutex<Moment>>,
    reached: Arc<Notify>,
}

impl Front {
    pub async fn of(storage: &str) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let front = Front { endpoint, moment: Arc::new(Mutex::new(Moment::Never)), reached: Arc::default() };
        let (moment, reached) = (front.moment.clone(), front.reached.clone());
        let storage = storage.trim_start_matches("http://").to_owned();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let behind = TcpStream::connect(&storage).await.unwrap();
                tokio::spawn(hand_on(client, behind, moment.clone(), reached.clone()));
            }
        });
        front
    }

    /// Stands still at a moment, the next time that it comes.
    pub fn stand_still(&self, moment: Moment) {
        *self.moment.lock().unwrap() = moment;
    }

    /// Waits until it does; lets everything through then that comes from now on.
    pub async fn stands_still(&self) {
        tokio::time::timeout(crate::support::PATIENCE, self.reached.notified()).await.unwrap();
        self.stand_still(Moment::Never);
    }
}

/// One connection; it has one request after the other.
async fn hand_on(mut client: TcpStream, mut behind: TcpStream, moment: Arc<Mutex<Moment>>, reached: Arc<Notify>) {
    let stand = async || {
        reached.notify_one();
        std::future::pending::<()>().await;
    };
    let (mut question, mut answer) = (vec![0; 4096], vec![0; 4096]);
    let mut sent = 0;
    loop {
        let moment = || *moment.lock().unwrap();
        tokio::select! {
            read = client.read(&mut question) => {
                let Ok(read @ 1..) = read else { return };
                let goes_on = match moment() {
                    Moment::Within(most) => read.min(most - most.min(sent)),
                    _ => read,
                };
                sent += goes_on;
                behind.write_all(&question[..goes_on]).await.unwrap();
                if goes_on < read {
                    stand().await;
                }
            }
            read = behind.read(&mut answer) => {
                let Ok(read @ 1..) = read else { return };
                if moment() == Moment::BeforeAnswer {
                    stand().await;
                }
                if client.write_all(&answer[..read]).await.is_err() {
                    return;
                }
                if moment() == Moment::BehindAnswer {
                    stand().await;
                }
            }
        }
    }
}
