"""An agent that works until a file `stall` appears beside it, goes on when a file `go` does, and ends when `end` does.

It tells its steps as lines, which a run counts as progress, and as a metric, which Prometheus scrapes. While it stalls it
still answers: it lives, and gets nowhere."""

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

folder = sys.argv[1]
steps = 0


def there(name):
    return os.path.exists(os.path.join(folder, name))


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"# TYPE agent_steps_total counter\nagent_steps_total {steps}\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"metrics on {server.server_address[1]}", flush=True)
while not there("end"):
    if not there("stall") or there("go"):
        steps += 1
        print(f"step {steps}", flush=True)
    time.sleep(0.1)
