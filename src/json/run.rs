//! Finds the end of a run of ordinary string bytes. Most bytes of a large body are in strings, so most of its time is
//! spent here.

use wide::u8x16;

const BLOCK: usize = 16;
/// Long runs are tested by cache lines: four blocks cost one branch.
const LINE: usize = 64;

/// Returns the offset of the first quote, backslash or control character at or after `from`; the length if there is
/// none.
#[inline(always)]
pub(super) fn end(bytes: &[u8], from: usize) -> usize {
    // Names and short strings end within the first block.
    if let Some(block) = bytes.get(from..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        let special = special(block).to_bitmask();
        if special == 0 { long(bytes, from + BLOCK) } else { from + first(special) }
    } else {
        tail(bytes, from)
    }
}

#[inline(never)]
fn long(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    let mut rest = bytes.get(from..).unwrap_or_default();
    while let Some((line, behind)) = rest.split_first_chunk::<LINE>() {
        let (blocks, _) = line.as_chunks::<BLOCK>();
        let any = blocks.iter().fold(u8x16::splat(0), |any, block| any | special(block));
        if any.any() {
            break;
        }
        at += LINE;
        rest = behind;
    }
    while let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() {
        let special = special(block).to_bitmask();
        if special != 0 {
            return at + first(special);
        }
        at += BLOCK;
        rest = behind;
    }
    tail(bytes, at)
}

#[inline(never)]
fn tail(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let ordinary = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
    from + ordinary.unwrap_or(rest.len())
}

#[inline(always)]
fn special(block: &[u8; BLOCK]) -> u8x16 {
    let block = u8x16::from(*block);
    let control = block.min(u8x16::splat(0x1f)).simd_eq(block);
    block.simd_eq(u8x16::splat(b'"')) | block.simd_eq(u8x16::splat(b'\\')) | control
}

#[inline(always)]
fn first(mask: u32) -> usize {
    mask.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_byte_ends_a_run_wherever_it_stands() {
        for length in [1, 15, 16, 17, 31, 64, 79, 80, 81, 200] {
            for offset in 0..length {
                for special in (0..0x20).chain([b'"', b'\\']) {
                    let mut bytes = vec![b'a'; length];
                    bytes[offset] = special;
                    assert_eq!(end(&bytes, 0), offset, "{special:#x} at {offset} of {length}");
                    assert_eq!(end(&bytes, offset), offset);
                    assert_eq!(end(&bytes, offset + 1), length);
                }
            }
        }
    }

    #[test]
    fn every_other_byte_is_part_of_a_run() {
        for ordinary in (0x20..=0xff_u8).filter(|byte| !b"\"\\".contains(byte)) {
            let bytes = [ordinary; 100];
            assert_eq!(end(&bytes, 0), bytes.len(), "{ordinary:#x}");
        }
        assert_eq!(end(b"", 0), 0);
    }
}
