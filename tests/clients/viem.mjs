// A short session with viem 2 against a running node: URL MODEL_ID ROW.
import { BaseError, ContractFunctionRevertedError, createPublicClient, createWalletClient, defineChain, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { artifact, errors, key, modelId, report, row, url } from "./session.mjs";

const account = privateKeyToAccount(key);
const id = await createPublicClient({ transport: http(url) }).getChainId();
const chain = defineChain({
  id,
  name: "Lockstep dev",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const client = createPublicClient({ chain, transport: http(url), pollingInterval: 50 });
const wallet = createWalletClient({ account, chain, transport: http(url) });

const hash = await wallet.deployContract({ abi: artifact.abi, bytecode: artifact.bytecode.object });
const { contractAddress: address } = await client.waitForTransactionReceipt({ hash });
const abi = [...artifact.abi, ...errors.filter((e) => e.type === "error" && !artifact.abi.some((a) => a.name === e.name))];
const call = { address, abi, functionName: "classify", args: [modelId, row], account };
const estimate = await client.estimateContractGas(call);
const receipt = await client.waitForTransactionReceipt({ hash: await wallet.writeContract(call) });
const [event] = await client.getContractEvents({ address, abi, eventName: "Classified", fromBlock: receipt.blockNumber });
const { result } = await client.simulateContract(call);
let error;
try {
  await client.simulateContract({ ...call, args: [modelId, row.slice(1)] });
} catch (e) {
  const reverted = e instanceof BaseError && e.walk((c) => c instanceof ContractFunctionRevertedError);
  error = reverted?.data?.errorName;
}
report({
  chainId: id,
  status: receipt.status === "success" ? 1 : 0,
  enough: receipt.gasUsed <= estimate,
  event: event.args.classIndex,
  called: result[0],
  error,
});
