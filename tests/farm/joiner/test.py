#!/usr/bin/env python3
"""A node that starts anew gets its copies in bulk, over TCP, before it is ready; by datagrams where no connection can be
made to it, or it wishes none. Who speaks something else at that port is hung up on. Whichever way copies go, nothing
can be read in it.

usage: test.py --build DIR
"""
import os
import pathlib
import random
import re
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import UnixConnection
from farm import MESH, check, eventually, json, options, scenario
from sniffer import Sniffer

RECORDS = 1500
SECRET = f"nobody-else-has-{random.getrandbits(64):x}"
TAKEN, RETURNED = "stead_session_bulk_taken_total", "stead_bulk_returned_total"


def fill(farm):
    gate = UnixConnection(farm.run / "s1.sock")
    for i in range(RECORDS):
        gate.request("POST", "/v1/sessions/purchase", json.dumps({"fields": {"": f"{SECRET} {i:0180d}"}}),
                     {"Content-Type": "application/json"})
        reply = gate.getresponse()
        reply.read()
        check(reply.status == 201, f"a record is made: {reply.status}")


def restart(farm):
    farm.kill("s2")
    eventually(lambda: farm.status_of("s2", "s1") == "down", "s2 is down")
    farm.start("s2")
    farm.wait_ready("s2")
    sessions = farm.status("s2")["sessions"]
    check(sessions["records"] == RECORDS, f"s2 is ready when it has all: {sessions}")
    check(farm.status("s1")["sessions"]["below_copies"] == 0, "and s1 knows it")


def unreadable(farm, wire):
    """Made, in bulk by a connection, in bulk by datagrams: all has passed, and all is sealed."""
    check(b"GET / HTTP/1.1" in wire, "the wire is heard")
    check(len(wire) > 3 * RECORDS * 100, f"and what was sent between nodes is in it: {len(wire)} bytes")
    check(SECRET.encode() not in wire, "it can be read on the wire")
    for path in farm.run.rglob("*"):
        check(not path.is_file() or SECRET.encode() not in path.read_bytes(), f"it can be read in {path}")


def hang_up(farm):
    with socket.create_connection((farm.ip("s1"), MESH), 5) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: s1.shop.test\r\n\r\n" + b"x" * 64)
        try:
            check(s.recv(100) == b"", "something else is not answered")
        except ConnectionResetError:
            pass
    eventually(lambda: farm.metric("s1", 'stead_bulk_connections_total{result="refused"}') >= 1, "it is counted")


def main():
    args = options()
    with scenario(args.build, 61) as farm:
        farm.start("s1", "s2")
        farm.wait_ready("s1", "s2")
        sniffer = Sniffer() if os.geteuid() == 0 else None
        if sniffer:
            sniffer.start()
        fill(farm)
        hang_up(farm)
        restart(farm)
        check(farm.metric("s2", TAKEN) == RECORDS, f"all came in bulk: {farm.metric('s2', TAKEN)}")
        check(farm.metric("s2", "stead_bulk_messages_total") > 0, "by a connection")
        check(farm.metric("s1", 'stead_session_bulk_total{result="kept"}') == RECORDS, "each was confirmed")

        before = farm.metric("s1", RETURNED)
        farm.kill("s2")
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((farm.ip("s2"), MESH))
            other.listen()
            restart(farm)
        check(farm.metric("s1", RETURNED) > before, "what found no connection went by datagrams")

        text, count = re.subn(r'^node "s2" \{', 'node "s2" {\n    bulk = no', farm.conf("s2").read_text(), flags=re.M)
        check(count == 1, "s2 is configured without bulk")
        farm.conf("s2").write_text(text)
        before = farm.metric("s1", RETURNED)
        farm.kill("s2")
        restart(farm)
        check(farm.metric("s1", RETURNED) > before, "a node that does not wish it gets its copies by datagrams")
        check(farm.metric("s2", "stead_bulk_messages_total") == 0, "and sends none otherwise")
        if sniffer:
            unreadable(farm, sniffer.end())
        else:
            print("not root: the wire is not looked at")


main()
