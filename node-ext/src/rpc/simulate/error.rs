//! The errors that the method's specification numbers.

use super::super::error::{INTERNAL, NODE_CANNOT_INFER, error, server};
use alloy_evm::block::{BlockExecutionError, BlockValidationError};
use alloy_primitives::Address;
use jsonrpsee::types::ErrorObjectOwned;
use revm::context_interface::result::InvalidTransaction;

pub(super) fn block_order(number: u64, before: u64) -> ErrorObjectOwned {
    error(-38020, format!("block numbers must be in order: {number} <= {before}"))
}

pub(super) fn time_order(time: u64, before: u64) -> ErrorObjectOwned {
    error(-38021, format!("block timestamps must be in order: {time} <= {before}"))
}

pub(super) fn too_many_blocks() -> ErrorObjectOwned {
    error(-38026, "too many blocks")
}

pub(super) fn block_gas(wanted: u64, left: u64) -> ErrorObjectOwned {
    error(-38015, format!("block gas limit reached: the call wants {wanted}, the block has {left} left"))
}

pub(super) fn nonce_max(sender: Address) -> ErrorObjectOwned {
    error(INTERNAL, format!("err: nonce has max value: address {sender}"))
}

/// A call that is no valid transaction.
pub(super) fn execution(failed: BlockExecutionError) -> ErrorObjectOwned {
    let BlockExecutionError::Validation(failed) = failed else {
        return error(NODE_CANNOT_INFER, format!("this node cannot execute the call: {failed}"));
    };
    let BlockValidationError::InvalidTx { error: invalid, .. } = &failed else { return server(failed) };
    let code = match invalid.as_invalid_tx_err() {
        Some(InvalidTransaction::NonceTooLow { .. }) => -38010,
        Some(InvalidTransaction::NonceTooHigh { .. }) => -38011,
        Some(InvalidTransaction::GasPriceLessThanBasefee) => -38012,
        Some(
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
        ) => -38013,
        Some(InvalidTransaction::LackOfFundForMaxFee { .. }) => -38014,
        Some(InvalidTransaction::CallerGasLimitMoreThanBlock) => -38015,
        Some(InvalidTransaction::CreateInitCodeSizeLimit) => -38025,
        _ => -32000,
    };
    error(code, format!("err: {invalid}"))
}
