/* hook.h - how another program is told that there is something new for it: by a command, a signal,
 * or a line to its socket. Each blocks its thread, bounded in time and by *stop. `why` is for
 * people, and empty when all went well. */
#ifndef NODE_HOOK_H
#define NODE_HOOK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOOK_WHY_MAX 160
#define HOOK_WORDS_MAX 16
#define HOOK_LINE_MAX 512

struct hook {
    uint32_t deadline_ms;
    const atomic_bool *stop;
    char why[HOOK_WHY_MAX];
};

/* Can it be run? Words between blanks, the first an absolute path: no shell sees it. */
bool hook_line_valid(const char *line);
/* True: it has ended with status 0. One that takes too long is killed with its children; when this
 * process stops, it goes on by itself. */
bool hook_run(struct hook *h, const char *line);
/* To the process whose number is in the file. */
bool hook_signal(struct hook *h, const char *pid_file, int number);
/* Sends it to the unix socket, and reads up to cap - 1 bytes until the other side closes; a NUL is
 * put behind them. */
bool hook_say(struct hook *h, const char *path, const char *text, size_t len, char *reply,
              size_t cap);

#endif
