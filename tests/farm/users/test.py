#!/usr/bin/env python3
"""Where the number of users comes from: s1's application reports it, s2's is counted by the kernel, s3's agent tells it.
All of it, and what goes along (groups, load, weight, drain, maintenance), is seen at every node; an agent that talks
nonsense changes nothing; a HAProxy follows what s1 says of its server."""
import contextlib
import http.client
import json
import pathlib
import shutil
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import SHOP, Process, check, eventually, options, scenario

AGENT, DOOR, FRONT = 7391, 7381, 8090
STALE_S = 2


class Api(http.client.HTTPConnection):
    """The session API's socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=15)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(farm, name, method, body=None, service="shop"):
    with contextlib.closing(Api(farm.run / f"{name}.sock")) as api:
        api.request(method, f"/v1/server/{service}/report", json.dumps(body) if isinstance(body, dict) else body)
        reply = api.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text else None


def report(farm, **said):
    status, told = ask(farm, "s1", "PUT", said)
    check(status == 200 and told["report"] == said, f"a report: {status} {told}")


def server(farm, name, asked):
    return {s["name"]: s for s in farm.roster(asked)["servers"]}[name]


def seen(farm, name, **wanted):
    """Everybody says so of `name`."""
    for asked in farm.names:
        def same(asked=asked):
            now = server(farm, name, asked)
            return {k: now.get(k) for k in wanted} == wanted
        try:
            eventually(same, f"{name} as {asked} sees it")
        except Exception:
            print(f"{asked} sees {server(farm, name, asked)}, wanted {wanted}", file=sys.stderr)
            raise


class Agent(threading.Thread):
    """Says whatever it is told to, to everybody who connects."""

    def __init__(self, ip):
        super().__init__(daemon=True)
        self.listener = socket.create_server((ip, AGENT))
        self.says, self.heard = b"up\n", b""
        self.start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client, self.says), daemon=True).start()

    def serve(self, client, says):
        with client, contextlib.suppress(OSError):
            self.heard = client.recv(100)
            if callable(says):
                says(client)
            else:
                client.sendall(says)


def drip(client):
    for _ in range(100):
        client.sendall(b"u")
        time.sleep(0.1)


def forever(client):
    while True:
        client.sendall(b"up " * 1000)


def change(farm, name, old, new):
    conf = farm.conf(name)
    text = conf.read_text()
    check(old in text, f"{old} in {conf}")
    conf.write_text(text.replace(old, new))


def configure(farm):
    forward = '    weight   = 100\n'
    change(farm, "s1", forward, forward + f'    users-from = "report"\n    users-max-age = "{STALE_S}s"\n')
    change(farm, "s1", "sessions {", f'agent {{ listen = "{farm.ip("s1")}:{DOOR}" }}\nsessions {{')
    change(farm, "s1", 'groups  = {"blue"}', 'groups  = {"blue", "gold"}')
    change(farm, "s2", forward, forward + f'    users-from = "kernel"\n    users-port = {SHOP}\n'
           f'    users-address = "{farm.ip("s2")}"\n')
    change(farm, "s3", forward, forward + f'    users-from = "agent"\n    agent-check {{\n'
           f'        address = "{farm.ip("s3")}:{AGENT}"\n        interval = "100ms"\n        timeout = "1s"\n'
           '        send = "shop"\n    }\n')


def reports(farm):
    status, told = ask(farm, "s1", "GET")
    check(status == 404, f"before the first report: {status} {told}")
    check(farm.status("s1")["servers"][0]["users_stale"], "without a report the source is stale")
    report(farm, users=42, groups={"blue": 40}, load=0.42, weight_percent=50, status="up")
    seen(farm, "s1", users=42, weight=50, status="up", load=420, group_users={"blue": 40, "gold": 0})
    report(farm, users=43, status="drain")
    seen(farm, "s1", users=43, weight=100, status="draining", group_users={"blue": 43, "gold": 43})
    report(farm, users=0, status="maint")
    seen(farm, "s1", users=0, status="maint")
    shown = farm.cli("status", "-c", farm.conf("s1")).stdout
    check("in maintenance" in shown and "by its report" in shown, shown)
    report(farm, users=7)
    seen(farm, "s1", users=7, status="up")
    for body, wanted in (({"status": "up"}, 400), ({"users": -1}, 400), ({"users": 1, "groups": {"red": 1}}, 400),
                         ({"users": 1, "load": 2}, 400), ({"users": 1, "status": "down"}, 400), ("[]", 400), ("{", 400),
                         ({"users": 1, "more": 1}, 400), ("{" + " " * 5000 + "}", 413)):
        status, told = ask(farm, "s1", "PUT", body)
        check(status == wanted and told["message"], f"a report of {str(body)[:60]}: {status} {told}")
    check(ask(farm, "s1", "PUT", {"users": 1}, "mail")[0] == 404, "a service that is not here")
    check(ask(farm, "s1", "POST", {"users": 1})[0] == 405, "a report is PUT")
    check(ask(farm, "s2", "PUT", {"users": 99, "load": 0.1})[0] == 200, "another source's server may report its load")
    seen(farm, "s2", users=0, load=100)
    seen(farm, "s1", users=7)


def reports_age(farm):
    report(farm, users=9, load=0.9, weight_percent=10, status="drain")
    seen(farm, "s1", users=9, load=900, weight=10)
    eventually(lambda: farm.status("s1")["servers"][0]["users_stale"], "the report ages")
    seen(farm, "s1", users=9, weight=100, status="draining")
    check(farm.metric("s1", "stead_server_users_stale") == 1, "the metric says so")
    shown = farm.cli("status", "-c", farm.conf("s1")).stdout
    check("its report is silent" in shown, shown)
    check(ask(farm, "s1", "GET")[1]["stale"], "the report says so")
    check(ask(farm, "s1", "DELETE")[0] == 204, "DELETE")
    seen(farm, "s1", users=0, status="up")


def kernel(farm):
    at = (farm.ip("s2"), SHOP)
    eventually(lambda: farm.metric("s2", "stead_users_kernel_counts_total") > 0, "the kernel is asked")
    if farm.metric("s2", "stead_users_kernel_failed_total") > 0:
        print("this kernel does not count: no more of it is tested")
        return
    clients = [socket.create_connection(at, 10) for _ in range(12)]
    seen(farm, "s2", users=12)
    for client in clients[:5]:
        client.close()
    seen(farm, "s2", users=7)
    for client in clients[5:]:
        client.close()
    seen(farm, "s2", users=0)
    check("counted by the kernel" in farm.cli("status", "-c", farm.conf("s2")).stdout, "stead status says from where")


def asked(farm, result):
    text = farm.get_metrics("s3")
    for line in text.splitlines():
        if line.startswith(f'stead_agent_asked_total{{result="{result}"}}'):
            return float(line.rsplit(" ", 1)[1])
    return -1.0


def agents(farm, agent):
    eventually(lambda: asked(farm, "told") > 0, "the agent is asked")
    check(agent.heard == b"shop\n", f"what is sent to it: {agent.heard}")
    agent.says = b"up ready 75% users:31 group:green=30 load:10% maxconn:500 sparkling\n"
    seen(farm, "s3", users=31, weight=75, status="up", group_users={"green": 30}, load=100, capacity=500)
    check(farm.metric("s3", "stead_agent_unknown_words_total") > 0, "unknown words are counted")
    nonsense = {b"\x16\x03\x01\x02\x00\xff\xfe" * 20: "malformed", b"down": "malformed", b"x" * 5000: "malformed",
                b"\r\n": "malformed", b"": "unreachable", drip: "timeout", forever: "malformed"}
    for says, result in nonsense.items():
        before, agent.says = asked(farm, result), says
        eventually(lambda: asked(farm, result) > before + 1, f"{str(says)[:30]} is counted as {result}")
        seen(farm, "s3", users=31, weight=75, status="up")
    agent.says = b"drain\n"
    seen(farm, "s3", users=31, weight=75, status="draining")
    agent.says = b"maint\n"
    seen(farm, "s3", status="maint")
    agent.says = b"ready down # disk full\r\n"
    seen(farm, "s3", status="suspect")
    agent.says = b"up 100% users:2\n"
    seen(farm, "s3", users=2, weight=100, status="up")
    agent.says = b"0%\n"
    seen(farm, "s3", users=2, weight=0)
    agent.says = b"100% users:0\n"
    seen(farm, "s3", users=0, weight=100, status="up")


HAPROXY = """
global
    stats socket {run}/haproxy.sock level admin
    log stderr local0
