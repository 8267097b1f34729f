#!/usr/bin/env python3
"""docs/session-api.openapi.json held against a running node: every operation is asked for every status that it names,
every answer is as its schema says, and every other method is refused as documented."""
import http.client
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "roster")]
from farm import SOURCE, check, eventually, options, scenario
from schema import Schema

DOC = json.loads((SOURCE / "docs" / "session-api.openapi.json").read_text())
SCHEMA = Schema(DOC)
PORT, TOKEN = 7481, "a-token-of-the-test"
EVENTS = "text/event-stream"
METHODS = ("get", "head", "post", "put", "patch", "delete")


def resolve(part):
    return SCHEMA.definition(part["$ref"]) if "$ref" in part else part


class Answer:
    def __init__(self, reply, body):
        self.status, self.body = reply.status, body
        self.headers = {k.lower(): v for k, v in reply.getheaders()}

    def json(self):
        return json.loads(self.body)


class Tester:
    """Asks by operation, and knows which statuses each has given."""

    def __init__(self, ip):
        self.ip, self.seen = ip, set()

    def send(self, method, path, body=None, headers=None, token=True, host="localhost"):
        headers = {"Host": host, **(headers or {})}
        if token:
            headers["Authorization"] = f"Bearer {TOKEN}"
        connection = http.client.HTTPConnection(self.ip, PORT, timeout=30)
        try:
            connection.request(method.upper(), path, body=body, headers=headers)
            reply = connection.getresponse()
            stream = reply.getheader("Content-Type") == EVENTS
            return Answer(reply, self.event(reply) if stream else reply.read())
        finally:
            connection.close()

    def event(self, reply):
        lines = []
        while not lines or lines[-1] or not any(line.startswith("data: ") for line in lines):
            lines.append(reply.readline().decode().rstrip("\n"))
        return next(line for line in lines if line.startswith("data: ")).removeprefix("data: ").encode()

    def ask(self, method, template, expect, body=None, query="", headers=None, valid=True, **values):
        """Asks, and holds what comes against the document."""
        sent = {k: values.pop(k) for k in ("token", "host") if k in values}
        path = template.format(**values) + query
        text = json.dumps(body) if isinstance(body, dict | list) else body
        answer = self.send(method, path, text, headers, **sent)
        where = f"{method} {path}"
        check(answer.status == expect, f"{where}: {answer.status}, not {expect}: {answer.body[:300]}")
        operation = DOC["paths"][template][method]
        check(str(expect) in operation["responses"], f"{where}: {expect} is not in the document")
        if body is not None and valid:
            media = resolve(operation["requestBody"])["content"]["application/json"]
            self.hold(json.loads(text), media["schema"], f"{where}: the body sent")
        self.seen.add((template, method, str(expect)))
        self.hold_answer(answer, resolve(operation["responses"][str(expect)]), where)
        return answer

    def hold(self, value, schema, where):
        wrong = SCHEMA.wrong(value, schema)
        check(not wrong, f"{where}: {wrong}")

    def hold_answer(self, answer, response, where):
        for name, header in response.get("headers", {}).items():
            value = answer.headers.get(name.lower())
            optional = name.startswith(("Stead-", "Remote-")) or answer.headers.get("content-type") == EVENTS
            check(value is not None or optional, f"{where}: no {name}")
            if value is not None:
                self.hold(value, resolve(header)["schema"], f"{where}: {name}")
        content = response.get("content")
        if not content:
            check(answer.body == b"", f"{where}: {answer.body[:100]}")
            return
        kind = answer.headers["content-type"]
        check(kind in content, f"{where}: {kind}")
        schema = content[kind]["schema"]
        if kind == EVENTS:
            schema = {"$ref": "#/components/schemas/record"}
        self.hold(answer.json(), schema, where)

    def untested(self):
        """Statuses of the document that nothing here has brought about, but for those that it calls rare."""
        for template, methods in DOC["paths"].items():
            for method, operation in methods.items():
                if method == "parameters":
                    continue
                for status, response in operation["responses"].items():
                    if "x-rare" not in response and (template, method, status) not in self.seen:
                        yield f"{method} {template}: {status}"


ALL, ONE = "/v1/sessions/{kind}", "/v1/sessions/{kind}/{id}"
RENEW, TOUCH = ONE + "/renew", ONE + "/touch"
AUTH, BELOW, REPORT = "/v1/auth", "/v1/auth/{path}", "/v1/server/{service}/report"
KEYS, KEPT = "/v1/tls/{set}/keys", "/v1/tls/{set}/{id}"
TAKE = KEPT + "/take"
SOME = {"kind": "app", "id": "x", "path": "page", "service": "shop", "set": "shop"}
VALUE = {"value": "c2VjcmV0", "ttl": 60}


