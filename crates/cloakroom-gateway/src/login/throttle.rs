//! How fast passwords may be tried: counted for accounts and addresses, by all nodes together.

use std::net::IpAddr;
use std::time::Duration;

use cloakroom::{Entry, Error, Kind, OpenEntry, Sessions, Slot, Timestamp};
use futures_util::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};

use super::Throttling;
use super::network::Network;
use super::users::Name;

const LEVEL: Slot<Level> = Slot::new("level");
/// How many times as often an account may be tried from everywhere together as from one network:
/// what somebody has to muster who wants to keep its user out.
const FROM_EVERYWHERE: u32 = 20;
/// How many times as often a wider network may try as the one inside it: so that no network fills
/// alone what it shares with its neighbours.
const WIDER: u32 = 4;

/// Tries that are made at most so fast: a number at once, given back evenly over a time. This is
/// the generic cell rate algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rate {
    at_once: u32,
    window: Duration,
}

/// When all tries are given back: milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Level(u64);

impl Rate {
    fn window(&self) -> u64 {
        u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// How long one try takes to be given back, in milliseconds.
    fn each(&self) -> u64 {
        (self.window() / u64::from(self.at_once.max(1))).max(1)
    }

    /// The level with one try more, or how long that has to wait.
    fn charge(&self, Level(level): Level, now: Timestamp) -> Result<Level, Duration> {
        let now = now.millis();
        let charged = level.max(now).saturating_add(self.each());
        match charged.saturating_sub(now).checked_sub(self.window()) {
            None | Some(0) => Ok(Level(charged)),
            Some(over) => Err(Duration::from_millis(over)),
        }
    }

    /// The level with one try less.
    fn refund(&self, Level(level): Level) -> Level {
        Level(level.saturating_sub(self.each()))
    }
}

/// Counts tries.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    sessions: Sessions,
    settings: Throttling,
}

/// A try that was counted, and where.
#[derive(Debug)]
pub(super) struct Try(Vec<Bucket>);

/// Tries that are counted together.
#[derive(Debug)]
struct Bucket {
    entry: Entry,
    /// The entry as it was read.
    read: OpenEntry,
    rate: Rate,
    /// Whether a right password empties it.
    empties: bool,
}

/// Why a try is not made.
#[derive(Debug)]
pub(super) enum Held {
    /// There were too many before.
    For(Duration),
    /// Nobody knows how many there were.
    Unknown(Error),
}

impl Throttle {
    pub(super) fn new(sessions: Sessions, settings: Throttling) -> Self {
        Self { sessions, settings }
    }

    /// Counts a try, before anything is known of the password: for the networks first, then for the
    /// account from them, then for the account. An account that is not there is counted like any
    /// other.
    pub(super) async fn begin(
        &self,
        name: Option<&Name>,
        address: Option<IpAddr>,
    ) -> Result<Try, Held> {
        let buckets = try_join_all(self.buckets(name, address)).await.map_err(Held::Unknown)?;
        let now = self.sessions.now();
        // While somebody is held nothing is written, however often they come.
        for bucket in &buckets {
            bucket.rate.charge(bucket.level().map_err(Held::Unknown)?, now).map_err(Held::For)?;
        }
        // One after the other: of those who try at the same moment, whom one bucket refuses counts
        // for none of those behind.
        for bucket in &buckets {
            bucket.charge(now).await?;
        }
        Ok(Try(buckets))
    }

    /// Reads all buckets that a try counts in, in their order.
    fn buckets(
        &self,
        name: Option<&Name>,
        address: Option<IpAddr>,
    ) -> Vec<impl Future<Output = Result<Bucket, Error>>> {
        let Throttling { account, address: from_one, window } = self.settings;
        let name = name.map_or("", Name::as_str);
        // A name holds no line break, so that no two of these are alike.
        let everywhere = format!("login of\n{name}");
        let (mut networks, mut accounts, mut times) = (Vec::new(), Vec::new(), 1_u32);
        for network in Network::around(address) {
            let rate = |at_once: u32| Rate { at_once: at_once.saturating_mul(times), window };
            networks.push((format!("login from\n{network}"), rate(from_one), false));
            // The first is the account from the narrowest.
            let empties = accounts.is_empty();
            accounts.push((format!("{everywhere}\nfrom\n{network}"), rate(account), empties));
            times = times.saturating_mul(WIDER);
        }
        let rate = Rate { at_once: account.saturating_mul(FROM_EVERYWHERE), window };
        accounts.push((everywhere, rate, false));
        let all = networks.into_iter().chain(accounts);
        all.map(|(name, rate, empties)| {
            let entry = self.sessions.entry(Kind::Throttle, &name, window);
            async move {
                let read = entry.open().await?;
                Ok(Bucket { entry, read, rate, empties })
            }
        })
        .collect()
    }
}

