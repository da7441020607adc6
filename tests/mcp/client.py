"""A client of the SDK for the conformance suites: client.py direct|proxied URL. It lists the tools and calls each."""

import asyncio
import json
import os
import subprocess
import sys

from mcp import Client
from authorized import transport
from mcp.types import CreateMessageResult, ElicitResult, TextContent

SAMPLES = {"number": 2, "integer": 2, "boolean": True, "array": [], "object": {}}


def sample(schema):
    properties = schema.get("properties", {})
    return {name: SAMPLES.get(of.get("type"), "text") for name, of in properties.items()}


async def elicit(context, params):
    properties = params.requested_schema.get("properties", {}) if hasattr(params, "requested_schema") else {}
    content = {name: of["default"] for name, of in properties.items() if "default" in of}
    return ElicitResult(action="accept", content=content)


async def make_message(context, params):
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="yes"), model="m")


async def run(server, url):
    wants_token = os.environ["MCP_CONFORMANCE_SCENARIO"].startswith("auth/")
    way = transport(server, url) if wants_token else url
    async with Client(way, elicitation_callback=elicit, sampling_callback=make_message) as client:
        listed = await client.list_tools()
        for tool in listed.tools:
            try:
                await client.call_tool(tool.name, sample(tool.input_schema))
            except Exception as error:  # The suite judges what the client did, not what it thinks of it.
                print(tool.name, error, file=sys.stderr)


def main():
    kind, url = sys.argv[1:3]
    if kind == "direct":
        return asyncio.run(run(url, url))
    words = [*json.loads(os.environ["DRAGONS_PROXY"]), "--url", url, "--listen", "127.0.0.1:0"]
    proxy = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        asyncio.run(run(url, proxy.stdout.readline().split()[-1]))
    finally:
        proxy.terminate()
        proxy.wait()


main()
