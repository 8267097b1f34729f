"""A farm of real daemons on loopback, for one scenario: starts and ends them, and asks them things.

The configurations are those of examples/, with the third number of every address replaced, so that a scenario has
addresses of its own and what is tested is what is shown to people. Every wait has a generous deadline; no test asserts
how long something took.
"""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from client import Reply, dns_query, request

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
PUBLIC, DNS, ADMIN, SHOP, MESH = 8080, 5300, 7380, 9000, 7300
WAIT_S = 60  # for anything that must come about in the end
CRASH = re.compile(r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|Assertion .* failed|core dumped")


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def eventually(probe, what, wait_s=WAIT_S):
    """Until probe() gives something true; what it gave or raised last is told when it never does."""
    end, last = time.monotonic() + wait_s, None
    while True:
        try:
            last = probe()
            if last:
                return last
        except (OSError, http.client.HTTPException, ValueError, Failed) as error:
            last = repr(error)
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {wait_s} s; last: {last!r}")
        time.sleep(0.1)


class Process:
    """A child that the kernel kills when this test is killed; known by its pid, never by name."""

    def __init__(self, argv, log, **options):
        self.argv, self.log = [str(a) for a in argv], log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *self.argv], stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=out, **options)

    @property
    def pid(self):
        return self.child.pid

    def runs(self):
        return self.child.poll() is None

    def send(self, number):
        if self.runs():
            self.child.send_signal(number)

    def end(self, number=signal.SIGTERM, wait_s=WAIT_S):
        """Returns the exit status, negative for a signal."""
        self.send(number)
        try:
            return self.child.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed(f"{self.argv[:2]} did not end within {wait_s} s after signal {number}") from None


def free_block(block):
    """This block of addresses, or another when the same scenario runs elsewhere on this machine. Held by the socket."""
    for candidate in range(block, 256, 32):
        held = socket.socket()
        try:
            held.bind((f"127.0.{candidate}.1", 7299))
            return candidate, held
        except OSError:
            held.close()
    raise Failed(f"no block of addresses from {block} on is free")


