#!/usr/bin/env python3
"""A client of real nodes: `stead connect --reconnect` talks HTTP through one connection after the other while its servers
drain and die. And `stead why pick` tells of each server why."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import DNS, PUBLIC, check, eventually, options, scenario

URL = f"http://www.shop.test:{PUBLIC}/"


class Client:
    def __init__(self, farm, *extra):
        self.log = farm.run / "client.log"
        with open(self.log, "wb") as err:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", farm.build / "stead", "connect", "--reconnect", "--verbose", "--json",
                 "--dns", f"{farm.ip('s1')}:{DNS}", *extra, URL],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, bufsize=0)

    def events(self, *kinds):
        lines = self.log.read_text().splitlines()
        return [e for e in map(json.loads, lines) if e["event"] in kinds]

    def on(self):
        places = self.events("connected", "moved")
        return places[-1]["server"] if places else ""

    def ask(self):
        """One request on the connection that there is; which server answered."""
        server = self.on()
        self.process.stdin.write(f"GET /health HTTP/1.1\r\nHost: {server}.shop.test:{PUBLIC}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            byte = self.process.stdout.read(1)
            check(byte, f"the client has ended after {head!r}")
            head += byte
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        while length:
            length -= len(self.process.stdout.read(length))
        check(b" 200 " in head.split(b"\r\n")[0], f"{server} answers {head!r}")
        return server


def why(farm):
    done = farm.cli("why", "pick", "--json", "--group", "green", "--dns", f"{farm.ip('s1')}:{DNS}", URL)
    said = json.loads(done.stdout)
    check({s["verdict"] for s in said["servers"]} == {"chosen", "not in the group"}, f"stead why pick: {done.stdout}")
    done = farm.cli("why", "pick", "--dns", f"{farm.ip('s1')}:{DNS}", URL)
    check(done.returncode == 0 and "against" in done.stdout and done.stdout.count(", drawn") == 1,
          f"stead why pick: {done.stdout}{done.stderr}")


def order(farm, verb, name):
    """By way of another node."""
    done = farm.cli(verb, name, "--admin", f"unix:{farm.run}/s1/admin.sock")
    check(done.returncode == 0, f"stead {verb} {name}: {done.stdout}{done.stderr}")


def moves(farm, client):
    before = eventually(client.on, "it is connected")
    client.ask()
    eventually(lambda: client.events("heard"), "it hears the roster")
    order(farm, "drain", before)
    eventually(lambda: client.events("moved"), "it moves away")
    check(client.on() != before, f"it left {before}")
    client.ask()
    check(not client.events("trouble"), f"nothing failed: {client.events('trouble')}")
    order(farm, "undrain", before)
    farm.wait_up(*farm.servers)


def survives(farm, client):
    victim, places = client.on(), len(client.events("connected", "moved"))
    farm.kill(victim)
    eventually(lambda: len(client.events("connected", "moved")) > places, "it finds a server again")
    farm.wait_up(*[name for name in farm.servers if name != victim])
    client.ask()


def main():
    args = options()
    with scenario(args.build, 13) as farm:
        farm.started()
        why(farm)
        client = Client(farm, "--exclude", "s1")
        moves(farm, client)
        survives(farm, client)
        client.process.stdin.close()
        check(client.process.wait(60) == 0, f"exit status {client.process.returncode}: {client.log.read_text()}")


if __name__ == "__main__":
    main()
