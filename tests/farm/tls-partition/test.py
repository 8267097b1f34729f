#!/usr/bin/env python3
"""Single-use TLS sessions and early data in a farm whose network is cut: three hosts, and clients on both sides of the cut
who show the same tickets. Only the node where a session began gives it away, once; on the other side everybody gets a full
handshake and nothing early, before that node is counted out, after, and when the network is whole again.

usage: test.py --build DIR
Needs root, network namespaces and iptables-legacy; without them it is skipped (exit status 77).
"""
import pathlib
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tls")]
from certs import Authority
from farm import check, eventually, options, scenario
from hosts import HostsFarm
from net import Network, enter

NAMES, NAME, TLS = ["n1", "n2", "n3"], "www.shop.test", 8443
TICKETS = 6  # for each part of the story
CONF = """farm     = "partition"
key-file = "run/farm.key"
state    = "run/{name}"
node "{name}" {{ address = "{ip}" join = {{{join}}} }}
sessions {{ listen = "unix:run/{name}.sock" memory = "32m" }}
service "shop" {{ name = "www.shop.test" url = "http://www.shop.test:8080" early-data = yes }}
public {{ listen = "{ip}:8080" listen-tls = "{ip}:8443" }}
tls {{ tickets = single-use certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} }}
"""
REQUEST = f"GET / HTTP/1.1\r\nHost: {NAME}:{TLS}\r\nConnection: close\r\n\r\n"


class PartitionFarm(HostsFarm):
    def __init__(self, where, net):
        super().__init__(where, net, NAMES, CONF)
        Authority(self.run).issue("shop", "shop", NAME)

    def seen(self, by):
        """Status of every node as `by` has it."""
        return {n["name"]: n["status"] for n in self.admin(by, "/v1/nodes").json()["nodes"]}


def s_client(farm, node, *args):
    """On that host, so that its client is on its side of any cut."""
    done = subprocess.run([*farm.net.inside(node), "openssl", "s_client", "-connect", f"{farm.ip(node)}:{TLS}", "-servername", NAME,
                           "-CAfile", farm.run / "authority.pem", "-tls1_3", "-ign_eof", *map(str, args)], input=REQUEST,
                          capture_output=True, text=True, timeout=40, check=False)
    out = done.stdout + done.stderr
    check("Verification: OK" in out and "HTTP/1.1 " in out, f"{node} serves: {out}")
    return out


class Ticket:
    """One of a session that began at n1, and how often it was taken: by early data, and at all."""

    def __init__(self, farm, number):
        self.farm, self.file, self.taken, self.resumed = farm, farm.run / f"ticket{number}", [], []
        s_client(farm, "n1", "-sess_out", self.file)

    def show(self, node):
        out = s_client(self.farm, node, "-sess_in", self.file, "-early_data", self.farm.run / "early")
        if "Early data was accepted" in out:
            self.taken.append(node)
        if "Reused, TLSv1" in out:
            self.resumed.append(node)

    def show_everywhere(self):
        shows = [threading.Thread(target=self.show, args=(n,)) for n in NAMES]
        for one in shows:
            one.start()
        for one in shows:
            one.join()


def never_twice(tickets, where):
    for ticket in tickets:
        check(len(ticket.taken) <= 1 and len(ticket.resumed) <= 1, f"{where}: taken at {ticket.taken}, resumed at {ticket.resumed}")


def story(farm):
    (farm.run / "early").write_text(REQUEST)
    tickets = [Ticket(farm, i) for i in range(3 * TICKETS)]
    eventually(lambda: farm.metric("n1", "stead_session_below_copies") == 0, "the sessions have their copies")
    calm, early, late = tickets[:TICKETS], tickets[TICKETS:2 * TICKETS], tickets[2 * TICKETS:]
    for ticket in calm:
        ticket.show_everywhere()
    never_twice(calm, "with all three")
    check(sum(len(t.taken) for t in calm) > TICKETS // 2, "and most are taken once")
    farm.net.split(["n1"], ["n2", "n3"])
    for ticket in early:
        ticket.show_everywhere()
    eventually(lambda: farm.seen("n2")["n1"] == "down" and farm.seen("n3")["n1"] == "down", "n1 is counted out")
    for ticket in late:
        ticket.show_everywhere()
    for ticket in early + late:
        check(not set(ticket.taken + ticket.resumed) & {"n2", "n3"}, f"nobody decides for n1: {ticket.taken} {ticket.resumed}")
    never_twice(tickets, "cut")
    farm.net.heal()
    eventually(lambda: all(farm.seen(a).get(b) == "up" for a in NAMES for b in NAMES), "the farm is whole again", 90)
    for ticket in tickets:
        ticket.show_everywhere()
    never_twice(tickets, "healed")


def main():
    args = options()
    enter()
    with Network(NAMES) as net, scenario(args.build, 60, make=lambda *where: PartitionFarm(where, net)) as farm:
        farm.start()
        farm.wait_ready()
        eventually(lambda: all(farm.seen(a).get(b) == "up" for a in NAMES for b in NAMES), "all are up")
        story(farm)


main()
