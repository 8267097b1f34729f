/* changes.h - the configuration changes while the node runs: operators' changes (change.h), and the
 * file read again. Each makes a new snapshot (live.h) that all parts take up. What operators
 * changed is kept in the state folder, file `changes`, as the difference to the configuration file,
 * and comes back after a restart. On the main thread. */
#ifndef NODE_CHANGES_H
#define NODE_CHANGES_H

#include "node/change.h"
#include "node/command.h"
#include "node/live.h"
#include "node/mesh_loop.h"
#include "node/worker.h"

struct changes {
    uv_loop_t *loop;
    struct shared *shared;
    struct worker *workers;
    const size_t *workers_running;
    struct mesh_loop *mesh;
    const struct state *state;
    uint64_t serial; /* of the newest snapshot */
    /* on a thread of libuv's pool while `saving` */
    uv_work_t save;
    bool saving, unsaved; /* unsaved: there is more than is being written */
    char *save_text;
    size_t save_len;
    int save_error;
    uint64_t save_serial;
    /* on a thread of libuv's pool while `reading` */
    uv_work_t read;
    bool reading, again; /* again: asked for once more meanwhile */
    struct config *fresh;
    char *read_errors, records_error[CONFIG_TEXT_MAX + 128];
    int read_error;
};

/* What the pointers stand for outlives it. */
void changes_init(struct changes *g, struct changes with);
/* When the loop has ended. */
void changes_deinit(struct changes *g);

/* Applies what the state folder remembers to a configuration that was just read. A line that does
 * not fit any more is dropped and logged. */
void changes_restore(const struct config *file, struct config *now);

/* One line of change.h. STEAD_PENDING: it is in effect, and commands_changed() is called when it is
 * on disk; *text is what was done. Otherwise what is wrong: INVAL, NOT_FOUND, EXISTS, FULL,
 * NO_SERVER (the last server that is up), NOMEM. */
int changes_apply(struct changes *g, const char *line, bool force, char *text, size_t cap,
                  uint64_t *serial);
/* Other keys: every part takes them up with a new snapshot. */
void changes_rekey(struct changes *g, const struct shared_keys *keys);
/* Reads the file again. commands_reloaded() is called with what came of it, for all who asked. */
void changes_reload(struct changes *g);

#endif
