//! Keeps Cloakroom's sessions in a map of a Hazelcast cluster, version 5.0 or later.
//!
//! ```no_run
//! use cloakroom_hazelcast::{HazelcastStore, Options};
//!
//! # async fn connect() -> Result<(), cloakroom_hazelcast::ConnectError> {
//! let url = "hazelcast://10.0.0.1,10.0.0.2/shop?map=sessions";
//! let store = HazelcastStore::connect(url, Options::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it needs
//!
//! A map with the defaults of Hazelcast: one backup or more, no eviction, no time to live, no
//! expiry by idleness, entries in binary form. Eviction ends living sessions when memory runs
//! short; without a backup, a member's death ends those that it had. Nothing else needs to be
//! configured, and no class of ours is on the members. Two indexes are added to the map, over `over`
//! and `lapses`.
//!
//! Everything is in memory: what is kept outlives members, as many at once as the map has backups,
//! and not the cluster. A cluster that is split goes on in its parts, and one part's changes are
//! lost when they come together again; with split-brain protection on the map, the smaller part
//! refuses instead, and so do its beats.
//!
//! # What a call costs
//!
//! One connection, to any member, serves all calls. A load takes one round trip, and a commit one
//! where its maker knows the record, with a hop from member to member where another one has it. A
//! swap that fails takes another round trip, in which what is there is read and the other members
//! are asked whether they still are. A sweep finds what is due by an index. To count, members look
//! at every session; to page, this node reads every session, once.
//!
//! A place is forgotten by the cluster itself only if it was never changed: see
//! `docs/decisions/0013-hazelcast.md`. Sweeps remove everything else; what is remembered of a user
//! whose sessions were all ended stays, at about 150 bytes.
//!
//! # When members fail
//!
//! Where the member that is talked to dies, calls that it has not answered are
//! [`Unanswered`](cloakroom_core::store::Error::Unanswered), and the next call goes to another one
//! of the URL. Where another one dies, calls wait until its backups have taken over, or for
//! [`Options::call_timeout`]. A swap that may have been carried out twice for a member's death is
//! `Unanswered`, too.
//!
//! # What a cache over it hears
//!
//! The [feed](cloakroom_core::store::Feed) is made of what empties Hazelcast's own near caches, for
//! which every member has to be told to send it at once:
//! `hazelcast.map.invalidation.batch.enabled` is `false`. Where it is not, this is said in the log,
//! and no session is cached. A beat asks every partition and every member and takes about three
//! round trips; the source goes down when a member comes, goes, or does not answer.
//!
//! # The frames
//!
//! A connection begins with `CP2`. All that follows is messages of one or more frames, in both
//! directions: a length (`i32`, its own six-byte head included), flags (`u16`) and content, with
//! numbers in little-endian order. The flags:
//!
//! | bit | meaning |
//! |---|---|
//! | 15 and 14 | a fragment begins and ends: always both, on a message's first frame |
//! | 13 | the last frame of its message |
//! | 12, 11 | what has several frames begins, ends: a list, a structure |
//! | 10 | null |
//! | 9 | an event |
//!
//! A message's first frame holds its type (`i32`), its correlation id (`i64`), for a request and an
//! event the partition (`i32`), for an answer the number of backups (`u8`), and then everything
//! with a fixed size: `i32`, `i64`, a truth as `u8`, a UUID as a `u8` that is 1 for null and two
//! `i64`, the high half first. Everything else has a frame of its own each: texts in UTF-8, data,
//! lists of numbers. An answer's type is its request's and one; type 0 is an error, a list of
//! structures with a code, a class and a text.
//!
//! | type | request | fixed, then frames |
//! |---|---|---|
//! | `000100` | authentication | client's UUID, serialisation 1, routing 0 (one member), `u8` 0; cluster, name, password, client's type, version and name, labels |
//! | `000300` | who is in the cluster | event `000302`: version; members (UUID, whether it is without data) |
//! | `000B00` | ping | |
//! | `010200` | get | thread; map, key |
//! | `010500` | replace if same | thread; map, key, expected, new |
//! | `010800` | remove if same | thread; map, key, expected |
//! | `010E00` | put if absent | thread, time to live in ms; map, key, value |
//! | `012900` | add an index | map, index (type; name, attributes, two nulls) |
//! | `012A00` | size | map |
//! | `013600` | entries, the first page | map, page (size, number, what; anchors, predicate, three nulls at most) |
//! | `013800` | fetch the entries of a partition | how many; map, pointers |
//! | `013A00` | aggregate | map, aggregation, predicate |
//! | `013D00` | what a member has counted | member; maps |
//! | `013F00` | listen to invalidations | flags 256, all members; map. Event `013F02`: who, partition's UUID, sequence; key |
//!
//! Data is a hash (0), a type and content, in big-endian order: a text (-11) for a key, which is the
//! place's own name; JSON (-130) for a value, `{"kind":"s","alive":0,"over":0,"lapses":0,"bytes":""}`
//! with instants in milliseconds and the bytes in base64; an object with a factory and a class (-2)
//! for a predicate. A key's partition is MurmurHash3 of its content, without hash and type, modulo
//! the number of partitions.
//!
//! A store made here has neither cache nor circuit breaker. `cloakroom::connect` puts both in front;
//! by hand it is `near(Breaker::new(store, TokioTimer, options), options)`.

mod codec;
mod connect;
mod dial;
mod fault;
mod feed;
mod ledger;
mod link;
mod pages;
mod raise;
mod register;
mod store;
mod tls;
mod url;
mod watch;
mod wire;

pub use connect::{ConnectError, Options};
pub use register::HazelcastRegister;
pub use store::HazelcastStore;
