#!/usr/bin/env python3
"""A session is watched at every node of the farm, by reads that wait and by streams of events: changes made anywhere are
seen everywhere, also after its owner is dead, and so is its end. Who only watches keeps no session alive."""
import http.client
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, json, options, scenario, socket


class Gate(http.client.HTTPConnection):
    """The session API of one node."""

    def __init__(self, farm, name):
        super().__init__("localhost", timeout=60)
        self.path = farm.run / f"{name}.sock"

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))

    def ask(self, method, path, body=None, headers=None):
        self.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers or {})
        return self.hear()

    def hear(self):
        reply = self.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text else {}


def ask(farm, name, method, path, body=None):
    gate = Gate(farm, name)
    try:
        return gate.ask(method, path, body)
    finally:
        gate.close()


class Stream:
    """Events of one session, as they come."""

    def __init__(self, farm, name, path):
        self.gate = Gate(farm, name)
        self.gate.request("GET", path, headers={"Accept": "text/event-stream"})
        self.reply = self.gate.getresponse()
        check(self.reply.status == 200, f"{name} streams {path}: {self.reply.status}")

    def event(self):
        event = {}
        while True:
            line = self.reply.readline().decode()
            check(line, "the stream goes on")
            line = line.rstrip("\n")
            if not line and "event" in event:
                return event["event"], json.loads(event["data"])
            name, _, value = line.partition(": ")
            if name:
                event[name] = value

    def until(self, what, wanted):
        """The next event that is as wanted; versions may be skipped, none is told twice."""
        seen = set()
        while True:
            kind, data = self.event()
            check(kind == "gone" or data["version"] not in seen, f"{data} is told once")
            seen.add(data.get("version"))
            if kind == what and wanted(data):
                return data


def wait_for(farm, names, path, version):
    gates = {name: Gate(farm, name) for name in names}
    for gate in gates.values():
        gate.request("GET", path + "?wait=60", headers={"If-None-Match": f'"{version}"'})
    return gates


def wait_watching(farm, names, count):
    for name in names:
        eventually(lambda name=name: farm.metric(name, "stead_gate_watching") == count, f"{name} has {count} watches")


def changes_are_seen(farm):
    status, record = ask(farm, "s1", "POST", "/v1/sessions/app", {"fields": {"v": "0"}})
    check(status == 201, f"made: {status} {record}")
    path = f"/v1/sessions/app/{record['id']}"
    names = list(farm.servers)
    streams = {name: Stream(farm, name, path) for name in names}
    for name, stream in streams.items():
        check(stream.until("record", lambda d: True)["fields"]["v"] == "0", f"{name} tells it first as it is")
    gates = wait_for(farm, names, path, record["version"])
    wait_watching(farm, names, 2)
    for number, name in enumerate(names, 1):
        status, record = ask(farm, name, "PATCH", path, {"set": {"v": str(number)}})
        check(status == 200, f"changed at {name}: {status} {record}")
        for gate in gates.values():
            status, seen = gate.hear()
            check(status == 200 and seen["version"] == record["version"], f"its wait is over: {status} {seen}")
        for stream in streams.values():
            stream.until("record", lambda d: d["version"] == record["version"] and d["fields"]["v"] == str(number))
        gates = wait_for(farm, names, path, record["version"])
        wait_watching(farm, names, 2)
    farm.kill("s1")
    names.remove("s1")
    status, record = eventually(lambda: (got := ask(farm, "s2", "PATCH", path, {"set": {"v": "9"}}))[0] == 200 and got,
                                "changed while s1 is dead")
    for name in names:
        streams[name].until("record", lambda d: d["fields"]["v"] == "9")
        status, seen = gates[name].hear()
        check(status == 200 and seen["fields"]["v"] in "39", f"{name}'s wait is over: {status} {seen}")
    check(ask(farm, "s3", "DELETE", path)[0] == 204, "it is ended at s3")
    for name in names:
        streams[name].until("gone", lambda d: d["error"] in ("ABSENT", "ENDED"))
        check(streams[name].reply.readline() == b"", f"{name} closes the stream")
    wait_watching(farm, names, 0)


def watching_is_no_use(farm):
    """All three nodes watch a session of five seconds, and nobody uses it."""
    status, record = ask(farm, "s2", "POST", "/v1/sessions/app", {"ttl": 5})
    check(status == 201, f"made: {status} {record}")
    path = f"/v1/sessions/app/{record['id']}"
    streams = [Stream(farm, name, path) for name in ("s2", "s3")]
    for stream in streams:
        stream.until("record", lambda d: True)
        stream.until("gone", lambda d: d["error"] == "ABSENT")


def main():
    args = options()
    with scenario(args.build, 36) as farm:
        farm.started()
        changes_are_seen(farm)
        watching_is_no_use(farm)


main()
