"""A small world for the stories: one host, parties with homes of their own, two networks.

This runs inside a network namespace of its own (tests/service/main.rs makes it). The host and some
parties live here; others live in a second network namespace, behind a cable (a veth pair). Every
party's process has an empty file system mounted over the host's directory, and over the other
parties' directories, so whatever it learns comes over the network.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

GLOVEBOX = os.environ["GLOVEBOX"]
HOST_ADDRESS = "10.77.0.1"
REMOTE_ADDRESS = "10.77.0.2"
PATIENCE_SECONDS = 60


def run(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, **options)


class Network:
    """Two ends of a cable: this network namespace, and another one."""

    def __init__(self):
        run("ip", "link", "set", "lo", "up")
        self.other = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        wait_for(lambda: self._apart(), "the other network namespace")
        run("ip", "link", "add", "gbx0", "type", "veth", "peer", "name", "gbx1")
        run("ip", "link", "set", "gbx1", "netns", self.other.pid)
        run("ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", "gbx0")
        run("ip", "link", "set", "gbx0", "up")
        for words in (["link", "set", "lo", "up"],
                      ["address", "add", f"{REMOTE_ADDRESS}/24", "dev", "gbx1"],
                      ["link", "set", "gbx1", "up"]):
            run(*self.enter(), "ip", *words)

    def _apart(self):
        mine = os.readlink("/proc/self/ns/net")
        return os.readlink(f"/proc/{self.other.pid}/ns/net") != mine

    def enter(self):
        return ["nsenter", f"--net=/proc/{self.other.pid}/ns/net"]

    def close(self):
        self.other.kill()
        self.other.wait()
        subprocess.run(["ip", "link", "delete", "gbx0"], check=False, capture_output=True)


class Server:
    """A server process that says where it listens on the first line of its standard output."""

    def __init__(self, command, environment, log):
        self.log = Path(log)
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdout=subprocess.PIPE, stderr=stream,
                env=environment, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"{command} said nothing and ended:\n{self.log.read_text()}")
        self.started = json.loads(line)

    def stop(self):
        """As an operator stops it."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def kill(self):
        """As a power cut does."""
        self.process.kill()
        self.process.wait()


class Host:
    def __init__(self, world, name="host", serve=(), tls=False):
        self.world = world
        self.name = name
        self.scheme = "https" if tls else "http"
        self.words = [str(word) for word in serve]
        self.home = world.directory / name
        self.home.mkdir()
        if tls:
            self.words += self.certify()
        self.port = 0
        self.server = None
        self.start()

    def start(self):
        command = [GLOVEBOX, "--home", self.home, "--json", "serve",
                   "--listen", f"{HOST_ADDRESS}:{self.port}",
                   "--public-url", self.url, *self.words]
        if self.port == 0:
            # The address is in every signed URL, so it has to be known before the start.
            self.port = free_port(HOST_ADDRESS)
            command = [str(word).replace(f"{HOST_ADDRESS}:0", f"{HOST_ADDRESS}:{self.port}")
                       for word in command]
        self.server = Server(command, clean_environment(self.home),
                             self.world.directory / f"{self.name}.log")

    @property
    def url(self):
        return f"{self.scheme}://{HOST_ADDRESS}:{self.port}"

    def certify(self):
        """A certificate for this address, and the authority that parties trust."""
        authority, secrets = self.world.authority, self.world.directory / "tls"
        certificate, key = secrets / "cert.pem", secrets / "cert.key"
        if not authority.exists():
            secrets.mkdir()
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", "/CN=host", "-addext", f"subjectAltName=IP:{HOST_ADDRESS}", "-days", "2",
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-keyout", key, "-out", certificate, capture_output=True)
            authority.write_bytes(certificate.read_bytes())
        return ["--tls-cert", certificate, "--tls-key", key]

    def kill_and_restart(self):
        self.server.kill()
        self.start()


class Party:
    """An organisation: a directory of its own, a key that stays there, the programs it starts."""

    def __init__(self, world, alias, remote=False):
        self.world, self.alias, self.remote = world, alias, remote
        self.home = world.directory / alias
        self.home.mkdir()
        self.gateway = None
        self.public_key = self.glovebox("key", "new", f"{alias}.key", json_output=True)["public_key"]

    @property
    def key(self):
        return self.home / f"{self.alias}.key"

    def prefix(self):
        """What comes before a command of this party: its network, and nothing of the others' files."""
        others = [path for path in self.world.directory.iterdir()
                  if path.is_dir() and path != self.home]
        hide = "".join(f"mount -t tmpfs -o size=0,mode=000 hidden '{path}' && " for path in others)
        enter = self.world.network.enter() if self.remote else []
        return [*enter, "unshare", "--mount", "--propagation", "private",
                "sh", "-c", f'{hide}exec "$@"', "sh"]

    def command(self, *words):
        return [*self.prefix(), GLOVEBOX, "--home", self.home / "state", *words]

    def glovebox(self, *words, json_output=False, host=False, check=True):
        words = list(words)
        if host:
            words += ["--host", self.world.host.url]
        if json_output:
            words.append("--json")
        environment = clean_environment(self.home)
        if host and self.world.authority.exists():
            environment["GLOVEBOX_CA"] = str(self.world.authority)
        done = subprocess.run([str(word) for word in self.command(*words)], cwd=self.home,
                              env=environment, capture_output=True, text=True)
        if check:
            assert done.returncode == 0, f"glovebox {words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        else:
            return done
        return json.loads(done.stdout) if json_output else done.stdout

    def start_gateway(self, *words):
        address = REMOTE_ADDRESS if self.remote else "127.0.0.1"
        command = self.command(
            "--json", "gateway", "serve", "--key", self.key, "--host", self.world.host.url,
            "--listen", f"{address}:0", "--state", self.home / "gateway",
            "--catalog", self.home / "catalog.toml", *words)
        self.gateway = Server(command, clean_environment(self.home),
                              self.world.directory / f"{self.alias}.log")

    @property
    def gateway_url(self):
        return f"http://{self.gateway.started['address']}"

    def write(self, name, text):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def stop(self):
        if self.gateway:
            self.gateway.kill()


class World:
    def __init__(self, directory, serve=(), tls=False):
        self.directory = Path(directory)
        self.authority = self.directory / "authority.pem"
        self.network = Network()
        self.parties = []
        self.host = Host(self, serve=serve, tls=tls)

    def party(self, alias, remote=False):
        self.parties.append(Party(self, alias, remote))
        return self.parties[-1]

    def close(self):
        for party in self.parties:
            party.stop()
        self.host.server.kill()
        self.network.close()


def clean_environment(home):
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME", "XDG_CACHE_HOME", "RUSTUP_HOME",
                                                "CARGO_HOME", "GLOVEBOX_BUILD_DIRECTORY") if name in os.environ}
    return {**kept, "GLOVEBOX_LOG": "info"}


def free_port(address):
    import socket
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def wait_for(condition, what, seconds=PATIENCE_SECONDS):
    """Gives what `condition` gives once it is true."""
    end = time.monotonic() + seconds
    while True:
        try:
            result = condition()
        except FileNotFoundError:
            result = None
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
