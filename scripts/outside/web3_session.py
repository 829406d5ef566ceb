"""A short session with web3.py against a running node: URL MODEL_ID ROW (JSON). Prints what it saw as JSON."""
import json
import sys

from eth_utils import keccak
from transactions import ACCOUNTS
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError, ContractLogicError
from web3.middleware import SignAndSendRawMiddlewareBuilder

url, model, row = sys.argv[1], sys.argv[2], [int(value) for value in json.loads(sys.argv[3])]
artifact = json.load(open("out/ModelConsumer.sol/ModelConsumer.json"))
errors = [entry for entry in json.load(open("out/IInference.sol/IInference.json"))["abi"] if entry["type"] == "error"]

w3 = Web3(HTTPProvider(url))
account = ACCOUNTS[3]
w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
w3.eth.default_account = account.address
factory = w3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"]["object"])
deployed = w3.eth.wait_for_transaction_receipt(factory.constructor().transact())
consumer = w3.eth.contract(address=deployed["contractAddress"], abi=artifact["abi"])

call = consumer.functions.classify(bytes.fromhex(model.removeprefix("0x")), row)
estimate = call.estimate_gas()
receipt = w3.eth.wait_for_transaction_receipt(call.transact())
(event,) = consumer.events.Classified().get_logs(from_block=receipt["blockNumber"])
classes, _ = call.call()
try:
    consumer.functions.classify(bytes.fromhex(model.removeprefix("0x")), row[1:]).call()
    error = None
except (ContractCustomError, ContractLogicError) as refused:
    selector = str(refused.data)[2:10]
    names = {keccak(text=f"{e['name']}({','.join(i['type'] for i in e['inputs'])})")[:4].hex(): e["name"] for e in errors}
    error = names.get(selector, selector)
print(json.dumps({
    "chainId": w3.eth.chain_id,
    "status": receipt["status"],
    "enough": receipt["gasUsed"] <= estimate,
    "event": [str(index) for index in event["args"]["classIndex"]],
    "called": [str(index) for index in classes],
    "error": error,
}))