class Farm:
    def __init__(self, build, block, example="loopback"):
        self.build = pathlib.Path(build)
        self.block, self.held = free_block(block)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="stead-farm-"))
        self.run = self.dir / "run"
        self.run.mkdir(mode=0o700)
        self.nodes, self.shops = {}, {}
        self.names = []
        for conf in sorted((SOURCE / "examples" / example).glob("*.conf")):
            text = conf.read_text().replace('"127.0.0.', f'"127.0.{self.block}.')
            (self.dir / conf.name).write_text(text)
            if conf.stem != "services":
                self.names.append(conf.stem)
        self.servers = [n for n in self.names if re.search(r"^server ", self.conf(n).read_text(), re.M)]
        subprocess.run([self.build / "stead", "keygen", self.run / "farm.key"], check=True)

    # -- addresses --

    def ip(self, name):
        return f"127.0.{self.block}.{10 if name == 'front' else 10 + int(name[1:])}"

    def conf(self, name):
        return self.dir / f"{name}.conf"

    def log(self, name, part="node"):
        return self.run / f"{name}.{part}.log"

    # -- life --

    def start_node(self, name):
        check(name not in self.nodes or not self.nodes[name].runs(), f"{name} runs already")
        self.nodes[name] = Process([self.build / "stead", "run", "-c", self.conf(name)], self.log(name))

    def start_shop(self, name):
        check(name not in self.shops or not self.shops[name].runs(), f"the shop of {name} runs already")
        self.shops[name] = Process(
            [self.build / "shop", "--listen", f"{self.ip(name)}:{SHOP}", "--node", f"unix:{self.run / name}.sock",
             "--server", name, "--domain", "shop.test"], self.log(name, "shop"))

    def start(self, *names):
        """What of them does not run. Does not wait."""
        for name in names or self.names:
            if name not in self.nodes or not self.nodes[name].runs():
                self.start_node(name)
            if name in self.servers and (name not in self.shops or not self.shops[name].runs()):
                self.start_shop(name)
        return self

    def parts(self, name, what):
        return [t[name] for t, part in ((self.nodes, "node"), (self.shops, "shop"))
                if part in what and name in t and t[name].runs()]

    def kill(self, name, what=("node", "shop")):
        """As a power cut would: both at once."""
        victims = self.parts(name, what)
        for process in victims:
            process.send(signal.SIGKILL)
        for process in victims:
            process.end(signal.SIGKILL)

    def term(self, name, what=("node", "shop")):
        """In order: the node first, then the shop. They must end with status 0."""
        for process in self.parts(name, what):
            status = process.end(signal.SIGTERM)
            check(status == 0, f"{name}: {process.argv[:2]} ended with {status} after SIGTERM")

    def ready(self, name):
        return self.admin(name, "/readyz").status == 200

    def healthy(self, name):
        return request(self.ip(name), SHOP, "/health").status == 200

    def wait_ready(self, *names):
        for name in names or self.names:
            def good(name=name):
                check(self.nodes[name].runs(), f"the node of {name} has ended")
                return self.ready(name) and (name not in self.servers or self.healthy(name))
            eventually(good, f"{name} is ready")

    def wait_up(self, *names):
        """They are up in every running node's roster, and the others are not."""
        for asked in self.names:
            if asked in self.nodes and self.nodes[asked].runs():
                eventually(lambda asked=asked: self.up(asked) == set(names), f"up as {asked} sees it: {names}")

    def started(self):
        self.start()
        self.wait_ready()
        self.wait_up(*self.servers)
        return self

    def stop(self):
        everything = list(self.nodes.values()) + list(self.shops.values())
        for process in everything:
            process.send(signal.SIGTERM)
        end = time.monotonic() + 40
        for process in everything:
            with contextlib.suppress(Failed):
                process.end(signal.SIGTERM, max(1, end - time.monotonic()))

    # -- questions --

    def get(self, name, path, **options):
        return request(self.ip(name), PUBLIC, path, **options)

    def admin(self, name, path):
        return request(self.ip(name), ADMIN, path)

    def roster(self, name):
        return self.admin(name, "/v1/roster").json()

    def up(self, name):
        """Those of whose servers none is anything else."""
        servers = self.roster(name)["servers"]
        return {s["name"] for s in servers} - {s["name"] for s in servers if s["status"] != "up"}

    def status_of(self, name, asked):
        return {s["name"]: s["status"] for s in self.roster(asked)["servers"]}.get(name, "")

    def status(self, name):
        return self.admin(name, "/v1/status").json()

    def metric(self, name, metric):
        """The sum over the labels that are not named."""
        reply = self.admin(name, "/metrics")
        check(reply.status == 200, f"metrics of {name}: {reply.status}")
        total, found = 0.0, False
        for line in reply.text.splitlines():
            if re.match(re.escape(metric) + r"(\{| )", line) or line.startswith(metric + " "):
                total, found = total + float(line.rsplit(" ", 1)[1]), True
        check(found, f"{name} has no metric {metric}")
        return total

    def dns(self, name, asked):
        """(rcode, addresses) of an A query to the node `asked`."""
        return dns_query(self.ip(asked), DNS, name)

    def cli(self, *args):
        return subprocess.run([self.build / "stead", *[str(a) for a in args]], capture_output=True, text=True,
                              timeout=WAIT_S, check=False)

    # -- the end --

    def crashes(self):
        found = []
        for log in sorted(self.run.glob("*.log")):
            for line in log.read_text(errors="replace").splitlines():
                if CRASH.search(line):
                    found.append(f"{log.name}: {line}")
        return found

    def tell(self):
        for log in sorted(self.run.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            print(f"--- {log.name}, its last lines:", *lines[-25:], sep="\n    ", file=sys.stderr)


def options(extra=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    if extra:
        extra(parser)
    args = parser.parse_args()
    args.build = args.build.resolve()
    return args


@contextlib.contextmanager
def scenario(build, block, example="loopback", make=Farm):
    """with scenario(...) as farm: ... Ends everything, tells the logs when something failed, and exits."""
    farm, failed = make(build, block, example), None
    try:
        yield farm
    except Failed as error:
        failed = str(error)
    except Exception:  # a test that breaks has failed, and says where
        failed = traceback.format_exc()
    finally:
        with contextlib.suppress(Exception):
            farm.stop()
    crashed = farm.crashes()
    if failed or crashed:
        farm.tell()
        for line in [failed, *crashed]:
            print("FAILED:", line, file=sys.stderr)
    shutil.rmtree(farm.dir, ignore_errors=True)
    sys.exit(1 if failed or crashed else 0)


__all__ = ["ADMIN", "DNS", "MESH", "PUBLIC", "SHOP", "SOURCE", "WAIT_S", "Failed", "Farm", "Process", "Reply", "check",
           "dns_query", "eventually", "json", "options", "os", "request", "scenario", "socket"]
