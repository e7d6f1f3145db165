//! Which master has which bucket, as far as this node knows, and the connection to each.
//!
//! It is a hint: a node that is asked for what it has not says who has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cloakroom_core::store::{FeedSource as Source, Notices};

use crate::layout::BUCKETS;
use crate::link::Link;
use crate::topology::Topology;
use crate::url::Address;

/// One node that commands go to.
pub(crate) struct Node {
    pub(crate) address: Address,
    pub(crate) link: Link,
    /// Buckets that it had and has no more, since its connection was made. Were one to come back,
    /// its source could vouch for what was changed elsewhere meanwhile.
    lost: Mutex<[bool; BUCKETS]>,
}

/// The masters of all buckets.
pub(crate) struct Table {
    owners: Vec<Option<Arc<Node>>>,
    nodes: HashMap<Address, Arc<Node>>,
    /// Every node that was ever named as one by a topology that still holds.
    known: Vec<Address>,
    pub(crate) follower: Option<Arc<dyn Notices>>,
}

impl Node {
    pub(crate) fn new(address: Address, link: Link) -> Self {
        Self { address, link, lost: Mutex::new([false; BUCKETS]) }
    }

    fn loses(&self, bucket: u8) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)[usize::from(bucket)] = true;
    }

    fn gets(&self, bucket: u8) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost[usize::from(bucket)] {
            *lost = [false; BUCKETS];
            self.link.restart();
        }
    }
}

impl Table {
    /// A table that knows nothing but where to ask.
    pub(crate) fn new(seeds: Vec<Address>) -> Self {
        let (owners, nodes) = (vec![None; BUCKETS], HashMap::new());
        Self { owners, nodes, known: seeds, follower: None }
    }

    /// The master of a bucket.
    pub(crate) fn owner(&self, bucket: u8) -> Option<&Arc<Node>> {
        self.owners[usize::from(bucket)].as_ref()
    }

    /// The node that is this source.
    pub(crate) fn node_of(&self, source: Source) -> Option<&Arc<Node>> {
        self.nodes.values().find(|node| node.link.source() == Some(source))
    }

    /// The buckets of a node.
    pub(crate) fn buckets_of(&self, node: &Arc<Node>) -> Vec<u8> {
        (0..=u8::MAX)
            .filter(|bucket| self.owner(*bucket).is_some_and(|owner| Arc::ptr_eq(owner, node)))
            .collect()
    }

    /// All nodes that there is a connection for.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// All nodes that can be asked about the cluster.
    pub(crate) fn known(&self) -> &[Address] {
        &self.known
    }

    /// The node at an address; `link` makes one where there is none yet.
    pub(crate) fn node(
        &mut self,
        address: &Address,
        link: impl FnOnce(Option<Arc<dyn Notices>>) -> Option<Link>,
    ) -> Option<Arc<Node>> {
        if let Some(node) = self.nodes.get(address) {
            return Some(Arc::clone(node));
        }
        let node = Arc::new(Node::new(address.clone(), link(self.follower.clone())?));
        self.nodes.insert(address.clone(), Arc::clone(&node));
        Some(node)
    }

    /// Notes the master of a bucket. What was read from its former one is served no more, because
    /// the source is another.
    pub(crate) fn set_owner(&mut self, bucket: u8, node: Arc<Node>) {
        let owner = &mut self.owners[usize::from(bucket)];
        match owner {
            Some(former) if Arc::ptr_eq(former, &node) => return,
            Some(former) => former.loses(bucket),
            None => {}
        }
        node.gets(bucket);
        *owner = Some(node);
    }

    /// Takes over what a node says of the cluster, and lets go of nodes that have nothing.
    pub(crate) fn learn(
        &mut self,
        topology: &Topology,
        seeds: &[Address],
        link: impl Fn(&Address, Option<Arc<dyn Notices>>) -> Option<Link>,
    ) {
        for (bucket, owner) in (0..=u8::MAX).zip(&topology.owners) {
            let address = owner.and_then(|at| topology.masters.get(at));
            let node =
                address.and_then(|address| self.node(address, |follower| link(address, follower)));
            if let Some(node) = node {
                self.set_owner(bucket, node);
            }
        }
        let owners = &self.owners;
        self.nodes.retain(|_, node| {
            let has = owners.iter().flatten().any(|owner| Arc::ptr_eq(owner, node));
            if !has {
                node.link.restart();
            }
            has
        });
        self.known = topology.nodes.clone();
        self.known.extend(seeds.iter().filter(|seed| !topology.nodes.contains(seed)).cloned());
    }
}
