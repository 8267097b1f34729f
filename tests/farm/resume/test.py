#!/usr/bin/env python3
"""A TLS session that began at one node goes on at any other: clients of OpenSSL, curl, python and Chromium, TLS 1.2 and 1.3; also when
the node where it began is dead, and when another has started anew. A bad ticket costs a full handshake and nothing else. `stead tls test` tells all that, of these servers and of others.

usage: test.py --build DIR
"""
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tls"), str(HERE.parent / "schemes")]
from browser import Browser, installed
from certs import Authority, openssl
from client import UnixConnection
from farm import ADMIN, PUBLIC, Process, check, eventually, json, options, scenario
from way import Way

TLS, NAME = 8443, "www.shop.test"
VERSIONS = ("-tls1_2", "-tls1_3")
RESUMED, MISSED = 'stead_tls_resumed_total{origin="%s"}', 'stead_tls_missed_total{reason="%s"}'


def configure(farm):
    authority = Authority(farm.run)
    authority.issue("shop", "shop", NAME, "*.shop.test")
    for name in farm.names:
        ip = farm.ip(name)
        text = farm.conf(name).read_text()
        text = text.replace(f'public {{ listen = "{ip}:{PUBLIC}" }}', f"""
public {{ listen = "{ip}:{PUBLIC}" listen-tls = "{ip}:{TLS}" }}
tls {{ certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} }}""")
        text = text.replace(f'"http://{name}.shop.test:{PUBLIC}"', f'"http://{name}.shop.test:{PUBLIC}", "https://{name}.shop.test:{TLS}"')
        # Elsewhere every node has every session (copies = all).
        text = text.replace("sessions {", 'sessions {\n    kind "tls" { copies = 2 }', 1)
        check("listen-tls" in text and "copies = 2 }" in text, text)
        farm.conf(name).write_text(text)


def s_client(farm, node, version, file, resume):
    """Leaves the session in `file`; resume: goes on with the one that is in it. True: it was resumed."""
    head = f"GET / HTTP/1.1\r\nHost: {NAME}:{TLS}\r\nConnection: close\r\n\r\n"
    out = openssl("s_client", "-connect", f"{farm.ip(node)}:{TLS}", "-servername", NAME, "-CAfile", farm.run / "authority.pem",
                  version, *(["-sess_in", file] if resume else []), "-sess_out", file, "-ign_eof", stdin=head, ok=False)
    check("Verification: OK" in out and "307" in out, f"{node} {version}: {out}")
    check(("Reused, TLSv1" in out) != ("New, TLSv1" in out), out)
    return "Reused, TLSv1" in out


def openssl_goes_around(farm):
    for version in VERSIONS:
        file = farm.run / f"session{version}"
        check(not s_client(farm, "s1", version, file, False), f"{version}: the first one is new")
        for node in ("s2", "s3", "s1", "s1"):
            check(s_client(farm, node, version, file, True), f"{version}: {node} resumes")
    for node in ("s2", "s3"):
        check(farm.metric(node, RESUMED % "ticket-peer") == 2, f"{node} tells that they came from another node")
        check(farm.metric(node, RESUMED % "ticket-own") == 0, f"{node}: none of its own")
        check(farm.status(node)["tls"]["resumed"] == 2, f"{node}: the status")


def python_goes_around(farm):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=farm.run / "authority.pem")
        context.minimum_version = context.maximum_version = version
        session, seen = None, []
        for node in ("s1", "s2", "s3", "s2"):
            with socket.create_connection((farm.ip(node), TLS), timeout=20) as raw, \
                    context.wrap_socket(raw, server_hostname=NAME, session=session) as sock:
                sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}:{TLS}\r\nConnection: close\r\n\r\n".encode())
                check(b" 307 " in sock.recv(65536), f"{node} answers")
                seen.append(sock.session_reused)
                session = sock.session
        check(seen == [False, True, True, True], f"python, {version}: {seen}")


