//! Names of features and classes as Solidity identifiers.

/// Words that are no identifiers, or shadow what every contract needs.
const RESERVED: &str = "abi abstract address after alias anonymous apply as assembly assert auto block bool break byte bytes calldata \
    case catch constant constructor continue contract copyof days default define delete do else emit enum error \
    ether event external fallback false final fixed for from function gwei hex hours if immutable implements \
    import in indexed inline int interface internal is layout let library macro mapping match memory minutes \
    modifier msg mutable new now null of override partial payable pragma private promise public pure receive \
    reference relocatable require return returns revert sealed seconds selfdestruct sizeof static storage string \
    struct suicide super supports switch this throw transient true try tx type typedef typeof ufixed uint \
    unchecked using var view virtual weeks wei while years";

/// Longest name: a line with it stays within 120 columns.
const LONGEST: usize = 48;

fn is_reserved(word: &str) -> bool {
    let sized = |prefix: &str| {
        word.strip_prefix(prefix).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    RESERVED.split(' ').any(|r| r == word) || ["int", "uint", "bytes"].iter().any(|p| sized(p))
}

/// Runs of letters and digits; what is not ASCII is left out.
fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            last = ' ';
            continue;
        }
        if last == ' ' || (c.is_ascii_uppercase() && last.is_ascii_lowercase()) {
            out.push(String::new());
        }
        if let Some(w) = out.last_mut() {
            w.push(c.to_ascii_lowercase());
        }
        last = c;
    }
    out
}

/// `mean_radius` as `meanRadius`.
pub(crate) fn mixed_case(name: &str, fallback: &str) -> String {
    let mut out = String::new();
    for (i, w) in words(name).into_iter().enumerate() {
        if i == 0 {
            out.push_str(&w);
        } else {
            out.push_str(&w[..1].to_ascii_uppercase());
            out.push_str(&w[1..]);
        }
    }
    if out.is_empty() {
        return fallback.to_owned();
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, 'f');
    }
    if is_reserved(&out) {
        out.push('_');
    }
    out
}

/// `petal length` as `PETAL_LENGTH`.
pub(crate) fn constant_case(name: &str, fallback: &str) -> String {
    let out = words(name).join("_").to_ascii_uppercase();
    if out.is_empty() { fallback.to_owned() } else { out }
}

/// A library's name from a file's: kept where it is an identifier already.
pub(crate) fn library_name(stem: &str) -> String {
    let plain = stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain && !stem.starts_with(|c: char| c.is_ascii_digit()) && !is_reserved(stem) {
        return stem.to_owned();
    }
    let name: String = words(stem).into_iter().map(|w| format!("{}{}", w[..1].to_ascii_uppercase(), &w[1..])).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) { format!("Model{name}") } else { name }
}

/// The same names, not too long, each made unlike all before it and those that are taken.
pub(crate) fn unique(names: impl Iterator<Item = String>, taken: &[&str]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for mut name in names {
        name.truncate(LONGEST);
        let mut candidate = name.clone();
        let mut k = 2;
        while out.contains(&candidate) || taken.contains(&candidate.as_str()) {
            candidate = format!("{name}_{k}");
            k += 1;
        }
        out.push(candidate);
    }
    out
}

/// Text for a comment: one line, nothing that ends it.
pub(crate) fn comment(text: &str) -> String {
    // Direction overrides can make source read as what it is not; solc refuses them.
    let hidden = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let flat: String = text.chars().filter(|c| !hidden(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    flat.replace("*/", "* /").replace('@', "(at)").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_identifiers() {
        assert_eq!(mixed_case("mean_radius", "f0"), "meanRadius");
        assert_eq!(mixed_case("petal length (cm)", "f0"), "petalLengthCm");
        assert_eq!(mixed_case("pixel_0_0", "f0"), "pixel00");
        assert_eq!(mixed_case("X[3]", "f0"), "x3");
        assert_eq!(mixed_case("2nd", "f0"), "f2nd");
        assert_eq!(mixed_case("address", "f0"), "address_");
        assert_eq!(mixed_case("uint256", "f0"), "uint256_");
        assert_eq!(mixed_case("äöü", "f0"), "f0");
        assert_eq!(mixed_case("returnRate", "f0"), "returnRate");
        assert_eq!(constant_case("Barolo (red)", "C0"), "BAROLO_RED");
        assert_eq!(library_name("Risk"), "Risk");
        assert_eq!(library_name("my-risk"), "MyRisk");
        assert_eq!(library_name("7up"), "Model7up");
        assert_eq!(unique(["a", "a", "b", "a"].map(str::to_owned).into_iter(), &["b"]), ["a", "a_2", "b_2", "a_3"]);
        assert_eq!(comment("a\n*/ @dev \u{202e}x"), "a * / (at)dev x");
    }
}