impl Try {
    /// Takes the try back, as its password was right: it counts neither for its networks nor for the
    /// account, and the account's earlier tries from the narrowest are forgotten. What cannot be
    /// taken back is given back in time.
    pub(super) async fn was_right(self) {
        let done = join_all(self.0.iter().map(Bucket::take_back)).await;
        for failed in done.into_iter().filter_map(Result::err) {
            tracing::debug!(error = %failed, "a right password stays counted as a try");
        }
    }
}

impl Bucket {
    /// How full it is, as it was read.
    fn level(&self) -> Result<Level, Error> {
        Ok(self.read.get(LEVEL)?.unwrap_or_default())
    }

    async fn charge(&self, now: Timestamp) -> Result<(), Held> {
        let charge =
            |level: &mut Level| self.rate.charge(*level, now).map(|charged| *level = charged);
        self.read.update(LEVEL, charge).await.map_err(Held::Unknown)?.map_err(Held::For)
    }

    async fn take_back(&self) -> Result<(), Error> {
        if self.empties {
            return self.entry.end().await.map(drop);
        }
        self.read.update(LEVEL, |level| *level = self.rate.refund(*level)).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use cloakroom::{MemoryStore, Store};
    use cloakroom_testkit::stores::{Call, Counting, Hooked};
    use tokio::sync::Barrier;

    use super::*;

    const SECOND: u64 = 1000;

    fn rate(at_once: u32) -> Rate {
        Rate { at_once, window: Duration::from_secs(60) }
    }

    #[test]
    fn so_many_at_once_and_then_one_after_the_other() {
        let rate = rate(4);
        let now = Timestamp::from_millis(1_000_000);
        let mut level = Level::default();
        for _ in 0..4 {
            level = rate.charge(level, now).unwrap();
        }
        assert_eq!(rate.charge(level, now), Err(Duration::from_secs(15)));
        let later = |seconds: u64| Timestamp::from_millis(now.millis() + seconds * SECOND);
        assert_eq!(rate.charge(level, later(14)), Err(Duration::from_secs(1)));
        level = rate.charge(level, later(15)).unwrap();
        assert_eq!(rate.charge(level, later(15)), Err(Duration::from_secs(15)));
        // After a long time there are as many as in the beginning, and no more.
        for _ in 0..4 {
            level = rate.charge(level, later(1000)).unwrap();
        }
        assert!(rate.charge(level, later(1000)).is_err());
        assert!(rate.charge(rate.refund(level), later(1000)).is_ok());
    }

    #[test]
    fn no_setting_breaks_the_sum() {
        let now = Timestamp::MAX;
        for (at_once, window) in [(0, 0), (u32::MAX, 0), (0, u64::MAX), (u32::MAX, u64::MAX)] {
            let rate = Rate { at_once, window: Duration::from_secs(window) };
            let level = rate.charge(Level(u64::MAX), now);
            let _ = (rate.refund(Level(0)), level, rate.charge(Level(0), Timestamp::EPOCH));
        }
        assert!(rate(0).charge(Level(0), now).is_ok(), "none at once would let nobody in");
    }

    fn two_nodes(settings: Throttling) -> [Throttle; 2] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        [(); 2].map(|()| {
            let sessions = cloakroom::sessions(Arc::clone(&store)).build().unwrap();
            Throttle::new(sessions, settings)
        })
    }

    const FEW: Throttling =
        Throttling { account: 2, address: 5, window: Duration::from_secs(3600) };