def curl_goes_around(farm):
    """One curl and one name, whose address is another each time, as name servers give them."""
    before = {n: farm.metric(n, RESUMED % "ticket-peer") for n in farm.names}
    args = []
    for node in farm.names:
        args += ["--next"] if args else []
        args += ["-sS", "--http1.1", "--noproxy", "*", "--cacert", farm.run / "authority.pem", "-H", "Connection: close",
                 "-o", "/dev/null", "-w", "%{http_code} %{remote_ip}\n", "--resolve", f"{NAME}:{TLS}:{farm.ip(node)}",
                 f"https://{NAME}:{TLS}/"]
    done = subprocess.run(["curl", *args], capture_output=True, text=True, timeout=60, check=False)
    check(done.stdout.split("\n")[:3] == [f"307 {farm.ip(n)}" for n in farm.names], f"curl: {done.stdout} {done.stderr}")
    for node in ("s2", "s3"):
        check(farm.metric(node, RESUMED % "ticket-peer") == before[node] + 1, f"curl resumes at {node} what began elsewhere")


def browser_goes_around(farm, origins):
    """Headless Chromium, to whom one name is another node each time."""
    if not installed():
        print("chromium is not here: the browser's part is not run")
        return
    address = f"127.0.{farm.block}.9"
    way = Way(address, TLS, farm.ip("s1"))
    browser = Browser(farm, f"MAP {NAME} {address}")
    try:
        def resumed_at(node):
            way.lead_to(farm.ip(node))
            before = sum(farm.metric(node, RESUMED % o) for o in origins)
            browser.open("about:blank")
            eventually(lambda: browser.evaluate("location.href") == "about:blank", "the page is left")
            browser.open(f"https://{NAME}:{TLS}/.well-known/stead/roster")
            eventually(lambda: '"servers"' in (browser.evaluate("document.body && document.body.innerText") or ""), f"{node} answers")
            return sum(farm.metric(node, RESUMED % o) for o in origins) > before

        def resumes_at(node, other):
            """It shows a ticket once: if a connection ahead of need has used the last, it gets another elsewhere."""
            for _ in range(4):
                if resumed_at(node):
                    return True
                resumed_at(other)
            return False

        check(not resumed_at("s1"), "the browser begins with a full handshake")
        for node, other in (("s2", "s1"), ("s3", "s2"), ("s2", "s3")):
            check(resumes_at(node, other), f"the browser resumes at {node} what began elsewhere, by {origins}")
    finally:
        browser.end()
        way.end()


def bad_tickets(farm):
    for version in VERSIONS:
        file = farm.run / f"bad{version}"
        s_client(farm, "s1", version, file, False)
        pem = file.read_text()
        der = bytearray(ssl.PEM_cert_to_DER_cert(pem.replace("SSL SESSION PARAMETERS", "CERTIFICATE")))
        at = ticket_in(der)
        for place, reason in ((at, "unknown-key"), (at + 16, "damaged"), (at + 40, "damaged")):
            before = farm.metric("s2", MISSED % reason)
            broken = bytearray(der)
            broken[place] ^= 1
            file.write_text(ssl.DER_cert_to_PEM_cert(bytes(broken)).replace("CERTIFICATE", "SSL SESSION PARAMETERS"))
            check(not s_client(farm, "s2", version, file, True), f"{version}: byte {place} is another")
            check(farm.metric("s2", MISSED % reason) == before + 1, f"{version}: {reason} is counted")


def ticket_in(der):
    """Where the ticket's bytes begin: [10] EXPLICIT OCTET STRING, long (asn1parse tells where)."""
    done = subprocess.run(["openssl", "asn1parse", "-inform", "DER"], input=bytes(der), capture_output=True, timeout=30, check=True)
    lines = done.stdout.decode().splitlines()
    i = next(i for i, line in enumerate(lines) if "cont [ 10 ]" in line)
    offset, header = re.match(r"\s*(\d+):d=\d+\s+hl=(\d+)", lines[i + 1]).groups()
    return int(offset) + int(header)


class Stranger(threading.Thread):
    """A TLS server that is not stead's, with ticket keys of its own."""

    def __init__(self, farm):
        super().__init__(daemon=True)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(farm.run / "shop.pem", farm.run / "shop.key")
        self.socket = socket.create_server((farm.ip("s1"), 0))
        self.where = f"{farm.ip('s1')}:{self.socket.getsockname()[1]}"
        self.start()

    def run(self):
        while True:
            try:
                with self.context.wrap_socket(self.socket.accept()[0], server_side=True) as sock:
                    sock.settimeout(10)
                    sock.recv(1)
            except ValueError:
                return
            except OSError:
                if self.socket.fileno() < 0:
                    return


