"""A client of the Model Context Protocol, as an agent has one: it starts the command that it is given, and calls two tools."""

import json
import subprocess
import sys

server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def say(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), file=server.stdin, flush=True)


def ask(number, method, **params):
    say(id=number, method=method, params=params)
    while True:
        answer = json.loads(server.stdout.readline())
        if answer.get("id") == number:
            return answer["result"]


who = {"name": "client", "version": "1"}
ask(1, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=who)
say(method="notifications/initialized")
print("tools:", [tool["name"] for tool in ask(2, "tools/list")["tools"]])
for number, name in enumerate(["look", "close", "look"], 3):
    result = ask(number, "tools/call", name=name, arguments={"account": "rent"})
    print(f"{name}: {'error' if result.get('isError') else 'ok'}: {result['content'][0]['text']}")
server.stdin.close()
sys.exit(server.wait())
