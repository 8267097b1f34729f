#!/usr/bin/env python3
"""libstead's clients over https: the roster comes by TLS, names are verified, a session that began at one server is resumed at
the others, a server with a stranger's certificate is passed over, and a client that lives long hears over TLS that it shall move.

usage: test.py --build DIR
"""
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tls")]
from certs import Authority
from farm import DNS, PUBLIC, check, eventually, options, scenario

TLS = 8443
URL = f"https://www.shop.test:{TLS}/"


def configure(farm):
    """s3 shows what nobody trusts, and resumes nothing: whoever resumes is not shown a certificate."""
    ours, theirs = Authority(farm.run), Authority(farm.run, "strangers")
    ours.issue("shop", "shop", "www.shop.test", "*.shop.test")
    theirs.issue("fake", "fake", "www.shop.test", "*.shop.test")
    for name in farm.names:
        ip, cert = farm.ip(name), "fake" if name == "s3" else "shop"
        text = farm.conf(name).read_text()
        text = text.replace(f'public {{ listen = "{ip}:{PUBLIC}" }}', f"""
public {{ listen = "{ip}:{PUBLIC}" listen-tls = "{ip}:{TLS}" }}
tls {{ certificate "shop" {{ chain = "run/{cert}.pem" key = "run/{cert}.key" }} {'tickets = off' if name == 's3' else ''} }}""")
        text = text.replace(f'"http://{name}.shop.test:{PUBLIC}"',
                            f'"http://{name}.shop.test:{PUBLIC}", "https://{name}.shop.test:{TLS}"')
        farm.conf(name).write_text(text)
    return ours


def resumed_everywhere(farm):
    done = subprocess.run([farm.build / "tls-client", URL, farm.run / "authority.pem", "12", f"{farm.ip('s1')}:{DNS}"],
                          capture_output=True, text=True, timeout=120, check=False)
    check(done.returncode == 0, f"tls-client: {done.returncode} {done.stdout}{done.stderr}")
    visits = [line.split() for line in done.stdout.splitlines()]
    check(len(visits) == 12 and all(v[1] == "TLSv1.3" and v[3] == "answered" for v in visits), done.stdout)
    check({v[0] for v in visits} == {"s1", "s2"}, f"the servers that are trusted, and no other: {done.stdout}")
    check(sum(v[2] == "full" for v in visits) <= 1, f"all but the first are resumed: {done.stdout}")


def stead(farm, verb, *args, ca="authority", text=None):
    return subprocess.run([farm.build / "stead", *verb.split(), "--dns", f"{farm.ip('s1')}:{DNS}", "--cacert", farm.run / f"{ca}.pem",
                           *args], input=text, capture_output=True, text=True, timeout=60, check=False)


def commands(farm):
    done = stead(farm, "pick", URL)
    check(done.returncode == 0 and done.stdout.startswith("https://s"), f"pick: {done}")
    check(stead(farm, "why pick", URL).returncode == 0, "why pick")
    request = "GET /whoami.json HTTP/1.0\r\nHost: {}.shop.test\r\n\r\n"
    for server, other in (("s1", "s2"), ("s2", "s1")):  # of the two that are left it may be s3
        eventually(lambda server=server, other=other: " 200 " in stead(
            farm, "connect", "--exclude", other, URL, text=request.format(server)).stdout, f"connect to {server}")


def strangers(farm):
    done = stead(farm, "pick", URL, ca="strangers")
    check(done.returncode in (0, 1) and ("https://" in done.stdout or "certificate" in done.stderr), f"trusts s3 alone: {done}")
    by_address = f"https://{farm.ip('s1')}:{TLS}/"
    done = stead(farm, "pick", by_address)
    check(done.returncode == 1 and "certificate" in done.stderr, f"an address that is not in the certificate: {done}")
    done = stead(farm, "connect", by_address, text="")
    check(done.returncode == 1 and "certificate" in done.stderr, f"connect: {done}")
    done = stead(farm, "pick", URL, ca="none")
    check(done.returncode == 2 and "no certificates" in done.stderr, f"no such file: {done}")


def moves(farm):
    """The node beside its server tells it by https."""
    log = farm.run / "moving.log"
    with open(log, "wb") as out:
        child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", farm.build / "stead", "connect", "--json", "--verbose", "--reconnect",
                                  "--exclude", "s3", "--dns", f"{farm.ip('s1')}:{DNS}", "--cacert", farm.run / "authority.pem", URL],
                                 stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=out)

    def events():
        lines = log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]
    try:
        first = eventually(lambda: [e for e in events() if e["event"] == "connected"], "it is connected")[0]["server"]
        other = {"s1": "s2", "s2": "s1"}[first]
        check(farm.cli("drain", "-c", farm.conf(first)).returncode == 0, "drain")
        moved = eventually(lambda: [e for e in events() if e["event"] == "moved"], "it moves")
        check(moved[0]["server"] == other and moved[0]["url"].startswith("https://"), f"to the other one: {moved}")
        check(child.poll() is None, "it has ended")
        check(farm.cli("undrain", "-c", farm.conf(first)).returncode == 0, "undrain")
    finally:
        child.kill()
        child.wait()


def main():
    args = options()
    with scenario(args.build, 62) as farm:
        configure(farm)
        farm.started()
        resumed_everywhere(farm)
        commands(farm)
        strangers(farm)
        moves(farm)


main()
