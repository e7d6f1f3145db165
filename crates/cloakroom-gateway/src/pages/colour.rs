//! A theme's colour, made fit to be read on paper and in the dark.

use std::fmt;
use std::str::FromStr;

/// A colour as `#rgb` or `#rrggbb` writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Colour([u8; 3]);

/// The text is no colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a colour: expected `#` and three or six hexadecimal digits, such as #0b6b6b")]
pub(crate) struct BadColour;

/// What text needs to be read by everybody (WCAG 2.2, success criterion 1.4.3).
const CONTRAST: f64 = 4.5;
/// How finely a colour is moved.
const STEPS: u32 = 40;

impl FromStr for Colour {
    type Err = BadColour;

    fn from_str(text: &str) -> Result<Self, BadColour> {
        let digits = text.strip_prefix('#').ok_or(BadColour)?;
        let digits = digits.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>();
        let byte = |high: u32, low: u32| u8::try_from(16 * high + low).map_err(|_| BadColour);
        match digits.ok_or(BadColour)?[..] {
            [r, g, b] => Ok(Self([byte(r, r)?, byte(g, g)?, byte(b, b)?])),
            [r, s, g, h, b, c] => Ok(Self([byte(r, s)?, byte(g, h)?, byte(b, c)?])),
            _ => Err(BadColour),
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

impl Colour {
    pub(crate) const WHITE: Self = Self([255; 3]);
    pub(crate) const BLACK: Self = Self([0; 3]);

    /// The colour nearest to this one that can be read on `paper`.
    pub(crate) fn readable_on(self, paper: Self) -> Self {
        let away = if paper.luminance() > 0.5 { Self::BLACK } else { Self::WHITE };
        let moved = (0..=STEPS).map(|step| self.towards(away, step));
        moved.into_iter().find(|colour| colour.contrast(paper) >= CONTRAST).unwrap_or(away)
    }

    /// Black or white, whichever is read better on this one.
    pub(crate) fn ink(self) -> Self {
        match self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) {
            true => Self::WHITE,
            false => Self::BLACK,
        }
    }

    fn towards(self, other: Self, step: u32) -> Self {
        let mix = |mine: u8, theirs: u8| {
            let mixed = u32::from(mine) * (STEPS - step) + u32::from(theirs) * step;
            u8::try_from(mixed / STEPS).unwrap_or(u8::MAX)
        };
        let ([r, g, b], [s, h, c]) = (self.0, other.0);
        Self([mix(r, s), mix(g, h), mix(b, c)])
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    fn luminance(self) -> f64 {
        let [r, g, b] = self.0.map(|byte| {
            let share = f64::from(byte) / 255.0;
            match share <= 0.040_45 {
                true => share / 12.92,
                false => ((share + 0.055) / 1.055).powf(2.4),
            }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_and_nothing_else() {
        assert_eq!("#0a7".parse::<Colour>().map(|colour| colour.to_string()), Ok("#00aa77".into()));
        assert_eq!("#0B6b6B".parse(), Ok(Colour([0x0b, 0x6b, 0x6b])));
        for bad in
            ["", "#", "0a7", "#0a", "#0a7b", "#0a7b6", "#ggg", "red", "#0a7;}", "#0a7 ", "#é77"]
        {
            assert_eq!(bad.parse::<Colour>(), Err(BadColour), "{bad}");
        }
    }

    #[test]
    fn every_colour_is_made_one_that_can_be_read() {
        let papers = [Colour([0xff, 0xfd, 0xf9]), Colour([0x20, 0x1e, 0x1c])];
        for colour in ["#fff", "#000", "#ff0", "#00f", "#0a7", "#777", "#b0431c"] {
            let colour: Colour = colour.parse().unwrap();
            for paper in papers {
                let readable = colour.readable_on(paper);
                assert!(readable.contrast(paper) >= CONTRAST, "{colour} on {paper}: {readable}");
                assert!(readable.ink().contrast(readable) >= CONTRAST, "on {readable}");
            }
        }
        let fine: Colour = "#0b6b6b".parse().unwrap();
        assert_eq!(fine.readable_on(papers[0]), fine, "what can be read stays as it is");
    }
}