def denied(t):
    for template, methods in DOC["paths"].items():
        for method in methods:
            if method == "parameters":
                continue
            t.ask(method, template, 401, token=False, **SOME)
            t.ask(method, template, 403, host="evil.test", **SOME)


def other_methods(t):
    for template, methods in DOC["paths"].items():
        allowed = {m.upper() for m in methods if m != "parameters"}
        if "GET" in allowed:
            allowed.add("HEAD")
        for method in METHODS if not template.startswith(AUTH) else ():
            if method.upper() in allowed:
                continue
            answer = t.send(method, template.format(**SOME))
            check(answer.status == 405, f"{method} {template}: {answer.status}")
            check(set(answer.headers["allow"].split(", ")) == allowed, f"{template}: {answer.headers['allow']}")
            if method != "head":
                t.hold(answer.json(), {"$ref": "#/components/schemas/error"}, template)
        for method in ("get",) if "GET" in allowed and not template.startswith(AUTH) else ():
            long, short = t.send(method, template.format(**SOME)), t.send("head", template.format(**SOME))
            check(long.status == short.status and short.body == b"", f"HEAD {template} is as GET")


def sessions(t):
    made = t.ask("post", ALL, 201, {"ttl": 60, "fields": {"n": "1", "raw": {"base64": "/wD+"}}}, kind="app").json()
    at = {"kind": "app", "id": made["id"]}
    tag = {"If-Match": f'"{made["version"]}"'}
    t.ask("post", ALL, 201, kind="tls")
    mine = t.ask("post", ALL, 201, kind="mine").json()
    check(mine["expires_in"] == 90 and mine["copies"] == 2, f"a kind of the farm's own: {mine}")
    t.ask("get", ONE, 200, **at)
    t.ask("get", ONE, 200, headers={"Accept": EVENTS}, **at)
    t.ask("head", ONE, 200, **at)
    t.ask("get", ONE, 304, query="?wait=1", headers={"If-None-Match": tag["If-Match"]}, **at)
    t.ask("get", ONE, 412, query="?at_least=9.9", **at)
    t.ask("patch", ONE, 200, {"set": {"a": "b"}, "delete": ["raw"], "add": {"n": 2}}, headers=tag, **at)
    t.ask("patch", ONE, 412, {}, headers=tag, **at)
    t.ask("patch", ONE, 422, {"add": {"a": 1}}, **at)
    t.ask("patch", ONE, 413, {"set": {"big": "x" * 1_100_000}}, **at)
    t.ask("post", ALL, 413, {"fields": {"big": "x" * 1_100_000}}, kind="app")
    t.ask("delete", ONE, 412, headers=tag, **at)
    t.ask("post", TOUCH, 200, {"ttl": 90}, **at)
    t.ask("post", TOUCH, 200, **at)
    at["id"] = t.ask("post", RENEW, 200, {}, **at).json()["id"]
    t.ask("delete", ONE, 204, **at)
    for method, template in (("get", ONE), ("head", ONE), ("patch", ONE), ("delete", ONE), ("post", RENEW), ("post", TOUCH)):
        t.ask(method, template, 404, **at)
    t.ask("post", ALL, 404, kind="nokind")
    for method, template in (("post", ALL), ("patch", ONE), ("post", RENEW), ("post", TOUCH)):
        t.ask(method, template, 400, "{", valid=False, **SOME)
    for method, template in (("get", ONE), ("delete", ONE)):
        t.ask(method, template, 400, headers={"Stead-Deadline-Ms": "soon"}, **SOME)


def full(t):
    """The kind stream has room for little."""
    at = {"kind": "stream", "id": t.ask("post", ALL, 201, {"fields": {"a": "b"}}, kind="stream").json()["id"]}
    other = t.ask("post", ALL, 201, {"fields": {"a": "x" * 60_000}}, kind="stream").json()["id"]
    t.ask("post", ALL, 507, {"fields": {"a": "x" * 900_000}}, kind="stream")
    t.ask("patch", ONE, 507, {"set": {"a": "x" * 900_000}}, **at)
    for _ in range(100):
        if t.send("post", "/v1/sessions/stream", json.dumps({"fields": {"a": "x" * 60_000}})).status == 507:
            break
    t.ask("post", RENEW, 507, kind="stream", id=other)


def logins(t):
    made = t.ask("post", AUTH, 201, {"user": "ann", "methods": ["pwd"], "claims": {"groups": "staff"}, "ttl": 60,
                                     "expires_in": 600}).json()
    cookie = {"Cookie": f"session={made['id']}"}
    t.ask("post", AUTH, 400, {"name": "ann"}, valid=False)
    t.ask("post", AUTH, 413, {"user": "ann", "claims": {"c": "x" * 1_100_000}})
    for template in (AUTH, BELOW):
        answer = t.ask("get", template, 200, headers=cookie, path="a/b")
        check(answer.headers["remote-user"] == "ann", "it is ann")
    t.ask("get", AUTH, 401)
    t.ask("get", AUTH, 403, query="?user=bob", headers=cookie)
    t.ask("get", AUTH, 302, query="?login=http://login.test/")
    t.ask("get", AUTH, 400, query="?login=x")
    big = {"user": "ann", "claims": {"c": "x" * 900_000}}
    for _ in range(100):
        if t.send("post", AUTH, json.dumps(big)).status == 507:
            break
    t.ask("post", AUTH, 507, big)


