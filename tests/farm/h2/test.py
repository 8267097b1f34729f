#!/usr/bin/env python3
"""HTTP/2 at the public listener, as curl and h2load speak it: redirects, a shop behind the secondary, bodies, the roster and
its events; clients that flood are sent away, and the others do not notice."""
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import PUBLIC, WAIT_S, check, eventually, options, scenario
from frames import CANCEL, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, RST_STREAM, Raw, frame, head

WWW = "www.shop.test"
ROSTER = "/.well-known/stead/roster"


class Curl:
    """curl with names that lead to the farm."""

    def __init__(self, farm, *more):
        self.base = ["curl", "-sS", "--max-time", "30", "--http2-prior-knowledge", *more]
        for name in farm.servers:
            self.base += ["--resolve", f"{name}.shop.test:{PUBLIC}:{farm.ip(name)}"]
        self.base += ["--resolve", f"{WWW}:{PUBLIC}:{farm.ip('s1')}"]

    def argv(self, url, *more):
        return [*self.base, *more, url]

    def __call__(self, url, *more):
        """(status, version, headers and body as they came)"""
        done = subprocess.run(self.argv(url, *more, "-i", "-w", "\n%{http_code} %{http_version} %{url_effective}"),
                              capture_output=True, timeout=WAIT_S, check=False)
        check(done.returncode == 0, f"curl {url}: {done.returncode} {done.stderr!r}")
        text = done.stdout.decode(errors="replace")
        status, version, effective = text.rsplit("\n", 1)[1].split(" ", 2)
        return int(status), version, effective, text.rsplit("\n", 1)[0]


def url(name, path):
    return f"http://{name}:{PUBLIC}{path}"


def redirects(farm, curl):
    status, version, _, text = curl(url(WWW, "/cart?x=y"))
    check((status, version) == (307, "2"), f"a redirect by HTTP/2: {status} {version}")
    check(re.search(r"^location: http://s\d\.shop\.test:8080/cart\?x=y\r$", text, re.M), f"to a server: {text}")
    status, version, where, text = curl(url(WWW, "/whoami.json"), "-L")
    name = json.loads(text.split("\r\n\r\n")[-1])["server"]
    check((status, version) == (200, "2") and name in where, f"and followed: {status} {where} {text}")
    check(curl(url("nobody.test", "/"), "--connect-to", f"::{farm.ip('s1')}:{PUBLIC}")[0] == 421, "a foreign Host")


def shop(farm, curl):
    """Through the secondary, with bodies both ways."""
    jar = farm.dir / "jar"
    cookies = ["-c", str(jar), "-b", str(jar)]
    status, version, _, text = curl(url("s1.shop.test", "/"), *cookies)
    check((status, version) == (200, "2") and "<html" in text, f"a page: {status} {version}")
    check("connection:" not in text.split("\r\n\r\n")[0].lower(), f"no field of the hop: {text[:500]}")
    status, _, _, text = curl(url("s1.shop.test", "/cart"), *cookies, "-d", "sku=4", "-d", "qty=2")
    check(status in (200, 303), f"a form: {status} {text[:300]}")
    chunked = curl(url("s1.shop.test", "/cart"), *cookies, "-H", "Transfer-Encoding: chunked", "-X", "POST",
                   "-H", "Content-Type: application/x-www-form-urlencoded", "--data-binary", "sku=5&qty=3", "-H",
                   "Content-Length:")
    check(chunked[0] in (200, 303), f"a form without a length: {chunked[0]}")
    items = json.loads(curl(url("s1.shop.test", "/cart.json"), *cookies)[3].split("\r\n\r\n")[-1])["items"]
    check([(i["sku"], i["qty"]) for i in items] == [(4, 2), (5, 3)], f"what was put into the cart: {items}")
    check(curl(url("s1.shop.test", "/"), "-I")[0] == 200, "HEAD")
    big = farm.dir / "big"
    big.write_bytes(bytes(20 << 20))
    check(curl(url("s1.shop.test", "/cart"), "-T", str(big))[0] == 413, "an answer before the body's end is heard")


def load(farm, host, path, status):
    done = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "20", f"http://{farm.ip('s1')}:{PUBLIC}{path}",
                           "-H", f":authority: {host}:{PUBLIC}"], capture_output=True, text=True, timeout=120,
                          check=False)
    check(f"2000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout or status == 3 and
          "2000 done" in done.stdout and "0 errored, 0 timeout" in done.stdout, f"h2load {host}: {done.stdout}")
    counts = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx", done.stdout)
    check(counts and counts.group(status - 1) == "2000", f"h2load {host}: {done.stdout}")


