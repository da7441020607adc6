//! The checksum of gzip (RFC 1952 §8). Its table is made when it is needed: a page loads code faster than tables.

/// CRC-32 of what has come so far.
#[derive(Debug)]
pub(crate) struct Crc32 {
    table: [u32; 256],
    inverted: u32,
}

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

impl Default for Crc32 {
    fn default() -> Self {
        Self {
            table: std::array::from_fn(row),
            inverted: u32::MAX,
        }
    }
}

impl Crc32 {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [low, ..] = self.inverted.to_le_bytes();
            let row = self.table.get(usize::from(low ^ byte));
            self.inverted = (self.inverted >> 8) ^ row.copied().unwrap_or_default();
        }
    }

    /// The checksum; starts again.
    pub(crate) const fn take(&mut self) -> u32 {
        let sum = !self.inverted;
        self.inverted = u32::MAX;
        sum
    }
}

fn row(index: usize) -> u32 {
    let mut row = u32::try_from(index).unwrap_or_default();
    for _ in 0..8 {
        row = (row >> 1) ^ if row & 1 == 1 { POLYNOMIAL } else { 0 };
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_the_nine_digits_is_the_known_one() {
        let mut crc = Crc32::default();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.take(), 0xcbf4_3926);
        assert_eq!(crc.take(), 0);
    }
}
