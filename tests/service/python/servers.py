"""Where data lives besides files: an S3-compatible server, a PostgreSQL cluster, and a network between
that behaves badly when told to."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from world import free_port, wait_for

LOOPBACK = "127.0.0.1"
ACCESS_KEY = "AKIAGLOVEBOXTEST"
SECRET_KEY = "s3-secret-which-nobody-may-see"
REGION = "eu-central-1"


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


class ObjectStorage:
    """moto's S3, and a bad network in front of it."""

    def __init__(self, directory):
        self.port = free_port(LOOPBACK)
        self.log = Path(directory) / "moto.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from moto.server import main; main()", "-H", LOOPBACK, "-p", str(self.port)],
                stdout=log, stderr=log)
        wait_for(lambda: listens(self.port), "the S3 server")
        self.network = BadNetwork(self.port)

    @property
    def endpoint(self):
        """Where the host finds it: behind the bad network."""
        return f"http://{LOOPBACK}:{self.network.port}"

    def client(self):
        import boto3
        return boto3.client("s3", endpoint_url=f"http://{LOOPBACK}:{self.port}", region_name=REGION,
                            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)

    def bucket(self, name):
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    def put(self, bucket, key, path):
        self.client().upload_file(str(path), bucket, key)

    def options(self):
        """For the Python package deltalake, which writes here as its own users do."""
        return {"AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{self.port}", "AWS_REGION": REGION,
                "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_ALLOW_HTTP": "true", "AWS_S3_ALLOW_UNSAFE_RENAME": "true"}

    def credentials(self, secret=SECRET_KEY, key=ACCESS_KEY):
        return (f'aws_access_key_id = "{key}"\naws_secret_access_key = "{secret}"\naws_region = "{REGION}"\n'
                f'aws_endpoint = "{self.endpoint}"\naws_allow_http = "true"\n')

    def close(self):
        self.network.close()
        self.process.kill()
        self.process.wait()


class BadNetwork:
    """Passes requests on to a server, unless it is told to spoil them. Knows one access key."""

    def __init__(self, server_port):
        self.faults = {}
        self.asked = []
        spoil = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                spoil.answer(self, server_port)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spoil(self, kind, times=10**9, method="GET", holding=""):
        """The next `times` requests whose path holds `holding` go wrong: `throttle`, `cut` or `refuse`."""
        self.faults[kind] = [times, method, holding]

    def mend(self):
        self.faults.clear()

    def fault(self, request):
        for kind, left in self.faults.items():
            times, method, holding = left
            if times > 0 and method == request.command and holding in request.path:
                left[0] -= 1
                return kind
        return None

    def answer(self, request, server_port):
        self.asked.append((request.command, request.path, request.headers.get("Range")))
        fault = self.fault(request)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        known = f"Credential={ACCESS_KEY}/" in (request.headers.get("Authorization") or "")
        if fault == "throttle":
            return self.say(request, 503, "SlowDown")
        if fault == "refuse" or not known:
            return self.say(request, 403, "InvalidAccessKeyId")
        upstream = http.client.HTTPConnection(LOOPBACK, server_port)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        upstream.request(request.command, request.path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "server", "date", "content-length"):
                request.send_header(name, value)
        length = answer.getheader("Content-Length") if request.command == "HEAD" else len(content)
        request.send_header("Content-Length", str(length))
        request.end_headers()
        if fault == "cut":
            request.wfile.write(content[:len(content) // 2])
            request.close_connection = True
        else:
            request.wfile.write(content)
        upstream.close()

    def say(self, request, status, code):
        content = f"<Error><Code>{code}</Code><Message>told to</Message></Error>".encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/xml")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def close(self):
        self.server.shutdown()


class Database:
    """A PostgreSQL cluster of its own, which wants passwords and writes down every statement."""

    USER, PASSWORD = "partner", "pg-password-which-nobody-may-see"

    def __init__(self):
        # The server refuses to be root, and that user may not look into pytest's directories.
        self.directory = Path(tempfile.mkdtemp(prefix="glovebox-pg-"))
        shutil.chown(self.directory, "postgres", "postgres")
        self.port = free_port(LOOPBACK)
        self.log = self.directory / "log"
        secret = self.directory / "secret"
        secret.write_text(self.PASSWORD)
        shutil.chown(secret, "postgres")
        self.run("initdb", "--pgdata", self.data, "--username", self.USER, "--pwfile", secret,
                 "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync")
        self.start()

    @property
    def data(self):
        return self.directory / "data"

    def run(self, program, *words):
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        assert found, "PostgreSQL is needed: apt-get install postgresql"
        command = [str(found[-1]), *map(str, words)]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def start(self):
        self.run("pg_ctl", "--pgdata", self.data, "--log", self.log, "--wait", "start", "--options",
                 f"-c listen_addresses={LOOPBACK} -c port={self.port} -c unix_socket_directories={self.directory} "
                 "-c fsync=off -c log_statement=all")

    def stop(self, mode="immediate"):
        self.run("pg_ctl", "--pgdata", self.data, "--mode", mode, "--wait", "stop")

    def sql(self, text, user=None, password=None):
        done = subprocess.run(
            ["psql", "--host", LOOPBACK, "--port", str(self.port), "--username", user or self.USER,
             "--dbname", "postgres", "--no-psqlrc", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"],
            input=text, env={**os.environ, "PGPASSWORD": password or self.PASSWORD}, capture_output=True, text=True)
        assert done.returncode == 0, f"{text[:300]}\n{done.stderr}"
        return done.stdout.strip()

    def place(self, table):
        return f"postgresql://{LOOPBACK}:{self.port}/postgres#{table}"

    def credentials(self, password=None, user=None):
        return f'user = "{user or self.USER}"\npassword = "{password or self.PASSWORD}"\nsslmode = "disable"\n'

    def statements(self):
        return self.log.read_text()

    def close(self):
        subprocess.run(["pkill", "-9", "-f", str(self.data)], check=False)
        time.sleep(0.2)
        shutil.rmtree(self.directory, ignore_errors=True)
