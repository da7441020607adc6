"""A server of the Model Context Protocol, by hand and with the standard library alone: over stdin and stdout, or HTTP.

    server.py [--http PORT-FILE] [--describe TEXT] [--exit CODE]

It speaks sessions and statelessly alike. What it was asked to do goes to stderr, so that a test sees what reached it.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OPTIONS = dict(zip(sys.argv[1::2], sys.argv[2::2]))
TEXT = OPTIONS.get("--describe", "Gives back what it gets.")
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}, "weight": {"type": "number", "minimum": 0.50}}}


def tool(name, description=TEXT):
    return {"name": name, "title": name.title(), "description": description, "inputSchema": SCHEMA}


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
BLOB = {"uri": "file:///a\u0000b", "mimeType": "application/octet-stream", "blob": "AAEC/w=="}

PAGES = [
    {"tools": [tool("echo"), tool("fail")], "nextCursor": "2"},
    {"tools": [tool("ask"), tool("long"), tool("image"), tool("confirm"), tool("remove file")]},
]


def text(words, **more):
    return {"content": [{"type": "text", "text": words}], **more}


def call(params, say):
    """What a call comes to. `say` sends something to the client meanwhile."""
    name, arguments = params["name"], params.get("arguments", {})
    print("called", name, file=sys.stderr, flush=True)
    token = params.get("_meta", {}).get("progressToken")
    if token is not None:
        for step in (1, 2):
            say({"method": "notifications/progress", "params": {"progressToken": token, "progress": step, "total": 2}})
    if name == "fail":
        return text("it did not work", isError=True)
    if name == "long":
        return text("x" * arguments["bytes"])
    if name == "image":
        return {"content": [{"type": "image", "mimeType": "image/png", "data": PIXEL}, {"type": "resource", "resource": BLOB}]}
    if name == "confirm" and params.get("requestState") != "asked":
        question = {"method": "elicitation/create", "params": {"message": "Really?"}}
        return {"resultType": "input_required", "inputRequests": {"q": question}, "requestState": "asked"}
    return text(json.dumps(arguments, ensure_ascii=False), structuredContent={"weight": 1.50}, isError=False)


def answer(message, say):
    """The result of a request; `None` if it has none yet."""
    method, params = message["method"], message.get("params", {})
    if method == "initialize":
        info = {"name": "by-hand", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return PAGES[int(params.get("cursor", "1")) - 1]
    if method == "tools/call" and params["name"] == "ask":
        # The server's ids are its own: this one is the id of the client's first request too.
        say({"id": 0, "method": "sampling/createMessage", "params": {"messages": []}})
        WAITING[0] = message["id"]
        return None
    if method == "tools/call":
        return call(params, say)
    if method == "resources/subscribe":
        say({"method": "notifications/resources/updated", "params": {"uri": params["uri"]}})
    if method == "resources/read":
        return {"contents": [BLOB]}
    return {}


WAITING = {}


def handle(message, say):
    if isinstance(message, list):
        answers = []
        for one in message:
            handle(one, lambda said: answers.append({"jsonrpc": "2.0", **said}))
        return say(answers)
    if "method" not in message:
        asked = WAITING.pop(message["id"], None)
        if asked is not None:
            say({"id": asked, "result": text("the model says " + message["result"]["content"]["text"])})
        return None
    if "id" not in message:
        return print("heard", message["method"], file=sys.stderr, flush=True)
    result = answer(message, say)
    if result is not None:
        # The id comes last, as some servers have it.
        say({"result": result, "id": message["id"]})


def to_stdout(message):
    whole = message if isinstance(message, list) else {"jsonrpc": "2.0", **message}
    print(json.dumps(whole, ensure_ascii=False), flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print("authorization", self.headers.get("Authorization"), file=sys.stderr, flush=True)
        said = []
        handle(message, said.append)
        if not said:
            self.send_response(202)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        events = "".join("event: message\ndata: " + json.dumps({"jsonrpc": "2.0", **one}) + "\n\n" for one in said)
        body = events.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Mcp-Session-Id", "session-1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if "--http" in OPTIONS:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with open(OPTIONS["--http"], "w") as file:
        file.write(f"http://127.0.0.1:{server.server_port}/mcp\n")
    server.serve_forever()
for line in sys.stdin:
    handle(json.loads(line), to_stdout)
sys.exit(int(OPTIONS.get("--exit", "0")))
