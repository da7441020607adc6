"""Model servers that answer from a script: what the three hosts are told, in the form of each one's provider.

    python3 models.py anthropic|openai|gemini PORT COMMAND...

The first answers ask for the commands, one a turn, and the last says that it is done.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FORM, PORT, COMMANDS = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
USAGE = {"input_tokens": 1, "output_tokens": 1}


def sse(kind, data):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def anthropic(request, turn, command):
    if command is None:
        block = {"type": "text", "text": "done"}
        opened, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": "done"}
    else:
        given = {"command": command, "description": "a test"}
        block = {"type": "tool_use", "id": f"toolu_{turn}", "name": "Bash", "input": given}
        opened = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
    stop = "end_turn" if command is None else "tool_use"
    message = {"id": f"msg_{turn}", "type": "message", "role": "assistant", "model": request.get("model", "m"),
               "content": [block], "stop_reason": stop, "stop_sequence": None, "usage": USAGE}
    if not request.get("stream"):
        return json.dumps(message).encode(), "application/json"
    out = sse("message_start", {"message": {**message, "content": [], "stop_reason": None}})
    out += sse("content_block_start", {"index": 0, "content_block": opened})
    out += sse("content_block_delta", {"index": 0, "delta": delta}) + sse("content_block_stop", {"index": 0})
    out += sse("message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 1}})
    return out + sse("message_stop", {}), "text/event-stream"


def openai(request, turn, command):
    names = [tool.get("name") for tool in request.get("tools", [])]
    if command is None:
        item = {"type": "message", "id": f"msg_{turn}", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "done", "annotations": []}]}
    else:
        forms = {"exec_command": {"cmd": command}, "shell_command": {"command": command},
                 "shell": {"command": ["bash", "-lc", command]}}
        name = next((name for name in forms if name in names), "shell")
        item = {"type": "function_call", "id": f"fc_{turn}", "call_id": f"call_{turn}", "name": name,
                "arguments": json.dumps(forms[name]), "status": "completed"}
    response = {"id": f"resp_{turn}", "object": "response"}
    usage = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}
    out = sse("response.created", {"response": {**response, "status": "in_progress", "output": []}})
    out += sse("response.output_item.done", {"output_index": 0, "item": item})
    done = {**response, "status": "completed", "output": [item], "usage": usage}
    return out + sse("response.completed", {"response": done}), "text/event-stream"


def gemini(request, turn, command):
    call = {"name": "run_shell_command", "args": {"command": command, "description": "a test"}}
    part = {"text": "done"} if command is None else {"functionCall": call}
    answer = {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
              "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}}
    return answer


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    turn = 0

    def log_message(self, *_):
        pass

    def answer(self, body, kind="application/json"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        self.answer(b"")

    def do_GET(self):
        self.answer(b'{"object":"list","data":[],"models":[]}')

    def next_command(self, has_tools):
        """A request without tools is for a title or the like, and uses up no turn."""
        if not has_tools:
            return 1000, None
        turn, Server.turn = Server.turn, Server.turn + 1
        return turn, COMMANDS[turn] if turn < len(COMMANDS) else None

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            request = json.loads(body)
        except ValueError:
            request = {}
        if "count" in self.path.lower():
            return self.answer(b'{"input_tokens":1,"totalTokens":1}')
        turn, command = self.next_command(bool(request.get("tools")))
        if FORM == "gemini":
            answer = json.dumps(gemini(request, turn, command))
            if "stream" in self.path:
                return self.answer(f"data: {answer}\r\n\r\n".encode(), "text/event-stream")
            return self.answer(answer.encode())
        if FORM == "openai" and not self.path.endswith("/responses"):
            return self.answer(b"{}")
        self.answer(*(anthropic if FORM == "anthropic" else openai)(request, turn, command))


ThreadingHTTPServer(("127.0.0.1", PORT), Server).serve_forever()
