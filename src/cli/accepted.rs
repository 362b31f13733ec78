//! Connections that the kernel has handed to this process and that no worker has in its hands yet: actix says nothing about
//! those, and drops them when it stops. Linux knows them all (proc(5): `/proc/self/fd`, `/proc/self/net/tcp`).

use std::collections::HashSet;
use std::io;

/// State of an established connection in `/proc/self/net/tcp`.
const ESTABLISHED: &str = "01";

/// Inodes of this process's own established connections to its ports `ports`. Those in a socket's queue have none yet.
///
/// # Errors
/// Where there is no `/proc`.
pub fn to_ports(ports: &[u16]) -> io::Result<HashSet<u64>> {
    let ours = own_sockets()?;
    let mut found = HashSet::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        // A system without IPv6 has no table for it.
        let Ok(text) = std::fs::read_to_string(table) else {
            continue;
        };
        found.extend(text.lines().filter_map(|line| inode(line, ports)));
    }
    Ok(found.intersection(&ours).copied().collect())
}

/// `  1: 0100007F:1F90 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000     0        0 12345 1 …`
fn inode(line: &str, ports: &[u16]) -> Option<u64> {
    let mut fields = line.split_whitespace().skip(1);
    let (_, local_port) = fields.next()?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let port = u16::from_str_radix(local_port, 16).ok()?;
    let is_ours = ports.contains(&port) && state == ESTABLISHED;
    fields.nth(5)?.parse().ok().filter(|_| is_ours)
}

fn own_sockets() -> io::Result<HashSet<u64>> {
    let links = std::fs::read_dir("/proc/self/fd")?.filter_map(|entry| {
        let link = std::fs::read_link(entry.ok()?.path()).ok()?;
        let number = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        number.parse().ok()
    });
    Ok(links.collect())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_was_accepted_is_found_and_what_waits_in_the_queue_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _client = TcpStream::connect(address).unwrap();
        assert!(to_ports(&[address.port()]).unwrap().is_empty());
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(to_ports(&[address.port()]).unwrap().len(), 1);
        drop(accepted);
        assert!(to_ports(&[address.port()]).unwrap().is_empty());
    }
}
