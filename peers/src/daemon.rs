//! Servers of other projects, which run until they are dropped.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use integration_tests::server::TIMEOUT;

/// Writes a configuration to a folder, and returns its path.
///
/// Each of the names in the template is replaced, and `FOLDER` by the folder's path.
#[must_use]
pub fn configured(template: &str, folder: &Path, values: &[(&str, String)]) -> PathBuf {
    let mut text = fs::read_to_string(template).unwrap_or_else(|error| panic!("{template}: {error}"));
    for (name, value) in values {
        text = text.replace(name, value);
    }
    let file = Path::new(template).file_name().expect("a template is a file");
    let path = folder.join(file);
    fs::write(&path, text.replace("FOLDER", &folder.display().to_string())).unwrap();
    path
}

/// A server's process.
#[derive(Debug)]
pub struct Daemon {
    process: Child,
}

impl Daemon {
    /// Starts a server, and waits until it accepts connections. Its log is in `folder`.
    #[must_use]
    pub fn start(mut command: Command, folder: &Path, listen: SocketAddr) -> Self {
        let path = folder.join("log");
        let log = fs::File::options().create(true).append(true).open(&path).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = command.spawn();
        let mut process = process.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let begun = Instant::now();
        while TcpStream::connect(listen).is_err() {
            let ended = process.try_wait().unwrap();
            if ended.is_some() || begun.elapsed() > TIMEOUT {
                let log = fs::read_to_string(&path).unwrap();
                panic!("{command:?} does not listen: {ended:?}\n{log}");
            }
            // A server does not notify anyone.
            thread::sleep(Duration::from_millis(10));
        }
        Daemon { process }
    }

    /// Sends a signal, such as `STOP`, which freezes the process until `CONT`.
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let sent = kill.arg(format!("-{name}")).arg(self.process.id().to_string()).status();
        assert!(sent.unwrap().success(), "{name}");
    }

    /// Asks the process to end, and waits until it has.
    pub fn end(mut self) {
        self.signal("TERM");
        self.process.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A kill, since tests of outages drop the value.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
