//! A DNS server whose records are in the test's hand, over UDP and TCP as real ones are. Written from RFC 1035, with nothing of
//! what asks it.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};

/// What is longer goes by TCP.
const UDP_BYTES: usize = 512;
const TXT: u16 = 16;
const NAME_ERROR: u8 = 3;

/// How a name is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsMood {
    /// Its TXT records.
    Texts(Vec<String>),
    /// An error by its number: 2 is SERVFAIL.
    Error(u8),
    /// Not at all.
    Silent,
    /// With what is no answer.
    Garbage,
}

#[derive(Debug, Default)]
struct Zone {
    names: Mutex<HashMap<String, DnsMood>>,
    asked: AtomicUsize,
}

/// Ends when it is dropped.
#[derive(Debug)]
pub struct FakeDns {
    address: SocketAddr,
    zone: Arc<Zone>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for FakeDns {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl FakeDns {
    /// On loopback, at a port that is free for both.
    pub async fn serve() -> io::Result<Self> {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await?;
            match UdpSocket::bind(tcp.local_addr()?).await {
                Ok(udp) => break (udp, tcp),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        };
        let (address, zone) = (tcp.local_addr()?, Arc::<Zone>::default());
        let tasks = [
            tokio::spawn(datagrams(udp, Arc::clone(&zone))),
            tokio::spawn(connections(tcp, Arc::clone(&zone))),
        ];
        Ok(Self { address, zone, tasks })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `name` has these TXT records and no others.
    pub fn set(&self, name: &str, texts: &[&str]) {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        self.answer(name, DnsMood::Texts(texts));
    }

    /// From now on `name` is answered like this.
    pub fn answer(&self, name: &str, mood: DnsMood) {
        self.zone.names().insert(name.to_ascii_lowercase(), mood);
    }

    /// From now on there is no such name.
    pub fn forget(&self, name: &str) {
        self.zone.names().remove(&name.to_ascii_lowercase());
    }

    /// How many questions there were so far.
    pub fn asked(&self) -> usize {
        self.zone.asked.load(Ordering::SeqCst)
    }
}

impl Zone {
    fn names(&self) -> MutexGuard<'_, HashMap<String, DnsMood>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a message; none: silence.
    fn answer(&self, message: &[u8], most: usize) -> Option<Vec<u8>> {
        let (name, kind, question) = question(message)?;
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = self.names().get(&name).cloned();
        let (code, texts) = match mood {
            Some(DnsMood::Silent) => return None,
            Some(DnsMood::Garbage) => return Some(vec![0xff; 7]),
            Some(DnsMood::Error(code)) => (code, Vec::new()),
            Some(DnsMood::Texts(texts)) if kind == TXT => (0, texts),
            Some(DnsMood::Texts(_)) => (0, Vec::new()),
            None => (NAME_ERROR, Vec::new()),
        };
        let head = |truncated: bool, answers: usize| {
            let mut head = message.get(..2).unwrap_or_default().to_vec();
            // An answer of an authority that also recurses, to a question that wished it.
            head.extend([0x85 | if truncated { 2 } else { 0 }, 0x80 | code]);
            for count in [1, u16::try_from(answers).unwrap_or(u16::MAX), 0, 0] {
                head.extend(count.to_be_bytes());
            }
            head.extend(&question);
            head
        };
        let mut whole = head(false, texts.len());
        for text in &texts {
            // The name is that of the question, a pointer to byte 12; class IN, not to be kept.
            whole.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0]);
            let mut data = Vec::new();
            for piece in text.as_bytes().chunks(255) {
                data.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
                data.extend(piece);
            }
            whole.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
            whole.extend(data);
        }
        Some(if whole.len() > most { head(true, 0) } else { whole })
    }
}

/// The name that a message asks for, the kind of record, and the question as it stands there.
fn question(message: &[u8]) -> Option<(String, u16, Vec<u8>)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
    let question = message.get(12..at + 4)?.to_vec();
    Some((labels.join("."), kind, question))
}

async fn datagrams(socket: UdpSocket, zone: Arc<Zone>) {
    let mut message = [0; UDP_BYTES];
    while let Ok((length, from)) = socket.recv_from(&mut message).await {
        if let Some(answer) = zone.answer(message.get(..length).unwrap_or_default(), UDP_BYTES) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn connections(listener: TcpListener, zone: Arc<Zone>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, Arc::clone(&zone)));
    }
}

async fn connection(mut stream: TcpStream, zone: Arc<Zone>) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut message = vec![0; length.into()];
        stream.read_exact(&mut message).await?;
        if let Some(answer) = zone.answer(&message, usize::from(u16::MAX)) {
            stream
                .write_u16(u16::try_from(answer.len()).unwrap_or(u16::MAX))
                .await?;
            stream.write_all(&answer).await?;
        }
    }
}
