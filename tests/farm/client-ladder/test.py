#!/usr/bin/env python3
"""The client's whole ladder, watched from outside: a name server and nodes that are stand-ins write down what `stead
connect` does to them. Refused, tried again, passed over; the name asked anew, another first server, another server. Then
it is on a server: it hears the roster, comes back when it was lost, and moves before the older connection ends."""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fake import Book, Names, Node
from farm import CRASH, Failed, check, eventually, free_block, options


class Farm:
    def __init__(self, block):
        self.block, self.held = free_block(block)
        self.book = Book()
        self.names = Names(self.ip(1), self.book)
        first = Node("a", self.ip(11), 0, self.book)
        self.port = first.port
        self.nodes = {"a": first}
        for number, name in ((12, "b"), (22, "s2"), (23, "s3")):
            self.nodes[name] = Node(name, self.ip(number), self.port, self.book)
        self.names.addresses = {"www.shop.test": [self.ip(12)]}
        self.names.once = {"www.shop.test": [self.ip(11)]}
        for number in (1, 2, 3, 4):  # nobody listens at s1 and s4
            self.names.addresses[f"s{number}.shop.test"] = [self.ip(20 + number)]
        self.names.addresses["s3.shop.test"].insert(0, self.ip(29))  # of its addresses the first is dead

    def ip(self, number):
        return f"127.0.{self.block}.{number}"

    def server(self, name, status, url=None):
        return {"name": name, "service": "shop", "status": status, "users": 1, "weight": 10, "zone": "", "groups": [],
                "urls": [url or f"http://{name}.shop.test:{self.port}"]}

    def roster(self, revision=1, **servers):
        return {"farm": "f", "revision": revision, "retry_window_ms": 300,
                "servers": [self.server(name, status) for name, status in servers.items()]}

    def change(self, *servers, revision=9, gone=()):
        return {"revision": revision, "servers": list(servers),
                "gone": [{"name": name, "service": "shop"} for name in gone]}


class Client:
    def __init__(self, args, farm, *extra):
        self.log = open(pathlib.Path(args.dir) / "client.log", "ab+")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", args.build / "stead", "connect", "--verbose", "--reconnect",
             "--dns", farm.names.at, *extra, f"www.shop.test:{farm.port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, bufsize=0)

    def line(self, expected):
        got = self.process.stdout.readline()
        check(got == expected, f"the client printed {got!r}, not {expected!r}")

    def say(self, line):
        self.process.stdin.write(line)

    def stderr(self):
        self.log.seek(0)
        return self.log.read().decode()


def climbed(book):
    """Names once where they are asked for twice in a row, to hear the roster."""
    said = [line for line in book.since(0) if line[0] != "watch"]
    tail = said.index(("client", "s2")) if ("client", "s2") in said else len(said)
    return said[:7] + said[tail:]


def climb(farm, client):
    a, b, book = farm.nodes["a"], farm.nodes["b"], farm.book
    client.line(b"this is s2\n")
    check(climbed(book) == [("name", "www.shop.test"), ("roster", "a"), ("name", "s1.shop.test"),
                            ("name", "s1.shop.test"), ("name", "www.shop.test"), ("roster", "b"),
                            ("name", "s2.shop.test"), ("client", "s2")], f"the ladder: {book.since(0)}")
    check(a.clients == [] and b.clients == [], "nobody talks to a first server that was not picked")
    client.say(b"one\n")
    client.line(b"ONE\n")
    eventually(lambda: book.has("watch", "s2", "s2"), "the roster is heard from the server's node, which is told who")


def lose(farm, client):
    """The same server first."""
    farm.nodes["s2"].drop_clients()
    client.line(b"this is s2\n")
    client.say(b"two\n")
    client.line(b"TWO\n")


def drain(farm, client):
    """The new connection first, then the older one ends: one that cannot be made costs nothing."""
    start = farm.book.length()
    node = farm.nodes["s2"]
    farm.nodes["s3"].roster = farm.roster(2, s2="draining", s3="up")
    eventually(lambda: farm.book.since(0).count(("watch", "s2", "s2")) >= 2, "the roster is heard again")
    node.tell("change", farm.change(farm.server("s2", "draining"), farm.server("s4", "up")))
    eventually(lambda: farm.book.since(start).count(("name", "s4.shop.test")) == 2, "s4 is tried twice")
    client.say(b"three\n")
    client.line(b"THREE\n")
    check(("closed", "s2") not in farm.book.since(start), "the older connection stays until there is another")
    node.tell("change", farm.change(farm.server("s3", "up")))
    client.line(b"this is s3\n")
    client.say(b"more\n")
    client.line(b"MORE\n")
    eventually(lambda: ("closed", "s2") in farm.book.since(start), "the older connection ends")
    eventually(lambda: ("watch", "s3", "s3") in farm.book.since(start), "the roster is heard from where it is")


