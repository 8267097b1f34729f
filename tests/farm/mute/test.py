#!/usr/bin/env python3
"""A member that is alive and takes nothing: what it should keep is not acknowledged, but all else goes on, no queue
grows without end, and when it is gone nothing of it is left.

usage: test.py --build DIR
"""
import contextlib
import http.client
import json
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import Process, check, eventually, options, scenario

VALUE = "x" * 250_000  # below the limit of its kind
MUTE_S = 300  # ended before
QUEUE_BYTES = 64 << 20  # to one peer
MEMORY_BYTES = 1500 << 20  # of a node with sanitizers; without a bound it passes this within the time


class Gate(http.client.HTTPConnection):
    """The session API's socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=15)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Maker(threading.Thread):
    """Makes session after session, and counts what became of them."""

    def __init__(self, farm, stop):
        super().__init__(daemon=True)
        self.path, self.stop_event, self.statuses = farm.run / "s1.sock", stop, []

    def run(self):
        with contextlib.closing(Gate(self.path)) as gate:
            while not self.stop_event.is_set():
                gate.request("POST", "/v1/sessions/purchase", json.dumps({"fields": {"value": VALUE}}),
                             {"Stead-Deadline-Ms": "2000"})
                reply = gate.getresponse()
                reply.read()
                self.statuses.append(reply.status)


def resident_bytes(process):
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def main():
    args = options()
    with scenario(args.build, 31) as farm:
        farm.started()
        mute = Process([args.build / "tests" / "farm" / "mute_member", f"127.0.{farm.block}.99", farm.ip("s1"),
                        farm.run / "farm.key", MUTE_S], farm.log("mute"))
        eventually(lambda: farm.metric("s1", 'stead_nodes{status="up"}') == 4, "the mute one is up")
        stop = threading.Event()
        makers = [Maker(farm, stop) for _ in range(16)]
        for m in makers:
            m.start()
        eventually(lambda: farm.metric("s1", 'stead_mesh_unsent_total{reason="full"}') > 0, "its queue is full")
        for m in makers:
            m.statuses.clear()
        eventually(lambda: sum(m.statuses.count(201) for m in makers) > 3, "sessions are made that it has no part in")
        check(mute.runs(), "the mute one is alive until here")
        mute.end()
        stop.set()
        for m in makers:
            m.join(20)
        check(farm.metric("s1", "stead_mesh_queued_bytes") < QUEUE_BYTES * 3, "queues are bounded")
        check(resident_bytes(farm.nodes["s1"]) < MEMORY_BYTES, f"memory: {resident_bytes(farm.nodes['s1'])} bytes")
        eventually(lambda: farm.metric("s1", "stead_mesh_queued_bytes") < 2 << 20, "nothing waits for one that is down")
        eventually(lambda: farm.metric("s1", "stead_session_below_copies") == 0, "all have their copies")


main()
