//! What a contract reverted with, in words: the registry's errors, and the precompile's.

use alloy_primitives::{Bytes, hex};
use alloy_sol_types::{SolInterface, sol};
use lockstep_precompile::abi::IInference;

sol! {
    /// The registry's errors (contracts/src/IModelRegistry.sol).
    #[derive(Debug)]
    interface RegistryErrors {
        error ChunkLength(uint256 maximum, uint256 actual);
        error ChunkNotCreated(address chunk);
        error NotAChunk(address account);
        error ChunkNotFull(address chunk, uint256 expected, uint256 actual);
        error NoGraphChunks();
        error AppendOutOfOrder(bytes32 modelId, uint256 expected, uint256 actual);
        error TooManyChunks(bytes32 modelId, uint256 maximum, uint256 actual);
        error WrongProofLength(uint256 expected, uint256 actual);
        error WrongWeightsRoot(bytes32 modelId, bytes32 expected, bytes32 actual);
        error UnknownModel(bytes32 modelId);
        error AlreadyActive(bytes32 modelId, uint64 activationBlock);
        error WrongLs1Version(bytes32 modelId, uint32 graph, uint32 registered);
        error WrongWeightsLength(bytes32 modelId, uint64 graph, uint64 registered);
        error TooManyActiveModels(uint256 maximum);
        error TooManyActiveWeights(uint256 maximum, uint256 actual);
        error WeightsOnChain(bytes32 modelId);
        error NoAttesters();
        error ChallengeStands(bytes32 modelId, uint64 end);
        error NoChallenge(bytes32 modelId);
        error UnknownAttester(uint256 count, uint256 index);
        error MalformedSignature(uint256 place);
        error WrongSigner(uint256 place, address expected, address actual);
        error NotAttested(bytes32 modelId, uint256 quorum, uint256 actual);
        error WrongDeposit(bytes32 modelId, uint256 expected, uint256 actual);
        error NotActive(bytes32 modelId);
        error NotDepositor(bytes32 modelId, address depositor);
        error EndIsAnnounced(bytes32 modelId, uint64 noticeEnd);
        error NoEndAnnounced(bytes32 modelId);
        error NoticeRuns(bytes32 modelId, uint64 noticeEnd);
        error NothingToWithdraw(address account);
        error WithdrawalRefused(address to);
    }
}

/// The error in `data`, hexadecimal; as it is where nobody here knows it.
pub(crate) fn text(data: &str) -> String {
    let Ok(bytes) = hex::decode(data).map(Bytes::from) else { return data.to_owned() };
    let registry = RegistryErrors::RegistryErrorsErrors::abi_decode(&bytes).map(|e| format!("{e:?}"));
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
    fn errors_have_names_and_the_list_is_the_registrys() {
        let error = RegistryErrors::NoticeRuns { modelId: B256::repeat_byte(0x11), noticeEnd: 7 };
        let named = text(&hex::encode_prefixed(error.abi_encode()));
        assert!(named.starts_with("NoticeRuns { modelId: 0x1111") && named.contains("noticeEnd: 7"), "{named}");
        assert_eq!((text("0x12345678"), text("nonsense")), ("0x12345678".into(), "nonsense".into()));

        let source = include_str!("../../../contracts/src/IModelRegistry.sol");
        let declared: Vec<&str> = source.lines().map(str::trim).filter(|line| line.starts_with("error ")).collect();
        let here = include_str!("revert.rs");
        assert!(declared.len() > 25);
        for line in declared {
            assert!(here.contains(line), "{line}");
        }
    }
}
