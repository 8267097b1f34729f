/* name_records.h - inside role/name: records of a master file (RFC 1035) for other names of the
 * farm's zones, counted by reference. ldns reads the file; every owner must be in a zone. The names
 * of services and servers are the roster's: what the file says of their addresses does not count.
 */
#ifndef ROLE_NAME_RECORDS_H
#define ROLE_NAME_RECORDS_H

#include "role/name/name_table.h"

#define NAME_RECORDS_MAX 1000000u

struct name_records;

/* Names without a final dot are under the first zone, or what $ORIGIN says; a record without a TTL
 * has that of the last $TTL, or the configuration's. NULL: *error says what and where. */
struct name_records *name_records_read(const char *path, const struct name_config *c, char *error,
                                       size_t cap) __attribute__((warn_unused_result));
struct name_records *name_records_ref(struct name_records *r);
void name_records_unref(struct name_records *r); /* takes NULL */
const struct name_table *name_records_table(const struct name_records *r);

#endif
