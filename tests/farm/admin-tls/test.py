#!/usr/bin/env python3
"""Operators and applications by TLS: the admin listener with operators' certificates, the session API with its token, by
curl and by `stead` itself; who has no certificate, a stranger's or a browser's page gets nothing.

usage: test.py --build DIR
"""
import pathlib
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tls")]
from certs import Authority
from farm import ADMIN, check, eventually, json, options, scenario

GATE, TOKEN = 7390, "a token of more than sixteen"


def configure(farm):
    Authority(farm.run).issue("shop", "shop", "www.shop.test", *[f"IP:{farm.ip(n)}" for n in farm.names])
    Authority(farm.run, "operators").issue("anna", "anna")
    Authority(farm.run, "strangers").issue("eve", "anna")
    token = farm.run / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    text, ip = farm.conf("s1").read_text(), farm.ip("s1")
    text = text.replace(f'admin  {{ listen = "{ip}:{ADMIN}" }}', f"""
admin {{ listen = "{ip}:{ADMIN}" tls = yes client-ca = "run/operators.pem" }}
tls {{ certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} }}""")
    text = text.replace('listen = "unix:run/s1.sock"', f'listen = "{ip}:{GATE}" tls = yes token-file = "run/token"')
    text = text.replace('check { type = "http" path = "/health" interval = "1s" }', 'check { type = none }')  # its shop asks by unix
    check("type = none" in text and "client-ca" in text and "token-file" in text, text)
    farm.conf("s1").write_text(text)


def curl(farm, port, path, *args, ca="authority"):
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", farm.run / f"{ca}.pem", "-w", "\n%{http_code}", *args,
                           f"https://{farm.ip('s1')}:{port}{path}"], capture_output=True, text=True, timeout=30, check=False)
    body, _, status = done.stdout.rpartition("\n")
    return done.returncode, int(status or 0), body


def identity(farm, name):
    return "--cert", str(farm.run / f"{name}.pem"), "--key", str(farm.run / f"{name}.key")


def operators(farm):
    anna = identity(farm, "anna")
    code, status, body = curl(farm, ADMIN, "/v1/status", *anna)
    check((code, status) == (0, 200) and json.loads(body)["node"] == "s1", f"anna: {code} {status} {body}")
    for who in ((), identity(farm, "eve")):
        code, status, body = curl(farm, ADMIN, "/v1/status", *who)
        check(code != 0 and status == 0 and not body, f"who is no operator hears nothing: {who} {code} {status} {body}")
    check(curl(farm, ADMIN, "/v1/status", *anna, ca="operators")[0] == 60, "the node shows its own certificate")
    for page in ("Origin: https://www.evil.test", "Sec-Fetch-Site: cross-site"):
        code, status, _ = curl(farm, ADMIN, "/v1/maint", *anna, "-X", "POST", "-H", page)
        check((code, status) == (0, 403), f"a browser lends anna's certificate to nobody: {page} {code} {status}")
    code, status, _ = curl(farm, ADMIN, "/v1/maint", *anna, "-X", "POST")
    check((code, status) == (0, 200), f"anna takes the node out: {code} {status}")
    eventually(lambda: farm.status_of("s1", "s2") == "maint", "which the farm hears")
    code, status, _ = curl(farm, ADMIN, "/v1/upgrade?binary=/bin/false", *anna, "-X", "POST")
    check((code, status) == (0, 403), f"what names files of the host is for those on it: {code} {status}")
    plain = subprocess.run(["curl", "-sS", "--noproxy", "*", f"http://{farm.ip('s1')}:{ADMIN}/v1/status"], capture_output=True,
                           text=True, timeout=30, check=False)
    check("https" in plain.stdout and "incarnation" not in plain.stdout, f"plain HTTP: {plain.stdout}")


def by_stead(farm):
    where = ["--admin", f"https://{farm.ip('s1')}:{ADMIN}"]
    anna = ["--cacert", farm.run / "authority.pem", *identity(farm, "anna")]
    done = farm.cli("maint", "--off", *where, *anna)
    check(done.returncode == 0, f"stead puts it back: {done.stdout}{done.stderr}")
    eventually(lambda: farm.status_of("s1", "s2") == "up", "which the farm hears")
    done = farm.cli("status", "--json", *where, *anna)
    check(done.returncode == 0 and json.loads(done.stdout)["node"] == "s1", f"{done.stdout}{done.stderr}")
    done = farm.cli("tls", "keys", *anna, where[1])
    check(done.returncode == 0 and "s1: next rotation" in done.stdout, f"{done.stdout}{done.stderr}")
    for wrong, says in ((["--cacert", farm.run / "authority.pem"], "certificate"),
                        (["--cacert", farm.run / "operators.pem", *identity(farm, "anna")], "certificate"),
                        (["--cacert", farm.run / "none.pem"], "none.pem"), ([], "certificate")):
        done = farm.cli("status", *where, *wrong)
        check(done.returncode == 1 and says in done.stderr and "stead: https://" in done.stderr, f"{wrong}: {done}")
    done = farm.cli("status", "--admin", f"https://{farm.ip('s1')}:1", *anna)
    check(done.returncode == 1 and "no connection" in done.stderr, f"nobody there: {done}")


def applications(farm):
    bearer = ("-H", f"Authorization: Bearer {TOKEN}")
    code, status, body = curl(farm, GATE, "/v1/sessions/app", *bearer, "-H", "Content-Type: application/json", "-d",
                              '{"fields": {"a": "b"}}')
    check((code, status) == (0, 201), f"a session is made: {code} {status} {body}")
    one = "/v1/sessions/app/" + json.loads(body)["id"]
    for version in ("--http1.1", "--http2"):
        code, status, body = curl(farm, GATE, one, *bearer, version)
        check((code, status) == (0, 200) and '"b"' in body, f"and read: {version} {code} {status} {body}")
    check(curl(farm, GATE, one)[1] == 401, "not without the token")
    check(curl(farm, GATE, one, *bearer, ca="operators")[0] == 60, "it shows the node's certificate")


def a_new_certificate(farm):
    """The admin listener shows it, too, and goes on to ask for operators'."""
    Authority(farm.run, "later").issue("shop", "shop", f"IP:{farm.ip('s1')}")
    farm.nodes["s1"].send(signal.SIGHUP)
    anna = identity(farm, "anna")
    eventually(lambda: curl(farm, ADMIN, "/livez", *anna, ca="later")[:2] == (0, 200), "it is shown")
    check(curl(farm, ADMIN, "/livez", ca="later")[0] != 0, "and operators are asked for")


def main():
    args = options()
    with scenario(args.build, 59) as farm:
        configure(farm)
        farm.start()
        farm.wait_ready("s2", "s3")
        eventually(lambda: "s1" in farm.up("s2"), "s1 is up")
        operators(farm)
        by_stead(farm)
        applications(farm)
        a_new_certificate(farm)


main()
