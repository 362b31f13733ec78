//! How a zip is written: APPNOTE 6.3.10, sections 4.3 and 4.5.3. Only what is needed to store files as they are, so that
//! the length of everything follows from names and sizes alone. All numbers are little-endian.

use jiff::Zoned;

use crate::clock;

/// From here on a 32-bit field says that the number stands in the extra field (4.4.1.4).
const MOST_32: u64 = 0xffff_ffff;
const MOST_16: u64 = 0xffff;
/// Names are UTF-8 (4.4.4, bit 11).
const UTF8: u16 = 1 << 11;
/// CRC and sizes follow the content (4.4.4, bit 3).
const DESCRIPTOR: u16 = 1 << 3;
/// What reading takes: 1.0 for stored files, 4.5 for 64-bit sizes (4.4.3).
const PLAIN: u16 = 10;
const ZIP64: u16 = 45;
/// Made on Unix, so that the attributes are a mode (4.4.2).
const MADE_BY: u16 = 3 << 8 | ZIP64;
/// An ordinary file that everybody may read.
const MODE: u32 = 0o100_644 << 16;

/// What the headers say of one file.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its name in the zip.
    pub name: &'a str,
    /// Bytes.
    pub size: u64,
    /// Last change, microseconds since 1970 UTC.
    pub modified_at: i64,
    /// 0 as long as it is not known.
    pub crc32: u32,
    /// Whether the CRC is written behind the content, because it is not known before.
    pub describes_after: bool,
}

/// Numbers, one after the other.
struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&mut self, number: u16) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    /// The number, or that it stands elsewhere.
    fn at_most_16(&mut self, number: u64) -> &mut Self {
        self.u16(u16::try_from(number).unwrap_or(u16::MAX))
    }

    /// The number, or that it stands elsewhere.
    fn at_most_32(&mut self, number: u64) -> &mut Self {
        self.u32(u32::try_from(number).unwrap_or(u32::MAX))
    }
}

impl Entry<'_> {
    fn is_large(&self) -> bool {
        self.size >= MOST_32
    }

    fn version(&self, is_64: bool) -> u16 {
        if is_64 { ZIP64 } else { PLAIN }
    }

    fn flags(&self) -> u16 {
        UTF8 | if self.describes_after { DESCRIPTOR } else { 0 }
    }

    /// The header in front of the content (4.3.7).
    pub fn local_header(&self) -> Vec<u8> {
        let (crc32, size) = match self.describes_after {
            true => (0, 0),
            false => (self.crc32, self.size),
        };
        let mut bytes = Bytes(Vec::with_capacity(128));
        bytes
            .u32(0x0403_4b50)
            .u16(self.version(self.is_large()))
            .u16(self.flags())
            .u16(0)
            .u32(self.dos_time())
            .u32(crc32);
        match self.is_large() {
            true => bytes.u32(u32::MAX).u32(u32::MAX),
            false => bytes.at_most_32(size).at_most_32(size),
        };
        let mut extra = self.extra();
        if self.is_large() {
            extra.u16(1).u16(16).u64(size).u64(size);
        }
        bytes
            .at_most_16(self.name.len() as u64)
            .at_most_16(extra.0.len() as u64);
        bytes.0.extend(self.name.as_bytes());
        bytes.0.extend(extra.0);
        bytes.0
    }

    /// What stands behind the content when the CRC was not known before it (4.3.9).
    pub fn descriptor(&self) -> Vec<u8> {
        let mut bytes = Bytes(Vec::with_capacity(24));
        if !self.describes_after {
            return bytes.0;
        }
        bytes.u32(0x0807_4b50).u32(self.crc32);
        match self.is_large() {
            true => bytes.u64(self.size).u64(self.size),
            false => bytes.at_most_32(self.size).at_most_32(self.size),
        };
        bytes.0
    }

    /// The entry of the central directory for a file whose header lies at `offset` (4.3.12).
    pub fn central_header(&self, offset: u64) -> Vec<u8> {
        let is_far = offset >= MOST_32;
        let mut extra = self.extra();
        if self.is_large() || is_far {
            let sizes = if self.is_large() { 16 } else { 0 };
            extra.u16(1).u16(sizes + if is_far { 8 } else { 0 });
            if self.is_large() {
                extra.u64(self.size).u64(self.size);
            }
            if is_far {
                extra.u64(offset);
            }
        }
        let mut bytes = Bytes(Vec::with_capacity(160));
        bytes
            .u32(0x0201_4b50)
            .u16(MADE_BY)
            .u16(self.version(self.is_large() || is_far))
            .u16(self.flags())
            .u16(0)
            .u32(self.dos_time())
            .u32(self.crc32)
            .at_most_32(self.size)
            .at_most_32(self.size)
            .at_most_16(self.name.len() as u64)
            .at_most_16(extra.0.len() as u64)
            .u16(0)
            .u16(0)
            .u16(0)
            .u32(MODE)
            .at_most_32(offset);
        bytes.0.extend(self.name.as_bytes());
        bytes.0.extend(extra.0);
        bytes.0
    }

    /// Header, content and descriptor together, in bytes.
    pub fn local_length(&self) -> u64 {
        let zip64 = if self.is_large() { 20 } else { 0 };
        let descriptor = match (self.describes_after, self.is_large()) {
            (false, _) => 0,
            (true, false) => 16,
            (true, true) => 24,
        };
        30 + self.name.len() as u64 + self.timestamp_length() + zip64 + self.size + descriptor
    }

    /// The entry of the central directory, in bytes.
    pub fn central_length(&self, offset: u64) -> u64 {
        let zip64 = match (self.is_large(), offset >= MOST_32) {
            (false, false) => 0,
            (large, far) => 4 + 16 * u64::from(large) + 8 * u64::from(far),
        };
        46 + self.name.len() as u64 + self.timestamp_length() + zip64
    }

    fn timestamp_length(&self) -> u64 {
        if self.seconds().is_some() { 9 } else { 0 }
    }

    /// The extended timestamp: seconds since 1970 UTC, since the other field knows neither zones nor odd seconds.
    fn extra(&self) -> Bytes {
        let mut extra = Bytes(Vec::with_capacity(40));
        if let Some(seconds) = self.seconds() {
            extra.u16(0x5455).u16(5);
            extra.0.push(1);
            extra.0.extend(seconds.to_le_bytes());
        }
        extra
    }

    /// As far as 32 bits go.
    fn seconds(&self) -> Option<i32> {
        i32::try_from(self.modified_at.div_euclid(clock::SECOND)).ok()
    }

    /// Time and date as MS-DOS has them (4.4.6), between 1980 and 2107.
    fn dos_time(&self) -> u32 {
        let time: Zoned = clock::utc(self.modified_at);
        let Ok(year) = u32::try_from(i32::from(time.year()) - 1980) else {
            return 1 << 21 | 1 << 16;
        };
        let part = |number: i8| u32::from(number.unsigned_abs());
        let date = year.min(127) << 9 | part(time.month()) << 5 | part(time.day());
        let clock = part(time.hour()) << 11 | part(time.minute()) << 5 | (part(time.second()) / 2);
        date << 16 | clock
    }
}

