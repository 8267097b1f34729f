/* log.h - one line an event: "level event key=value ...". To stderr, or where log_set_fd() says.
 *
 * Values are quoted when they hold spaces, control characters are escaped, and a call site that
 * speaks more than LOG_BURST times a second is silenced with a count. Safe from any thread. Secrets
 * (keys, tokens, session ids) are never arguments: log a key's digest. The core never logs: it gives
 * notices, and whoever runs it writes them down. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_BURST 20
#define LOG_LINE_MAX 1024

void log_set_level(enum log_level level);
/* Would a line of this level be said? To ask before its values are made at some cost. */
bool log_wants(enum log_level level);
bool log_level_parse(const char *text, enum log_level *out);
/* Put after each line's event as node=NAME; NULL for none. Copied. Call before threads start. */
void log_set_node(const char *name);
/* Lines go to this descriptor from now on; it stays the caller's. Nobody waits for its reader: a line
 * that is not taken at once is lost, counted, and told of when lines are taken again. */
void log_set_fd(int fd);
unsigned long log_lost(void);

/* Begin each line with the time in UTC (RFC 3339). Off at first: journald has its own. */
void log_set_stamps(bool stamps);

struct log_site {
    const char *event;
    enum log_level level;
    long second;
    unsigned said, hushed;
};

/* Writes level, event and the formatted key=value pairs, in one write. The first line that is said after
 * others were silenced ends in hushed=COUNT. A line is cut at LOG_LINE_MAX bytes with "...". */
void log_write(struct log_site *site, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_at(level_, event_, ...)                                                                \
    do {                                                                                           \
        static struct log_site site_ = {.event = (event_), .level = (level_)};                     \
        log_write(&site_, __VA_ARGS__);                                                            \
    } while (0)
#define log_error(event, ...) log_at(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...) log_at(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...) log_at(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_at(LOG_DEBUG, event, __VA_ARGS__)

/* Writes `text` into buf so that it is safe as one value of a log line: quoted if it must be, control
 * characters and quotes escaped, cut with "..." when too long. Returns buf. */
const char *log_quote(const char *text, unsigned long len, char *buf, unsigned long cap);

#endif