defaults
    mode tcp
    timeout connect 2s
    timeout client 10s
    timeout server 10s
listen front
    bind {ip}:{front}
    server one {ip}:{shop} weight 100 check inter 200ms agent-check agent-addr {ip} agent-port {door} agent-inter 100ms agent-send "shop\\n"
"""


def haproxy_server(farm):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(farm.run / "haproxy.sock"))
        s.sendall(b"show stat\n")
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    head, *rows = [line.split(",") for line in text.splitlines() if line]
    row = next(r for r in rows if r[1] == "one")
    named = dict(zip([h.lstrip("# ") for h in head], row))
    return named["status"].split(" ")[0], int(named["weight"]), named["agent_status"]


def haproxy_says(farm, status, weight=None):
    def same():
        now = haproxy_server(farm)
        return now[0] == status and (weight is None or now[1] == weight)
    try:
        eventually(same, f"HAProxy has {status} {weight}")
    except Exception:
        print(f"HAProxy has {haproxy_server(farm)}", file=sys.stderr)
        raise


def haproxy(farm):
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if not program:
        print("there is no haproxy: what it makes of the answers is not tested")
        return
    conf = farm.run / "haproxy.cfg"
    conf.write_text(HAPROXY.format(run=farm.run, ip=farm.ip("s1"), front=FRONT, shop=SHOP, door=DOOR))
    process = Process([program, "-db", "-f", conf], farm.run / "haproxy.log")
    try:
        report(farm, users=1, weight_percent=40)
        haproxy_says(farm, "UP", 40)
        report(farm, users=1, status="drain")
        haproxy_says(farm, "DRAIN")
        report(farm, users=1, status="maint")
        haproxy_says(farm, "MAINT")
        report(farm, users=1)
        haproxy_says(farm, "UP", 100)
        order(farm, "drain", "s1")
        haproxy_says(farm, "DRAIN")
        order(farm, "undrain", "s1")
        haproxy_says(farm, "UP", 100)
        check(farm.metric("s1", "stead_agent_answers_total") > 5, "answers are counted")
    finally:
        process.end()


def order(farm, *words):
    done = farm.cli(*words, "--admin", f"unix:{farm.run / 's1'}/admin.sock")
    check(done.returncode == 0, f"stead {words}: {done.stdout}{done.stderr}")


def answered(farm, sends, close=False):
    with socket.create_connection((farm.ip("s1"), DOOR), 10) as s:
        s.settimeout(10)
        s.sendall(sends)
        if close:
            s.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            return b"".join(iter(lambda: s.recv(100), b""))
    return None


def door(farm):
    report(farm, users=1, weight_percent=30)
    seen(farm, "s1", users=1, weight=30)
    for sends in (b"", b"shop\n", b"x" * 100000, b"\0\xff\n"):  # one server: whatever is sent
        check(answered(farm, sends) in (b"up ready 30%\n", None), f"the door's answer to {sends[:20]}")
    check(answered(farm, b"", close=True) == b"up ready 30%\n", "the answer to who half-closes")
    many = [socket.create_connection((farm.ip("s1"), DOOR), 10) for _ in range(60)]
    eventually(lambda: farm.metric("s1", "stead_agent_answers_total") > 20, "askers are answered or refused")
    for s in many:
        s.close()
    eventually(lambda: answered(farm, b"") == b"up ready 30%\n", "and then it answers again")


def main():
    args = options()
    with scenario(args.build, 12) as farm:
        configure(farm)
        farm.get_metrics = lambda name: metrics(farm, name)
        agent = Agent(farm.ip("s3"))
        farm.started()
        reports(farm)
        reports_age(farm)
        kernel(farm)
        agents(farm, agent)
        door(farm)
        haproxy(farm)
        for name in farm.names:
            farm.term(name)


def metrics(farm, name):
    with contextlib.closing(http.client.HTTPConnection(farm.ip(name), 7380, timeout=15)) as c:
        c.request("GET", "/metrics")
        return c.getresponse().read().decode()


main()
