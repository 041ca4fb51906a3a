//! Lower-case hexadecimal digits, eight at a time.

/// The number that hexadecimal digits in lower case stand for.
#[derive(Clone, Copy)]
pub(super) struct Hex {
    pub(super) value: u64,
    /// Zero where they are such digits.
    pub(super) invalid: u64,
}

impl Hex {
    const EACH: u64 = 0x0101_0101_0101_0101;

    #[inline]
    pub(super) fn concat(high: Hex, low: Hex) -> Self {
        Hex {
            value: high.value << 32 | low.value,
            invalid: high.invalid | low.invalid,
        }
    }

    /// All eight at a time.
    ///
    /// ```text
    /// // Input: the digits, one a byte
    /// 30 30 66 30 36 37 61 61     "00f067aa"
    /// // Output
    /// 0x00f0_67aa
    /// ```
    #[inline]
    pub(super) fn parse8(digits: u64) -> Self {
        // Letters have the bit 0x40 set, digits do not: `a` is 0x61.
        let values = (digits & (Self::EACH * 0x0f)) + (digits >> 6 & Self::EACH) * 9;
        // Back again, which gives the same digits only if they were such, and none above `f`.
        let again = Hex::to_ascii(values);
        let pairs = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
        Hex {
            value: (fours | fours >> 16) & 0xffff_ffff,
            invalid: again ^ digits | values & (Self::EACH * 0xf0),
        }
    }

    /// And back again, of four bytes.
    #[inline]
    pub(super) fn encode4(number: [u8; 4]) -> [u8; 8] {
        let number = u64::from(u32::from_be_bytes(number));
        let fours = (number | number << 16) & 0x0000_ffff_0000_ffff;
        let pairs = (fours | fours << 8) & 0x00ff_00ff_00ff_00ff;
        let values = (pairs | pairs << 4) & (Self::EACH * 0x0f);
        Hex::to_ascii(values).to_be_bytes()
    }

    /// The digits that have these values, one a byte.
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
    fn eight_digits_are_those_of_the_standard_library() {
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
