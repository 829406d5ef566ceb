//! What a contract reverted with, in words: the registry's errors, and the precompile's.

use alloy_primitives::{Bytes, hex};
use alloy_sol_types::{SolInterface, sol};
use lockstep_precompile::abi::IInference;

sol! {
    #![sol(extra_derives(Debug))]
    "../contracts/src/IModelRegistry.sol"
}

/// The error in `data`, hexadecimal; as it is where nobody here knows it.
pub(crate) fn text(data: &str) -> String {
    let Ok(bytes) = hex::decode(data).map(Bytes::from) else { return data.to_owned() };
    let registry = IModelRegistry::IModelRegistryErrors::abi_decode(&bytes).map(|e| format!("{e:?}"));
    let precompile = || IInference::IInferenceErrors::abi_decode(&bytes).map(|e| format!("{e:?}"));
    match registry.or_else(|_| precompile()) {
        // `NoticeRuns(NoticeRuns { … })`: the inner name is enough.
        Ok(text) => match text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')) {
            Some(inner) => inner.to_owned(),
            None => text,
        },
        Err(_) => data.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use alloy_sol_types::SolError;

    #[test]
    fn errors_have_names() {
        let error = IModelRegistry::NoticeRuns { modelId: B256::repeat_byte(0x11), noticeEnd: 7 };
        let named = text(&hex::encode_prefixed(error.abi_encode()));
        assert!(named.starts_with("NoticeRuns { modelId: 0x1111") && named.contains("noticeEnd: 7"), "{named}");
        assert_eq!((text("0x12345678"), text("nonsense")), ("0x12345678".into(), "nonsense".into()));
    }
}
