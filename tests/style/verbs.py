#!/usr/bin/env python3
"""The command line as its users meet it: help, mistakes, exit statuses, and what is printed of a node's answers. The
node is a stand-in on a loopback port that gives canned answers.
usage: verbs.py SOURCE STEAD"""
import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading

STATUS = {
    "node": "s1", "farm": "shop", "version": "0.1.0", "pid": 7, "uptime_seconds": 200.0, "status": "up", "ready": True,
    "reason": "", "drained": False, "alone": False, "nodes": {"up": 2, "down": 1},
    "sessions": {"records": 1, "owned": 1, "copies": 0, "memory_bytes": 2048, "below_copies": 3},
    "kinds": [{"name": "purchase", "records": 1, "memory_bytes": 900, "memory_limit_bytes": 0, "copies": 2}],
    "mesh": {"bytes_in": 10, "bytes_out": 20, "retransmits": 0, "loop_turn_max_ns": 1000},
    "servers": [{"service": "shop", "urls": ["http://s1.shop.test:8080"], "users": 1, "capacity": 10, "weight": 100,
                 "healthy": False}],
}
ROSTER = {"farm": "shop", "revision": 3, "servers": [
    {"name": name, "service": "shop", "status": status, "users": users, "capacity": 100, "weight": 5,
     "groups": ["blue", "red"], "zone": "", "urls": [f"http://{name}.shop.test"]}
    for name, status, users in (("s1", "up", 7), ("longer-name", "suspect", 12))]}


class Node(http.server.BaseHTTPRequestHandler):
    readyz = (200, "ready\n")
    drained_after = 0
    posted = []

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        if self.path == "/readyz":
            self.answer(*Node.readyz)
        elif self.path == "/v1/status":
            Node.drained_after -= 1
            self.answer(200, json.dumps({**STATUS, "drained": Node.drained_after < 0,
                                         "servers": [] if Node.drained_after < 0 else STATUS["servers"]}))
        elif self.path.startswith("/v1/progress"):
            Node.drained_after -= 1
            safe = Node.drained_after < 0
            self.answer(200, json.dumps({"server": "s2", "status": "draining", "draining": True, "safe": safe,
                                         "users": 0 if safe else 5, "records": 0 if safe else 7}) + "\n")
        else:
            self.answer(200, json.dumps(ROSTER))

    def do_POST(self):
        Node.posted.append(self.path)
        answers = {"/v1/drain": (200, '{"server": "s2", "draining": true}\n'),
                   "/v1/maint": (409, '{"error": "NO_SERVER", "message": "the last"}')}
        self.answer(*answers.get(self.path.split("?")[0],
                                 (403, '{"error": "DENIED", "message": "only by the unix socket"}')))

    def log_message(self, *_):
        pass


def main():
    root, stead = pathlib.Path(sys.argv[1]), sys.argv[2]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Node)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    node = f"127.0.0.1:{server.server_port}"
    found = 0

    def complain(text):
        nonlocal found
        found += 1
        print(text)

    def run(*arguments, status=0, says=(), errors=()):
        done = subprocess.run([stead, *arguments], capture_output=True, text=True, timeout=60)
        call = "stead " + " ".join(arguments)
        if done.returncode != status:
            complain(f"{call}: exit status {done.returncode}, not {status}: {done.stderr}")
        for text, where in [(t, done.stdout) for t in says] + [(t, done.stderr) for t in errors]:
            if text not in where:
                complain(f"{call}: '{text}' is not in:\n{where}")
        return done.stdout

    table = re.search(r"verbs\[\] = \{(.*?)\n\};", (root / "src/cli/main.c").read_text(), flags=re.S).group(1)
    for verb in re.findall(r'^    \{"(\w+)",', table, flags=re.M):
        run("help", verb, says=[f"usage: stead {verb}"])
        if verb not in ("version", "help", "keygen"):
            run(verb, "--frobnicate", status=2, errors=["there is no option '--frobnicate'", f"stead help {verb}"])
    run("frobnicate", status=2, errors=["there is no verb 'frobnicate'"])
    run("help", "frobnicate", status=2, errors=["there is no verb"])
    run("check", "-c", "/nonexistent/stead.conf", status=2, errors=["/nonexistent/stead.conf: cannot be read"])
    run("check", "surplus", status=2, errors=["what is 'surplus'?"])
    run("status", "-c", "/nonexistent/stead.conf", status=2, errors=["name the node by"])
    run("status", "unix:/nonexistent/admin.sock", status=1, errors=["no node answers", "is it running?"])
    run("status", "a", "b", status=2, errors=["one node at a time"])
    run("wait", "-t", "soon", node, status=2, errors=["-t takes seconds"])

    Node.drained_after = 2
    text = run("status", node, says=["s1 of farm shop: up, ready for clients", "started 3 min ago",
                                     "\n! 1 node is down\n", "! 3 records have fewer copies than promised",
                                     "! the real server of service shop does not answer",
                                     "1 record: 1 owned, 0 copies for others; 2.0 KiB"])
    if not 0 < text.find("!") < text.find("nodes  "):
        complain("stead status: what is wrong does not stand first")
    if "\033" in text:
        complain("stead status: colours although the output is no terminal")
    if json.loads(run("status", "--json", node))["node"] != "s1":
        complain("stead status --json is not the node's answer")
    lines = run("roster", "--admin", node).splitlines()
    columns = {line.index(word) for line, word in zip(lines, ("STATUS", "up", "suspect"))}
    if len(lines) != 3 or len(columns) != 1 or "12/100" not in lines[2] or "blue,red" not in lines[1]:
        complain("stead roster is no aligned table:\n" + "\n".join(lines))
    if json.loads(run("roster", node, "--json")) != ROSTER:
        complain("stead roster --json is not the node's answer")

    Node.drained_after = 2
    run("drain", "s%2", "--admin", node, "--wait", says=["it is safe to stop"],
        errors=["s2: 5 users left", "7 records to hand over"])
    if Node.drained_after >= 0:
        complain("stead drain --wait did not wait until the node was drained")
    run("drain", "--force", "--admin", node)
    if Node.posted != ["/v1/drain?force=0&server=s%252", "/v1/drain?force=1"]:
        complain(f"stead drain asked {Node.posted}")
    Node.drained_after = 1000
    run("drain", "--admin", node, "--wait", "-t", "0.3", status=1, errors=["not safe after 0.3 s: 5 users, 7 records"])
    run("drain", "--admin", node, "-t", "x", status=2, errors=["-t takes seconds"])
    run("drain", "a", "b", "--admin", node, status=2, errors=["one server at a time"])
    run("undrain", "--admin", node, status=1, errors=["only by the unix socket"])
    run("maint", "--admin", node, status=1, errors=["the last server that is up", "--force"])
    run("maint", "--off", "--admin", node, status=1, errors=["only by the unix socket"])
    run("wait", "--safe", node, "-t", "0.2", status=1, errors=["not safe after 0.2 s: 5 users, 7 records left"])

    run("wait", node)
    Node.readyz = (503, "joining: no other node has answered yet\n")
    run("wait", node, "-t", "0.2", status=1, errors=["not ready after 0.2 s: joining: no other node"])
    run("wait", "unix:/nonexistent/admin.sock", "-t", "0", status=1, errors=["it does not answer"])
    Node.readyz = (200, "ready\n")
    run("wait", "--synced", node, "-t", "0.2", status=1, errors=["below_copies is 3"])

    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
