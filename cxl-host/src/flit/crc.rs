//! The CRC of a 68-byte flit (section 4.2.6): 16 bits over the 512 of the four slots.
//!
//! Polynomial x^16 + 0xF053, start 0, nothing reflected or inverted, bit 511 first. The
//! specification's text speaks of 528 bits in one place; its masks cover 512, and those are followed.

const POLYNOMIAL: u16 = 0xf053;

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc >> 15 == 1 { crc << 1 ^ POLYNOMIAL } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The CRC of the first 64 bytes of a flit.
pub fn crc16(slots: &[u8; 64]) -> u16 {
    slots.iter().rev().fold(0, |crc, byte| crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors agree with the XOR masks that the specification prints.
    #[test]
    fn known_vectors() {
        let mut first = [0; 64];
        first[0] = 1;
        let mut last = [0; 64];
        last[63] = 0x80;
        let mut idle = [0; 64];
        (idle[0], idle[4]) = (1, 1);
        let mut frame = [0; 64];
        (frame[0], frame[4]) = (1, 0x31);
        let counting = std::array::from_fn(|i| i as u8);
        for (bytes, crc) in [
            ([0; 64], 0),
            ([0xff; 64], 0x7856),
            (counting, 0xabf7),
            (first, 0xf053),
            (last, 0xc47d),
            (idle, 0xc341),
            (frame, 0x4198),
        ] {
            assert_eq!(crc16(&bytes), crc, "{bytes:x?}");
        }
    }
}
