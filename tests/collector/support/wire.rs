//! A wire to a server that can be cut.

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A wire; it is gone when the test lets go of it.
pub struct Wire {
    /// The address at its near end.
    pub address: String,
    cut: tokio::sync::watch::Sender<CancellationToken>,
    _running: JoinSet<()>,
}

impl Wire {
    /// To a server at this address.
    pub async fn to(far: &str) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cut, uncut) = tokio::sync::watch::channel(CancellationToken::new());
        let (far, mut running) = (far.to_owned(), JoinSet::new());
        running.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (far, end) = (far.clone(), uncut.borrow().clone());
                carried.spawn(async move { end.run_until_cancelled(carry(near, &far)).await });
            }
        });
        Wire { address, cut, _running: running }
    }

    /// Cuts all that goes over it now; what is dialled anew goes through.
    pub fn cut(&self) {
        self.cut.send_replace(CancellationToken::new()).cancel();
    }
}

async fn carry(mut near: TcpStream, far: &str) {
    if let Ok(mut far) = TcpStream::connect(far).await {
        // An end that breaks off is the other's end too.
        tokio::io::copy_bidirectional(&mut near, &mut far).await.unwrap_or_default();
    }
}