def tls(t):
    """What a server keeps is there, and is taken once."""
    at = {"set": "shop", "id": os.urandom(32).hex()}
    t.ask("get", KEYS, 200, **at)
    t.ask("get", KEYS, 400, set="no:set")
    t.ask("put", KEPT, 404, VALUE, headers={"If-Match": "*"}, **at)
    t.ask("put", KEPT, 204, VALUE, **at)
    t.ask("put", KEPT, 409, VALUE, **at)
    t.ask("put", KEPT, 204, VALUE, headers={"If-Match": "*"}, **at)
    t.ask("put", KEPT, 400, {"value": "?"}, valid=False, **at)
    t.ask("put", KEPT, 413, {"value": "A" * 12000, "ttl": 1}, **at)
    check(t.ask("get", KEPT, 200, **at).json()["value"] == VALUE["value"], "the value is there")
    t.ask("post", TAKE, 200, **at)
    t.ask("post", TAKE, 404, **at)
    for method in ("get", "delete"):
        t.ask(method, KEPT, 404, **at)
        t.ask(method, KEPT, 400, set="shop", id="x")
    t.ask("post", TAKE, 400, set="shop", id="x")
    at["id"] = os.urandom(32).hex()
    t.ask("put", KEPT, 204, VALUE, **at)
    t.ask("delete", KEPT, 204, **at)


def the_rest(t):
    for template in ("/v1/kinds", "/v1/whoami"):
        t.ask("get", template, 200)
    at = {"service": "shop"}
    t.ask("get", REPORT, 404, **at)
    t.ask("put", REPORT, 200, {"users": 3, "load": 0.5, "groups": {"blue": 1}, "weight_percent": 50, "status": "up"}, **at)
    t.ask("get", REPORT, 200, **at)
    t.ask("put", REPORT, 400, {"users": "many"}, valid=False, **at)
    t.ask("put", REPORT, 413, json.dumps({"users": 1}) + " " * 5000, **at)
    t.ask("delete", REPORT, 204, **at)
    for method in ("get", "put", "delete"):
        t.ask(method, REPORT, 404, service="none")


def alone(t, farm):
    """The others are gone: nothing is promised that needs them, and what they may have is not called absent."""
    made = t.ask("post", ALL, 201, {"fields": {"a": "b"}}, kind="purchase").json()
    login = t.ask("post", AUTH, 201, {"user": "bob"}).json()
    for name in ("s2", "s3"):
        farm.kill(name)
    eventually(lambda: t.send("post", "/v1/sessions/purchase").status == 503, "s1 is alone")
    at = {"kind": "purchase", "id": made["id"]}
    t.ask("post", ALL, 503, kind="purchase")
    t.ask("patch", ONE, 503, {"set": {"a": "c"}}, **at)
    t.ask("post", TOUCH, 503, {"ttl": 5}, **at)
    t.ask("post", RENEW, 503, **at)
    t.ask("delete", ONE, 503, **at)
    t.ask("get", ONE, 503, kind="purchase", id="unknown")
    t.ask("post", AUTH, 503, {"user": "ann"})
    cookie = {"Cookie": f"session={login['id'][::-1]}"}
    for template in (AUTH, BELOW):
        t.ask("get", template, 503, headers=cookie, path="a")


def configure(farm):
    token = farm.dir / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    for name in farm.names:
        conf = farm.conf(name)
        text = conf.read_text()
        small = '    kind "stream" { memory = "600k" }\n    kind "auth" { memory = "16m" size = "1m" }\n    kind "mine" { like = "app" ttl = "90s" }\n'
        text = text.replace('    kind "purchase"', small + '    kind "purchase"')
        if name == "s1":
            text = text.replace('listen = "unix:run/s1.sock"',
                                f'listen = "{farm.ip("s1")}:{PORT}"\n    token-file = "{token}"')
        conf.write_text(text)


def main():
    args = options()
    with scenario(args.build, 37) as farm:
        configure(farm)
        for name in farm.names:
            farm.start_node(name)
        for name in farm.names:
            eventually(lambda name=name: farm.ready(name), f"{name} is ready")
        t = Tester(farm.ip("s1"))
        denied(t)
        other_methods(t)
        sessions(t)
        full(t)
        logins(t)
        tls(t)
        the_rest(t)
        alone(t, farm)
        left = list(t.untested())
        check(not left, f"in the document, and not tested: {left}")


main()
