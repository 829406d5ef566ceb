//! The account that signs.

use std::path::PathBuf;

use alloy_signer_local::{LocalSigner, PrivateKeySigner};
use lockstep_node_ext::chain::genesis::DEV_CHAIN_ID;
use lockstep_node_ext::dev::dev_accounts;

use crate::failure::Failure;
use crate::files;

/// Where its key comes from: never from the command line, which lies in the shell's history.
#[derive(Debug, clap::Args)]
pub(crate) struct Account {
    /// A keystore file of the account that pays; its password is in LOCKSTEP_PASSWORD or --password-file
    #[arg(long, value_name = "KEYSTORE")]
    account: Option<PathBuf>,
    /// A file with the keystore's password
    #[arg(long, value_name = "FILE", requires = "account")]
    password_file: Option<PathBuf>,
}

impl Account {
    /// The key: of the keystore, of the environment, or of the dev chain's first account.
    pub(crate) fn signer(&self, chain_id: u64) -> Result<PrivateKeySigner, Failure> {
        if let Some(path) = &self.account {
            let password = match (&self.password_file, std::env::var("LOCKSTEP_PASSWORD")) {
                (Some(file), _) => {
                    String::from_utf8_lossy(&files::read(file)?).trim_end_matches(['\r', '\n']).to_owned()
                }
                (None, Ok(password)) => password,
                (None, Err(_)) => {
                    return Err(Failure::Usage(
                        "the keystore's password is missing: set LOCKSTEP_PASSWORD or give --password-file".into(),
                    ));
                }
            };
            return LocalSigner::decrypt_keystore(path, password)
                .map_err(|e| Failure::Other(anyhow::anyhow!("the keystore {} does not open: {e}", path.display())));
        }
        if let Ok(key) = std::env::var("LOCKSTEP_PRIVATE_KEY") {
            // The error is not shown: it might quote the key.
            return key
                .trim()
                .parse()
                .map_err(|_| Failure::Usage("LOCKSTEP_PRIVATE_KEY is no private key (64 hex digits)".into()));
        }
        if chain_id == DEV_CHAIN_ID {
            return dev_accounts()
                .into_iter()
                .next()
                .ok_or_else(|| Failure::Other(anyhow::anyhow!("there is no dev account")));
        }
        Err(Failure::Usage(format!(
            "chain {chain_id} is no dev chain, so an account must sign: give --account KEYSTORE, or set LOCKSTEP_PRIVATE_KEY"
        )))
    }
}
