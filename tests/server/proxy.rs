//! A proxy between a heap and its server, which counts round trips and cuts a connection at a commit.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{Place, Sql, texts};

/// Where the next commit is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never gets it.
    Before,
    /// The server has executed it, and the heap gets no answer.
    NoAnswer,
    /// The heap gets the answer, but not that the transaction is over.
    HalfAnswer,
    /// The server gets it after the heap was told that the connection is lost: see [`Proxy::release`].
    Late,
}

#[derive(Default)]
struct State {
    armed: Mutex<Option<Cut>>,
    cuts: Mutex<Vec<Cut>>,
    late: Mutex<Option<(Server, Vec<u8>)>>,
    /// The server has executed what came late.
    is_late_done: AtomicBool,
    is_away: AtomicBool,
    /// Refuses connections after the next cut.
    goes_away: AtomicBool,
    trips: AtomicUsize,
}

pub struct Proxy {
    state: Arc<State>,
    address: PathBuf,
}

impl Proxy {
    /// A proxy for the server of a place.
    pub fn new(place: &Place) -> Self {
        let sql = place.sql();
        let ask = |what: &str| texts(&sql, &format!("SELECT {what}")).concat();
        let at = Upstream::of(&sql);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!(
            "postgres://{}@{}/{}?sslmode=disable&gssencmode=disable&schema={}",
            ask("current_user::text"),
            listener.local_addr().unwrap(),
            ask("current_database()::text"),
            ask("current_schema()::text"),
        );
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.is_away.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = at.connect() else { continue };
                pass(client, server, &shared);
            }
        });
        Self {
            state,
            address: address.into(),
        }
    }

    /// The heap through the proxy.
    pub fn address(&self) -> &PathBuf {
        &self.address
    }

    /// Cuts the next commit.
    pub fn cut(&self, cut: Cut) {
        *self.state.armed.lock().unwrap() = Some(cut);
    }

    /// The same, and nobody can connect afterwards.
    pub fn cut_for_good(&self, cut: Cut) {
        self.state.goes_away.store(true, Ordering::SeqCst);
        self.cut(cut);
    }

    /// Lets connections through again.
    pub fn come_back(&self) {
        self.state.goes_away.store(false, Ordering::SeqCst);
        self.state.is_away.store(false, Ordering::SeqCst);
    }

    /// How many round trips there were since the last call.
    pub fn trips(&self) -> usize {
        self.state.trips.swap(0, Ordering::SeqCst)
    }

    /// How many commits were cut since the last call.
    pub fn cuts(&self) -> usize {
        std::mem::take(&mut *self.state.cuts.lock().unwrap()).len()
    }

    /// Sends what came late to the server, and waits until it is done.
    pub fn release(&self) {
        let (mut server, bytes) = self.state.late.lock().unwrap().take().expect("a late commit");
        server.write_all(&bytes).unwrap();
        while !self.state.is_late_done.swap(false, Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

enum Upstream {
    Tcp(String),
    Socket(PathBuf),
}

impl Upstream {
    fn of(sql: &Sql) -> Self {
        let ask = |what: &str| texts(sql, &format!("SELECT {what}")).concat();
        let host = ask("coalesce(host(inet_server_addr()), '')");
        if host.is_empty() {
            let folder = ask("split_part(current_setting('unix_socket_directories'), ',', 1)");
            let port = ask("current_setting('port')");
            return Self::Socket(PathBuf::from(folder).join(format!(".s.PGSQL.{port}")));
        }
        Self::Tcp(format!("{host}:{}", ask("inet_server_port()::text")))
    }

    fn connect(&self) -> Result<Server> {
        Ok(match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Server::Tcp(stream)
            }
            Self::Socket(path) => Server::Socket(UnixStream::connect(path)?),
        })
    }
}

enum Server {
    Tcp(TcpStream),
    Socket(UnixStream),
}

