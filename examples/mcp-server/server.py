"""A server of the Model Context Protocol with two tools, over stdin and stdout, as it was before."""

import json
import sys

ledger = {"rent": 700}
schema = {"type": "object", "properties": {"account": {"type": "string"}}, "required": ["account"]}
tools = [
    {"name": "look", "description": "The total of an account.", "inputSchema": schema},
    {"name": "close", "description": "Closes an account.", "inputSchema": schema},
]


def answer(method, params):
    if method == "initialize":
        server = {"name": "ledger", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": server}
    if method == "tools/list":
        return {"tools": tools}
    account = params["arguments"]["account"]
    text = str(ledger[account] if params["name"] == "look" else ledger.pop(account))
    return {"content": [{"type": "text", "text": text}], "isError": False}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message["method"], message.get("params", {}))
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
