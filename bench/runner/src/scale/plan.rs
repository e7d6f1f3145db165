//! The arithmetic of a large deployment: from what was measured to how many masters it takes.

use serde::Serialize;

use super::nodes::NodesRow;
use super::sizes::SizeRow;
use super::slots::{BUCKETS, fullest};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
const DAY: f64 = 86_400.0;

/// Memory of the machine that a master has to itself.
const MACHINE_GIB: f64 = 32.0;
/// What a server takes more than it has allocated, once sessions have come and gone for a while.
const FRAGMENTATION: f64 = 1.2;
/// What it takes more while a snapshot or a replica's first copy is written and pages are copied.
const FORK: f64 = 1.25;
/// How busy a master may be at the peak: the one thread that serves has nothing to queue behind,
/// and room for what another one leaves behind.
const BUSY: f64 = 0.5;
/// The fewest masters that can outvote a dead one.
const FEWEST: usize = 3;
/// The cache of a node, by default.
const CACHE_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// How often each node sweeps, as in the examples, and asks each master for a sign of life, in a
/// second.
const SWEEPS: f64 = 1.0 / 60.0;
const HEARTBEATS: f64 = 2.0;
/// Commits that a login costs.
const LOGIN: f64 = 3.0;

/// What is taken for granted of an application.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Site {
    /// What it is called.
    pub(crate) name: &'static str,
    /// How many sessions are stored at one time.
    pub(crate) sessions: f64,
    /// How long a session may go unused, in seconds.
    pub(crate) idle: f64,
    /// How long one is stored, from its first request to its sweep.
    pub(crate) life: f64,
    /// How many requests it sees in its life.
    pub(crate) requests: f64,
    /// How many of these write.
    pub(crate) writes: f64,
    /// How many sign in.
    pub(crate) logins: f64,
    /// The busiest hour over the mean.
    pub(crate) peak: f64,
    /// How many requests a node serves in a second, at the peak.
    pub(crate) per_node: f64,
    /// How many other nodes have a session in their cache when it is written.
    pub(crate) holders: f64,
}

/// A hundred million sessions, in the two ways that differ most.
pub(crate) const SITES: [Site; 2] = [
    Site {
        name: "short visits",
        sessions: 1e8,
        idle: 1800.0,
        life: 2400.0,
        requests: 20.0,
        writes: 5.0,
        logins: 0.1,
        peak: 1.5,
        per_node: 5000.0,
        holders: 2.0,
    },
    Site {
        name: "long logins",
        sessions: 1e8,
        idle: 14.0 * DAY,
        life: 30.0 * DAY,
        requests: 600.0,
        writes: 60.0,
        logins: 1.0,
        peak: 3.0,
        per_node: 5000.0,
        holders: 2.0,
    },
];

/// What things cost, as measured.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Costs {
    /// Bytes of a session.
    pub(crate) bytes: f64,
    /// Bytes to remember that one node has read a session, and for each node more.
    pub(crate) tracking: f64,
    /// See `tracking`.
    pub(crate) tracking_more: f64,
    /// Bytes of a session in a node's cache.
    pub(crate) cached_bytes: f64,
    /// Redis' microseconds for a new session.
    pub(crate) create_us: f64,
    /// For a read.
    pub(crate) read_us: f64,
    /// For a write.
    pub(crate) write_us: f64,
    /// For each node that is told of a write.
    pub(crate) tell_us: f64,
    /// For removing a session that is over, and announcing that.
    pub(crate) sweep_us: f64,
    /// For a sweep that finds nothing.
    pub(crate) idle_sweep_us: f64,
    /// How many sessions one caller sweeps in a second.
    pub(crate) swept: f64,
    /// Bytes on the network for a read, both ways.
    pub(crate) read_bytes: f64,
    /// For a write.
    pub(crate) write_bytes: f64,
}

