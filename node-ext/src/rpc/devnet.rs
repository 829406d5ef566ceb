//! Methods of a dev chain only, by the names that anvil and hardhat gave them.
//!
//! Those that write state (`anvil_setBalance` and its like) make a block that writes it before its transactions, so
//! that every block's state root stays true.

use super::{
    Api, Args, Methods,
    error::{IntoRpc, RpcResult, internal, invalid_params},
    limits,
};
use crate::miner::DevMiner;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::state::{AccountOverride, StateOverride};
use serde_json::Value;

/// The latest time, and the longest span, that a request may name.
const MOST_SECONDS: u64 = 1 << 40;

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("evm_mine", |api, args| {
            let options: Option<Value> = args.opt()?;
            let timestamp = match &options {
                Some(Value::Object(fields)) => fields.get("timestamp"),
                other => other.as_ref(),
            };
            if let Some(timestamp) = timestamp {
                set_next(api, seconds(timestamp)?)?;
            }
            miner(api)?.mine().rpc()?;
            Ok("0x0")
        })
        .add("anvil_mine", |api, args| {
            let blocks = opt_number(args)?.unwrap_or(1);
            if blocks > limits::MINE_BLOCKS {
                return Err(invalid_params(format!("at most {} blocks a request", limits::MINE_BLOCKS)));
            }
            let interval = args.opt::<Value>()?.map(|value| seconds(&value)).transpose()?;
            let miner = miner(api)?;
            for _ in 0..blocks {
                if let Some(seconds) = interval {
                    let head = api.chain.head().header.timestamp;
                    miner.clock().set_next(head.saturating_add(seconds.max(1)));
                }
                miner.mine().rpc()?;
            }
            Ok(Value::Null)
        })
        .alias("hardhat_mine", "anvil_mine")
        .add("evm_increaseTime", |api, args| {
            let seconds = seconds(&args.next()?)?;
            i64::try_from(miner(api)?.clock().increase(seconds)).map_err(invalid_params)
        })
        .alias("anvil_increaseTime", "evm_increaseTime")
        .add("evm_setNextBlockTimestamp", |api, args| {
            set_next(api, seconds(&args.next()?)?)?;
            Ok(Value::Null)
        })
        .alias("anvil_setNextBlockTimestamp", "evm_setNextBlockTimestamp")
        .add("evm_setTime", |api, args| {
            miner(api)?.clock().set(seconds(&args.next()?)?);
            Ok(0)
        })
        .alias("anvil_setTime", "evm_setTime")
        .add("anvil_setBlockTimestampInterval", |api, args| {
            miner(api)?.clock().set_interval(Some(seconds(&args.next()?)?.max(1)));
            Ok(Value::Null)
        })
        .add("anvil_removeBlockTimestampInterval", |api, _| {
            miner(api)?.clock().set_interval(None);
            Ok(true)
        })
        .add("evm_setAutomine", |api, args| {
            miner(api)?.set_automine(args.next()?);
            Ok(true)
        })
        .alias("anvil_setAutomine", "evm_setAutomine")
        .add("anvil_getAutomine", |api, _| Ok(miner(api)?.automine()))
        .alias("hardhat_getAutomine", "anvil_getAutomine")
        .add("anvil_setCoinbase", |api, args| {
            miner(api)?.set_coinbase(args.next()?);
            Ok(Value::Null)
        })
        .alias("hardhat_setCoinbase", "anvil_setCoinbase")
        .add("evm_snapshot", |api, _| Ok(U64::from(miner(api)?.snapshot())))
        .alias("anvil_snapshot", "evm_snapshot")
        .add("evm_revert", |api, args| miner(api)?.revert(number(&args.next()?)?).rpc())
        .alias("anvil_revert", "evm_revert")
        .add("anvil_dropTransaction", |api, args| {
            let hash: B256 = args.next()?;
            Ok(api.pool.remove(hash).then_some(hash))
        })
        .alias("hardhat_dropTransaction", "anvil_dropTransaction")
        .add("anvil_dropAllTransactions", |api, _| {
            api.pool.clear();
            Ok(Value::Null)
        })
        .add("anvil_setBalance", |api, args| {
            let (address, balance) = (args.next()?, args.next::<U256>()?);
            patch(api, address, AccountOverride { balance: Some(balance), ..Default::default() })
        })
        .alias("hardhat_setBalance", "anvil_setBalance")
        .add("anvil_setNonce", |api, args| {
            let (address, nonce) = (args.next()?, number(&args.next()?)?);
            patch(api, address, AccountOverride { nonce: Some(nonce), ..Default::default() })
        })
        .alias("hardhat_setNonce", "anvil_setNonce")
        .add("anvil_setCode", |api, args| {
            let (address, code) = (args.next()?, args.next::<Bytes>()?);
            patch(api, address, AccountOverride { code: Some(code), ..Default::default() })
        })
        .alias("hardhat_setCode", "anvil_setCode")
        .add("anvil_setStorageAt", |api, args| {
            let (address, slot, value) = (args.next()?, args.next::<U256>()?, args.next::<U256>()?);
            let diff = [(B256::from(slot), B256::from(value))].into_iter().collect();
            patch(api, address, AccountOverride { state_diff: Some(diff), ..Default::default() })
        })
        .alias("hardhat_setStorageAt", "anvil_setStorageAt");
}

fn miner(api: &Api) -> RpcResult<&DevMiner> {
    api.miner.as_deref().ok_or_else(|| internal("no dev miner"))
}

fn patch(api: &Api, address: Address, account: AccountOverride) -> RpcResult<bool> {
    let overrides: StateOverride = [(address, account)].into_iter().collect();
    miner(api)?.mine_patch(overrides).rpc()?;
    Ok(true)
}

/// A time or a span of it, in seconds. What is far beyond every calendar would leave no later time for the next block.
fn seconds(value: &Value) -> RpcResult<u64> {
    let seconds = number(value)?;
    if seconds > MOST_SECONDS {
        return Err(invalid_params(format!("{seconds} seconds are too many: at most {MOST_SECONDS} (2^40)")));
    }
    Ok(seconds)
}

fn set_next(api: &Api, timestamp: u64) -> RpcResult<()> {
    let head = api.chain.head().header.timestamp;
    if timestamp <= head {
        return Err(invalid_params(format!("timestamp {timestamp} is not after the head's, {head}")));
    }
    miner(api)?.clock().set_next(timestamp);
    Ok(())
}

/// A number as tools send it: JSON number, decimal or hex string.
fn number(value: &Value) -> RpcResult<u64> {
    let parsed = match value {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => match s.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => s.parse().ok(),
        },
        _ => None,
    };
    parsed.ok_or_else(|| invalid_params(format!("expected a number, got {value:.100}")))
}

fn opt_number(args: &mut Args<'_>) -> RpcResult<Option<u64>> {
    args.opt::<Value>()?.map(|value| number(&value)).transpose()
}
