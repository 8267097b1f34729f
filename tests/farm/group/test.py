#!/usr/bin/env python3
"""Nine hosts of one switch, and copies of records that go to two, four and eight of them by one datagram to a multicast
group. Frames are lost at random, and an owner is killed; what is sent for a record is counted at the interface, with
multicast and without; the group is not heard by one host, and by nobody, and comes back. Nothing that was acknowledged is
lost, in either way of acknowledgement.

usage: test.py --build DIR
Needs root, network namespaces and iptables-legacy; without them it is skipped (exit status 77).
"""
import concurrent.futures
import http.client
import pathlib
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]
from client import UnixConnection
from farm import check, eventually, json, options, scenario
from hosts import HostsFarm
from net import Network, enter, run

NAMES = [f"n{i}" for i in range(1, 10)]
OWNER, DEAF, MORTAL, WRITERS = "n1", "n2", "n3", 16
GROUP = "239.255.7.1"
RECEIVERS = {2: "three", 4: "five", 8: "nine"}
VALUE = "x" * 500
RECORDS = 160  # of a measured round
ROUNDS_MAX = 4
CONF = """farm     = "group"
key-file = "run/farm.key"
state    = "run/{name}"
node "{name}" {{
    address = "{ip}"
    join    = {{{join}}}
    multicast = "{group}"
}}
service "shop" {{ name = "www.shop.test" url = "http://www.shop.test:8080" }}
sessions {{
    listen = "unix:run/{name}.sock"
    memory = "32m"
    kind "three" {{ like = "app" copies = 3 }}
    kind "five" {{ like = "app" copies = 5 }}
    kind "nine" {{ like = "app" copies = 9 }}
    kind "told" {{ like = "app" copies = 4 ack = "0" }}
}}
public {{ listen = "{ip}:8080" }}
"""


class GroupNetwork(Network):
    """Hosts that do not get what is sent to the group, and all else."""

    deaf = frozenset()

    def apply(self):
        super().apply()
        for name in self.deaf:
            run(*self.inside(name), "iptables-legacy", "-w", "10", "-I", "INPUT", "-d", GROUP, "-j", "DROP")

    def deafen(self, *names):
        self.deaf = frozenset(names)
        self.apply()


class GroupFarm(HostsFarm):
    def call(self, name, method, path, body=None, connection=None):
        own = connection or UnixConnection(self.run / f"{name}.sock")
        try:
            own.request(method, path, None if body is None else json.dumps(body), {"Stead-Deadline-Ms": "5000"})
            reply = own.getresponse()
            return reply.status, json.loads(reply.read() or b"{}")
        except (OSError, http.client.HTTPException):
            own.close()
            return 0, {}
        finally:
            if not connection:
                own.close()

    def sent(self, name):
        """Bytes that the host has sent, by its interface."""
        told = json.loads(run(*self.net.inside(name), "ip", "-s", "-j", "link", "show", "eth0"))
        return told[0]["stats64"]["tx"]["bytes"]

    def said(self, name, what):
        return self.log(name).read_text().count(what)

    def reached(self, name, count):
        eventually(lambda: self.metric(name, "stead_mesh_group_reached") == count, f"{count} hear {name} by the group")


class Written:
    """What was acknowledged: (kind, id) -> the value."""

    def __init__(self, farm):
        self.farm, self.kept, self.lock = farm, {}, threading.Lock()
        self.failed = self.checked = 0

    def some(self, node, kind, count, change=False):
        """Several clients at once, each on a connection of its own."""
        def client(number):
            connection = UnixConnection(self.farm.run / f"{node}.sock")
            for i in range(count // WRITERS):
                value = f"{number}-{i}-{VALUE}"
                status, answer = self.farm.call(node, "POST", f"/v1/sessions/{kind}", {"fields": {"v": value}}, connection)
                if status != 201:
                    self.failed += 1
                    continue
                if change:
                    value += "+"
                    status, _ = self.farm.call(node, "PATCH", f"/v1/sessions/{kind}/{answer['id']}", {"set": {"v": value}},
                                               connection)
                    if status != 200:
                        self.failed += 1
                        continue
                with self.lock:
                    self.kept[kind, answer["id"]] = value
            connection.close()
        with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(client, range(WRITERS)))

    def wrong(self, nodes, records):
        found = []
        connections = {node: UnixConnection(self.farm.run / f"{node}.sock") for node in nodes}
        for number, ((kind, key), value) in enumerate(records):
            node = nodes[number % len(nodes)]
            status, answer = self.farm.call(node, "GET", f"/v1/sessions/{kind}/{key}", None, connections[node])
            if status != 200 or answer["fields"] != {"v": value}:
                found.append(f"{kind}/{key} at {node}: {status} {str(answer)[:100]}")
        for connection in connections.values():
            connection.close()
        return found

    def check(self, nodes, everything=False):
        """What was written since the last time; each at one of the nodes, by turns."""
        records = list(self.kept.items())[0 if everything else self.checked:]
        self.checked = len(self.kept)

        def whole():
            found = self.wrong(nodes, records)
            check(not found, f"{len(found)} of {len(records)} are not as they were written: {found[:2]}")
            return True
        eventually(whole, "all that was acknowledged is there")


