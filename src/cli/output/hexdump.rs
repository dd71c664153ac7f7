//! Hexadecimal output.

use std::fmt::Write;

/// `bytes` as `hexdump -C` shows them, with `*` for repeated lines. On a narrow terminal the
/// lines have fewer bytes.
pub fn hex_dump(bytes: &[u8], columns: Option<usize>) -> String {
    let in_line = match columns.unwrap_or(usize::MAX) {
        78.. => 16,
        45.. => 8,
        _ => 4,
    };
    let mut dump = String::new();
    let mut previous: Option<&[u8]> = None;
    let mut repeated = false;
    for (row, line) in bytes.chunks(in_line).enumerate() {
        if previous == Some(line) {
            if !repeated {
                let _ = writeln!(dump, "*");
            }
            repeated = true;
            continue;
        }
        (previous, repeated) = (Some(line), false);
        let mut digits = String::new();
        for (column, byte) in line.iter().enumerate() {
            let _ = write!(digits, "{}{byte:02x}", if column == 8 { "  " } else { " " });
        }
        let printed: String = line
            .iter()
            .map(|&byte| {
                if (b' '..=b'~').contains(&byte) {
                    byte.into()
                } else {
                    '.'
                }
            })
            .collect();
        let wide = 3 * in_line + in_line / 16;
        let _ = writeln!(dump, "{:08x} {digits:<wide$}  |{printed}|", row * in_line);
    }
    let _ = writeln!(dump, "{:08x}", bytes.len());
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dump_matches_hexdump() {
        let mut bytes = b"hello, world!\n\0\xff".to_vec();
        bytes.extend([0; 48]);
        bytes.push(b'x');
        assert_eq!(
            hex_dump(&bytes, None),
            "00000000  68 65 6c 6c 6f 2c 20 77  6f 72 6c 64 21 0a 00 ff  |hello, world!...|\n\
             00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n\
             *\n\
             00000040  78                                                |x|\n\
             00000041\n"
        );
    }
}
