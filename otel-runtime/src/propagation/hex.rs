//! Lower-case hexadecimal digits, eight at a time.

/// Number parsed from lower-case hexadecimal digits.
#[derive(Clone, Copy)]
pub(super) struct Hex {
    pub(super) value: u64,
    /// Zero if all digits were valid. Checked once at the end, so that parsing has no branches.
    pub(super) invalid: u64,
}

impl Hex {
    const EACH: u64 = 0x0101_0101_0101_0101;

    /// Joins the upper and the lower half of 16 digits.
    #[inline]
    pub(super) fn concat(high: Hex, low: Hex) -> Self {
        Hex {
            value: high.value << 32 | low.value,
            invalid: high.invalid | low.invalid,
        }
    }

    /// Parses eight digits at once.
    ///
    /// ```text
    /// // Input: the digits, one a byte
    /// 30 30 66 30 36 37 61 61     "00f067aa"
    /// // Output
    /// 0x00f0_67aa
    /// ```
    #[inline]
    pub(super) fn parse8(digits: u64) -> Self {
        // The bit 0x40 is set in letters (`a` is 0x61) and clear in digits (`0` is 0x30).
        let values = (digits & (Self::EACH * 0x0f)) + (digits >> 6 & Self::EACH) * 9;
        // Encoding the values again returns the input only if all digits were valid. Letters above
        // `f` have values above 15, which the second check finds.
        let again = Hex::to_ascii(values);
        let pairs = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
        Hex {
            value: (fours | fours >> 16) & 0xffff_ffff,
            invalid: again ^ digits | values & (Self::EACH * 0xf0),
        }
    }

    /// Encodes four bytes as eight digits.
    #[inline]
    pub(super) fn encode4(number: [u8; 4]) -> [u8; 8] {
        let number = u64::from(u32::from_be_bytes(number));
        let fours = (number | number << 16) & 0x0000_ffff_0000_ffff;
        let pairs = (fours | fours << 8) & 0x00ff_00ff_00ff_00ff;
        let values = (pairs | pairs << 4) & (Self::EACH * 0x0f);
        Hex::to_ascii(values).to_be_bytes()
    }

    /// Returns the digits of eight values from 0 to 15. Both have one per byte.
    #[inline]
    fn to_ascii(values: u64) -> u64 {
        let is_letter = (values + Self::EACH * 6) >> 4 & Self::EACH;
        values + Self::EACH * u64::from(b'0') + is_letter * u64::from(b'a' - b'0' - 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse8_agrees_with_the_standard_library() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut digits = *b"0123cdef";
                digits[at] = byte;
                let text = std::str::from_utf8(&digits).ok();
                let is_plain = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                let expected = text
                    .filter(|_| is_plain)
                    .map(|text| u64::from_str_radix(text, 16).unwrap());
                let Hex { value, invalid } = Hex::parse8(u64::from_be_bytes(digits));
                assert_eq!((invalid == 0).then_some(value), expected, "{byte:#x} at {at}");
            }
        }
    }
}