impl Costs {
    /// Taken from the fullest buckets that were measured; `None` where too little was.
    pub(crate) fn of(sizes: &[SizeRow], nodes: &[NodesRow]) -> Option<Self> {
        let fill = |row: &&SizeRow| row.sessions / row.buckets.max(1);
        let size = sizes.iter().max_by_key(fill)?;
        // A sweep asks all buckets that have anything in them.
        let everywhere =
            sizes.iter().filter(|row| row.buckets > 1).max_by_key(fill).unwrap_or(size);
        let alone = nodes.iter().min_by_key(|row| row.nodes)?;
        let most = nodes.iter().max_by_key(|row| row.nodes)?;
        let more = (most.nodes - alone.nodes).max(1) as f64;
        let slope = |most: f64, alone: f64| ((most - alone) / more).max(0.0);
        Some(Self {
            bytes: size.bytes,
            tracking: alone.tracking_bytes,
            tracking_more: slope(most.tracking_bytes, alone.tracking_bytes),
            cached_bytes: size.cached_bytes,
            create_us: size.create.redis_us,
            read_us: size.reads.redis_us,
            write_us: size.writes.redis_us,
            tell_us: slope(most.writes.redis_us, alone.writes.redis_us),
            sweep_us: everywhere.announced.redis_us,
            idle_sweep_us: everywhere.idle_sweep.redis_us,
            swept: everywhere.sweep.per_second,
            read_bytes: size.reads.bytes_in + size.reads.bytes_out,
            write_bytes: size.writes.bytes_in + size.writes.bytes_out,
        })
    }
}

/// Where a line of a plan comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// Taken for granted: put your own in.
    Assumed,
    /// By this program.
    Measured,
    /// From the lines above.
    Computed,
}

/// One line of all plans: a figure for each site.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// What it is.
    pub(crate) what: &'static str,
    /// Where it comes from.
    pub(crate) from: Origin,
    /// How many decimals are worth printing.
    pub(crate) decimals: usize,
    /// The figures.
    pub(crate) figures: Vec<f64>,
}

/// What happens in a second at the peak.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    requests: f64,
    reads: f64,
    writes: f64,
    births: f64,
    nodes: f64,
}

impl Rates {
    fn of(site: &Site) -> Self {
        let births = site.sessions / site.life * site.peak;
        // A use is written down once in a tenth of the idle timeout, for as long as it is used.
        let touches = (site.life - site.idle).max(0.0) / (site.idle / 10.0);
        let writes = births * (site.writes + touches.min(site.requests) + LOGIN * site.logins);
        let requests = births * site.requests;
        let nodes = (requests / site.per_node).ceil().max(1.0);
        // Caches help on good days only: an empty one has to be borne, and then every request reads.
        Self { requests, reads: requests, writes, births, nodes }
    }
}

/// Cores of Redis that a site keeps busy, over all masters: what is asked of the sessions, and
/// what each node costs each master besides.
fn cores(rates: &Rates, costs: &Costs, holders: f64, hits: f64) -> f64 {
    let us = rates.births * (costs.create_us + costs.sweep_us)
        + rates.reads * (1.0 - hits) * costs.read_us
        + rates.writes * (costs.write_us + holders * costs.tell_us)
        + rates.nodes * SWEEPS * costs.idle_sweep_us;
    us / 1e6
}

/// The fewest masters of which none has to carry more than its share allows. `share` says how many
/// buckets the fullest of so many has.
fn masters(
    memory: f64,
    cores: f64,
    per_master: f64,
    share: impl Fn(usize) -> usize,
) -> Option<(usize, f64, f64)> {
    (FEWEST..=BUCKETS).find_map(|masters| {
        let part = share(masters) as f64 / BUCKETS as f64;
        let (memory, cores) = (memory * part, cores * part + per_master);
        let fits = memory <= MACHINE_GIB * GIB && cores <= BUSY;
        fits.then_some((masters, memory, cores))
    })
}