def measure(farm, written, way, good):
    """Again where receivers were so slow that they were sent things twice, on a busy machine."""
    for _ in range(ROUNDS_MAX):
        per_record = measure_once(farm, written, way)
        if good(per_record):
            break
    check(good(per_record), f"{way}: {per_record}")
    return per_record


def measure_once(farm, written, way):
    per_record = {}
    for receivers, kind in RECEIVERS.items():
        written.some(OWNER, kind, WRITERS)
        before = farm.sent(OWNER)
        written.some(OWNER, kind, RECORDS)
        per_record[receivers] = (farm.sent(OWNER) - before) / RECORDS
    print(f"{way}: bytes sent for a record of {len(VALUE)} to 2, 4 and 8 receivers:",
          *(f"{b:.0f}" for b in per_record.values()), flush=True)
    return per_record


def start_all(farm):
    farm.start()
    farm.wait_ready()
    for name in NAMES:
        eventually(lambda name=name: farm.metric(name, "stead_mesh_peers") == len(NAMES) - 1, f"{name} knows all")
        farm.reached(name, len(NAMES) - 1)


def losing(farm, written, share):
    """Receivers ask for what is lost, and get it; of several owners at once, in both ways of acknowledgement."""
    before = [farm.metric(OWNER, f"stead_mesh_group_{m}_total") for m in ("asks", "repairs", "late")]
    farm.net.lose(share)
    threads = [threading.Thread(target=written.some, args=(node, kind, 48, True))
               for node, kind in ((OWNER, "nine"), (MORTAL, "five"), (MORTAL, "told"), ("n4", "told"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = [farm.metric(OWNER, f"stead_mesh_group_{m}_total") for m in ("asks", "repairs", "late")]
    farm.net.heal()
    print(f"loss of {share}: asked, repaired, late at {OWNER}: {before} -> {after}; {len(written.kept)} acknowledged, "
          f"{written.failed} not", flush=True)
    check(after[1] > before[1], "what was lost was asked for and repaired")
    written.check(NAMES)


def one_deaf(farm, written):
    said = farm.said(OWNER, f"state=unreached name={DEAF}")
    farm.net.deafen(DEAF)
    written.some(OWNER, "nine", 80)
    farm.reached(OWNER, len(NAMES) - 2)
    check(farm.metric(OWNER, "stead_mesh_group_lost_total") > 0, "it is counted")
    check(farm.said(OWNER, f"state=unreached name={DEAF}") == said + 1, "and said once")
    told = farm.status(OWNER)["multicast"]
    check((told["reached"], told["peers"], told["silent"]) == (7, 8, False), f"and shown: {told}")
    text = farm.cli("status", farm.run / OWNER / "admin.sock").stdout
    check("7 of 8 nodes hear this one" in text or not text, f"to people, too: {text}")
    copies = farm.metric(OWNER, 'stead_mesh_copies_total{way="unicast"}')
    written.some(OWNER, "nine", 80)
    check(farm.metric(OWNER, 'stead_mesh_copies_total{way="unicast"}') == copies + 80, "it gets its copies by unicast")
    farm.net.deafen()
    farm.reached(OWNER, len(NAMES) - 1)
    check(farm.said(OWNER, f"state=reached name={DEAF}") == said + 1, "and hears it again")
    written.check(NAMES)


def none_hears(farm, written):
    """The group is gone: all goes by unicast, until it is back."""
    farm.net.deafen(*NAMES)
    written.some(OWNER, "nine", 80)
    farm.reached(OWNER, 0)
    unicast = measure(farm, written, "unicast", lambda sent: sent[8] > 2.5 * sent[2])
    farm.net.deafen()
    for name in NAMES:
        farm.reached(name, len(NAMES) - 1)
    written.some(OWNER, "nine", 80)
    written.check(NAMES)
    return unicast


def death(farm, written):
    left = [n for n in NAMES if n != MORTAL]
    eventually(lambda: farm.metric(MORTAL, "stead_session_below_copies") == 0, "all is copied")
    check(farm.metric(MORTAL, "stead_session_owned_records") >= 150, "it owns some of them")
    farm.kill(MORTAL)
    written.check(left, everything=True)
    print(f"{len(written.kept)} acknowledged, all there without {MORTAL}", flush=True)
    farm.start(MORTAL)
    farm.wait_ready(MORTAL)
    for name in NAMES:
        farm.reached(name, len(NAMES) - 1)


def main():
    args = options()
    enter()
    with GroupNetwork(NAMES) as net:
        run("ip", "-n", net.switch, "link", "set", "switch", "type", "bridge", "mcast_snooping", "0")
        with scenario(args.build, 60, make=lambda *where: GroupFarm(where, net, NAMES, CONF, group=f"{GROUP}:7301")) as farm:
            start_all(farm)
            written = Written(farm)
            losing(farm, written, 0.01)
            losing(farm, written, 0.05)
            death(farm, written)
            multicast = measure(farm, written, "multicast", lambda sent: sent[8] < 1.4 * sent[2])
            written.check(NAMES)
            one_deaf(farm, written)
            unicast = none_hears(farm, written)
            check(multicast[8] < unicast[8] / 3, "which is what multicast saves")
            for name in NAMES:
                check(farm.metric(name, 'stead_mesh_dropped_total{reason="malformed"}') == 0, "nothing is malformed")


main()
