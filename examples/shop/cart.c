/* cart.c - between the fields of a record and a cart. */
#include "cart.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void cart_init(struct cart *c)
{
    memset(c, 0, sizeof *c);
}

static void read_text(const json_t *object, const char *name, char *out, size_t cap)
{
    const char *value = json_string_value(json_object_get(object, name));
    snprintf(out, cap, "%s", value ? value : "");
}

static void read_address(const json_t *fields, const char *prefix, struct address *to)
{
    const struct {
        const char *name;
        char *out;
    } parts[] = {{"name", to->name}, {"street", to->street}, {"zip", to->zip}, {"city", to->city}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char field[32];
        snprintf(field, sizeof field, "%s%s", prefix, parts[i].name);
        read_text(fields, field, parts[i].out, CART_TEXT_MAX + 1);
    }
}

static void read_order(const json_t *fields, struct order *o)
{
    char total[24];
    read_text(fields, "order", o->number, sizeof o->number);
    read_text(fields, "order_txn", o->txn, sizeof o->txn);
    read_text(fields, "order_total", total, sizeof total);
    o->total_cents = strtol(total, NULL, 10);
    read_address(fields, "billing.order.", &o->address);
}

void cart_from_record(struct cart *c, const json_t *record)
{
    const json_t *fields = json_object_get(record, "fields");
    char user[USER_MAX + 1];
    memcpy(user, c->user, sizeof user);
    cart_init(c);
    memcpy(c->user, user, sizeof user);
    read_text(record, "id", c->id, sizeof c->id);
    read_text(record, "version", c->version, sizeof c->version);
    for (int sku = 1; sku <= SKU_MAX; sku++) {
        char name[16], value[8];
        snprintf(name, sizeof name, "item:%d", sku);
        read_text(fields, name, value, sizeof value);
        long qty = strtol(value, NULL, 10);
        c->qty[sku] = qty > 0 && qty <= QTY_MAX ? (int)qty : 0;
    }
    read_text(fields, "txn", c->txn, sizeof c->txn);
    read_address(fields, "billing.", &c->billing);
    read_order(fields, &c->order);
}

int cart_count(const struct cart *c)
{
    int n = 0;
    for (int sku = 1; sku <= SKU_MAX; sku++)
        n += c->qty[sku];
    return n;
}

long cart_total_cents(const struct cart *c)
{
    long cents = 0;
    for (int sku = 1; sku <= SKU_MAX; sku++)
        cents += c->qty[sku] * catalogue_product(sku)->price_cents;
    return cents;
}

json_t *cart_json(const struct cart *c, const char *server)
{
    json_t *items = json_array();
    for (int sku = 1; sku <= SKU_MAX; sku++) {
        const struct product *p = catalogue_product(sku);
        if (c->qty[sku])
            json_array_append_new(items, json_pack("{s:i, s:s, s:i, s:I}", "sku", sku, "name",
                                                   p->name, "qty", c->qty[sku], "price_cents",
                                                   (json_int_t)p->price_cents));
    }
    return json_pack("{s:s, s:s*, s:o, s:I}", "server", server, "version",
                     c->version[0] ? c->version : NULL, "items", items, "total_cents",
                     (json_int_t)cart_total_cents(c));
}

/* A number for a purchase: 80 random bits. */
static bool make_txn(char out[CART_TXN_MAX + 1])
{
    unsigned char random[10];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(out + 2 * i, 3, "%02x", random[i]);
    return true;
}

static json_t *qty_json(int qty)
{
    return json_sprintf("%d", qty);
}

json_t *cart_new_fields(int sku, int qty)
{
    char name[16], txn[CART_TXN_MAX + 1];
    if (!make_txn(txn))
        return NULL;
    json_t *fields = json_pack("{s:s}", "txn", txn);
    snprintf(name, sizeof name, "item:%d", sku);
    if (fields && sku && qty)
        json_object_set_new(fields, name, qty_json(qty));
    return fields;
}

json_t *cart_set_change(int sku, int qty)
{
    char name[16];
    snprintf(name, sizeof name, "item:%d", sku);
    return qty ? json_pack("{s:{s:o}}", "set", name, qty_json(qty))
               : json_pack("{s:[s]}", "delete", name);
}

json_t *cart_billing_change(const struct address *to)
{
    return json_pack("{s:{s:s, s:s, s:s, s:s}}", "set", "billing.name", to->name, "billing.street",
                     to->street, "billing.zip", to->zip, "billing.city", to->city);
}

/* The same purchase always gets the same number. */
static void order_number(const char *txn, char *out, size_t cap)
{
    snprintf(out, cap, "SG-%.4s-%.4s-%.4s", txn, txn + 4, txn + 8);
    for (char *at = out; *at; at++)
        *at = (char)toupper((unsigned char)*at);
}

json_t *cart_order_change(const struct cart *c, const struct address *to)
{
    char number[32], next_txn[CART_TXN_MAX + 1];
    json_t *gone = json_array();
    if (strlen(c->txn) < 12 || !make_txn(next_txn)) {
        json_decref(gone);
        return NULL;
    }
    order_number(c->txn, number, sizeof number);
    for (int sku = 1; sku <= SKU_MAX; sku++)
        if (c->qty[sku])
            json_array_append_new(gone, json_sprintf("item:%d", sku));
    return json_pack("{s:{s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s}, s:o, s:{s:i}}", "set", "txn",
                     next_txn, "order", number, "order_txn", c->txn, "order_total",
                     json_sprintf("%ld", cart_total_cents(c)), "billing.order.name", to->name,
                     "billing.order.street", to->street, "billing.order.zip", to->zip,
                     "billing.order.city", to->city, "delete", gone, "add", "orders", 1);
}
