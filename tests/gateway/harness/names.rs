//! A name server that knows one name, and records the names of all queries.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// The type of a query for an IPv4 address.
const A: [u8; 2] = [0, 1];

/// The offset of the question in a message.
const HEAD: usize = 12;

/// A running name server, which ends with the test's process.
pub(crate) struct NameServer {
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Serves on this socket; the known name has this address.
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
                // The client may have ended.
                drop(socket.send_to(&answer(question, end, known), from));
            }
        });
        names
    }

    /// Returns the names of the queries since the last call, without adjacent repetitions.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.dedup();
        asked
    }
}

/// Returns the name in a query, and the offset of its end.
fn name(question: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), HEAD);
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}

/// Returns the answer to a query. The known name has only an IPv4 address.
fn answer(question: &[u8], end: usize, known: Option<Ipv4Addr>) -> Vec<u8> {
    let address = known.filter(|_| question[end..end + 2] == A);
    let code = if known.is_some() { 0x80 } else { 0x83 };
    let mut answer = [&question[..2], &[0x81, code, 0, 1, 0, address.is_some().into(), 0, 0, 0, 0]].concat();
    answer.extend(&question[HEAD..end + 4]);
    if let Some(address) = address {
        // A reference to the name in the question; type A, class IN, five seconds, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
