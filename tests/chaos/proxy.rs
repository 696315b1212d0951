//! A TCP proxy that can cut its connections, and hold back what flows one way.
//!
//! It stands where a load balancer would: a new connection goes to the first upstream that takes it,
//! beginning with another one each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Which way bytes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Connections of an earlier age are cut.
    age: u64,
    stalled: Option<Way>,
}

/// It ends when it is dropped.
pub struct Proxy {
    pub port: u16,
    state: watch::Sender<State>,
    _server: JoinSet<()>,
}

impl Proxy {
    /// Listens before these ports of this machine.
    pub async fn before(upstreams: Vec<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, weather) = watch::channel(State::default());
        let mut server = JoinSet::new();
        server.spawn(accept(listener, upstreams.into(), weather));
        Self { port, state, _server: server }
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.age += 1);
    }

    /// Holds back what flows this way; `None`: lets all of it pass.
    pub fn stall(&self, way: Option<Way>) {
        self.state.send_modify(|state| state.stalled = way);
    }
}

async fn accept(listener: TcpListener, upstreams: Arc<[u16]>, state: watch::Receiver<State>) {
    let turn = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (upstreams, state, turn) = (Arc::clone(&upstreams), state.clone(), Arc::clone(&turn));
        connections.spawn(async move {
            if let Some(server) = connect(&upstreams, &turn).await {
                carry(client, server, state).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(upstreams: &[u16], turn: &AtomicUsize) -> Option<TcpStream> {
    let first = turn.fetch_add(1, Ordering::Relaxed);
    for port in upstreams.iter().cycle().skip(first % upstreams.len()).take(upstreams.len()) {
        if let Ok(server) = TcpStream::connect(("127.0.0.1", *port)).await {
            return Some(server);
        }
    }
    None
}

/// Until one side ends, or the connection is cut.
async fn carry(client: TcpStream, server: TcpStream, mut state: watch::Receiver<State>) {
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let age = state.borrow().age;
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        () = pump(from_client, to_server, Way::ToServer, state.clone()) => {}
        () = pump(from_server, to_client, Way::ToClient, state.clone()) => {}
        _ = state.wait_for(|state| state.age != age) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    mut state: watch::Receiver<State>,
) {
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let open = state.wait_for(|state| state.stalled != Some(way)).await.is_ok();
        if !open || to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}
