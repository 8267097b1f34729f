/* page.c - the frame of every page. */
#include "page.h"

static void add_bar(struct text *t, const struct shop *s, const struct cart *c)
{
    int count = c ? cart_count(c) : 0;
    text_add(t, "<header class=bar><div class=wrap>"
                "<a class=brand href='/'><svg viewBox='0 0 32 32' aria-hidden=true>"
                "<circle cx=16 cy=16 r=15 fill='#1d5c4a'/><path d='M9 20c0-8 14-2 14-9' fill=none "
                "stroke='#f4c66a' stroke-width=3 stroke-linecap=round /><path d='M9 23h14' "
                "stroke='#fff' stroke-width=2.5 stroke-linecap=round /></svg>Steadfast Goods</a>"
                "<span class='badge ");
    text_html(t, s->server);
    text_add(t, "' title='The server that answered'><i></i>server <b>");
    text_html(t, s->server);
    text_add(t, "</b></span><nav>");
    if (c && c->user[0]) {
        text_add(t, "<span class=hello>Hello, ");
        text_html(t, c->user);
        text_add(t, "</span><form method=post action='/logout'><button class=link>Log "
                    "out</button></form>");
    } else {
        text_add(t, "<a href='/login'>Log in</a>");
    }
    text_add(t, "<a class=tocart href='/cart'>Cart");
    if (count)
        text_addf(t, " <span class=count>%d</span>", count);
    text_add(t, "</a></nav></div></header>");
}

void page_begin(struct text *t, const struct shop *s, const struct cart *c, const char *title)
{
    text_add(t, "<!doctype html><html lang=en><head><meta charset=utf-8>"
                "<meta name=viewport content='width=device-width, initial-scale=1'><title>");
    text_html(t, title);
    text_add(t, " · Steadfast Goods</title><link rel=icon href='data:,'>"
                "<link rel=stylesheet href='/style.css'></head><body>");
    add_bar(t, s, c);
    text_add(t, "<main class=wrap>");
}

void page_end(struct text *t)
{
    text_add(t, "</main><footer><div class=wrap><p>Your cart is kept by at least two servers "
                "before we say so. If the one you are on goes away, another has it.</p>"
                "<p class=small>A demonstration: nothing is sold here, and nothing is "
                "sent.</p></div></footer></body></html>\n");
}

void page_drawing(struct text *t, const struct product *p)
{
    text_addf(t, "<svg class=drawing viewBox='0 0 200 150' role=img aria-label='");
    text_html(t, p->name);
    text_addf(t, "'><rect width='200' height='150' fill='%s'/>%s</svg>", p->tint, p->drawing);
}

static void add_button(struct text *t, int qty, const char *sign, const char *label,
                       const char *name)
{
    bool off = qty < 0 || qty > QTY_MAX;
    text_addf(t, "<button name=qty value='%d' aria-label='%s ", off ? 0 : qty, label);
    text_html(t, name);
    text_addf(t, "'%s>%s</button>", off ? " disabled" : "", sign);
}

void page_stepper(struct text *t, int sku, int qty, const char *back)
{
    const char *name = catalogue_product(sku)->name;
    text_addf(t,
              "<form class=stepper method=post action='/cart'><input type=hidden name=sku "
              "value='%d'><input type=hidden name=back value='%s'>",
              sku, back);
    add_button(t, qty - 1, "−", "One less:", name);
    text_addf(t, "<output>%d</output>", qty);
    add_button(t, qty + 1, "+", "One more:", name);
    text_add(t, "</form>");
}