def asked(farm, client):
    """Asked to go, to a server that it knows."""
    farm.nodes["s3"].tell("change", farm.change(farm.server("s2", "up")))
    farm.nodes["s3"].tell("move", {"service": "shop", "to": ["s2"], "within_ms": 200})
    client.line(b"this is s2\n")
    client.say(b"four\n")
    client.line(b"FOUR\n")
    eventually(lambda: farm.book.since(0).count(("watch", "s2", "s2")) >= 3, "its roster is heard")


def astray(farm, client):
    """Lies lead nowhere, and do not disturb the talk."""
    evil, node = farm.ip(11), farm.nodes["s2"]
    node.tell("change", farm.change(farm.server("s2", "draining"), farm.server("s1", "down"), farm.server("s3", "down"),
                                    farm.server("evil", "up", f"http://{evil}:{farm.port}"),
                                    farm.server("evil2", "up", f"http://www.shop.test.evil.test:{farm.port}")))
    node.tell("move", {"service": "shop", "to": ["evil", "evil2"], "within_ms": 0})
    client.say(b"five\n")
    client.line(b"FIVE\n")
    before = farm.book.since(0).count(("watch", "s2", "s2"))
    node.send(b"event: roster\ndata: {\"farm\":[]}\n\n")
    eventually(lambda: farm.book.since(0).count(("watch", "s2", "s2")) > before or
               farm.book.since(0).count(("watch", "b", "s2")) > 0, "another watch after nonsense")
    client.say(b"six\n")
    client.line(b"SIX\n")
    check(not farm.nodes["a"].clients, "nobody was led astray")


def finish(farm, client):
    client.process.stdin.close()
    check(client.process.stdout.read() == b"", "nothing more is said")
    check(client.process.wait(60) == 0, f"exit status {client.process.returncode}")


def endless(args, farm):
    """A first server that drips is left for the other one; a roster without measure is none."""
    farm.nodes["a"].drips = True
    farm.names.addresses["www.shop.test"] = [farm.ip(11)]
    done = subprocess.run([args.build / "stead", "pick", "--dns", farm.names.at, f"http://www.shop.test:{farm.port}/"],
                          capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 1 and "the deadline has passed" in done.stderr, f"a first server that drips: {done}")
    farm.names.addresses["www.shop.test"] = [farm.ip(12)]
    farm.nodes["b"].roster = {"farm": "x" * (17 << 20), "revision": 1, "servers": []}
    done = subprocess.run([args.build / "stead", "pick", "--dns", farm.names.at, f"http://www.shop.test:{farm.port}/"],
                          capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 1 and "larger than the limit" in done.stderr, f"a huge roster: {done}")
    farm.nodes["b"].roster = farm.roster(s1="up", s2="full", s3="draining")
    done = subprocess.run([args.build / "stead", "why", "pick", "--json", "--exclude", "s1", "--dns", farm.names.at,
                           f"http://www.shop.test:{farm.port}/"], capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 1 and '"verdict": "full"' in done.stdout and '"verdict": "excluded"' in done.stdout,
          f"why nobody: {done}")


def main():
    args = options()
    with tempfile.TemporaryDirectory(prefix="stead-client-") as args.dir:
        farm = Farm(14)
        farm.nodes["a"].roster = farm.roster(s1="up")
        farm.nodes["b"].roster = farm.roster(s1="up", s2="up")
        farm.nodes["s2"].roster = farm.roster(s1="up", s2="up")
        client = Client(args, farm)
        try:
            climb(farm, client)
            lose(farm, client)
            drain(farm, client)
            asked(farm, client)
            astray(farm, client)
            finish(farm, client)
            endless(args, farm)
            check(not CRASH.search(client.stderr()), "no crash")
        except Failed as error:
            print(client.stderr(), f"FAILED: {error}", *farm.book.since(0), sep="\n", file=sys.stderr)
            return 1
        finally:
            client.process.kill()
            client.process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