/// A plan for one site: all its figures.
fn figures(site: &Site, costs: &Costs) -> Vec<(&'static str, Origin, usize, f64)> {
    use Origin::{Assumed, Computed, Measured};
    let rates = Rates::of(site);
    let held = rates.nodes * (CACHE_BYTES / costs.cached_bytes.max(1.0)).floor();
    let tracked = (held / (1.0 + site.holders)).min(site.sessions);
    let tracking = tracked * (costs.tracking + site.holders * costs.tracking_more);
    let data = site.sessions * costs.bytes + tracking;
    let memory = data * FRAGMENTATION * FORK;
    let busy = cores(&rates, costs, site.holders, 0.0);
    let beats = rates.nodes * HEARTBEATS * costs.read_us / 1e6;
    let even = |masters: usize| BUCKETS.div_ceil(masters);
    let count =
        |found: Option<(usize, f64, f64)>| found.map_or(f64::NAN, |(count, ..)| count as f64);
    let ranges = masters(memory, busy, beats, fullest);
    let fullest_master = ranges.map_or((f64::NAN, f64::NAN), |(_, memory, cores)| (memory, cores));
    let network =
        rates.reads * costs.read_bytes + (rates.writes + rates.births) * costs.write_bytes;
    vec![
        ("sessions stored, millions", Assumed, 0, site.sessions / 1e6),
        ("idle timeout, hours", Assumed, 1, site.idle / 3600.0),
        ("a session is stored for, hours", Assumed, 1, site.life / 3600.0),
        ("its requests", Assumed, 0, site.requests),
        ("of these, writes", Assumed, 0, site.writes),
        ("its logins", Assumed, 1, site.logins),
        ("peak over mean", Assumed, 1, site.peak),
        ("requests/s of a node at the peak", Assumed, 0, site.per_node),
        ("other nodes that have a written session", Assumed, 0, site.holders),
        ("memory of a master's machine, GiB", Assumed, 0, MACHINE_GIB),
        ("fragmentation, times", Assumed, 2, FRAGMENTATION),
        ("while a copy is written, times", Assumed, 2, FORK),
        ("a master's one core is busy, at most", Assumed, 2, BUSY),
        ("bytes of a session, in a full bucket", Measured, 0, costs.bytes),
        ("bytes to remember one node's read", Measured, 0, costs.tracking),
        ("and for each node more", Measured, 0, costs.tracking_more),
        ("Redis us, creating", Measured, 1, costs.create_us),
        ("Redis us, reading", Measured, 1, costs.read_us),
        ("Redis us, writing", Measured, 1, costs.write_us),
        ("Redis us, for each node that is told", Measured, 1, costs.tell_us),
        ("Redis us, sweeping and announcing", Measured, 1, costs.sweep_us),
        ("bytes on the network, a read", Measured, 0, costs.read_bytes),
        ("bytes on the network, a write", Measured, 0, costs.write_bytes),
        ("requests/s at the peak", Computed, 0, rates.requests),
        ("sessions made, and swept, per second", Computed, 0, rates.births),
        ("writes/s, touches and logins included", Computed, 0, rates.writes),
        ("invalidations/s", Computed, 0, rates.writes * site.holders),
        ("nodes", Computed, 0, rates.nodes),
        ("nodes that have to sweep at one time", Computed, 1, rates.births / costs.swept.max(1.0)),
        ("sessions in caches, millions", Computed, 2, tracked / 1e6),
        ("memory for sessions, GiB", Computed, 0, site.sessions * costs.bytes / GIB),
        ("memory for tracking, GiB", Computed, 2, tracking / GIB),
        ("memory with head-room, GiB", Computed, 0, memory / GIB),
        ("cores of Redis, caches empty", Computed, 1, busy),
        (
            "cores of Redis, nine reads of ten cached",
            Computed,
            1,
            cores(&rates, costs, site.holders, 0.9),
        ),
        ("a master's core for heartbeats", Computed, 4, beats),
        ("network of all masters, MB/s", Computed, 0, network / 1e6),
        ("masters for the memory alone", Computed, 0, count(masters(memory, 0.0, 0.0, fullest))),
        ("masters for the CPU alone", Computed, 0, count(masters(0.0, busy, beats, fullest))),
        ("masters, with equal ranges of slots", Computed, 0, count(ranges)),
        ("the fullest of these: GiB", Computed, 1, fullest_master.0 / GIB),
        ("the fullest of these: busy", Computed, 2, fullest_master.1),
        (
            "masters, with equal numbers of buckets",
            Computed,
            0,
            count(masters(memory, busy, beats, even)),
        ),
    ]
}

