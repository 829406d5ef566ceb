// A short session with ethers 6 against a running node: URL MODEL_ID ROW.
import { Contract, ContractFactory, Interface, JsonRpcProvider, NonceManager, Wallet } from "ethers";
import { artifact, errors, key, modelId, report, row, url } from "./session.mjs";

const provider = new JsonRpcProvider(url);
const signer = new NonceManager(new Wallet(key, provider));
const factory = new ContractFactory(artifact.abi, artifact.bytecode.object, signer);
const consumer = await factory.deploy();
await consumer.waitForDeployment();
const estimate = await consumer.classify.estimateGas(modelId, row);
const tx = await consumer.classify(modelId, row);
const receipt = await tx.wait();
const [event] = await consumer.queryFilter(consumer.filters.Classified(modelId), receipt.blockNumber);
const called = await consumer.classify.staticCall(modelId, row);
let error;
try {
  await new Contract(await consumer.getAddress(), artifact.abi, provider).classify.staticCall(modelId, row.slice(1));
} catch (e) {
  error = new Interface(errors).parseError(e.data)?.name;
}
report({
  chainId: (await provider.getNetwork()).chainId,
  status: receipt.status,
  enough: receipt.gasUsed <= estimate,
  event: event.args.classIndex,
  called: called.classIndex,
  error,
});
provider.destroy();
