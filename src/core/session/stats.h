/* stats.h - what a shard counts. All of it are counts, so shards add up word by word. */
#ifndef CORE_SESSION_STATS_H
#define CORE_SESSION_STATS_H

#include "core/session/kind.h"

#include <stdint.h>

struct session_stats {
    uint64_t records, owned, copies, tombstones, memory_bytes;
    uint64_t records_of_kind[KINDS_MAX], memory_of_kind[KINDS_MAX];
    uint64_t waiting;       /* operations that wait for another node */
    uint64_t below_copies;  /* owned records with fewer copies than promised */
    uint64_t orphans;       /* copies whose owner is down and that wait for a claim */
    uint64_t doubtful;      /* owned records that must be claimed again before they are served */
    uint64_t handover_left; /* records still to be handed over while leaving */
    uint64_t claims, claims_failed, fenced, refused, splits_merged, values_lost, expired, evicted;
    uint64_t reads_missed_again, reads_local, reads_owner, reads_missed, full, malformed, busy;
    uint64_t found, found_kept;  /* of those missed: at another node; at a repository */
    uint64_t verified, diverged; /* records compared with others; copies found to differ */
    uint64_t sweep_verified;     /* records compared since session_verify began */
    uint64_t divergent;          /* of them not mended yet, as far as they are remembered */
    uint64_t ranges_compared, ranges_differing; /* ranges.h: so far; that differ again and again */
    uint64_t ranges_age_s; /* since all were compared with the peer that it is longest ago with */
    uint64_t pushes, pushes_failed; /* of those asked for on this node: kept, and not */
    uint64_t no_quorum, votes;      /* refused without a majority of the voters; 1: it is a voter */
    uint64_t shelved, shelf_claimed, shelf_overruled;     /* shelf.h */
    uint64_t bulk_sent, bulk_kept, bulk_lost, bulk_taken; /* records, here and there: bulk.h */
    uint64_t sync_parts, sync_percent; /* joining: shards of others, and how far each is, summed */
    uint64_t sync_peers, sync_done;    /* joining: peers asked, and done */
};

#endif