    async fn tries(throttle: &Throttle, name: &str, address: &str) -> bool {
        let name = Name::parse(name).ok();
        match throttle.begin(name.as_ref(), Some(address.parse().unwrap())).await {
            Ok(_) => true,
            Err(Held::For(wait)) => {
                assert!(wait > Duration::ZERO);
                false
            }
            Err(Held::Unknown(error)) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn all_nodes_count_together() {
        let [a, b] = two_nodes(FEW);
        assert!(tries(&a, "alice", "192.0.2.1").await);
        assert!(tries(&b, "alice", "192.0.2.1").await);
        assert!(!tries(&a, "alice", "192.0.2.1").await);
        assert!(!tries(&b, "alice", "192.0.2.1").await);
        assert!(tries(&b, "bob", "192.0.2.1").await, "another account still may be tried");
        assert!(tries(&b, "alice", "192.0.2.2").await, "its user elsewhere is not kept out");
    }

    #[tokio::test]
    async fn an_address_cannot_go_through_all_accounts() {
        let [a, _] = two_nodes(FEW);
        let mut let_in = 0;
        for n in 0..20 {
            let_in += u32::from(tries(&a, &format!("user{n}"), "2001:db8::1").await);
        }
        assert_eq!(let_in, FEW.address);
        assert!(!tries(&a, "user30", "2001:db8:0:ff::1").await, "the same line");
        assert!(tries(&a, "user30", "2001:db8:0:100::1").await);
    }

    #[tokio::test]
    async fn an_account_cannot_be_tried_from_everywhere_for_ever() {
        let [a, _] = two_nodes(FEW);
        let mut let_in = 0;
        for n in 0..60 {
            let_in += u32::from(tries(&a, "alice", &format!("192.0.2.{n}")).await);
        }
        assert_eq!(let_in, FEW.account * FROM_EVERYWHERE);
        // One network can do its own share of that alone, not keep the user out by itself.
        let [b, _] = two_nodes(FEW);
        for _ in 0..60 {
            tries(&b, "alice", "192.0.2.1").await;
        }
        assert!(tries(&b, "alice", "192.0.2.2").await);
    }

    /// A line of a home has 256 networks of 64 bits.
    #[tokio::test]
    async fn one_line_cannot_keep_a_user_out() {
        // So long a time that none is given back meanwhile.
        let window = Duration::from_secs(7 * 24 * 3600);
        let [a, _] = two_nodes(Throttling { window, ..Throttling::default() });
        let account = Throttling::default().account;
        let guesses = async |networks: std::ops::Range<u32>, places: std::ops::Range<u32>| {
            let mut let_in = 0;
            for (place, net) in places.flat_map(|place| networks.clone().map(move |n| (place, n))) {
                let mut more = true;
                for n in 1..=account {
                    let from = format!("2001:db8:{place:x}:{:x}::{n:x}", 0x1100 + net);
                    more = more && tries(&a, "victim", &from).await;
                    let_in += u32::from(more);
                }
            }
            let_in
        };
        assert_eq!(guesses(0..21, 0..1).await, account, "21 networks of one line");
        assert!(tries(&a, "victim", "198.51.100.7").await, "the user elsewhere");
        assert!(tries(&a, "victim", "2001:db8:0:1200::7").await, "and a neighbour of the line");
        assert_eq!(guesses(0x100..0x500, 0..1).await, 3 * account - 1, "all of one place");
        assert!(tries(&a, "victim", "198.51.100.7").await);
        // It takes five places that have nothing to do with each other.
        assert_eq!(guesses(0..0x400, 1..5).await, 16 * account - 2);
        assert!(!tries(&a, "victim", "198.51.100.7").await);
    }

    #[tokio::test]
    async fn one_line_cannot_go_through_all_accounts() {
        let [a, _] = two_nodes(FEW);
        let mut let_in = 0;
        for n in 0..40 {
            let from = format!("2001:db8:0:11{:02x}::1", n / 2);
            let_in += u32::from(tries(&a, &format!("user{n}"), &from).await);
        }
        assert_eq!(let_in, FEW.address);
        assert!(tries(&a, "user0", "2001:db8:0:1200::1").await);
        // Nor can a place go on for ever that has many.
        for n in 0..40 {
            let from = format!("2001:db8:0:{n:02x}00::1");
            let_in += u32::from(tries(&a, &format!("other{n}"), &from).await);
        }
        assert_eq!(let_in + 1, FEW.address * WIDER);
    }

    /// What decision 19 promises: a read of each bucket, all at once, and a write to each; nothing is
    /// written while somebody is held; a right password is one write more to each.
    #[tokio::test]
    async fn a_try_asks_the_store_so_often_and_no_more() {
        let alice = Name::parse("alice").unwrap();
        for (address, buckets) in [("192.0.2.1", 3), ("2001:db8::1", 5)] {
            let hooked = Arc::new(Hooked::new(Arc::new(MemoryStore::new())));
            let store = Arc::new(Counting::new(Arc::clone(&hooked) as Arc<dyn Store>));
            let sessions = cloakroom::sessions(Arc::clone(&store) as Arc<dyn Store>);
            let throttle = Throttle::new(sessions.build().unwrap(), FEW);
            let address = Some(address.parse().unwrap());
            for earlier in 0..2 {
                // None of the reads is answered before all are asked.
                let all = Arc::new(Barrier::new(buckets));
                for n in 1..=buckets {
                    let all = Arc::clone(&all);
                    hooked.before(Call::Load, n, async move {
                        all.wait().await;
                        Ok(())
                    });
                }
                let counted = throttle.begin(Some(&alice), address).await.unwrap();
                let writes = if earlier == 0 { Call::Create } else { Call::Commit };
                let expected = [(Call::Load, buckets), (writes, buckets)];
                assert_eq!(store.take(), BTreeMap::from(expected), "{address:?}");
                if earlier == 0 {
                    counted.was_right().await;
                    let expected = [(Call::Commit, buckets - 1), (Call::End, 1)];
                    assert_eq!(store.take(), BTreeMap::from(expected), "{address:?}");
                    throttle.begin(Some(&alice), address).await.unwrap();
                    store.take();
                }
            }
            assert!(throttle.begin(Some(&alice), address).await.is_err());
            assert_eq!(store.take(), BTreeMap::from([(Call::Load, buckets)]), "{address:?}");
        }
    }

    /// Whom one bucket refuses counts for none of those behind, also where all have read before
    /// anybody writes.
    #[tokio::test]
    async fn many_at_once_are_no_more_than_one_after_the_other() {
        const MANY: usize = 20;
        let hooked = Arc::new(Hooked::new(Arc::new(MemoryStore::new())));
        let sessions = cloakroom::sessions(Arc::clone(&hooked) as Arc<dyn Store>);
        let throttle = Throttle::new(sessions.build().unwrap(), FEW);
        let all = Arc::new(Barrier::new(3 * MANY));
        for n in 1..=3 * MANY {
            let all = Arc::clone(&all);
            hooked.before(Call::Load, n, async move {
                all.wait().await;
                Ok(())
            });
        }
        let at_once = (0..MANY).map(|_| tries(&throttle, "alice", "192.0.2.1"));
        let let_in = join_all(at_once).await.into_iter().filter(|is_let_in| *is_let_in).count();
        assert_eq!(let_in, FEW.account as usize);
        let mut others = 0;
        for n in 2..100 {
            others += u32::from(tries(&throttle, "alice", &format!("192.0.2.{n}")).await);
        }
        let left = FEW.account * (FROM_EVERYWHERE - 1);
        assert_eq!(others, left, "what was refused is not the account's");
    }

    #[tokio::test]
    async fn a_right_password_is_forgotten_as_a_try() {
        let [a, _] = two_nodes(FEW);
        let alice = Name::parse("alice").unwrap();
        let address = Some("192.0.2.1".parse().unwrap());
        for _ in 0..20 {
            a.begin(Some(&alice), address).await.unwrap().was_right().await;
        }
        assert!(tries(&a, "bob", "192.0.2.1").await, "nor does it count for the address");
        // A guesser does not get tries back by signing in with an account of their own.
        let mallory = Name::parse("mallory").unwrap();
        let mut guesses = 0;
        for _ in 0..20 {
            guesses += u32::from(tries(&a, "alice", "192.0.2.9").await);
            let address = Some("192.0.2.9".parse().unwrap());
            if let Ok(right) = a.begin(Some(&mallory), address).await {
                right.was_right().await;
            }
        }
        assert_eq!(guesses, FEW.account);
    }
}
