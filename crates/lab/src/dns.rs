//! The lab's name server: example.com and its reverse zone. The protocol is hickory's.

use crate::layout::{DOMAIN, FLOATING_ADDRESS, Plan};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, NS, PTR, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

const PORT: u16 = 53;
const TTL_S: u32 = 60;
const SERIAL: u32 = 1;
/// Longest query that is looked at.
const MAX_QUERY_BYTES: usize = 4096;
/// Largest answer that fits a datagram without an agreement on more.
const MAX_DATAGRAM_BYTES: usize = 512;
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known by name, and the other way round.
#[derive(Debug)]
struct Zone {
    domain: Name,
    reverse: Name,
    hosts: Vec<(Name, Ipv4Addr)>,
}

impl Zone {
    fn new(plan: &Plan) -> Option<Zone> {
        let name = |text: String| Name::from_ascii(text).ok();
        let mut hosts = Vec::new();
        for host in plan.hosts() {
            hosts.push((name(format!("{}.", host.full_name()))?, host.address()));
        }
        hosts.push((name(format!("www.{DOMAIN}."))?, FLOATING_ADDRESS));
        Some(Zone {
            domain: name(format!("{DOMAIN}."))?,
            reverse: name("31.172.in-addr.arpa.".into())?,
            hosts,
        })
    }

    /// Answers a query; `None` if it is not one.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        if query.metadata.message_type != hickory_proto::op::MessageType::Query {
            return None;
        }
        let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
        reply.metadata.recursion_desired = query.metadata.recursion_desired;
        reply.queries = query.queries.clone();
        let question = match query.queries.as_slice() {
            [question] if query.metadata.op_code == OpCode::Query => question,
            _ => {
                reply.metadata.response_code = ResponseCode::NotImp;
                return reply.to_vec().ok();
            }
        };
        let name = &question.name;
        let zone = [&self.domain, &self.reverse].into_iter().find(|z| z.zone_of(name));
        let Some(zone) = zone.filter(|_| question.query_class == DNSClass::IN) else {
            reply.metadata.response_code = ResponseCode::Refused;
            return reply.to_vec().ok();
        };
        reply.metadata.authoritative = true;
        let records = self.records(name, zone);
        let wanted =
            |r: &&RData| question.query_type == RecordType::ANY || r.record_type() == question.query_type;
        for data in records.iter().filter(wanted) {
            reply.add_answer(Record::from_rdata(name.clone(), TTL_S, data.clone()));
        }
        if records.is_empty() {
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
        if reply.answers.is_empty() {
            reply.add_authority(Record::from_rdata(zone.clone(), TTL_S, self.start_of_authority()));
        }
        reply.to_vec().ok()
    }

    fn records(&self, name: &Name, zone: &Name) -> Vec<RData> {
        if name == zone {
            let server = self.server();
            return vec![self.start_of_authority(), RData::NS(NS(server))];
        }
        let forward = self.hosts.iter().filter(|(n, _)| n == name).map(|(_, ip)| RData::A(A(*ip)));
        let reverse = self
            .hosts
            .iter()
            .filter(|(_, ip)| Name::from(*ip) == *name)
            .map(|(n, _)| RData::PTR(PTR(n.clone())));
        forward.chain(reverse).collect()
    }

    fn server(&self) -> Name {
        let server = Name::from_ascii(format!("dns.{DOMAIN}."));
        server.unwrap_or_else(|_| self.domain.clone())
    }

    fn start_of_authority(&self) -> RData {
        let contact = Name::from_ascii(format!("hostmaster.{DOMAIN}."));
        let contact = contact.unwrap_or_else(|_| self.domain.clone());
        RData::SOA(SOA::new(self.server(), contact, SERIAL, 3600, 600, 86_400, TTL_S))
    }
}

/// Serves until the host ends.
pub(crate) fn serve(plan: &Plan) {
    let Some(zone) = Zone::new(plan).map(Arc::new) else { return };
    let over_tcp = Arc::clone(&zone);
    std::thread::spawn(move || serve_tcp(&over_tcp));
    let socket = match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)) {
        Ok(socket) => socket,
        Err(e) => {
            eprintln!("name server: cannot use port {PORT}: {e}");
            return;
        }
    };
    let mut buffer = [0; MAX_QUERY_BYTES];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if let Some(reply) = zone.answer(buffer.get(..length).unwrap_or_default())
            && reply.len() <= MAX_DATAGRAM_BYTES
        {
            // Who asked may have gone.
            let _ = socket.send_to(&reply, from);
        }
    }
}

fn serve_tcp(zone: &Arc<Zone>) {
    let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)) else { return };
    for stream in listener.incoming().flatten() {
        let zone = Arc::clone(zone);
        std::thread::spawn(move || {
            // A client that breaks off is its own business.
            let _ = answer_stream(&zone, stream);
        });
    }
}

fn answer_stream(zone: &Zone, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(TCP_TIMEOUT))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(length)).min(MAX_QUERY_BYTES)];
    stream.read_exact(&mut query)?;
    if let Some(reply) = zone.answer(&query) {
        stream.write_all(&(reply.len() as u16).to_be_bytes())?;
        stream.write_all(&reply)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Stack;
    use hickory_proto::op::Query;
    use proptest::prelude::*;

    fn zone() -> Zone {
        Zone::new(&Plan { nodes: 2, stack: Stack::Relevo, program: "/x".into() }).unwrap()
    }

    fn ask(name: &str, kind: RecordType) -> Message {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        Message::from_vec(&zone().answer(&query.to_vec().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn names_and_addresses_lead_to_each_other() {
        let reply = ask("www.example.com.", RecordType::A);
        assert_eq!(reply.answers[0].data, RData::A(A(FLOATING_ADDRESS)));
        assert!(reply.metadata.authoritative);
        let reply = ask("12.0.31.172.in-addr.arpa.", RecordType::PTR);
        assert_eq!(reply.answers[0].data, RData::PTR(PTR(Name::from_ascii("nodo2.example.com.").unwrap())));
        assert_eq!(ask("NODO1.Example.COM.", RecordType::A).answers.len(), 1);
    }

    #[test]
    fn unknown_names_other_types_and_other_domains() {
        let reply = ask("nobody.example.com.", RecordType::A);
        assert_eq!((reply.metadata.response_code, reply.authorities.len()), (ResponseCode::NXDomain, 1));
        let reply = ask("www.example.com.", RecordType::AAAA);
        assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::NoError, 0));
        assert_eq!(ask("example.org.", RecordType::A).metadata.response_code, ResponseCode::Refused);
    }

    proptest! {
        #[test]
        fn arbitrary_queries_never_panic(query in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = zone().answer(&query);
        }
    }
}
