#!/usr/bin/env python3
"""A shopper begins on http, pays on https, and goes back to http, all on one server: with curl, and with a browser in the
example shop's own pages. Who is on https stays there when the server has to be another.

usage: test.py --build DIR
"""
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tls")]
from browser import Browser, installed
from certs import Authority
from farm import PUBLIC, check, eventually, options, scenario

TLS, WWW = 8443, "www.shop.test"
ADDRESS = {"name": "Ann", "street": "Main Street 1", "zip": "12345", "city": "Town"}


def configure(farm):
    Authority(farm.run).issue("shop", "shop", WWW, "*.shop.test")
    services = farm.dir / "services.conf"
    services.write_text(services.read_text().replace('policy = "least-users"', """policy = "random"
    https-paths = {"/checkout*", "/order", "/login"}
    http-paths  = {"/", "/cart*"}"""))
    for name in farm.names:
        ip, text = farm.ip(name), farm.conf(name).read_text()
        text = text.replace(f'public {{ listen = "{ip}:{PUBLIC}" }}', f"""
public {{ listen = "{ip}:{PUBLIC}" listen-tls = "{ip}:{TLS}" }}
tls {{ certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} }}""")
        text = text.replace(f'"http://{name}.shop.test:{PUBLIC}"',
                            f'"http://{name}.shop.test:{PUBLIC}", "https://{name}.shop.test:{TLS}"')
        farm.conf(name).write_text(text)


class Curl:
    """A shopper with a jar of cookies; every name leads where the name server would lead it."""

    def __init__(self, farm, number):
        self.farm, self.jar = farm, farm.run / f"jar{number}"

    def ask(self, url, *args):
        """(url in the end, redirects, answer)"""
        farm = self.farm
        resolve = [f"{n}.shop.test:{p}:{farm.ip(n)}" for n in farm.names for p in (PUBLIC, TLS)]
        resolve += [f"{WWW}:{p}:{','.join(farm.ip(n) for n in farm.names)}" for p in (PUBLIC, TLS)]
        done = subprocess.run(
            ["curl", "-sSL", "--noproxy", "*", "--cacert", farm.run / "authority.pem", "-b", self.jar, "-c", self.jar,
             *[a for r in resolve for a in ("--resolve", r)], "-w", "\n%{num_redirects} %{http_code} %{url_effective}", *args, url],
            capture_output=True, text=True, timeout=60, check=False)
        check(done.returncode == 0, f"curl {args} {url}: {done.returncode} {done.stderr}")
        text, _, last = done.stdout.rpartition("\n")
        redirects, status, where = last.split()
        check(status == "200", f"{url}: {status} at {where}: {text[-300:]}")
        return where, int(redirects), text


def form(fields):
    return [a for k, v in fields.items() for a in ("--data-urlencode", f"{k}={v}")]


def server_of(where, scheme, path):
    port = TLS if scheme == "https" else PUBLIC
    found = re.fullmatch(rf"{scheme}://(s[123])\.shop\.test:{port}{re.escape(path)}", where)
    check(found, f"{scheme}, and {path}: {where}")
    return found.group(1)


def by_curl(farm):
    for number in range(6):
        shopper = Curl(farm, number)
        where, _, _ = shopper.ask(f"http://{WWW}:{PUBLIC}/cart.json", *form({"sku": 3, "qty": 2}))
        server = server_of(where, "http", "/cart.json")
        own = f"http://{server}.shop.test:{PUBLIC}"
        where, redirects, text = shopper.ask(f"{own}/checkout")
        check(server_of(where, "https", "/checkout") == server and redirects == 1, f"checkout on the same server: {where}")
        check("2 ×" in text, f"with its cart: {text[-500:]}")
        # A form that is sent to http is repeated to https, whole.
        where, redirects, text = shopper.ask(f"{own}/checkout", "-H", "Accept: application/json", *form(ADDRESS))
        check(server_of(where, "https", "/checkout") == server and redirects == 1, f"payment on the same server: {where}")
        check(json.loads(text)["order"] and json.loads(text)["server"] == server, f"an order: {text}")
        where, redirects, text = shopper.ask(f"https://{server}.shop.test:{TLS}/cart.json")
        check(server_of(where, "http", "/cart.json") == server and redirects == 1, f"and back: {where}")
        check(json.loads(text)["items"] == [], f"what was bought is not in the cart: {text}")
        # A page that nobody has a wish for stays as it is.
        for url in (f"{own}/whoami.json", f"https://{server}.shop.test:{TLS}/whoami.json"):
            check(shopper.ask(url)[:2] == (url, 0), f"{url} stays")
        # At the common name at once, by the same cookie.
        where, redirects, _ = shopper.ask(f"http://{WWW}:{PUBLIC}/login")
        check(server_of(where, "https", "/login") == server and redirects == 1, f"the common name leads to https: {where}")


