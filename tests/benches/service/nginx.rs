//! The same bytes from nginx, where it is installed: what a server does that only reads files.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::Service;

use crate::READERS;
use crate::load::{Load, Request};
use crate::table::{a_second, line};

/// How long it may take to start.
const START: Duration = Duration::from_secs(10);

/// An nginx that serves copies of what the service serves.
pub(crate) struct Nginx {
    process: Child,
    address: String,
}

impl Nginx {
    /// Serves these files, each a path and its bytes; `None`, said in a line, where nginx is not installed.
    pub(crate) fn serving(service: &Service, files: &[(String, Vec<u8>)]) -> Option<Self> {
        let folder = service.scratch("nginx");
        for (path, bytes) in files {
            write(
                &folder.join("files").join(path.trim_start_matches('/')),
                bytes,
            );
        }
        let address = free_address();
        let settings = folder.join("nginx.conf");
        write(&settings, settings_for(&folder, &address).as_bytes());
        let process = Command::new("nginx")
            .arg("-c")
            .arg(&settings)
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            line("SKIPPED: nginx", "it is not installed");
            return None;
        };
        let nginx = Self { process, address };
        nginx.wait();
        Some(nginx)
    }

    /// How many of these it answers in a second.
    pub(crate) fn rate(&self, requests: Vec<Request>) -> f64 {
        let count = requests.len();
        let took = Load::at(&self.address, READERS).send(requests);
        a_second(count, took.all)
    }

    fn wait(&self) {
        let began = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            assert!(began.elapsed() < START, "nginx does not listen");
            std::thread::yield_now();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only if it is told, not killed.
        let process = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

/// Where nobody listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, bytes).expect("a file");
}

/// A worker for each core, and nothing that a file server need not do.
fn settings_for(folder: &Path, address: &str) -> String {
    let folder = folder.display();
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;",
        false => "",
    };
    format!(
        "daemon off; {user} worker_processes auto; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; open_file_cache max=4096; keepalive_requests 10000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen {address}; root {folder}/files; default_type application/octet-stream; }}
}}
"
    )
}