/// The end of a zip with so many files, whose central directory has `size` bytes and begins at `offset` (4.3.14 to 4.3.16).
pub fn end(count: u64, size: u64, offset: u64) -> Vec<u8> {
    let mut bytes = Bytes(Vec::with_capacity(98));
    if end_is_64(count, size, offset) {
        bytes
            .u32(0x0606_4b50)
            .u64(44)
            .u16(MADE_BY)
            .u16(ZIP64)
            .u32(0)
            .u32(0)
            .u64(count)
            .u64(count)
            .u64(size)
            .u64(offset)
            .u32(0x0706_4b50)
            .u32(0)
            .u64(offset + size)
            .u32(1);
    }
    bytes
        .u32(0x0605_4b50)
        .u16(0)
        .u16(0)
        .at_most_16(count)
        .at_most_16(count)
        .at_most_32(size)
        .at_most_32(offset)
        .u16(0);
    bytes.0
}

/// Its length in bytes.
pub fn end_length(count: u64, size: u64, offset: u64) -> u64 {
    22 + if end_is_64(count, size, offset) {
        76
    } else {
        0
    }
}

fn end_is_64(count: u64, size: u64, offset: u64) -> bool {
    count >= MOST_16 || size >= MOST_32 || offset >= MOST_32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_that_of_the_bytes() {
        let sizes = [0, 1, MOST_32 - 1, MOST_32, MOST_32 + 1];
        let times = [0, -1, 1_795_507_201_000_000, i64::MAX / 2, i64::MIN / 2];
        for (size, modified_at) in sizes
            .into_iter()
            .flat_map(|size| times.map(|at| (size, at)))
        {
            for describes_after in [false, true] {
                let entry = Entry {
                    name: "Übersicht/a.txt",
                    size,
                    modified_at,
                    crc32: 7,
                    describes_after,
                };
                let local = entry.local_header().len() + entry.descriptor().len();
                assert_eq!(local as u64 + size, entry.local_length(), "{entry:?}");
                for offset in [0, MOST_32 - 1, MOST_32] {
                    let central = entry.central_header(offset).len() as u64;
                    assert_eq!(central, entry.central_length(offset), "{entry:?} {offset}");
                }
            }
        }
        for (count, size, offset) in [
            (1, 1, 1),
            (MOST_16 - 1, 1, MOST_32 - 1),
            (MOST_16, 1, 1),
            (1, 1, MOST_32),
        ] {
            let length = end(count, size, offset).len() as u64;
            assert_eq!(length, end_length(count, size, offset));
        }
    }

    #[test]
    fn times_are_those_of_utc_and_never_out_of_range() {
        let at = |modified_at| {
            let entry = Entry {
                name: "a",
                size: 0,
                modified_at,
                crc32: 0,
                describes_after: false,
            };
            entry.dos_time()
        };
        // 2026-11-24 08:00:01
        let expected = (46 << 9 | 11 << 5 | 24) << 16 | 8 << 11;
        assert_eq!(at(1_795_507_201 * clock::SECOND), expected);
        assert_eq!(at(0), 1 << 21 | 1 << 16, "1970 is before all");
    }
}