def keeper_of_ids(farm):
    """One that keeps sessions by id, has no tickets, and speaks TLS 1.2 only."""
    with socket.create_server((farm.ip("s2"), 0)) as free:
        where = f"{farm.ip('s2')}:{free.getsockname()[1]}"
    server = Process(["openssl", "s_server", "-accept", where, "-cert", farm.run / "shop.pem", "-key", farm.run / "shop.key",
                      "-tls1_2", "-no_ticket", "-quiet"], farm.run / "ids.log")
    eventually(lambda: socket.create_connection(where.rsplit(":", 1), timeout=5).close() is None, "s_server answers")
    return server, where


def stead_tls_test(farm):
    nodes = [f"{farm.ip(n)}:{TLS}" for n in farm.names]
    done = farm.cli("tls", "test", "--name", NAME, *nodes)
    check(done.returncode == 0, f"{done.stdout}{done.stderr}")
    check("resumed where they began: 6 of 6; at other servers: 12 of 12" in done.stdout, done.stdout)
    check(done.stdout.count("resumed by ticket, good for 8 h\n") == 18, done.stdout)
    a, b, (keeper, ids) = Stranger(farm), Stranger(farm), keeper_of_ids(farm)
    try:
        done = farm.cli("tls", "test", "--json", nodes[0], a.where, b.where, ids)
        check(done.returncode == 1, f"{done.stdout}{done.stderr}")
        told = {(t["version"], t["from"], t["to"]): t for t in json.loads(done.stdout)["tries"]}
        check(len(told) == 32, done.stdout)
        for version in ("1.2", "1.3"):
            for server in (nodes[0], a.where, b.where):
                check(told[version, server, server]["result"] == "resumed", done.stdout)
            for pair in ((a.where, b.where), (b.where, a.where), (nodes[0], a.where), (a.where, nodes[0])):
                one = told[version, *pair]
                check(one["result"] == "full" and "does not open the other's tickets" in one["why"], f"{one}")
        one = told["1.2", ids, ids]
        check(one["result"] == "resumed" and one["how"] == "id", f"{one}")
        check("session ids" in told["1.2", ids, a.where]["why"], f"{told['1.2', ids, a.where]}")
        one = told["1.3", ids, ids]
        check(one["result"] == "failed" and "not spoken" in one["why"], f"{one}")
    finally:
        keeper.end(signal.SIGKILL)
        for stranger in (a, b):
            stranger.socket.close()
    done = farm.cli("tls", "test", "--version", "1.3", f"{farm.ip('s1')}:1")
    check(done.returncode == 1 and "no connection: Connection refused" in done.stdout, f"{done.stdout}{done.stderr}")
    plain = farm.cli("tls", "test", "--version", "1.3", "--timeout", "1", f"{farm.ip('s1')}:{PUBLIC}")
    check(plain.returncode == 1 and "failed" in plain.stdout, f"{plain.stdout}{plain.stderr}")
    for wrong in (["test"], ["try", nodes[0]], ["test", "--version", "1.1", nodes[0]], ["test", "--timeout", "0", nodes[0]]):
        check(farm.cli("tls", *wrong).returncode == 2, f"stead tls {wrong} is wrong")


