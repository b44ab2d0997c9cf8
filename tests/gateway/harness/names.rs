//! A name server that knows one name, and keeps what it was asked.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// The type of a question for an IPv4 address.
const A: [u8; 2] = [0, 1];

/// Where a message's question begins.
const HEAD: usize = 12;

/// Ends with the test's process.
pub(crate) struct NameServer {
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Serves where this listens; the name that is known has this address.
    pub(crate) fn serve(socket: UdpSocket, known: &'static str, address: Ipv4Addr) -> NameServer {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let names = NameServer { asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            let mut message = [0; 512];
            loop {
                let (length, from): (usize, SocketAddr) = socket.recv_from(&mut message).unwrap();
                let question = &message[..length];
                let (name, end) = name(question);
                let known = (known == name).then_some(address);
                asked.lock().unwrap().push(name);
                // Whoever asked may be gone.
                drop(socket.send_to(&answer(question, end, known), from));
            }
        });
        names
    }

    /// The names that were asked for since the last time, each once.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.dedup();
        asked
    }
}

/// The name that is asked for, and where it ends.
fn name(question: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), HEAD);
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}

/// A name that is known has an address of the fourth version alone.
fn answer(question: &[u8], end: usize, known: Option<Ipv4Addr>) -> Vec<u8> {
    let address = known.filter(|_| question[end..end + 2] == A);
    let code = if known.is_some() { 0x80 } else { 0x83 };
    let mut answer = [&question[..2], &[0x81, code, 0, 1, 0, address.is_some().into(), 0, 0, 0, 0]].concat();
    answer.extend(&question[HEAD..end + 4]);
    if let Some(address) = address {
        // The name is the question's; class IN, five seconds, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
