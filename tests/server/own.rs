//! A PostgreSQL server of a test's own, for what a shared one cannot be asked to do: require passwords, have no
//! connection left, be a standby. It is stopped and removed at the end.

use std::fmt::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::common::skip::{by_design, is_root, skip};

pub const PASSWORD: &str = "pass word/@:%";

/// The folder of locales that the server has to itself.
const LOCALES: &str = "locales";

pub struct OwnServer {
    folder: TempDir,
    programs: PathBuf,
    pub port: u16,
}

impl OwnServer {
    /// A server with these lines in `postgresql.conf`, whose superuser `postgres` has [`PASSWORD`]. Everybody needs
    /// a password, except through its socket. `None` if there are no programs of a server: the test is skipped.
    #[track_caller]
    pub fn start(settings: &str) -> Option<Self> {
        Self::start_as(settings, &[])
    }

    /// The same, with its log in a new folder, in short segments.
    #[track_caller]
    pub fn start_with_log(settings: &str, folder: &Path) -> Option<Self> {
        let folder = format!("--waldir={}", folder.display());
        Self::start_as(settings, &[&folder, "--wal-segsize=1"])
    }

    /// The same, with messages in German. `None` also without that locale: the test is skipped.
    #[track_caller]
    pub fn start_in_german() -> Option<Self> {
        let server = Self::new()?;
        let locales = server.path(LOCALES);
        std::fs::create_dir(&locales).unwrap();
        let mut command = Command::new("localedef");
        command.args(["--no-archive", "-i", "de_DE", "-f", "UTF-8"]);
        let made = command.arg(locales.join("de_DE.UTF-8")).output();
        if !made.is_ok_and(|made| made.status.success()) {
            by_design("localedef", "to make the locale de_DE.UTF-8");
            return None;
        }
        server.set_up("lc_messages = 'de_DE.UTF-8'", &[]);
        Some(server)
    }

    #[track_caller]
    fn start_as(settings: &str, more: &[&str]) -> Option<Self> {
        let server = Self::new()?;
        server.set_up(settings, more);
        Some(server)
    }

    fn set_up(&self, settings: &str, more: &[&str]) {
        std::fs::write(self.path("password"), PASSWORD).unwrap();
        let password = format!("--pwfile={}", self.shown("password"));
        let data = format!("--pgdata={}", self.shown("data"));
        let initdb = [
            "--username=postgres",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            &password,
            &data,
        ];
        let auth = ["--auth-local=trust", "--auth-host=scram-sha-256"];
        succeeds(self.program("initdb").args(initdb).args(auth).args(more));
        self.configure(&format!("fsync = off\nshared_buffers = 16MB\n{settings}"));
        self.pg_ctl(&["start", "-w"]);
    }

    /// A standby of this server, which only reads.
    pub fn standby(&self) -> Self {
        let standby = Self::new().expect("the same programs");
        let (data, socket) = (standby.shown("data"), self.shown(""));
        let port = self.port.to_string();
        let from = ["-h", &socket, "-p", &port, "-U", "postgres"];
        succeeds(standby.program("pg_basebackup").args(from).args([
            "-D",
            &data,
            "-R",
            "-X",
            "stream",
            "--checkpoint=fast",
            "--no-sync",
        ]));
        standby.configure("hot_standby = on");
        standby.pg_ctl(&["start", "-w"]);
        standby
    }

    /// The address through the socket, where nobody needs a password.
    pub fn socket(&self) -> String {
        format!(
            "postgres:///postgres?host={}&port={}&user=postgres",
            self.shown(""),
            self.port
        )
    }

    /// The folder, which has the socket.
    pub fn folder(&self) -> String {
        self.shown("")
    }

    /// A file in the folder of the server.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn pg_ctl(&self, args: &[&str]) {
        let (data, log) = (self.path("data"), self.path("log"));
        let mut command = self.program("pg_ctl");
        // The server would keep a pipe open.
        command
            .arg("-D")
            .arg(data)
            .arg("-l")
            .arg(&log)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = command.status().unwrap();
        let log = std::fs::read_to_string(log).unwrap_or_default();
        assert!(status.success(), "{args:?}: {log}");
    }

    /// What the server has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Starts it, if it has ended by itself.
    pub fn start_unless_running(&self) {
        let status = self
            .program("pg_ctl")
            .arg("-D")
            .arg(self.path("data"))
            .arg("status")
            .output();
        if !status.unwrap().status.success() {
            self.pg_ctl(&["start", "-w"]);
        }
    }

    /// Makes a folder for the server elsewhere.
    pub fn folder_on(&self, disk: &Path, name: &str) {
        let folder = disk.join(name);
        std::fs::create_dir(&folder).unwrap();
        give_to_server(&folder);
    }

    #[track_caller]
    fn new() -> Option<Self> {
        let Some(programs) = programs() else {
            skip("the programs of a PostgreSQL server", "no initdb where pg_config says");
            return None;
        };
        if is_root() && account().is_none() {
            skip(
                "a user for a server",
                "PostgreSQL does not run as root, and there is no user postgres",
            );
            return None;
        }
        let folder = TempDir::new().unwrap();
        give_to_server(folder.path());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Some(Self { folder, programs, port })
    }

    /// Adds lines to `postgresql.conf`; the last one of a setting counts.
    pub fn configure(&self, settings: &str) {
        let file = self.path("data/postgresql.conf");
        let mut text = std::fs::read_to_string(&file).unwrap();
        let (socket, port) = (self.shown(""), self.port);
        writeln!(
            text,
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{socket}'"
        )
        .unwrap();
        writeln!(text, "{settings}").unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Copies a file to where only the server can read it.
    pub fn take(&self, file: &Path, name: &str) {
        let to = self.path(name);
        std::fs::copy(file, &to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).unwrap();
        give_to_server(&to);
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().trim_end_matches('/').to_owned()
    }

    /// A program of PostgreSQL, or another one with its path, run as the user of the server.
    pub fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match is_root() {
            false => Command::new(program),
            true => {
                let mut command = Command::new("setpriv");
                command
                    .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                    .arg(program);
                command
            }
        };
        if self.path(LOCALES).exists() {
            command.env("LOCPATH", self.path(LOCALES));
        }
        command
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let mut command = self.program("pg_ctl");
        command
            .arg("-D")
            .arg(self.path("data"))
            .args(["stop", "-m", "immediate"]);
        let _ = command.output();
    }
}

/// The folder of `initdb`.
fn programs() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    folder.join("initdb").exists().then_some(folder)
}

/// The user that Debian runs PostgreSQL as.
fn account() -> Option<u32> {
    let output = Command::new("id").args(["-u", "postgres"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Makes the user that the server runs as the owner of a file.
fn give_to_server(path: &Path) {
    if let Some(account) = is_root().then(account).flatten() {
        std::os::unix::fs::chown(path, Some(account), None).unwrap();
    }
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A certificate that says it is `localhost`, and its key, as files that PostgreSQL accepts; `None` without `openssl`.
pub fn certificate(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    command.args([
        "-addext",
        "subjectAltName=DNS:localhost",
        "-newkey",
        "rsa:2048",
        "-keyout",
    ]);
    let made = command.arg(&key).arg("-out").arg(&certificate).output();
    made.is_ok_and(|made| made.status.success())
        .then_some((certificate, key))
}
