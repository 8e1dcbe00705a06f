//! Prometheus's text format (version 0.0.4) of what the processes of a run count, over HTTP.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use pcomponent_driver::transparent::stats::{class_end, CLASSES};
use pcomponent_driver::transparent::TransparentStats;
use tiny_http::{Header, Response, Server};

use super::{counts, live, RunError};

/// Classes of latency in one bucket: a doubling.
const BUCKET: usize = 4;

/// Serves a run's figures at `/metrics`, until dropped.
pub struct Metrics {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Metrics {
    /// Serves the figures of the processes in a folder at an address.
    ///
    /// # Errors
    /// [`RunError::Metrics`].
    pub fn serve(address: SocketAddr, folder: &Path) -> Result<Self, RunError> {
        let failed = |why: String| RunError::Metrics { address, why };
        let server = Arc::new(Server::http(address).map_err(|error| failed(error.to_string()))?);
        let (requests, folder) = (Arc::clone(&server), folder.to_owned());
        let thread = std::thread::spawn(move || answer(&requests, &folder));
        Ok(Self { server, thread: Some(thread) })
    }

    /// Where it serves.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.server_addr().to_ip()
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            // It ends by itself; if it panicked there is nothing to undo.
            let _ = thread.join();
        }
    }
}

fn answer(server: &Server, folder: &Path) {
    for request in server.incoming_requests() {
        let sent = if request.url() == "/metrics" {
            let text = text(&counts::collect(folder), live::name);
            let mut response = Response::from_string(text);
            if let Ok(header) = Header::from_bytes("Content-Type", "text/plain; version=0.0.4") {
                response = response.with_header(header);
            }
            request.respond(response)
        } else {
            request.respond(Response::from_string("see /metrics\n").with_status_code(404))
        };
        // Whoever asked may have gone.
        drop(sent);
    }
}

type Figure = (&'static str, &'static str, &'static str, fn(&TransparentStats) -> f64);

const PAGE: f64 = 4096.0;

/// Name, type, help, value.
const FIGURES: [Figure; 17] = [
    ("running", "gauge", "1 while the process runs", |s| f64::from(u8::from(s.state == 1))),
    ("live_bytes", "gauge", "Memory that holds something", |s| s.live as f64 * PAGE),
    ("resident_bytes", "gauge", "Local frames in use", |s| s.resident as f64 * PAGE),
    ("dirty_bytes", "gauge", "Local frames that the component lacks", |s| s.dirty as f64 * PAGE),
    ("limit_bytes", "gauge", "Local frames allowed", |s| s.limit as f64 * PAGE),
    ("overhead_bytes", "gauge", "The engine's own tables", |s| s.overhead_bytes as f64),
    ("misses_total", "counter", "Touches of pages in no local frame", |s| s.misses as f64),
    ("zero_fills_total", "counter", "Pages zero-filled at the host", |s| s.zero_fills as f64),
    ("fetches_total", "counter", "Pages fetched", |s| s.fetches as f64),
    ("prefetched_total", "counter", "Pages brought in ahead", |s| s.prefetched as f64),
    ("prefetch_useful_total", "counter", "Of them, gone through", |s| s.prefetch_useful as f64),
    ("write_backs_total", "counter", "Pages written back", |s| s.write_backs as f64),
    ("clean_drops_total", "counter", "Pages dropped unchanged", |s| s.clean_drops as f64),
    ("zero_drops_total", "counter", "Pages dropped holding zeros", |s| s.zero_drops as f64),
    ("write_faults_total", "counter", "First writes seen", |s| s.write_faults as f64),
    ("syscall_pages_total", "counter", "Pages for system calls", |s| s.syscall_pages as f64),
    ("forks_total", "counter", "Processes forked", |s| s.forks as f64),
];

/// The figures of some processes.
pub fn text(processes: &[TransparentStats], name: impl Fn(u64) -> String) -> String {
    let labels: Vec<String> = processes
        .iter()
        .map(|stats| {
            let name = name(stats.pid).replace('\\', "\\\\").replace('"', "\\\"");
            format!("pid=\"{}\",program=\"{name}\"", stats.pid)
        })
        .collect();
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        // A string takes whatever is written.
        let _ = writeln!(text, "{line}");
    };
    for (name, kind, help, value) in FIGURES {
        line(format_args!("# HELP splitmem_{name} {help}."));
        line(format_args!("# TYPE splitmem_{name} {kind}"));
        for (stats, labels) in processes.iter().zip(&labels) {
            line(format_args!("splitmem_{name}{{{labels}}} {}", value(stats)));
        }
    }
    line(format_args!("# HELP splitmem_miss_seconds Time of a miss, eviction included."));
    line(format_args!("# TYPE splitmem_miss_seconds histogram"));
    for (stats, labels) in processes.iter().zip(&labels) {
        let mut seen = 0;
        for (class, n) in stats.latency.iter().enumerate().take(CLASSES - BUCKET) {
            seen += n;
            if class % BUCKET == BUCKET - 1 {
                let end = class_end(class) as f64 / 1e9;
                line(format_args!("splitmem_miss_seconds_bucket{{{labels},le=\"{end}\"}} {seen}"));
            }
        }
        let all: u64 = stats.latency.iter().sum();
        let sum = stats.miss_ns as f64 / 1e9;
        line(format_args!("splitmem_miss_seconds_bucket{{{labels},le=\"+Inf\"}} {all}"));
        line(format_args!("splitmem_miss_seconds_sum{{{labels}}} {sum}"));
        line(format_args!("splitmem_miss_seconds_count{{{labels}}} {all}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcomponent_driver::transparent::StatsPage;

    #[test]
    fn every_figure_has_a_type_and_buckets_add_up() {
        let mut stats = StatsPage::new().read();
        (stats.pid, stats.misses, stats.miss_ns) = (7, 3, 3_000);
        (stats.latency[2], stats.latency[40]) = (1, 2);
        let text = text(&[stats], |_| "a \"b\"".to_owned());
        assert!(
            text.contains("splitmem_misses_total{pid=\"7\",program=\"a \\\"b\\\"\"} 3\n"),
            "{text}"
        );
        assert!(text.contains("le=\"+Inf\"} 3\n") && text.contains("miss_seconds_sum{pid=\"7\""));
        let mut last = 0;
        for line in text.lines().filter(|line| line.contains("_bucket{")) {
            let n: u64 = line.rsplit(' ').next().unwrap_or("").parse().unwrap();
            assert!(n >= last, "{line}");
            last = n;
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or("");
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let base = base.filter(|base| base.ends_with("seconds")).unwrap_or(name);
            assert!(text.contains(&format!("# TYPE {base} ")), "{name}");
        }
    }
}