def roster(farm, curl):
    status, version, _, text = curl(url("s1.shop.test", ROSTER))
    names = [s["name"] for s in json.loads(text.split("\r\n\r\n")[-1])["servers"]]
    check((status, version) == (200, "2") and names == sorted(farm.servers), f"the roster: {status} {names}")
    heard = farm.dir / "events"
    with open(heard, "wb") as out, subprocess.Popen(
            curl.argv(url("s1.shop.test", ROSTER), "-N", "--max-time", "600", "-H", "Accept: text/event-stream"),
            stdout=out) as watcher:
        try:
            eventually(lambda: b"event: roster" in heard.read_bytes(), "the roster comes as events")
            check(farm.metric("s1", "stead_roster_watchers") == 1, "one watches")
            farm.kill("s3")
            eventually(lambda: re.search(rb'event: change\b.*"down"', heard.read_bytes(), re.S), "and its changes")
        finally:
            watcher.kill()
    eventually(lambda: farm.metric("s1", "stead_roster_watchers") == 0, "who resets his stream watches no more")
    farm.start("s3")
    farm.wait_ready("s3")
    farm.wait_up(*farm.servers)


def floods(farm, curl):
    """Rapid reset through the secondary, where it would cost most, and pings; others are served meanwhile."""
    raw, reset = Raw(farm.ip("s1"), PUBLIC), 0
    ask = head("GET", "/whoami.json", f"s1.shop.test:{PUBLIC}")
    for i in range(0, 4000, 10):
        batch = b"".join(frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, ask) +
                         frame(RST_STREAM, 0, 2 * n + 1, CANCEL.to_bytes(4, "big")) for n in range(i, i + 10))
        if not raw.say(batch):
            break
        reset += 10
        if reset == 100:
            check(curl(url("s1.shop.test", "/whoami.json"))[0] == 200, "others are served amid the flood")
    check(raw.goaway() in (ENHANCE_YOUR_CALM, None), "who resets is sent away")
    raw.close()
    check(farm.metric("s1", "stead_http2_calmed_total") == 1, "and counted")
    resets = farm.metric("s1", "stead_http2_resets_total")
    check(200 < resets < 210, f"after as many resets as he may have: {resets}")
    raw = Raw(farm.ip("s1"), PUBLIC)
    for _ in range(3000):
        if not raw.say(frame(PING, 0, 0, b"12345678")):
            break
    raw.goaway()
    raw.close()
    eventually(lambda: farm.metric("s1", "stead_http2_calmed_total") == 2, "who pings for nothing likewise")
    check(curl(url("s1.shop.test", "/whoami.json"))[0] == 200, "others are served after it")
    eventually(lambda: farm.metric("s1", "stead_director_tunnels") == 0, "no forwarded stream is left")


class Silent:
    """A real server that answers checks, and else only listens for the end of who asked."""

    def __init__(self, ip, port):
        self.ends = []
        self.listener = socket.create_server((ip, port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, client):
        with client, contextlib.suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += client.recv(65536)
            if b" /health " in asked:
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return
            try:
                if b" /stream " in asked:
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                while client.recv(65536):
                    pass
            finally:
                self.ends.append(asked.split()[1])


def taken_back(farm, silent):
    """A request that its client takes back is taken back from the real server."""
    for path in ("/wait", "/stream"):
        raw = Raw(farm.ip("s3"), PUBLIC)
        before = farm.metric("s3", "stead_http2_streams_total")
        raw.say(frame(HEADERS, END_STREAM | END_HEADERS, 1, head("GET", path, f"s3.shop.test:{PUBLIC}")))
        eventually(lambda: farm.metric("s3", "stead_http2_streams_total") > before, "it has come")
        raw.say(frame(RST_STREAM, 0, 1, CANCEL.to_bytes(4, "big")))
        eventually(lambda: path.encode() in silent.ends, f"the real server hears of it: {path}")
        raw.say(frame(HEADERS, END_STREAM | END_HEADERS, 3, head("GET", "/x", f"www.shop.test:{PUBLIC}")))
        eventually(lambda: farm.metric("s3", "stead_http2_streams_total") > before + 1, "the connection goes on")
        raw.close()


def stopping(farm, curl):
    """A node that stops says so to who is connected, and ends."""
    raw, before = Raw(farm.ip("s2"), PUBLIC), farm.metric("s2", "stead_http2_streams_total")
    raw.say(frame(HEADERS, END_STREAM | END_HEADERS, 1, head("GET", "/whoami.json", f"s2.shop.test:{PUBLIC}")))
    eventually(lambda: farm.metric("s2", "stead_http2_streams_total") > before, "a request")
    farm.term("s2", ["node"])
    check(raw.goaway() == 0, "GOAWAY without an error")
    raw.close()


def main():
    args = options()
    with scenario(args.build, 20) as farm:
        silent = Silent(farm.ip("s3"), 9100)
        text = farm.conf("s3").read_text().replace(f'"{farm.ip("s3")}:9000"', f'"{farm.ip("s3")}:9100"')
        farm.conf("s3").write_text(text.replace("weight   = ", "weight   = 0 #"))
        farm.started()
        curl = Curl(farm)
        redirects(farm, curl)
        shop(farm, curl)
        load(farm, WWW, "/cart", 3)
        load(farm, "s1.shop.test", "/whoami.json", 2)
        roster(farm, curl)
        floods(farm, curl)
        taken_back(farm, silent)
        stopping(farm, curl)


main()
