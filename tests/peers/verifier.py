"""Takes webhooks that are signed with the secret a file holds now, refuses all others with 401, and
writes down what it answered to which message: `verifier.py SECRET_FILE LOG`. Prints its port."""

import http.server
import sys

from standardwebhooks import Webhook

SECRET_FILE, LOG = sys.argv[1:3]


class Verifier(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open(SECRET_FILE) as file:
            secret = file.read().strip()
        try:
            Webhook(secret).verify(body, {name.lower(): value for name, value in self.headers.items()})
            status = 200
        except Exception:  # the package raises several kinds for what does not verify
            status = 401
        with open(LOG, "a") as file:
            file.write(f"{status} {self.headers['webhook-id']}\n")
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Verifier)
print(server.server_address[1], flush=True)
server.serve_forever()
