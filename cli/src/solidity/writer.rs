//! Lines of Solidity as forge fmt leaves them.

use alloy_primitives::I256;

/// A source under construction.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// What is written so far.
    pub text: String,
    depth: usize,
}

impl Writer {
    /// One line; an empty one has no indentation.
    pub(super) fn line(&mut self, text: &str) {
        if !text.is_empty() {
            self.text.push_str(&"    ".repeat(self.depth));
            self.text.push_str(text);
        }
        self.text.push('\n');
    }

    /// A line that opens a block.
    pub(super) fn open(&mut self, text: &str) {
        self.line(text);
        self.depth += 1;
    }

    /// Closes a block.
    pub(super) fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.line("}");
    }

    /// A blank line, except at the start of a block.
    pub(super) fn gap(&mut self) {
        if !self.text.ends_with("{\n") {
            self.line("");
        }
    }

    /// A NatSpec line.
    pub(super) fn doc(&mut self, tag: &str, text: &str) {
        let tag = if tag.is_empty() { String::new() } else { format!("@{tag} ") };
        self.line(&format!("/// {tag}{text}"));
    }

    /// A constant.
    pub(super) fn constant(&mut self, ty: &str, name: &str, value: &str) {
        self.line(&format!("{ty} internal constant {name} = {value};"));
    }
}

/// A number with 18 decimals as a literal: `17.99e18`.
pub(super) fn wad_literal(v: I256) -> String {
    let (sign, magnitude) = v.into_sign_and_abs();
    if magnitude.is_zero() {
        return "0".into();
    }
    let digits = format!("{magnitude:0>19}");
    let (whole, fraction) = digits.split_at(digits.len() - 18);
    let fraction = fraction.trim_end_matches('0');
    let sign = if sign.is_negative() { "-" } else { "" };
    // Below 10^-12 the plain integer is easier to read.
    match (whole, fraction) {
        ("0", f) if f.starts_with("000000000000") => format!("{sign}{magnitude}"),
        (w, "") => format!("{sign}{w}e18"),
        (w, f) => format!("{sign}{w}.{f}e18"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        let lit = |v: i128| wad_literal(I256::try_from(v).unwrap());
        assert_eq!(lit(0), "0");
        assert_eq!(lit(17_990_000_000_000_000_000), "17.99e18");
        assert_eq!(lit(-500_000_000_000_000_000), "-0.5e18");
        assert_eq!(lit(3_000_000_000_000_000_000), "3e18");
        assert_eq!(lit(12), "12");
    }
}
