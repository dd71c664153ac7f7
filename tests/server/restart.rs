//! Guards against these failures: a server that restarts or crashes lets a call fail, or something
//! acknowledged is lost or done twice.

use std::thread;
use std::time::Duration;

use crate::common::options;
use crate::own::OwnServer;
use crate::writers::{assert_stored_once, write_meanwhile};

const WRITERS: u64 = 4;

#[test]
fn writers_and_readers_go_on_when_a_server_restarts() {
    let Some(server) = OwnServer::start("") else { return };
    let open = || {
        options()
            .busy_timeout(Duration::from_secs(60))
            .open(server.socket())
            .unwrap()
    };
    let heap = open();
    let count = write_meanwhile(WRITERS, 300, open, |_| {
        for mode in ["fast", "immediate"] {
            thread::sleep(Duration::from_millis(200));
            server.pg_ctl(&["restart", "-w", "-m", mode]);
        }
        thread::sleep(Duration::from_millis(200));
    });
    assert_stored_once(&heap, count);
}
