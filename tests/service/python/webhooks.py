"""Endpoints of webhooks, as a party runs them: one that takes them, one that fails first, one that hangs."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Checks the signature of what it gets and remembers it. `answers` are the first statuses that it
    answers with; then it takes everything."""

    def __init__(self, secret, answers=(), hangs=False):
        self.key = base64.b64decode(secret.removeprefix("whsec_"))
        self.answers, self.hangs = list(answers), hangs
        self.taken, self.seen, self.forged = [], [], []
        self.lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if receiver.hangs:
                    receiver.seen.append(self.headers["webhook-id"])
                    time.sleep(3600)
                self.send_response(receiver.take(self.headers, body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook?key=not-to-be-logged"

    def take(self, headers, body):
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        expected = "v1," + base64.b64encode(hmac.new(self.key, signed, hashlib.sha256).digest()).decode()
        fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
        with self.lock:
            if headers["webhook-signature"] != expected or not fresh:
                self.forged.append(body)
                return 401
            self.seen.append(headers["webhook-id"])
            if self.answers:
                return self.answers.pop(0)
            self.taken.append((headers["webhook-id"], json.loads(body)))
            return 204

    def events(self, kind):
        with self.lock:
            return [body["data"] for _, body in self.taken if body["type"] == kind]

    def ids(self):
        with self.lock:
            return [identity for identity, _ in self.taken]