def single_use(farm):
    """Sessions in the store: every node resumes, and of many who show the same ticket one at most is resumed."""
    for name in farm.names:
        text = farm.conf(name).read_text()
        farm.conf(name).write_text(re.sub(r"tls \{ (tickets = off )?", "tls { tickets = single-use ", text, count=1))
        farm.nodes[name].send(signal.SIGHUP)
    nodes = [f"{farm.ip(n)}:{TLS}" for n in farm.names]
    def around():
        done = farm.cli("tls", "test", "--name", NAME, *nodes)
        return done.returncode == 0 and "good for 2 h" in done.stdout and "by session id" in done.stdout
    eventually(around, "every node resumes what began at any")
    told = farm.cli("tls", "keys", *[f"{farm.ip(n)}:{ADMIN}" for n in farm.names])
    check(told.returncode == 0 and told.stdout.count("single-use: sessions lie in the farm's store") == 3, told.stdout)
    # Which other node has the second copy, and resumes as from its own store, is by lot.
    for origin in ("local", "peer"):
        check(sum(farm.metric(n, RESUMED % origin) for n in farm.names) > 0, f"{origin} is counted")
    check(farm.metric("s1", 'stead_tls_sessions_total{result="kept"}') > 6, "so are those that are kept")
    check(farm.metric("s1", 'stead_tls_sessions_total{result="failed"}') == 0, "all of them are")
    races(farm)
    for version in VERSIONS:
        file = farm.run / f"bare{version}"
        s_client(farm, "s1", version, file, False)
        bytes_of = file.read_bytes()
        check(s_client(farm, "s2", version, file, True), f"{version}: once")
        file.write_bytes(bytes_of)
        before = sum(farm.metric(n, MISSED % "absent") for n in farm.names)
        check(s_client(farm, "s3", version, file, True) == (version == "-tls1_2"), f"{version}: and again")
        after = sum(farm.metric(n, MISSED % "absent") for n in farm.names)
        check(after - before == (version == "-tls1_3"), f"{version}: a used ticket is counted: {before} {after}")


