"""A model server on this machine for Claude Code: it calls the tools that it is given to call, then says that it is done."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Iterator, List

Block = Dict[str, Any]


class ScriptedClaude:
    """Serves until it is closed. ``read`` has what the model was told, in the order in which it came."""

    def __init__(self, calls: List[Block]) -> None:
        self.read: List[str] = []
        self._calls = iter(calls)
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                self.answer(b"", "text/plain")

            def do_GET(self) -> None:
                self.answer(b'{"data":[]}')

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if "/v1/messages" not in self.path or "count_tokens" in self.path:
                    self.answer(b'{"input_tokens":1}')
                    return
                request = json.loads(body)
                message = script._message(request)
                if request.get("stream"):
                    self.answer(b"".join(_events(message)), "text/event-stream")
                else:
                    self.answer(json.dumps(message).encode())

            def answer(self, body: bytes, kind: str = "application/json") -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _message(self, request: Dict[str, Any]) -> Dict[str, Any]:
        # Requests without tools are Claude Code's own, such as for a title.
        call = next(self._calls, None) if request.get("tools") else None
        self.read.append(json.dumps(request["messages"][-1]))
        content: Block = {"type": "text", "text": "done"}
        if call is not None:
            content = {"type": "tool_use", "id": f"toolu_{len(self.read)}", **call}
        return {
            "id": f"msg_{len(self.read)}",
            "type": "message",
            "role": "assistant",
            "model": request.get("model"),
            "content": [content],
            "stop_reason": "end_turn" if call is None else "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }


def _events(message: Dict[str, Any]) -> Iterator[bytes]:
    (block,) = message["content"]
    start: Block
    if block["type"] == "text":
        start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        start = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_start", message={**message, "content": [], "stop_reason": None})
    yield _event("content_block_start", index=0, content_block=start)
    yield _event("content_block_delta", index=0, delta=delta)
    yield _event("content_block_stop", index=0)
    yield _event("message_delta", delta=ending, usage={"output_tokens": 1})
    yield _event("message_stop")


def _event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()
