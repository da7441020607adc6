"""A receiver of webhooks: prints its port, then each request as a line of JSON.

    receiver.py PORT ANSWERS

ANSWERS are what it answers, in turn: a status, or `hold` for 200 once a line comes on stdin. After the last it is 200.
"""

import http.server
import json
import sys

PORT, ANSWERS = int(sys.argv[1]), [answer for answer in sys.argv[2].split(",") if answer]


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        answer = ANSWERS.pop(0) if ANSWERS else "200"
        headers = {name.lower(): value for name, value in self.headers.items()}
        print(json.dumps({"headers": headers, "body": body, "answer": answer}), flush=True)
        if answer == "hold":
            sys.stdin.readline()
            answer = "200"
        self.send_response(int(answer))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
