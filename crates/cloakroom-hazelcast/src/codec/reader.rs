//! Reads what is in a message. Whatever is not there is [`Malformed`], never a panic.

use bytes::{Buf, Bytes};

use super::Uuid;
use super::frame::{BEGIN, END, Frame, Malformed, NULL};

/// How deep what has several frames may lie in another. Members send three.
const DEEPEST: usize = 16;

/// Reads a message, frame by frame.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    frames: std::slice::Iter<'a, Frame>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(frames: &'a [Frame]) -> Self {
        Self { frames: frames.iter() }
    }

    /// The next frame's content; for numbers and the like.
    pub(crate) fn fixed(&mut self) -> Result<Fixed<'a>, Malformed> {
        self.next().map(|frame| Fixed(&frame.content))
    }

    /// The next frame's bytes.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let frame = self.next()?;
        match frame.is(NULL | BEGIN | END) {
            true => Err(Malformed("bytes are missing")),
            false => Ok(frame.content.clone()),
        }
    }

    /// The next frame's bytes, or that there are none.
    pub(crate) fn bytes_or_null(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self.skip_null() {
            true => Ok(None),
            false => self.bytes().map(Some),
        }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let frame = self.next()?;
        str::from_utf8(&frame.content).map_err(|_| Malformed("a text that is no UTF-8"))
    }

    pub(crate) fn text_or_null(&mut self) -> Result<Option<&'a str>, Malformed> {
        match self.skip_null() {
            true => Ok(None),
            false => self.text().map(Some),
        }
    }

    /// Reads items until their list ends.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.begin()?;
        let mut items = Vec::new();
        while !self.at_end()? {
            items.push(item(self)?);
        }
        self.next()?;
        Ok(items)
    }

    /// Passes the beginning of what has several frames.
    pub(crate) fn begin(&mut self) -> Result<(), Malformed> {
        match self.next()?.is(BEGIN) {
            true => Ok(()),
            false => Err(Malformed("something does not begin")),
        }
    }

    /// Passes whatever is left of what has several frames, and its end.
    pub(crate) fn leave(&mut self) -> Result<(), Malformed> {
        let mut depth = 1;
        while depth > 0 {
            let frame = self.next()?;
            depth += usize::from(frame.is(BEGIN));
            depth -= usize::from(frame.is(END));
            if depth > DEEPEST {
                return Err(Malformed("too much in one another"));
            }
        }
        Ok(())
    }

    /// Passes one value, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        match self.next()?.is(BEGIN) {
            true => self.leave(),
            false => Ok(()),
        }
    }

    fn skip_null(&mut self) -> bool {
        let is_null = self.frames.as_slice().first().is_some_and(|frame| frame.is(NULL));
        if is_null {
            self.frames.next();
        }
        is_null
    }

    fn at_end(&self) -> Result<bool, Malformed> {
        let next = self.frames.as_slice().first().ok_or(Malformed("a list without an end"))?;
        Ok(next.is(END))
    }

    fn next(&mut self) -> Result<&'a Frame, Malformed> {
        self.frames.next().ok_or(Malformed("a message that is cut off"))
    }
}

/// Numbers and the like, one after the other.
pub(crate) struct Fixed<'a>(&'a [u8]);

impl Fixed<'_> {
    /// Passes so many bytes.
    pub(crate) fn skip(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.0 = self.0.get(bytes..).ok_or(SHORT)?;
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    pub(crate) fn int(&mut self) -> Result<i32, Malformed> {
        self.0.try_get_i32_le().map_err(|_| SHORT)
    }

    pub(crate) fn long(&mut self) -> Result<i64, Malformed> {
        self.0.try_get_i64_le().map_err(|_| SHORT)
    }

    /// A name, or that there is none.
    pub(crate) fn uuid(&mut self) -> Result<Option<Uuid>, Malformed> {
        let is_null = self.byte()? != 0;
        let high = self.0.try_get_u64_le().map_err(|_| SHORT)?;
        let low = self.0.try_get_u64_le().map_err(|_| SHORT)?;
        Ok((!is_null).then(|| Uuid(u128::from(high) << 64 | u128::from(low))))
    }
}

const SHORT: Malformed = Malformed("a frame that is too short");
