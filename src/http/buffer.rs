//! Bytes that came over a connection and are not used yet.

use std::io;

/// Room that a read finds at least.
const ROOM: usize = 4096;

/// Its memory is kept from request to request: it is as large as a head, or as what one read of a body gives.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// What is before is used already.
    used: usize,
    /// What is behind did not come yet.
    filled: usize,
}

impl Buffer {
    /// What is there.
    pub fn held(&self) -> &[u8] {
        &self.bytes[self.used..self.filled]
    }

    pub fn is_empty(&self) -> bool {
        self.used == self.filled
    }

    /// Hands over the first bytes, of which there must be so many.
    pub fn take(&mut self, count: usize) -> &[u8] {
        let from = self.used;
        self.used += count;
        &self.bytes[from..self.used]
    }

    /// Has `read` put more bytes behind those that are there, and tells how many.
    pub fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        if self.bytes.len() - self.filled < ROOM {
            self.bytes.copy_within(self.used..self.filled, 0);
            self.filled -= self.used;
            self.used = 0;
            if self.bytes.len() - self.filled < ROOM {
                self.bytes.resize(self.filled + 2 * ROOM, 0);
            }
        }
        let count = read(&mut self.bytes[self.filled..])?;
        self.filled += count;
        if self.used == self.filled {
            self.clear();
        }
        Ok(count)
    }

    pub fn clear(&mut self) {
        self.used = 0;
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let mut buffer = Buffer::default();
        let (mut sent, mut seen) = (0u32, Vec::new());
        for turn in 0..500 {
            let size = turn * 37 % 3000;
            let written = buffer.fill(|room| {
                assert!(room.len() >= ROOM);
                room[..size].fill_with(|| {
                    sent += 1;
                    sent as u8
                });
                Ok(size)
            });
            assert_eq!(written.unwrap(), size);
            let count = if turn % 7 == 0 { buffer.held().len() } else { buffer.held().len() / 2 };
            seen.extend_from_slice(buffer.take(count));
        }
        seen.extend_from_slice(buffer.held());
        assert!(seen.iter().zip(1u32..).all(|(byte, number)| *byte == number as u8) && seen.len() == sent as usize);
        assert!(buffer.bytes.len() <= 4 * ROOM);
    }
}
