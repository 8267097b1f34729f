#!/usr/bin/env python3
"""What checks find of a real nginx: by TLS with its certificate verified, by status, by text; why it is down is said;
answers of 5xx count as well; and a server that comes up gets its weight little by little, as all nodes see it."""
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import SHOP, Process, check, eventually, options, scenario

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONF = """daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx.err;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
  uwsgi_temp_path {dir}; scgi_temp_path {dir};
  server {{ listen {ip}:{tls} ssl; ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
            server_name s1.shop.test; root {dir}/www; location /broken {{ return 500; }} }}
  server {{ listen {ip}:{tls} ssl default_server; ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
            return 404; }}
  server {{ listen {ip}:{plain}; root {dir}/www; location /broken {{ return 500; }} }}
}}
"""
TLS = 9443


def server(farm, asked):
    return {s["name"]: s for s in farm.roster(asked)["servers"]}["s1"]


def why(farm):
    return farm.status("s1")["servers"][0]["why"]


def becomes(farm, word):
    """None: healthy."""
    def probe():
        return why(farm) == word and (server(farm, "s2")["status"] == "up") == (word is None)
    eventually(probe, f"s1 is {word or 'healthy'}")


def set_check(farm, *words):
    done = farm.cli("server", "set", "shop", *words, "--admin", f"unix:{farm.run}/s1/admin.sock")
    check(done.returncode == 0, f"set {words}: {done.stderr}")


def checks(farm, www):
    becomes(farm, None)
    (www / "health").rename(www / "elsewhere")
    becomes(farm, "status")
    text = farm.cli("status", f"unix:{farm.run}/s1/admin.sock").stdout
    check("(status)" in text, f"stead status says why: {text}")
    (www / "health").write_text("asleep\n")
    becomes(farm, "text")
    (www / "health").write_text("we are ready for you\n")
    becomes(farm, None)
    set_check(farm, "check.host=other.shop.test", "check.verify=no")
    becomes(farm, "status")  # SNI and Host lead to the other server of nginx
    set_check(farm, "check.verify=yes")
    becomes(farm, "certificate")
    set_check(farm, "check.host=")
    becomes(farm, None)
    set_check(farm, "check.ca-file=")
    becomes(farm, "certificate")  # nobody whom the system believes
    set_check(farm, "check.type=tls", "check.verify=no")
    becomes(farm, None)


def grows(farm, start, nginx):
    set_check(farm, "check.type=http", "check.text=ready", f"forward={farm.ip('s1')}:{SHOP}", "slow-start=4s")
    becomes(farm, None)
    nginx.end()
    becomes(farm, "connect")
    nginx = start()
    seen = []

    def grown():
        s = server(farm, "s3")
        if s["status"] == "up":
            seen.append(s["weight"])
        return s["status"] == "up" and s["weight"] == 100
    eventually(grown, "all of the weight")
    check(seen[0] < 100 and seen == sorted(seen), f"the weight as s3 sees it: {seen}")
    return nginx


def errors_count(farm):
    set_check(farm, "check.errors-max=50", "check.interval=300ms")
    for _ in range(60):
        farm.get("s1", "/broken", host="s1.shop.test:8080")
    eventually(lambda: re.search(r"server-unhealthy .*why=errors", farm.log("s1").read_text()), "5xx are heeded")
    becomes(farm, None)  # a good check takes it back


def main():
    args = options()
    if not NGINX:
        print("there is no nginx")
        sys.exit(77)
    with scenario(args.build, 18) as farm:
        folder = farm.dir / "nginx"
        www = folder / "www"
        www.mkdir(parents=True)
        for path in (farm.dir, folder, www):
            path.chmod(0o755)
        (www / "health").write_text("we are ready for you\n")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=s1.shop.test", "-addext", "subjectAltName=DNS:s1.shop.test",
                        "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
        (folder / "nginx.conf").write_text(CONF.format(dir=folder, ip=farm.ip("s1"), tls=TLS, plain=SHOP))

        def start():
            return Process([NGINX, "-c", folder / "nginx.conf"], farm.run / "nginx.log")
        conf = farm.conf("s1")
        text = re.sub(r"check \{[^}]*\}", 'check { type = "https" path = "/health" status = "200" text = "ready" '
                      f'verify = yes ca-file = "{folder}/cert.pem" interval = "400ms" interval-fast = "50ms" rise = 2 }}',
                      conf.read_text())
        conf.write_text(text.replace(f':{SHOP}"', f':{TLS}"'))
        nginx = start()
        for name in farm.names:
            farm.start_node(name)
            if name != "s1":
                farm.start_shop(name)
        try:
            farm.wait_ready("s2", "s3")
            checks(farm, www)
            nginx = grows(farm, start, nginx)
            errors_count(farm)
        finally:
            nginx.end()


main()
