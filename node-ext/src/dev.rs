//! The dev chain's accounts: the well-known test mnemonic. Everybody has these keys.

use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use std::sync::OnceLock;

/// The mnemonic that every Ethereum tool uses for tests.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";
/// How many of its accounts are funded.
pub const DEV_ACCOUNTS: u32 = 10;
/// What each of them holds in genesis, in ether.
pub const DEV_BALANCE_ETHER: u64 = 10_000;

/// The funded accounts of the dev chain with their keys.
pub fn dev_accounts() -> Vec<PrivateKeySigner> {
    static ACCOUNTS: OnceLock<Vec<PrivateKeySigner>> = OnceLock::new();
    ACCOUNTS
        .get_or_init(|| {
            (0..DEV_ACCOUNTS)
                .filter_map(|index| {
                    MnemonicBuilder::<English>::default().phrase(DEV_MNEMONIC).index(index).ok()?.build().ok()
                })
                .collect()
        })
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    #[test]
    fn accounts_are_those_of_every_tool() {
        let accounts = dev_accounts();
        assert_eq!(accounts.len(), DEV_ACCOUNTS as usize);
        assert_eq!(accounts[0].address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(accounts[9].address(), address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"));
    }
}
