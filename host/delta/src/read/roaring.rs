//! Bitmaps in the portable format of Roaring
//! (<https://github.com/RoaringBitmap/RoaringFormatSpec>), read strictly.

/// First number of a bitmap whose containers may be runs; the upper half says how many there are.
const WITH_RUNS: u16 = 12347;

/// First number of a bitmap without runs; the next number says how many containers there are.
const WITHOUT_RUNS: u32 = 12346;

/// With so many containers there are offsets even where there are runs.
const OFFSETS_FROM: u32 = 4;

/// A container with more numbers than these is bits.
const MOST_IN_ARRAY: u32 = 4096;

/// Numbers of a bitmap of 64 bits, ascending. None when the bytes are not exactly one, or it holds
/// more than `most`.
pub(super) fn decode(bytes: &[u8], most: u64) -> Option<Vec<u64>> {
    let mut reader = Reader(bytes);
    let mut numbers = Numbers { found: Vec::new(), most };
    let maps = reader.u64()?;
    let mut last = None;
    for _ in 0..maps {
        let high = reader.u32()?;
        if last.is_some_and(|last| last >= high) {
            return None;
        }
        last = Some(high);
        bitmap(&mut reader, u64::from(high) << 32, &mut numbers)?;
    }
    reader.0.is_empty().then_some(numbers.found)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

struct Numbers {
    found: Vec<u64>,
    most: u64,
}

impl Numbers {
    fn push(&mut self, number: u64) -> Option<()> {
        if self.found.last().is_some_and(|last| *last >= number)
            || u64::try_from(self.found.len()).ok()? >= self.most
        {
            return None;
        }
        self.found.push(number);
        Some(())
    }
}

struct Container {
    key: u16,
    count: u32,
    has_runs: bool,
}

fn bitmap(reader: &mut Reader<'_>, base: u64, numbers: &mut Numbers) -> Option<()> {
    let containers = header(reader)?;
    let mut last = None;
    for container in containers {
        if last.is_some_and(|last| last >= container.key) {
            return None;
        }
        last = Some(container.key);
        let base = base | u64::from(container.key) << 16;
        let before = numbers.found.len();
        match (container.has_runs, container.count > MOST_IN_ARRAY) {
            (true, _) => runs(reader, base, numbers)?,
            (false, true) => bits(reader, base, numbers)?,
            (false, false) => {
                for _ in 0..container.count {
                    numbers.push(base | u64::from(reader.u16()?))?;
                }
            }
        }
        let count = numbers.found.len().checked_sub(before)?;
        if u32::try_from(count).ok()? != container.count {
            return None;
        }
    }
    Some(())
}

fn header(reader: &mut Reader<'_>) -> Option<Vec<Container>> {
    let cookie = reader.u32()?;
    let (count, runs) = match cookie {
        WITHOUT_RUNS => (reader.u32()?, None),
        _ if cookie & 0xffff == u32::from(WITH_RUNS) => {
            let count = (cookie >> 16) + 1;
            (count, Some(reader.take(usize::try_from(count.div_ceil(8)).ok()?)?))
        }
        _ => return None,
    };
    if count > 1 << 16 {
        return None;
    }
    let mut containers = Vec::new();
    for index in 0..count {
        let flags = runs.and_then(|runs| runs.get(usize::try_from(index / 8).ok()?));
        let has_runs = flags.is_some_and(|flags| flags >> (index % 8) & 1 == 1);
        let (key, count) = (reader.u16()?, u32::from(reader.u16()?) + 1);
        containers.push(Container { key, count, has_runs });
    }
    if runs.is_none() || count >= OFFSETS_FROM {
        // The containers follow one another, so where each begins is known.
        reader.take(usize::try_from(count).ok()?.checked_mul(4)?)?;
    }
    Some(containers)
}

fn runs(reader: &mut Reader<'_>, base: u64, numbers: &mut Numbers) -> Option<()> {
    for _ in 0..reader.u16()? {
        let (first, more) = (u32::from(reader.u16()?), u32::from(reader.u16()?));
        let last = first + more;
        if last > u32::from(u16::MAX) {
            return None;
        }
        for number in first..=last {
            numbers.push(base | u64::from(number))?;
        }
    }
    Some(())
}

fn bits(reader: &mut Reader<'_>, base: u64, numbers: &mut Numbers) -> Option<()> {
    for word in 0..1024_u64 {
        let mut rest = reader.u64()?;
        while rest != 0 {
            let bit = u64::from(rest.trailing_zeros());
            numbers.push(base | (word * 64 + bit))?;
            rest &= rest - 1;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(high: u32, body: &[u8]) -> Vec<u8> {
        [&high.to_le_bytes(), body].concat()
    }

    fn whole(maps: &[Vec<u8>]) -> Vec<u8> {
        [&u64::try_from(maps.len()).unwrap().to_le_bytes()[..], &maps.concat()].concat()
    }

    fn shorts(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// One container: cookie, how many, key, count, offset.
    fn plain(key: u16, count: u16, body: &[u8]) -> Vec<u8> {
        let head = [WITHOUT_RUNS.to_le_bytes(), 1_u32.to_le_bytes()].concat();
        [head, shorts(&[key, count - 1, 16, 0]), body.to_vec()].concat()
    }

    #[test]
    fn each_kind_of_container_is_read() {
        let array = plain(2, 3, &shorts(&[1, 5, 9]));
        assert_eq!(decode(&whole(&[map(0, &array)]), 3), Some(vec![131_073, 131_077, 131_081]));
        let high = decode(&whole(&[map(0, &array), map(1, &array)]), 6).unwrap();
        assert_eq!(high.get(3), Some(&(1 << 32 | 131_073)));

        let mut bits = vec![0; 8192];
        bits[..626].fill(0xff);
        let many = decode(&whole(&[map(0, &plain(0, 5008, &bits))]), 5008).unwrap();
        assert_eq!(many, (0..5008).collect::<Vec<u64>>());

        let cookie = u32::from(WITH_RUNS).to_le_bytes();
        let runs = [cookie.to_vec(), vec![1], shorts(&[0, 4, 2, 10, 2, 65534, 1])].concat();
        assert_eq!(decode(&whole(&[map(0, &runs)]), 5), Some(vec![10, 11, 12, 65534, 65535]));
        assert_eq!(decode(&whole(&[]), 0), Some(vec![]));
    }

    #[test]
    fn what_is_no_bitmap_is_none() {
        let check = |what: &str, bytes: &[u8]| assert_eq!(decode(bytes, 100), None, "{what}");
        let array = plain(0, 3, &shorts(&[1, 5, 9]));
        let good = whole(&[map(0, &array)]);
        assert!(decode(&good, 3).is_some());
        assert_eq!(decode(&good, 2), None, "more than there may be");
        for cut in 0..good.len() {
            check("cut", &good[..cut]);
        }
        check("more behind", &[&good[..], &[0]].concat());
        check("maps not ascending", &whole(&[map(1, &array), map(1, &array)]));
        check("not ascending", &whole(&[map(0, &plain(0, 3, &shorts(&[1, 9, 5])))]));
        check("no map is as many", &u64::MAX.to_le_bytes());
        check("unknown cookie", &whole(&[map(0, &[0; 16])]));
        let cookie = u32::from(WITH_RUNS).to_le_bytes();
        let beyond = [cookie.to_vec(), vec![1], shorts(&[0, 1, 1, 65535, 1])].concat();
        check("a run beyond the end", &whole(&[map(0, &beyond)]));
        let mut bits = vec![0; 8192];
        bits[0] = 1;
        check("fewer bits than said", &whole(&[map(0, &plain(0, 5000, &bits))]));
        check(
            "too many containers",
            &whole(&[map(0, &[WITHOUT_RUNS.to_le_bytes(), [0xff; 4]].concat())]),
        );
    }
}
