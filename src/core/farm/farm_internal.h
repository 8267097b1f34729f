/* farm_internal.h - the farm's state, shared by the files of this folder. */
#ifndef CORE_FARM_INTERNAL_H
#define CORE_FARM_INTERNAL_H

#include "core/farm/farm.h"

#include "base/clock.h"
#include "core/mesh/keys_talk.h"

struct farm {
    struct seal *seal;
    struct mesh *mesh;
    struct membership *members;
    struct keys_talk *keys;
    bool keys_behind; /* the seal has not the keys that are in effect, for want of memory */
    uint64_t key_told_ns;
    struct mesh_actions mesh_out;
    struct member_actions member_out;
    uint64_t mesh_deadline_ns, member_deadline_ns;
    uint64_t card_revision;   /* of own entry, as the mesh has it */
    uint64_t beacon_revision; /* likewise, 0 = none */
    bool grouped;             /* there is a multicast group */
    bool unflushed;           /* something waits in the mesh for farm_tick */
    struct session_view view;
    size_t voter_count;
    char voters[QUORUM_VOTERS_MAX][NAME_MAX_BYTES + 1];
    struct peer_view *peers;         /* MEMBERS_MAX */
    struct member_contact *contacts; /* MEMBERS_MAX */
    size_t contact_count;            /* for farm_key_peers() */
};

/* farm.c */
void farm_notice_add(struct farm_actions *out, const struct farm_notice *n);

/* farm_keys.c: the farm's keys and who is told of them */
bool farm_keys_make(struct farm *f);
void farm_keys_met(struct farm *f, uint64_t inc);
void farm_keys_gone(struct farm *f, uint64_t inc);
void farm_keys_message(struct farm *f, uint64_t inc, const uint8_t *bytes, size_t len);
void farm_keys_foreign(struct farm *f, const struct mesh_output *o, uint64_t now_ns,
                       struct farm_actions *out);
/* After frames came in; before frames go out. */
void farm_keys_heard(struct farm *f, uint64_t now_ns);
void farm_keys_send(struct farm *f, uint64_t now_ns);

#endif
