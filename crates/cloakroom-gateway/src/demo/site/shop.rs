//! What the shop keeps in a session, and what can be done with it.

use std::collections::BTreeMap;

use cloakroom::{Error, Session, Slot, Timestamp};
use serde::{Deserialize, Serialize};

use super::text;
use super::trail::{self, Did};
use crate::demo::settings::Name;

/// How often this session's client has said that it is here.
pub(crate) const VISITS: Slot<u64> = Slot::new("visits");
/// What this session's client means to take along.
pub(crate) const CART: Slot<Cart> = Slot::new("cart");

/// The most characters of an item's name.
pub(crate) const NAME_CHARS: usize = 40;
/// The most different items in a cart.
pub(crate) const ITEMS: usize = 20;
/// The most of one item that can be added at once, or be in a cart.
pub(crate) const OF_ONE: u32 = 99;

/// Items, and how many of each.
pub(crate) type Cart = BTreeMap<String, u32>;

/// An item and how many, both within bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    item: String,
    quantity: u32,
}

/// Why something cannot be put into the cart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum NoRoom {
    /// The item has no name, or one that is too long or holds what cannot be seen.
    #[error("an item's name has 1 to {NAME_CHARS} characters, all of which can be seen")]
    Name,
    /// None, or too many.
    #[error("a quantity is 1 to {OF_ONE}")]
    Quantity,
    /// There are many of it already.
    #[error("a cart holds at most {OF_ONE} of one item")]
    OfOne,
    /// There are many different items already.
    #[error("a cart holds at most {ITEMS} different items")]
    Items,
}

impl Wish {
    /// Checks an item's name, without the blanks around it, and a quantity.
    pub(crate) fn parse(item: &str, quantity: u32) -> Result<Self, NoRoom> {
        let item = item.trim();
        let chars = item.chars().count();
        if chars > NAME_CHARS || !text::is_seen(item) {
            return Err(NoRoom::Name);
        }
        if !(1..=OF_ONE).contains(&quantity) {
            return Err(NoRoom::Quantity);
        }
        Ok(Self { item: item.to_owned(), quantity })
    }

    /// Puts it into a cart, or leaves the cart as it is.
    fn put_into(&self, cart: &mut Cart) -> Result<Cart, NoRoom> {
        let there = cart.get(&self.item).copied();
        if there.is_none() && cart.len() >= ITEMS {
            return Err(NoRoom::Items);
        }
        let sum = there.unwrap_or(0).saturating_add(self.quantity);
        if sum > OF_ONE {
            return Err(NoRoom::OfOne);
        }
        cart.insert(self.item.clone(), sum);
        Ok(cart.clone())
    }
}

/// Adds one to the visits; the number that was stored.
pub(crate) async fn visit(session: &Session, node: Name, now: Timestamp) -> Result<u64, Error> {
    trail::add(session, node, now, Did::Visited { times: 1 })?;
    let count = |visits: &mut u64| {
        *visits = visits.saturating_add(1);
        *visits
    };
    session.transact(VISITS, count).await
}

/// Puts something into the cart; the cart that was stored.
pub(crate) async fn add(
    session: &Session,
    wish: &Wish,
    node: Name,
    now: Timestamp,
) -> Result<Result<Cart, NoRoom>, Error> {
    // A cart that is seen to be full is not written, nor does it begin a session.
    let mut seen = session.get(CART)?.unwrap_or_default();
    if let Err(no_room) = wish.put_into(&mut seen) {
        return Ok(Err(no_room));
    }
    let did = Did::Added { item: wish.item.clone(), quantity: wish.quantity };
    trail::add(session, node, now, did)?;
    session.transact(CART, |cart| wish.put_into(cart)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_in_a_cart_is_refused() {
        let long = "x".repeat(NAME_CHARS + 1);
        for name in ["", "  ", "a\nb", "\u{7}", "\u{200b}", "\u{202e}gnp.live", &long] {
            assert_eq!(Wish::parse(name, 1), Err(NoRoom::Name), "{name:?}");
        }
        for quantity in [0, OF_ONE + 1, u32::MAX] {
            assert_eq!(Wish::parse("tea", quantity), Err(NoRoom::Quantity));
        }
        let umlauts = "ü".repeat(NAME_CHARS);
        assert!(Wish::parse(&umlauts, OF_ONE).is_ok());
    }

    #[test]
    fn a_cart_has_bounds_and_a_refusal_changes_nothing() {
        let mut cart = Cart::new();
        let tea = Wish::parse(" tea ", 60).unwrap();
        assert_eq!(tea.put_into(&mut cart).unwrap()["tea"], 60);
        assert_eq!(tea.put_into(&mut cart), Err(NoRoom::OfOne));
        assert_eq!(cart["tea"], 60);
        for number in 1..ITEMS {
            Wish::parse(&number.to_string(), 1).unwrap().put_into(&mut cart).unwrap();
        }
        let before = cart.clone();
        assert_eq!(Wish::parse("one more", 1).unwrap().put_into(&mut cart), Err(NoRoom::Items));
        assert_eq!(cart, before);
    }
}