def races(farm):
    """Eight processes with one ticket, at all nodes, at once."""
    won = 0
    for turn in range(6):
        first = farm.run / "race"
        s_client(farm, farm.names[turn % 3], "-tls1_3", first, False)
        racers = []
        for i in range(8):
            racers.append(subprocess.Popen(
                ["openssl", "s_client", "-connect", f"{farm.ip(farm.names[i % 3])}:{TLS}", "-servername", NAME, "-tls1_3", "-sess_in", first],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        said = [r.communicate(timeout=60)[0] for r in racers]
        check(all("TLSv1.3" in s and ("Reused, " in s or "New, " in s) for s in said), f"each has its connection: {said}")
        winners = sum("Reused, TLSv1.3" in s for s in said)
        check(winners <= 1, f"turn {turn}: {winners} were resumed by one ticket")
        won += winners
    check(won > 0, "and somebody was")


def damaged_in_the_store(farm):
    """Somebody overwrites the record of a session: that is a full handshake."""
    file = farm.run / "damaged"
    s_client(farm, "s1", "-tls1_2", file, False)
    text = openssl("sess_id", "-in", file, "-noout", "-text")
    session = re.search(r"Session-ID: ([0-9A-F]{64})", text).group(1).lower()
    api = UnixConnection(farm.run / "s2.sock")
    api.request("PATCH", f"/v1/sessions/tls/{session}", json.dumps({"set": {"": "rubbish"}}), {"Content-Type": "application/json"})
    reply = api.getresponse()
    said = reply.read()
    check(reply.status == 200, f"the record is there, and changed: {reply.status} {said}")
    api.close()
    check(not s_client(farm, "s3", "-tls1_2", file, True), "and nobody resumes it")
    check(farm.metric("s3", MISSED % "damaged") >= 1, "which is counted")


def copied(farm, name):
    """A handshake does not wait for the second copy."""
    eventually(lambda: farm.metric(name, "stead_session_below_copies") == 0, f"all that {name} owns has its copies")


def a_paused_node(farm):
    """A node that is counted out and comes back: of those who show its ticket meanwhile and after, one at most is resumed."""
    tickets = farm.run / "paused", farm.run / "paused-id"
    for version, file in zip(("-tls1_3", "-tls1_2"), tickets):
        s_client(farm, "s1", version, file, False)

    def shown_at(node, version, file):
        copy = farm.run / "shown"
        copy.write_bytes(file.read_bytes())
        return s_client(farm, node, version, copy, True)

    copied(farm, "s1")
    farm.nodes["s1"].send(signal.SIGSTOP)
    try:
        accepted = [shown_at(n, "-tls1_3", tickets[0]) for n in ("s2", "s3")]
        # Its records are claimed by others now: each of them could be misled to decide.
        eventually(lambda: shown_at("s2", "-tls1_2", tickets[1]) and shown_at("s3", "-tls1_2", tickets[1]), "s1 is counted out")
        accepted += [shown_at(n, "-tls1_3", tickets[0]) for n in ("s2", "s3")]
    finally:
        farm.nodes["s1"].send(signal.SIGCONT)
    accepted += [shown_at(n, "-tls1_3", tickets[0]) for n in ("s1", "s2", "s3")]
    check(not any(accepted[:4]), f"nobody decides for s1: {accepted}")
    check(sum(accepted) <= 1, f"never twice: {accepted}")
    farm.wait_up(*farm.servers)


def single_use_without_its_node(farm):
    """TLS 1.2: the copies of a dead node's sessions are good. TLS 1.3: nobody knows what the dead one has accepted."""
    for version in VERSIONS:
        s_client(farm, "s1", version, farm.run / f"left{version}", False)
    copied(farm, "s1")
    farm.kill("s1")
    check(not s_client(farm, "s2", "-tls1_3", farm.run / "left-tls1_3", True), "a ticket of a dead node is not accepted")
    def resumed():
        copy = farm.run / "copy"
        copy.write_bytes((farm.run / "left-tls1_2").read_bytes())
        return s_client(farm, "s2", "-tls1_2", copy, True)
    eventually(resumed, "TLS 1.2: s2 resumes what began at s1, which is dead")


def ticket_keys(farm):
    """The name of the key that seals stands in front of every ticket, and is the same at all nodes."""
    done = farm.cli("tls", "keys", "--json", *[f"{farm.ip(n)}:{ADMIN}" for n in farm.names])
    check(done.returncode == 0, f"{done.stdout}{done.stderr}")
    nodes = json.loads(done.stdout)
    check([n["node"] for n in nodes] == farm.names, done.stdout)
    keys = nodes[0]["tickets"]["keys"]
    check([k["state"] for k in keys] == ["next", "seals", "opens", "opens", "opens"], f"{keys}")
    check(all(n["tickets"]["keys"] == keys for n in nodes) or len({k["id"] for k in keys}) == 5, done.stdout)
    file = farm.run / "keyed"
    s_client(farm, "s2", "-tls1_2", file, False)
    dump = openssl("sess_id", "-in", file, "-noout", "-text")
    first = re.search(r"0000 - ((?:[0-9a-f]{2}[ -]){4})", dump).group(1)
    check(first.replace(" ", "").replace("-", "") in (keys[0]["id"], keys[1]["id"]), f"{dump} {keys}")
    text = farm.cli("tls", "keys", f"{farm.ip('s1')}:{ADMIN}")
    check(text.returncode == 0 and re.search(r"s1: next rotation in \d", text.stdout) and keys[1]["id"] in text.stdout,
          f"{text.stdout}{text.stderr}")
    check("secret" not in text.stdout and farm.cli("tls", "keys", f"{farm.ip('s1')}:1").returncode == 1, "nobody there")


def where_it_began_is_dead(farm):
    for version in VERSIONS:
        s_client(farm, "s1", version, farm.run / f"late{version}", False)
    farm.kill("s1")
    for version in VERSIONS:
        check(s_client(farm, "s2", version, farm.run / f"late{version}", True), f"{version}: s2 resumes what began at s1, which is dead")
    farm.term("s3", what=("node",))
    farm.start_node("s3")
    farm.wait_ready("s3")
    for version in VERSIONS:
        check(s_client(farm, "s3", version, farm.run / f"late{version}", True), f"{version}: s3 resumes, though it is new")


def without_tickets(farm):
    text = farm.conf("s2").read_text()
    farm.conf("s2").write_text(text.replace('tls { certificate', 'tls { tickets = off certificate'))
    farm.nodes["s2"].send(signal.SIGHUP)
    for version in VERSIONS:
        file = farm.run / f"off{version}"
        s_client(farm, "s3", version, file, False)
        eventually(lambda v=version, f=file: not s_client(farm, "s2", v, farm.run / f"late{v}", True), f"{version}: off means off")


def main():
    args = options()
    with scenario(args.build, 36) as farm:
        configure(farm)
        farm.started()
        openssl_goes_around(farm)
        python_goes_around(farm)
        curl_goes_around(farm)
        browser_goes_around(farm, ["ticket-peer"])
        bad_tickets(farm)
        stead_tls_test(farm)
        ticket_keys(farm)
        where_it_began_is_dead(farm)
        without_tickets(farm)
        farm.start()
        farm.wait_ready()
        single_use(farm)
        browser_goes_around(farm, ["local", "peer"])
        damaged_in_the_store(farm)
        a_paused_node(farm)
        single_use_without_its_node(farm)


main()
