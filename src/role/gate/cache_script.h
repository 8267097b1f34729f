/* cache_script.h - the one script that lock libraries of Redis send: delete a key if its value is
 * still this one. No Lua is run: its text is recognised, whatever its spacing and quotes, and so is
 * its SHA-1 once the text was seen (or is known from libraries that send the digest first). */
#ifndef ROLE_GATE_CACHE_SCRIPT_H
#define ROLE_GATE_CACHE_SCRIPT_H

#include "base/slice.h"

#define CACHE_SCRIPT_DIGEST 40 /* lower-case hex digits */
#define CACHE_SCRIPTS_MAX 16   /* texts seen, besides those known before */

struct cache_scripts {
    size_t count;
    char digests[CACHE_SCRIPTS_MAX][CACHE_SCRIPT_DIGEST];
};

/* Is this text a compare and delete? Then its digest is remembered, and written to `digest`. */
bool cache_script_text(struct cache_scripts *s, struct slice text,
                       char digest[CACHE_SCRIPT_DIGEST + 1]);
bool cache_script_digest(const struct cache_scripts *s, struct slice digest);

#endif
