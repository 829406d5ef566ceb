//! JSON-RPC errors: codes and words as tools expect them.

use crate::{chain::ChainError, miner::MineError, pool::PoolError, storage::StorageError};
use alloy_evm::EvmError;
use alloy_primitives::{Bytes, hex};
use alloy_sol_types::{Revert, SolError, decode_revert_reason};
use jsonrpsee::types::ErrorObjectOwned;

/// The answer of a method.
pub(crate) type RpcResult<T> = Result<T, ErrorObjectOwned>;

/// Invalid parameters.
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// This node failed.
pub(crate) const INTERNAL: i32 = -32603;
/// The call or transaction is refused.
pub(crate) const SERVER: i32 = -32000;
/// The block or transaction asked for is not there.
pub(crate) const NOT_FOUND: i32 = -32001;
/// A limit of this node.
pub(crate) const LIMIT: i32 = -32005;
/// This node cannot execute inference at present (a model's weights are not in memory, or it failed): never an
/// answer about the call. Ask again later, or another node.
pub(crate) const NODE_CANNOT_INFER: i32 = -32050;
/// This node may not seal: its self-test failed or its answer differed. It serves on.
pub(crate) const NODE_CANNOT_SEAL: i32 = -32051;
/// Execution reverted; `data` is what the contract returned.
pub(crate) const REVERTED: i32 = 3;

pub(crate) fn error(code: i32, message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, None::<()>)
}

pub(crate) fn invalid_params(message: impl std::fmt::Display) -> ErrorObjectOwned {
    error(INVALID_PARAMS, message.to_string())
}

pub(crate) fn server(message: impl std::fmt::Display) -> ErrorObjectOwned {
    error(SERVER, message.to_string())
}

pub(crate) fn internal(message: impl std::fmt::Display) -> ErrorObjectOwned {
    tracing::error!(%message, "request failed");
    error(INTERNAL, message.to_string())
}

/// The error of a call that reverted.
pub(crate) fn reverted(output: &Bytes) -> ErrorObjectOwned {
    let message = match output.starts_with(&Revert::SELECTOR) {
        true => decode_revert_reason(output)
            .map(|reason| format!("execution reverted: {}", reason.trim_start_matches("revert: "))),
        false => None,
    };
    let message = message.unwrap_or_else(|| "execution reverted".into());
    ErrorObjectOwned::owned(REVERTED, message, Some(hex::encode_prefixed(output)))
}

/// The error of an EVM that did not get to a result.
pub(crate) fn from_evm<E: EvmError>(error: E) -> ErrorObjectOwned {
    match error.try_into_invalid_tx_err() {
        Ok(invalid) => server(invalid),
        Err(fatal) => {
            let message = fatal.to_string();
            tracing::warn!(message, "this node could not execute a call");
            self::error(NODE_CANNOT_INFER, format!("this node cannot execute the call at present: {message}"))
        }
    }
}

/// As `From`, for types of this crate.
pub(crate) trait IntoRpc<T> {
    fn rpc(self) -> RpcResult<T>;
}

impl<T> IntoRpc<T> for Result<T, StorageError> {
    fn rpc(self) -> RpcResult<T> {
        self.map_err(internal)
    }
}

impl<T> IntoRpc<T> for Result<T, ChainError> {
    fn rpc(self) -> RpcResult<T> {
        self.map_err(|e| match e {
            ChainError::Storage(e) => internal(e),
            ChainError::Stalled { .. } => error(NODE_CANNOT_INFER, e.to_string()),
            ChainError::UnknownBlock(_) => error(NOT_FOUND, e.to_string()),
            other => server(other),
        })
    }
}

impl<T> IntoRpc<T> for Result<T, PoolError> {
    fn rpc(self) -> RpcResult<T> {
        self.map_err(|e| match e {
            PoolError::Storage(e) => internal(e),
            other => server(other),
        })
    }
}

impl<T> IntoRpc<T> for Result<T, MineError> {
    fn rpc(self) -> RpcResult<T> {
        self.or_else(|e| match e {
            MineError::Chain(e) => Err(e).rpc(),
            MineError::Pool(e) => Err(e).rpc(),
            MineError::Stopped(e) => Err(error(NODE_CANNOT_SEAL, e.to_string())),
            other => Err(invalid_params(other)),
        })
    }
}
