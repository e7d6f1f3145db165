//! Reads what Redis says of itself: the answer to INFO.

use std::collections::BTreeMap;

/// Calls of each command, by its name in lower case.
pub(crate) type Calls = BTreeMap<String, f64>;

/// Commands of the measurement itself.
const OWN: [&str; 4] = ["info", "flushall", "config|resetstat", "monitor"];
/// Fewer calls per request than this are the app's own housekeeping.
const LEAST_PER_REQUEST: f64 = 0.005;

/// What is read of INFO.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Info {
    /// Microseconds that all threads of the server have spent, in user and kernel mode.
    pub(crate) cpu_us: f64,
    /// Bytes that the server has allocated.
    pub(crate) used_memory: u64,
    /// Bytes that the kernel has given it.
    pub(crate) resident: u64,
    /// Of the allocated bytes, those of clients' buffers.
    pub(crate) client_memory: u64,
    /// Bytes that came in over the network.
    pub(crate) bytes_in: u64,
    /// Bytes that went out.
    pub(crate) bytes_out: u64,
    /// Names that some client is told the next change of.
    pub(crate) tracked_keys: u64,
    /// The same, each counted once for each of these clients.
    pub(crate) tracked_items: u64,
    /// How often each command was called, by clients and by scripts.
    pub(crate) calls: Calls,
}

impl Info {
    /// Reads the text of `INFO everything`. What is not there is zero.
    pub(crate) fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.trim().split_once(':')) {
            match name {
                "used_cpu_sys" | "used_cpu_user" => info.cpu_us += 1e6 * number(value),
                "used_memory" => info.used_memory = whole(value),
                "used_memory_rss" => info.resident = whole(value),
                "mem_clients_normal" => info.client_memory = whole(value),
                "total_net_input_bytes" => info.bytes_in = whole(value),
                "total_net_output_bytes" => info.bytes_out = whole(value),
                "tracking_total_keys" => info.tracked_keys = whole(value),
                "tracking_total_items" => info.tracked_items = whole(value),
                _ => {
                    let Some(command) = name.strip_prefix("cmdstat_") else { continue };
                    info.calls.insert(command.to_owned(), calls(value));
                }
            }
        }
        info
    }

    /// How often each command was called per request since `before`, the measurement's own and
    /// those that hardly any request has caused left out.
    pub(crate) fn per_request(&self, before: &Self, requests: u64) -> Calls {
        let mut calls = Calls::new();
        for (name, now) in &self.calls {
            let then = before.calls.get(name).copied().unwrap_or_default();
            let per_request = (now - then) / requests.max(1) as f64;
            if per_request > LEAST_PER_REQUEST && !OWN.contains(&&**name) {
                calls.insert(name.clone(), per_request);
            }
        }
        calls
    }
}

fn calls(value: &str) -> f64 {
    let fields = value.split(',').filter_map(|field| field.split_once('='));
    fields.filter(|(name, _)| *name == "calls").map(|(_, calls)| number(calls)).sum()
}

fn whole(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# Memory\r\nused_memory:1000\r\nused_memory_human:1K\r\n\
        used_memory_rss:3000\r\nmem_clients_normal:200\r\ntotal_net_input_bytes:7\r\n\
        total_net_output_bytes:8\r\ntracking_total_keys:5\r\ntracking_total_items:10\r\n# CPU\r\n\
        used_cpu_sys:0.500000\r\nused_cpu_user:1.250000\r\nused_cpu_sys_children:9.0\r\n\
        # Commandstats\r\ncmdstat_get:calls=10,usec=5,usec_per_call=0.50\r\n\
        cmdstat_info:calls=1,usec=1\r\n";
    const AFTER: &str = "used_memory:5000\r\nused_cpu_sys:0.6\r\nused_cpu_user:1.3\r\n\
        cmdstat_get:calls=1010,usec=5\r\ncmdstat_info:calls=900,usec=1\r\n\
        cmdstat_zadd:calls=3,usec=1\r\ncmdstat_config|get:calls=500,usec=1\r\n";

    #[test]
    fn info_is_read() {
        let info = Info::parse(BEFORE);
        assert!((info.cpu_us - 1_750_000.0).abs() < 1.0);
        assert_eq!((info.used_memory, info.resident, info.client_memory), (1000, 3000, 200));
        assert_eq!((info.bytes_in, info.bytes_out), (7, 8));
        assert_eq!((info.tracked_keys, info.tracked_items), (5, 10));
        assert_eq!(info.calls["get"], 10.0);
    }

    #[test]
    fn commands_are_counted_per_request_and_rare_ones_left_out() {
        let (before, after) = (Info::parse(BEFORE), Info::parse(AFTER));
        let calls = after.per_request(&before, 2000);
        assert_eq!(calls, Calls::from([("config|get".into(), 0.25), ("get".into(), 0.5)]));
    }

    #[test]
    fn nonsense_is_zero() {
        assert_eq!(Info::parse("used_memory:x\ncmdstat_get\n\n:"), Info::default());
    }
}