impl Server {
    fn again(&self) -> Self {
        match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone().unwrap()),
            Self::Socket(stream) => Self::Socket(stream.try_clone().unwrap()),
        }
    }

    fn close(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Socket(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Server {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Socket(stream) => stream.read(buffer),
        }
    }
}

impl Write for Server {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Socket(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The next message: its type, and all of its bytes.
fn message(from: &mut impl Read) -> Result<(u8, Vec<u8>)> {
    let mut bytes = vec![0; 5];
    from.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
    bytes.resize(length + 1, 0);
    from.read_exact(&mut bytes[5..])?;
    Ok((bytes[0], bytes))
}

/// The statement that a heap commits with when it is the whole transaction.
const WRITES: &[u8] = b"version = version + 1, commits =";

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn pass(mut client: TcpStream, mut server: Server, state: &Arc<State>) {
    client.set_nodelay(true).unwrap();
    let cut = Arc::new(Mutex::new(None));
    let (mut to_client, mut from_server) = (client.try_clone().unwrap(), server.again());
    let answers = Arc::clone(&cut);
    let shared = Arc::clone(state);
    thread::spawn(move || {
        while let Ok((kind, bytes)) = message(&mut from_server) {
            let cut: Option<Cut> = *answers.lock().unwrap();
            match cut {
                Some(cut) if kind == b'Z' => {
                    match cut {
                        Cut::Late => shared.is_late_done.store(true, Ordering::SeqCst),
                        cut => shared.has_cut(cut),
                    }
                    from_server.close();
                    break;
                }
                Some(Cut::NoAnswer | Cut::Late) => {}
                _ => {
                    if to_client.write_all(&bytes).is_err() {
                        break;
                    }
                }
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let shared = Arc::clone(state);
    thread::spawn(move || {
        let _ = requests(&mut client, &mut server, &cut, &shared);
        let _ = client.shutdown(Shutdown::Both);
        if shared.late.lock().unwrap().is_none() {
            server.close();
        }
    });
}

fn requests(client: &mut TcpStream, server: &mut Server, cut: &Mutex<Option<Cut>>, state: &State) -> Result<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut startup)?;
    server.write_all(&length)?;
    server.write_all(&startup)?;
    // The names of the prepared statements that write.
    let mut writes: Vec<Vec<u8>> = Vec::new();
    let mut is_in_transaction = false;
    loop {
        let (kind, mut bytes) = message(client)?;
        // The heap waits for the answer to each of these.
        if matches!(kind, b'Q' | b'S') {
            state.trips.fetch_add(1, Ordering::SeqCst);
        }
        let name = |at: usize| bytes[at..].split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
        if kind == b'P' && contains(&bytes, WRITES) {
            writes.push(name(5));
        }
        if kind == b'Q' {
            is_in_transaction = contains(&bytes, b"BEGIN") || (is_in_transaction && !contains(&bytes, b"ROLLBACK"));
        }
        let is_commit = match kind {
            b'Q' => contains(&bytes, b"COMMIT"),
            // The name of the portal is empty.
            b'B' => !is_in_transaction && writes.contains(&name(6)),
            _ => false,
        };
        if is_commit && let Some(how) = state.armed.lock().unwrap().take() {
            while kind == b'B' && !bytes.ends_with(b"S\0\0\0\x04") {
                bytes.extend(message(client)?.1);
            }
            if how == Cut::Late {
                *cut.lock().unwrap() = Some(how);
                *state.late.lock().unwrap() = Some((server.again(), bytes));
            } else if how != Cut::Before {
                *cut.lock().unwrap() = Some(how);
                server.write_all(&bytes)?;
                // The other thread ends the connection.
                let _ = message(client);
                return Ok(());
            }
            state.has_cut(how);
            return Ok(());
        }
        if is_commit {
            is_in_transaction = false;
        }
        server.write_all(&bytes)?;
    }
}

impl State {
    fn has_cut(&self, cut: Cut) {
        self.is_away
            .fetch_or(self.goes_away.load(Ordering::SeqCst), Ordering::SeqCst);
        self.cuts.lock().unwrap().push(cut);
    }
}
