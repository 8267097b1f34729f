/* tcp_state_fuzz.c - fields of a connection's state: what is read is sound, and is written and read
 * again alike. Input: a number of a name, a length of two bytes, the value; over and over. */
#include "core/tcp/tcp_state.h"
#include "fuzz_check.h"

#include <string.h>

#define FIELDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "state",   "local",   "remote",    "options", "snd_una", "snd_nxt",    "rcv_nxt",
    "snd_wnd", "snd_wl1", "max_wnd",   "rcv_wnd", "rcv_wup", "snd_wscale", "rcv_wscale",
    "mss",     "ts_val",  "ts_recent", "unacked", "unsent",  "unread",     "other"};

static size_t split(const uint8_t *data, size_t size, struct stead_field fields[FIELDS_MAX])
{
    size_t n = 0;
    while (n < FIELDS_MAX && size >= 3) {
        size_t len = (size_t)data[1] << 8 | data[2];
        const char *name = names[data[0] % (sizeof names / sizeof names[0])];
        data += 3;
        size -= 3;
        len = len < size ? len : size;
        fields[n++] = (struct stead_field){name, data, len};
        data += len;
        size -= len;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stead_field fields[FIELDS_MAX];
    struct tcp_state_form form;
    struct stead_tcp t, again;
    size_t n = split(data, size, fields);
    if (tcp_state_read(fields, n, &t) != STEAD_OK) {
        CHECK(t.family == 0 && t.unacked_len == 0);
        return 0;
    }
    CHECK(tcp_state_is_sound(&t));
    CHECK(tcp_state_write(&t, &form) == STEAD_OK);
    CHECK(tcp_state_read(form.fields, TCP_STATE_FIELDS, &again) == STEAD_OK);
    CHECK(again.unacked_len == t.unacked_len && again.unsent_len == t.unsent_len &&
          again.unread_len == t.unread_len);
    CHECK(t.unacked_len == 0 || memcmp(again.unacked, t.unacked, t.unacked_len) == 0);
    again.unacked = t.unacked;
    again.unsent = t.unsent;
    again.unread = t.unread;
    CHECK(memcmp(&again, &t, offsetof(struct stead_tcp, unacked)) == 0);
    for (size_t i = 0; i < TCP_STATE_FIELDS; i++) { /* it takes every field */
        struct stead_field kept = form.fields[i];
        form.fields[i].name = "other";
        CHECK(tcp_state_read(form.fields, TCP_STATE_FIELDS, &again) == STEAD_E_PARSE);
        form.fields[i] = kept;
    }
    return 0;
}
