//! Numbers as people read them.

/// 1234567 as "1,234,567".
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Bytes, with a unit where that is shorter.
pub(crate) fn bytes(n: u64) -> String {
    let scaled = |unit: u64, name: &str| format!("{:.1} {name}", n as f64 / unit as f64);
    match n {
        0..10_000 => format!("{} bytes", grouped(n)),
        10_000..10_485_760 => scaled(1 << 10, "KiB"),
        10_485_760..10_737_418_240 => scaled(1 << 20, "MiB"),
        _ => scaled(1 << 30, "GiB"),
    }
}

/// A share of a whole in percent.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".into() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}

/// A measured value: enough digits to tell two apart, no more.
pub(crate) fn value(x: f64) -> String {
    if x.is_nan() || x.is_infinite() || x == 0.0 {
        return x.to_string();
    }
    if x.fract() == 0.0 && x.abs() < 1e15 {
        return format!("{x}");
    }
    match x.abs() {
        a if !(1e-4..1e9).contains(&a) => format!("{x:.3e}"),
        a if a < 1.0 => {
            let digits = (4.0 - a.log10().floor()) as usize;
            trim(format!("{x:.digits$}"))
        }
        a => {
            let digits = (6 - (a.log10().floor() as i32).clamp(0, 6)) as usize;
            trim(format!("{x:.digits$}"))
        }
    }
}

fn trim(s: String) -> String {
    if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_owned() } else { s }
}

/// A 32-byte id as 0x-hex.
pub(crate) fn hex32(id: &[u8; 32]) -> String {
    hex(id)
}

/// Bytes as 0x-hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 + bytes.len() * 2);
    out.push_str("0x");
    for b in bytes {
        for digit in [b >> 4, b & 15] {
            out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(9_999), "9,999 bytes");
        assert_eq!(bytes(20_480), "20.0 KiB");
        assert_eq!(value(0.5), "0.5");
        assert_eq!(value(1234.5678), "1234.568");
        assert_eq!(value(3.0e-8), "3.000e-8");
        assert_eq!(hex(&[0, 171]), "0x00ab");
    }
}