/// The plans for all sites, line by line.
pub(crate) fn lines(sites: &[Site], costs: &Costs) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for site in sites {
        for (number, (what, from, decimals, figure)) in figures(site, costs).into_iter().enumerate()
        {
            match lines.get_mut(number) {
                Some(line) => line.figures.push(figure),
                None => lines.push(Line { what, from, decimals, figures: vec![figure] }),
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs {
        bytes: 1000.0,
        tracking: 200.0,
        tracking_more: 20.0,
        cached_bytes: 2000.0,
        create_us: 10.0,
        read_us: 5.0,
        write_us: 20.0,
        tell_us: 2.0,
        sweep_us: 30.0,
        idle_sweep_us: 2000.0,
        swept: 10_000.0,
        read_bytes: 700.0,
        write_bytes: 300.0,
    };
    const SITE: Site = Site {
        name: "even",
        sessions: 1e6,
        idle: 500.0,
        life: 1000.0,
        requests: 20.0,
        writes: 5.0,
        logins: 1.0,
        peak: 2.0,
        per_node: 10_000.0,
        holders: 1.0,
    };

    fn figure(lines: &[Line], what: &str) -> f64 {
        lines.iter().find(|line| line.what == what).unwrap().figures[0]
    }

    #[test]
    fn rates_follow_from_how_long_sessions_are_stored() {
        let rates = Rates::of(&SITE);
        // 5 writes, 10 touches, 3 commits for the login.
        let expected = Rates {
            requests: 40_000.0,
            reads: 40_000.0,
            writes: 36_000.0,
            births: 2000.0,
            nodes: 4.0,
        };
        assert_eq!(rates, expected);
    }

    #[test]
    fn every_call_costs_its_time() {
        let rates = Rates::of(&SITE);
        let expected =
            (2000.0 * 40.0 + 40_000.0 * 5.0 + 36_000.0 * 22.0 + 4.0 / 60.0 * 2000.0) / 1e6;
        assert!((cores(&rates, &COSTS, 1.0, 0.0) - expected).abs() < 1e-9);
        assert!(cores(&rates, &COSTS, 1.0, 0.9) < expected);
    }

    #[test]
    fn masters_are_as_many_as_the_fullest_one_needs() {
        let even = |masters: usize| BUCKETS.div_ceil(masters);
        let gib = |masters| 0.99 * masters * MACHINE_GIB * GIB;
        assert_eq!(masters(0.0, 0.0, 0.0, even).unwrap().0, FEWEST);
        assert_eq!(masters(gib(16.0), 0.0, 0.0, even).unwrap().0, 16);
        assert_eq!(masters(0.0, 15.9 * BUSY, 0.0, even).unwrap().0, 16);
        assert!(masters(gib(16.0), 0.0, 0.0, fullest).unwrap().0 > 16);
        assert_eq!(masters(0.0, 1.0, BUSY, even), None, "more masters do not help");
    }

    #[test]
    fn a_plan_has_a_figure_for_each_site() {
        let lines = lines(&[SITE, Site { sessions: 1e8, ..SITE }], &COSTS);
        assert!(lines.iter().all(|line| line.figures.len() == 2));
        assert_eq!(figure(&lines, "sessions made, and swept, per second"), 2000.0);
        // Four nodes with 33,554 sessions each, every one on two of them.
        assert!((figure(&lines, "sessions in caches, millions") - 0.067_108).abs() < 1e-6);
        let memory = lines.iter().find(|line| line.what == "memory for sessions, GiB").unwrap();
        assert!((memory.figures[1] / memory.figures[0] - 100.0).abs() < 1e-9);
    }

    #[test]
    fn without_measurements_there_is_no_plan() {
        assert!(Costs::of(&[], &[]).is_none());
    }
}
