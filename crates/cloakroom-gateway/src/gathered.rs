//! Small pieces of a message, written as one: one plain call to the system costs less than one with a
//! list.

use std::io::IoSlice;

/// Room for a usual head with a short body.
pub(crate) const ROOM: usize = 1024;

/// What is to be written in one piece: the only one of `pieces`, or all of them where they fit into
/// `room`.
pub(crate) fn gathered<'p>(
    pieces: &'p [IoSlice<'_>],
    room: &'p mut [u8; ROOM],
) -> Option<&'p [u8]> {
    if let [only] = pieces {
        return Some(only);
    }
    let mut length = 0;
    for piece in pieces {
        let end = length + piece.len();
        room.get_mut(length..end)?.copy_from_slice(piece);
        length = end;
    }
    room.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_one_piece_and_what_does_not_stays_apart() {
        let mut room = [0; ROOM];
        let pieces = [b"ab".as_slice(), b"", b"c"].map(IoSlice::new);
        assert_eq!(gathered(&pieces, &mut room), Some(&b"abc"[..]));
        let large = [0; ROOM + 1];
        assert_eq!(gathered(&[IoSlice::new(&large)], &mut room), Some(&large[..]), "not copied");
        let full = [b"a".as_slice(), &large[..ROOM - 1]].map(IoSlice::new);
        assert_eq!(gathered(&full, &mut room).map(<[u8]>::len), Some(ROOM));
        let over = [b"a".as_slice(), &large[..ROOM]].map(IoSlice::new);
        assert_eq!(gathered(&over, &mut room), None);
        assert_eq!(gathered(&[], &mut room), Some(&b""[..]));
    }
}
