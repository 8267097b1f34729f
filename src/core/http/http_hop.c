/* http_hop.c - telling hop-by-hop fields from others; their names are few, so the length tells most
 * apart. */
#include "core/http/http_hop.h"

#include <strings.h>

enum http_hop http_hop_of(struct slice name)
{
    switch (name.len) {
    case 2:
        return slice_is_nocase(name, "te") ? HTTP_HOP_TE : HTTP_HOP_END;
    case 7:
        return slice_is_nocase(name, "upgrade") ? HTTP_HOP_UPGRADE : HTTP_HOP_END;
    case 10:
        if (slice_is_nocase(name, "connection"))
            return HTTP_HOP_CONNECTION;
        return slice_is_nocase(name, "keep-alive") ? HTTP_HOP_OTHER : HTTP_HOP_END;
    case 16:
        return slice_is_nocase(name, "proxy-connection") ? HTTP_HOP_OTHER : HTTP_HOP_END;
    case 17:
        return slice_is_nocase(name, "transfer-encoding") ? HTTP_HOP_CODING : HTTP_HOP_END;
    case 18:
        return slice_is_nocase(name, "proxy-authenticate") ? HTTP_HOP_OTHER : HTTP_HOP_END;
    case 19:
        return slice_is_nocase(name, "proxy-authorization") ? HTTP_HOP_OTHER : HTTP_HOP_END;
    default:
        return HTTP_HOP_END;
    }
}

/* Options that name no field, fields that are left out anyway, and those that must stay. */
static bool is_no_name(struct slice option)
{
    return option.len == 0 || http_hop_of(option) != HTTP_HOP_END ||
           slice_is_nocase(option, "close") || slice_is_nocase(option, "host") ||
           slice_is_nocase(option, "content-length");
}

bool http_hops_collect(struct http_hops *hops, const struct http_header *headers, size_t count)
{
    hops->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct slice list = headers[i].value, option;
        if (http_hop_of(headers[i].name) != HTTP_HOP_CONNECTION)
            continue;
        while (http_list_next(&list, &option)) {
            if (is_no_name(option))
                continue;
            if (hops->count == HTTP_HOP_NAMES_MAX)
                return false;
            hops->names[hops->count++] = option;
        }
    }
    return true;
}

bool http_hops_name(const struct http_hops *hops, struct slice name)
{
    for (size_t i = 0; i < hops->count; i++)
        if (hops->names[i].len == name.len &&
            strncasecmp(hops->names[i].at, name.at, name.len) == 0)
            return true;
    return false;
}
