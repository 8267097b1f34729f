#!/usr/bin/env python3
"""The server dies between the billing address and the payment: the checkout goes on at another one as the same purchase,
and is charged once, however often and wherever it is paid. The address is private in the nodes."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import Shopper, UnixConnection
from farm import check, eventually, json, options, scenario

ADDRESS = {"name": "Ann Private", "street": "1 Main Street", "zip": "89073", "city": "Ulm"}


def record(farm, name, sid):
    connection = UnixConnection(farm.run / f"{name}.sock")
    connection.request("GET", f"/v1/sessions/purchase/{sid}")
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    check(reply.status == 200, f"the record at {name}: {reply.status} {text}")
    return json.loads(text)["fields"]


def pay(shopper, txn):
    reply = shopper.ask("/checkout", {"txn": txn})
    check(reply.status == 200, f"payment: {reply.status} {reply.text[:200]}")
    return reply.json()


def number(txn):
    return f"SG-{txn[:4]}-{txn[4:8]}-{txn[8:12]}".upper()


def charged_once(farm, shopper, name, txn):
    fields = record(farm, name, shopper.cookie)
    check(fields["orders"] == "1" and fields["order_txn"] == txn, f"charged once, by that number: {fields}")
    check(fields["billing.order.name"] == ADDRESS["name"], f"to that address: {fields}")
    check(not [f for f in fields if f.startswith("item:")], f"the cart is empty: {fields}")


def main():
    args = options()
    with scenario(args.build, 40) as farm:
        farm.started()
        shopper = Shopper([farm.ip(n) for n in farm.servers])
        shopper.base = "http://s1.shop.test:8080"
        check(shopper.ask("/billing", ADDRESS).status == 409, "nothing to buy")
        check(shopper.ask("/cart", {"sku": 1, "qty": 3}).json()["server"] == "s1", "a cart at s1")
        total = shopper.ask("/cart.json").json()["total_cents"]
        check(shopper.ask("/billing", {"name": "Ann"}).status == 400, "half an address is a mistake")
        kept = shopper.ask("/billing", ADDRESS)
        check(kept.status == 200 and kept.json()["server"] == "s1", f"the address at s1: {kept.status} {kept.text}")
        txn = kept.json()["txn"]
        check("value='Ann Private'" in shopper.ask("/checkout", accept="text/html").text, "the form has the address")
        farm.kill("s1")
        shopper.forget_server()
        order = eventually(lambda: pay(shopper, txn), "paid elsewhere")
        check(order["server"] != "s1" and order["order"] == number(txn), f"the same purchase: {order} {txn}")
        check(order["total_cents"] == total, f"for the same money: {order}")
        check(pay(shopper, txn)["order"] == order["order"], "paid again, charged once")
        charged_once(farm, shopper, order["server"], txn)
        page = shopper.ask("/order", accept="text/html").text
        check(all(text in page for text in (order["order"], *ADDRESS.values())), f"the order's page: {page}")
        farm.start("s1")
        farm.wait_ready("s1")
        farm.wait_up(*farm.servers)
        shopper.base = "http://s1.shop.test:8080"
        again = pay(shopper, txn)
        check(again["server"] == "s1" and again["order"] == order["order"], f"paid again where it began: {again}")
        charged_once(farm, shopper, "s1", txn)


main()