class Visit:
    def __init__(self, farm):
        rules = [f"MAP {n}.shop.test {farm.ip(n)}" for n in farm.names] + [f"MAP {WWW} {farm.ip('s2')}"]
        self.browser = Browser(farm, ", ".join(rules))

    def arrive(self, scheme, path, title):
        """Which server's page it is, when the page is there."""
        def there():
            got = self.browser.evaluate("JSON.stringify([document.readyState, location.href, document.title,"
                                        "(document.querySelector('.badge b') || {}).textContent])")
            state, where, shown, badge = json.loads(got)
            return (state == "complete" and title in shown and where.startswith(scheme + ":") and where.endswith(path) and
                    (where, badge))
        where, badge = eventually(there, f"{scheme} page {path}, {title}")
        check(server_of(where, scheme, path) == badge, f"{where} is answered by {badge}")
        return badge

    def click(self, selector):
        check(self.browser.evaluate(f"(e => e ? (e.click(), 1) : 0)(document.querySelector({json.dumps(selector)}))") == 1,
              f"something to click: {selector}")


def by_browser(farm):
    if not installed():
        print("chromium is not here: the browser's part is not run")
        return
    visit = Visit(farm)
    visit.browser.open(f"http://{WWW}:{PUBLIC}/")
    server = visit.arrive("http", "/", "Steadfast Goods")
    places = [server]
    visit.click("button.add")
    eventually(lambda: visit.browser.evaluate("(document.querySelector('nav .count') || {}).textContent") == "1", "one in the cart")
    visit.click("a.tocart")
    places.append(visit.arrive("http", "/cart", "Your cart"))
    visit.click("a[href='/checkout']")
    places.append(visit.arrive("https", "/checkout", "Check out"))
    for name, value in ADDRESS.items():
        visit.browser.evaluate(f"document.querySelector('input[name={name}]').value = {json.dumps(value)}")
    visit.click("form[action='/checkout'] button")
    places.append(visit.arrive("https", "/order", "Thank you"))
    check(visit.browser.evaluate("document.querySelector('.number').textContent"), "an order's number")
    visit.click("section a[href='/']")
    places.append(visit.arrive("http", "/", "Steadfast Goods"))
    visit.browser.end()
    check(places == [server] * 5, f"all on one server: {places}")


def stays_on_https(farm):
    """The shop behind its secondary dies amid the checkout."""
    shopper = Curl(farm, "last")
    where, _, _ = shopper.ask(f"http://{WWW}:{PUBLIC}/cart.json", *form({"sku": 3, "qty": 2}))
    server = server_of(where, "http", "/cart.json")
    own = f"https://{server}.shop.test:{TLS}"
    shopper.ask(f"{own}/checkout")
    farm.kill(server, what=("shop",))
    where, redirects, text = shopper.ask(f"{own}/checkout", "-H", "Accept: application/json", "--proto-redir", "=https", *form(ADDRESS))
    check(server_of(where, "https", "/checkout") != server, f"elsewhere, and still on https: {where}")
    check(json.loads(text)["order"], f"the order is made, once, with the cart: {text}")
    # The same for a page without a wish, and when the whole host is gone: any node stands in for it.
    shopper.ask(f"{own}/whoami.json", "--proto-redir", "=https")
    farm.kill(server, what=("node",))
    others = [n for n in farm.names if n != server]
    eventually(lambda: all(farm.status_of(server, n) == "down" for n in others), f"{server} is counted out")
    stand_in = farm.ip(others[0])
    where, _, _ = shopper.ask(f"{own}/whoami.json", "--proto-redir", "=https", "--connect-to", f"{server}.shop.test:{TLS}:{stand_in}:{TLS}")
    check(server_of(where, "https", "/whoami.json") != server, f"another server's https: {where}")


def main():
    args = options()
    with scenario(args.build, 33) as farm:
        configure(farm)
        farm.started()
        by_curl(farm)
        by_browser(farm)
        stays_on_https(farm)


main()
