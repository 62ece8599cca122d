//! Whose connection it is.
//!
//! Linux lists the sockets of the machine with the user of each (proc(5), `/proc/net/tcp`). Elsewhere there is no such list
//! without a call into the system's libraries, and every connection passes.
//!
//! Invariant: on Linux, a connection that is not in the list is not this user's.

use std::net::TcpStream;

/// Whether the other end of a connection over the loopback interface is this user's, or root's, who may read everything.
#[cfg(target_os = "linux")]
pub(super) fn is_of_this_user(stream: &TcpStream) -> bool {
    let own = rustix::process::getuid().as_raw();
    let (Ok(peer), Ok(here)) = (stream.peer_addr(), stream.local_addr()) else { return false };
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|list| std::fs::read_to_string(list).ok())
        .find_map(|list| list::user_of(&list, peer, here))
        .is_some_and(|user| user == own || user == 0)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_of_this_user(_: &TcpStream) -> bool {
    true
}

#[cfg(target_os = "linux")]
mod list {
    use std::net::{IpAddr, SocketAddr};

    /// The state of a connection that is open in both directions. A closed one has no user any more, and the list shows root's.
    const ESTABLISHED: &str = "01";

    /// The user of the open connection from `from` to `to` in a list of sockets.
    pub(super) fn user_of(list: &str, from: SocketAddr, to: SocketAddr) -> Option<u32> {
        let (from, to) = (address(from)?, address(to)?);
        list.lines().find_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
            let same = is(local, &from) && is(remote, &to) && state == ESTABLISHED;
            // After the queues, the timer and the retransmits.
            same.then(|| fields.nth(3)?.parse().ok()).flatten()
        })
    }

    /// The list's form of an address: four bytes as one number of this machine, and the port.
    fn address(address: SocketAddr) -> Option<String> {
        let IpAddr::V4(ip) = address.ip() else { return None };
        Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()))
    }

    /// Whether a listed address is this one, also if its socket is one of IPv6 (`::ffff:127.0.0.1`).
    fn is(listed: &str, address: &str) -> bool {
        let mapped = format!("{:08X}{:08X}{:08X}", 0, 0, 0xffff_u32.to_be());
        listed == address || listed.strip_prefix(&mapped) == Some(address)
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::net::{Ipv4Addr, TcpListener, TcpStream};
        use std::os::unix::process::CommandExt as _;
        use std::process::Command;

        #[test]
        fn the_list_of_this_machine_has_both_ends() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (there, _) = listener.accept().unwrap();
            let (from, to) = (there.peer_addr().unwrap(), there.local_addr().unwrap());
            let list = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let own = rustix::process::getuid().as_raw();
            assert_eq!(user_of(&list, from, to), Some(own));
            assert!(super::super::is_of_this_user(&there));
            let other = SocketAddr::new(from.ip(), 1);
            assert_eq!(user_of(&list, other, to), None);
            drop(here);
        }

        /// THREAT: another user of the machine connects first.
        /// PREVENTION: the system says whose connection it is. Only root can start a program of another user, so only root tests it.
        #[test]
        fn security_a_connection_of_nobody_is_not_this_users() {
            if !rustix::process::getuid().is_root() {
                return;
            }
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let mut nobody = Command::new("/bin/bash")
                .args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}; read -r line <&3")])
                .uid(65534)
                .spawn()
                .unwrap();
            let (there, _) = listener.accept().unwrap();
            let (from, to) = (there.peer_addr().unwrap(), there.local_addr().unwrap());
            let list = std::fs::read_to_string("/proc/net/tcp").unwrap();
            assert_eq!(user_of(&list, from, to), Some(65534));
            assert!(!super::super::is_of_this_user(&there));
            drop(there);
            nobody.wait().unwrap();
        }

        /// THREAT: another user's connection passes for this user's: by a closed socket, a listening one, or the other direction.
        /// PREVENTION: both addresses, in this direction, of an open connection.
        #[test]
        #[cfg(target_endian = "little")]
        fn security_the_user_is_that_of_the_open_connection() {
            let line = |local: &str, remote: &str, state: &str, user: u32| {
                format!(
                    "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  {user}        0 4711 1 0 20 0 0 10 -1"
                )
            };
            let from: SocketAddr = "127.0.0.1:40000".parse().unwrap();
            let to: SocketAddr = "127.0.0.1:8080".parse().unwrap();
            let (client, server) = ("0100007F:9C40", "0100007F:1F90");
            let open = line(client, server, "01", 1001);
            assert_eq!(user_of(&open, from, to), Some(1001));
            assert_eq!(user_of(&line(server, client, "01", 1001), from, to), None);
            assert_eq!(user_of(&line(client, server, "06", 0), from, to), None);
            assert_eq!(user_of(&line(client, "0100007F:1F91", "01", 0), from, to), None);
            let [client, server] =
                [client, server].map(|end| format!("0000000000000000FFFF0000{end}"));
            assert_eq!(user_of(&line(&client, &server, "01", 1002), from, to), Some(1002));
            assert_eq!(user_of("  sl  local_address rem_address   st\n", from, to), None);
        }
    }
}
