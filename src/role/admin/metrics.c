/* metrics.c - the metrics as tables, and their text. A row names a place in the snapshot; rows of
 * one name stand together and share the help of the first. */
#include "role/admin/admin.h"
#include "role/admin/text.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum metric_type { COUNTER, GAUGE };
enum metric_unit { PLAIN, SECONDS }; /* SECONDS: the snapshot has ns */

struct metric {
    const char *name, *help;
    const char *labels; /* inside the braces; NULL = none */
    enum metric_type type;
    enum metric_unit unit;
    size_t offset;
};

#define PLACE(field)                                                                               \
    (offsetof(struct admin_snapshot, field) +                                                      \
     0 * sizeof(char[sizeof(((struct admin_snapshot *)0)->field) == sizeof(uint64_t) ? 1 : -1]))
#define ROW(type, name, labels, field, help)                                                       \
    {                                                                                              \
        name, help, labels, type, PLAIN, PLACE(field)                                              \
    }

static const struct metric metrics[] = {
    {"stead_uptime_seconds", "Time since this node started.", NULL, GAUGE, SECONDS,
     PLACE(uptime_ns)},
    {"stead_loop_turn_max_seconds", "Longest turn of the mesh thread's loop since the last scrape.",
     NULL, GAUGE, SECONDS, PLACE(loop_turn_max_ns)},
    ROW(COUNTER, "stead_log_lost_total", NULL, log_lost,
        "Lines of the log that its reader did not take."),
    ROW(COUNTER, "stead_upgrades_total", "state=\"begun\"", upgrades.begun,
        "New processes that this one was asked to hand over to; of those, that failed."),
    ROW(COUNTER, "stead_upgrades_total", "state=\"failed\"", upgrades.failed, ""),
    ROW(COUNTER, "stead_upgrade_adopted_total", NULL, upgrades.adopted,
        "Connections that this process took over from the one before it."),
    ROW(COUNTER, "stead_upgrade_relayed_total", "what=\"passed\"", upgrades.relayed,
        "Datagrams of nodes that were for the other process in an upgrade."),
    ROW(COUNTER, "stead_upgrade_relayed_total", "what=\"lost\"", upgrades.relay_lost, ""),
    ROW(GAUGE, "stead_roster_revision", NULL, roster_revision, "Revision of the roster snapshot."),

    ROW(GAUGE, "stead_session_owned_records", NULL, store.sessions.owned,
        "Records this node owns."),
    ROW(GAUGE, "stead_session_copies", NULL, store.sessions.copies,
        "Copies of others' records here."),
    ROW(GAUGE, "stead_session_tombstones", NULL, store.sessions.tombstones,
        "Deleted records that are remembered."),
    ROW(GAUGE, "stead_session_memory_bytes", NULL, store.sessions.memory_bytes,
        "Memory of all records."),
    ROW(GAUGE, "stead_session_waiting", NULL, store.sessions.waiting,
        "Operations that wait for another node."),
    ROW(GAUGE, "stead_session_below_copies", NULL, store.sessions.below_copies,
        "Owned records with fewer copies than promised."),
    ROW(GAUGE, "stead_session_orphans", NULL, store.sessions.orphans,
        "Copies whose owner is down, waiting for a claim."),
    ROW(GAUGE, "stead_session_doubtful", NULL, store.sessions.doubtful,
        "Owned records to be claimed anew before they are served."),
    ROW(GAUGE, "stead_session_handover_left", NULL, store.sessions.handover_left,
        "Records still to be handed over while leaving."),
    ROW(COUNTER, "stead_session_reads_total", "origin=\"local\"", store.sessions.reads_local,
        "Reads by where they were answered."),
    ROW(COUNTER, "stead_session_reads_total", "origin=\"owner\"", store.sessions.reads_owner, ""),
    ROW(COUNTER, "stead_session_reads_total", "origin=\"missed\"", store.sessions.reads_missed, ""),
    ROW(COUNTER, "stead_session_reads_total", "origin=\"missed_again\"",
        store.sessions.reads_missed_again, ""),
    ROW(COUNTER, "stead_session_found_total", "at=\"node\"", store.sessions.found,
        "What was missed and found elsewhere: at another node, or at a repository."),
    ROW(COUNTER, "stead_session_found_total", "at=\"repository\"", store.sessions.found_kept, ""),
    ROW(COUNTER, "stead_session_claims_total", NULL, store.sessions.claims,
        "Records taken over from dead owners."),
    ROW(COUNTER, "stead_session_claims_failed_total", NULL, store.sessions.claims_failed,
        "Claims that did not go through."),
    ROW(COUNTER, "stead_session_fenced_total", NULL, store.sessions.fenced,
        "Records that this node learned it no longer owns."),
    ROW(COUNTER, "stead_session_refused_total", NULL, store.sessions.refused,
        "Copies that were refused, by term or generation."),
    ROW(COUNTER, "stead_session_splits_merged_total", NULL, store.sessions.splits_merged,
        "Records that two owners had changed and that were merged."),
    ROW(COUNTER, "stead_session_values_lost_total", NULL, store.sessions.values_lost,
        "Values that lost in a merge."),
    ROW(COUNTER, "stead_session_no_quorum_total", NULL, store.sessions.no_quorum,
        "Operations refused since no majority of the voters was there."),
    ROW(GAUGE, "stead_session_voting_shards", NULL, store.sessions.votes,
        "As a voter: shards that count for a majority; all of them, a moment after the start."),
    ROW(GAUGE, "stead_session_divergent", NULL, store.sessions.divergent,
        "Copies that differ from others that should be equal, and are not mended yet."),
    ROW(COUNTER, "stead_session_verified_total", NULL, store.sessions.verified,
        "Records compared with those who keep them too."),
    ROW(COUNTER, "stead_session_ranges_compared_total", NULL, store.sessions.ranges_compared,
        "Ranges of hashes whose sums were compared with another node's."),
    ROW(GAUGE, "stead_session_ranges_differing", NULL, store.sessions.ranges_differing,
        "Ranges that differed twice in a row, and are looked into."),
    ROW(GAUGE, "stead_session_ranges_age_seconds", NULL, store.sessions.ranges_age_s,
        "Since all ranges were compared with the node that it is longest ago with."),
    ROW(COUNTER, "stead_session_diverged_total", NULL, store.sessions.diverged,
        "Copies that were found to differ."),
    ROW(COUNTER, "stead_session_bulk_total", "result=\"sent\"", store.sessions.bulk_sent,
        "Copies sent to other nodes in bulk, without a round for each; confirmed; lost on the "
        "way."),
    ROW(COUNTER, "stead_session_bulk_total", "result=\"kept\"", store.sessions.bulk_kept, ""),
    ROW(COUNTER, "stead_session_bulk_total", "result=\"lost\"", store.sessions.bulk_lost, ""),
    ROW(COUNTER, "stead_session_bulk_taken_total", NULL, store.sessions.bulk_taken,
        "Copies that came from other nodes in bulk, and were kept."),
    ROW(GAUGE, "stead_bulk_connections", NULL, bulk.links, "Connections for copies in bulk."),
    ROW(COUNTER, "stead_bulk_connections_total", "result=\"made\"", bulk.made, "So far."),
    ROW(COUNTER, "stead_bulk_connections_total", "result=\"refused\"", bulk.refused, ""),
    ROW(COUNTER, "stead_bulk_messages_total", "direction=\"in\"", bulk.in, "Messages by them."),
    ROW(COUNTER, "stead_bulk_messages_total", "direction=\"out\"", bulk.out, ""),
    ROW(COUNTER, "stead_bulk_returned_total", NULL, bulk.returned, "That went by datagrams."),
    ROW(COUNTER, "stead_session_pushes_total", "result=\"kept\"", store.sessions.pushes,
        "Records that this node had sent to a node of its choice."),
    ROW(COUNTER, "stead_session_pushes_total", "result=\"failed\"", store.sessions.pushes_failed,
        ""),
    ROW(GAUGE, "stead_session_shelved", NULL, store.sessions.shelved,
        "Records that the repository had kept and that nobody has claimed yet."),
    ROW(COUNTER, "stead_session_shelf_total", "what=\"claimed\"", store.sessions.shelf_claimed,
        "Records that the repository had kept: nobody else had them, or somebody had."),
    ROW(COUNTER, "stead_session_shelf_total", "what=\"overruled\"", store.sessions.shelf_overruled,
        ""),
    ROW(GAUGE, "stead_repository_up", NULL, repository.up,
        "Whether the repository's engine takes what it is given; 0 without a repository."),
    ROW(GAUGE, "stead_repository_records", NULL, repository.records, "Records in the engine."),
    ROW(GAUGE, "stead_repository_file_bytes", NULL, repository.file_bytes, "Bytes of its file."),
    ROW(GAUGE, "stead_repository_lag_milliseconds", NULL, repository.lag_ms,
        "What had changed so long ago is in the engine."),
    ROW(GAUGE, "stead_repository_waiting", NULL, repository.waiting,
        "Records that were being changed when they were to be written."),
    ROW(COUNTER, "stead_repository_loaded_total", "what=\"loaded\"", repository.loaded,
        "Records read at the start: taken, without room or kind, and damaged."),
    ROW(COUNTER, "stead_repository_loaded_total", "what=\"refused\"", repository.refused, ""),
    ROW(COUNTER, "stead_repository_loaded_total", "what=\"damaged\"", repository.damaged, ""),
    ROW(COUNTER, "stead_repository_changes_total", "what=\"written\"", repository.written,
        "Records written to the engine, and removed from it."),
    ROW(COUNTER, "stead_repository_changes_total", "what=\"removed\"", repository.removed, ""),
    ROW(COUNTER, "stead_repository_batches_total", NULL, repository.batches,
        "Times that changes were brought to the disk."),
    ROW(COUNTER, "stead_repository_failures_total", NULL, repository.failures,
        "Times that the engine failed."),
    ROW(COUNTER, "stead_repository_sweeps_total", NULL, repository.sweeps,
        "Times that all records were written anew, since changes had been missed."),
    ROW(COUNTER, "stead_repository_connections_total", NULL, repository.connections,
        "Connections made to the engine's servers (redis)."),
    ROW(COUNTER, "stead_repository_redirects_total", NULL, repository.redirects,
        "Commands that a server of a Cluster had sent to another one."),
    ROW(COUNTER, "stead_repository_primaries_lost_total", NULL, repository.lost,
        "Times that a server was replaced or began anew; all is written again."),
    ROW(COUNTER, "stead_repository_unsure_total", NULL, repository.unsure,
        "Batches that no replica has confirmed in time."),
    ROW(COUNTER, "stead_snapshots_total", "what=\"saved\"", snapshot.saved,
        "Snapshots that were saved, loaded, and that failed."),
    ROW(COUNTER, "stead_snapshots_total", "what=\"loaded\"", snapshot.loaded, ""),
    ROW(COUNTER, "stead_snapshots_total", "what=\"failed\"", snapshot.failed, ""),
    ROW(COUNTER, "stead_session_expired_total", NULL, store.sessions.expired,
        "Records whose life was over."),
    ROW(COUNTER, "stead_session_evicted_total", NULL, store.sessions.evicted,
        "Records that made room for others."),
    ROW(COUNTER, "stead_session_full_total", NULL, store.sessions.full,
        "Writes refused by a memory limit."),
    ROW(COUNTER, "stead_session_busy_total", NULL, store.sessions.busy,
        "Operations refused by a full queue."),
    ROW(COUNTER, "stead_session_malformed_total", NULL, store.sessions.malformed,
        "Messages that no correct node sends."),
    ROW(GAUGE, "stead_store_outbox_messages", NULL, store.outbox,
        "Messages that wait for the mesh thread."),
    ROW(GAUGE, "stead_store_outbox_bytes", NULL, store.outbox_bytes, "Bytes of these messages."),
    ROW(COUNTER, "stead_store_outbox_full_total", NULL, store.outbox_full,
        "Messages dropped by the full outbox."),
    ROW(COUNTER, "stead_store_notices_dropped_total", NULL, store.notices_dropped,
        "Notices for the log that were dropped."),

    ROW(GAUGE, "stead_mesh_peers", NULL, mesh.peers, "Admitted peers."),
    ROW(GAUGE, "stead_mesh_queued_bytes", NULL, mesh.queued_bytes, "Bytes queued to peers."),
    ROW(COUNTER, "stead_mesh_frames_total", "direction=\"in\"", mesh.frames_in,
        "Frames between nodes."),
    ROW(COUNTER, "stead_mesh_frames_total", "direction=\"out\"", mesh.frames_out, ""),
    ROW(COUNTER, "stead_mesh_traffic_bytes_total", "direction=\"in\"", mesh.bytes_in,
        "Bytes between nodes."),
    ROW(COUNTER, "stead_mesh_traffic_bytes_total", "direction=\"out\"", mesh.bytes_out, ""),
    ROW(COUNTER, "stead_mesh_messages_total", "direction=\"in\"", mesh.messages_in,
        "Messages between nodes."),
    ROW(COUNTER, "stead_mesh_messages_total", "direction=\"out\"", mesh.messages_out, ""),
    ROW(COUNTER, "stead_mesh_retransmits_total", NULL, mesh.retransmits,
        "Parts of messages that were sent again."),
    ROW(COUNTER, "stead_mesh_unsent_total", "reason=\"full\"", mesh.unsent_full,
        "Messages given up: the peer's queue was full, or it was counted out."),
    ROW(COUNTER, "stead_mesh_unsent_total", "reason=\"counted_out\"", mesh.unsent_void, ""),
    ROW(COUNTER, "stead_mesh_dropped_total", "reason=\"auth\"", mesh.dropped_auth,
        "Frames dropped on arrival."),
    ROW(COUNTER, "stead_mesh_dropped_total", "reason=\"replay\"", mesh.dropped_replay, ""),
    ROW(COUNTER, "stead_mesh_dropped_total", "reason=\"malformed\"", mesh.dropped_malformed, ""),
    ROW(COUNTER, "stead_mesh_dropped_total", "reason=\"stranger\"", mesh.dropped_stranger, ""),
    ROW(COUNTER, "stead_mesh_dropped_total", "reason=\"version\"", mesh.dropped_version, ""),
    ROW(COUNTER, "stead_mesh_dropped_total", "reason=\"limit\"", mesh.dropped_limit, ""),

    ROW(COUNTER, "stead_mesh_beacons_total", "direction=\"in\"", mesh.beacons_in,
        "Beacons of other nodes that came by the multicast group, and own ones sent to it."),
    ROW(COUNTER, "stead_mesh_beacons_total", "direction=\"out\"", mesh.beacons_out, ""),
    ROW(GAUGE, "stead_mesh_group_silent", NULL, mesh.group_silent,
        "1: nothing comes from the multicast group, not even own beacons."),
    ROW(GAUGE, "stead_mesh_group_reached", NULL, mesh.group_reached,
        "Peers that hear what this node says to the multicast group."),
    ROW(COUNTER, "stead_mesh_group_lost_total", NULL, mesh.group_lost,
        "Times that a peer ceased to hear it: its copies go by unicast."),
    ROW(COUNTER, "stead_mesh_group_frames_total", NULL, mesh.group_frames_out,
        "Frames to several peers by the multicast group."),
    ROW(COUNTER, "stead_mesh_group_bytes_total", NULL, mesh.group_bytes_out, "Their bytes."),
    ROW(COUNTER, "stead_mesh_group_messages_total", NULL, mesh.group_messages_out,
        "Messages to several peers that went by the group."),
    ROW(COUNTER, "stead_mesh_copies_total", "way=\"group\"", mesh.group_copies,
        "Receivers of messages to several peers, by the way that each got it."),
    ROW(COUNTER, "stead_mesh_copies_total", "way=\"unicast\"", mesh.unicast_copies, ""),
    ROW(COUNTER, "stead_mesh_group_asks_total", "direction=\"in\"", mesh.asks_in,
        "Questions for what the group did not bring."),
    ROW(COUNTER, "stead_mesh_group_asks_total", "direction=\"out\"", mesh.asks_out, ""),
    ROW(COUNTER, "stead_mesh_group_repairs_total", "way=\"group\"", mesh.repairs_group,
        "Parts sent again because they were asked for, by receiver."),
    ROW(COUNTER, "stead_mesh_group_repairs_total", "way=\"unicast\"", mesh.repairs_unicast, ""),
    ROW(COUNTER, "stead_mesh_group_late_total", NULL, mesh.group_late,
        "Parts that went by the group, were not acknowledged in time, and went by unicast."),
    ROW(COUNTER, "stead_mesh_group_beats_total", NULL, mesh.group_beats,
        "Peers told what went to them last, since they had not acknowledged it."),

    ROW(COUNTER, "stead_orders_total", "outcome=\"done\"", orders.done,
        "Orders of operators that this node was given: drain, maint and their ends."),
    ROW(COUNTER, "stead_orders_total", "outcome=\"refused\"", orders.refused, ""),
    ROW(COUNTER, "stead_orders_total", "outcome=\"malformed\"", orders.malformed, ""),
    ROW(COUNTER, "stead_member_heartbeats_total", "direction=\"in\"", members.heartbeats_in,
        "Heartbeats."),
    ROW(COUNTER, "stead_member_heartbeats_total", "direction=\"out\"", members.heartbeats_out, ""),
    ROW(COUNTER, "stead_member_malformed_total", NULL, members.malformed,
        "Roster messages that could not be read."),
    ROW(COUNTER, "stead_member_counted_out_total", NULL, members.counted_out,
        "Times that a silent peer was counted out."),
    ROW(COUNTER, "stead_member_refused_total", NULL, members.refused,
        "Nodes that were refused: name or id taken."),
    ROW(COUNTER, "stead_member_pauses_total", NULL, members.pauses,
        "Times that this node noticed it had not run."),
    ROW(COUNTER, "stead_swim_probes_total", "result=\"sent\"", members.swim.probes,
        "Members asked for a sign of life."),
    ROW(COUNTER, "stead_swim_probes_total", "result=\"failed\"", members.swim.probes_failed, ""),
    ROW(COUNTER, "stead_swim_probes_total", "result=\"spared\"", members.swim.probes_spared, ""),
    ROW(COUNTER, "stead_swim_asks_total", NULL, members.swim.asks,
        "Times that another member was asked to try."),
    ROW(COUNTER, "stead_swim_nacks_missed_total", NULL, members.swim.nacks_missed,
        "Helpers that did not even say that they failed."),
    ROW(COUNTER, "stead_swim_suspicions_total", NULL, members.swim.suspicions,
        "Times that a member became suspect here."),
    ROW(COUNTER, "stead_swim_downs_total", NULL, members.swim.downs,
        "Times that a member was held for down here."),
    ROW(COUNTER, "stead_swim_returns_total", NULL, members.swim.returns,
        "Times that one that was held for down is alive."),
    ROW(COUNTER, "stead_swim_refutations_total", NULL, members.swim.refutations,
        "Times that this node refuted that it was suspect or down."),
    ROW(GAUGE, "stead_swim_local_health", NULL, members.swim.local_health,
        "0 = this node is well; its probe interval is stretched by one more."),
    ROW(COUNTER, "stead_swim_news_sent_total", NULL, members.swim.news_sent,
        "Pieces of news told to members."),
    ROW(COUNTER, "stead_swim_news_dropped_total", NULL, members.swim.news_dropped,
        "Pieces of news given up: the board was full, or no memory."),
    ROW(COUNTER, "stead_swim_messages_total", "direction=\"in\"", members.swim.messages_in,
        "Messages of failure detection and gossip."),
    ROW(COUNTER, "stead_swim_messages_total", "direction=\"out\"", members.swim.messages_out, ""),
    ROW(COUNTER, "stead_swim_comparisons_total", NULL, members.swim.syncs,
        "Comparisons of tables that this node began."),

#define HTTP_ROWS(type, name, field, help)                                                         \
    ROW(type, name, "door=\"public\"", public_http.field, help),                                   \
        ROW(type, name, "door=\"gate\"", gate_http.field, ""),                                     \
        ROW(type, name, "door=\"admin\"", admin_http.field, "")
    HTTP_ROWS(COUNTER, "stead_http_connections_total", accepted, "Connections accepted."),
    HTTP_ROWS(COUNTER, "stead_http_connections_refused_total", refused,
              "Connections closed at once: a limit, or no memory or descriptors."),
    HTTP_ROWS(COUNTER, "stead_http_connections_crowded_total", crowded,
              "Connections that waited for their client and gave way, for there was no room."),
    HTTP_ROWS(GAUGE, "stead_http_connections", open, "Connections open."),
    HTTP_ROWS(COUNTER, "stead_http_requests_total", requests, "Requests read whole."),
    HTTP_ROWS(COUNTER, "stead_http_bad_total", bad, "Requests that broke the rules or a limit."),
    HTTP_ROWS(COUNTER, "stead_http_timeouts_total", timeouts,
              "Connections closed by a slow client."),
    HTTP_ROWS(COUNTER, "stead_http_busy_total", busy,
              "Requests and answers given up: too many bytes held for clients, or no memory."),
    ROW(COUNTER, "stead_http2_connections_total", NULL, public_http.h2_connections,
        "Connections that spoke HTTP/2."),
    ROW(COUNTER, "stead_http2_streams_total", NULL, public_http.h2_streams,
        "Requests that came by HTTP/2."),
    ROW(COUNTER, "stead_http2_resets_total", NULL, public_http.h2_resets,
        "Requests that HTTP/2 clients took back."),
    ROW(COUNTER, "stead_http2_calmed_total", NULL, public_http.h2_calmed,
        "HTTP/2 connections ended for too many resets, or frames that only cost."),

    ROW(COUNTER, "stead_dns_queries_total", "transport=\"udp\"", dns.udp, "DNS queries."),
    ROW(COUNTER, "stead_dns_queries_total", "transport=\"tcp\"", dns.tcp, ""),
    ROW(COUNTER, "stead_dns_answers_total", "result=\"answered\"", dns.answered,
        "DNS answers by result."),
    ROW(COUNTER, "stead_dns_answers_total", "result=\"empty\"", dns.empty, ""),
    ROW(COUNTER, "stead_dns_answers_total", "result=\"nxdomain\"", dns.nxdomain, ""),
    ROW(COUNTER, "stead_dns_answers_total", "result=\"referred\"", dns.referred, ""),
    ROW(COUNTER, "stead_dns_answers_total", "result=\"refused\"", dns.refused, ""),
    ROW(COUNTER, "stead_dns_answers_total", "result=\"servfail\"", dns.servfail, ""),
    ROW(COUNTER, "stead_dns_answers_total", "result=\"malformed\"", dns.malformed, ""),
    ROW(COUNTER, "stead_dns_truncated_total", NULL, dns.truncated,
        "DNS answers that did not fit a datagram."),
    ROW(COUNTER, "stead_dns_last_resort_total", NULL, dns.last_resort,
        "DNS answers that named somebody who was not up."),
    ROW(COUNTER, "stead_dns_dropped_total", NULL, dns.dropped,
        "Datagrams that were not answered: no query, too long, or not sent."),
    ROW(COUNTER, "stead_dns_limited_total", "verdict=\"dropped\"", dns.limited,
        "Queries above the rate limit: not answered, or told to use TCP."),
    ROW(COUNTER, "stead_dns_limited_total", "verdict=\"slipped\"", dns.slipped, ""),
    ROW(COUNTER, "stead_dns_limit_forgotten_total", NULL, dns.forgotten,
        "Networks under the rate limit whose place in its table another one took."),
    ROW(COUNTER, "stead_dns_cookies_total", "kind=\"good\"", dns.cookies_good,
        "Queries with a cookie: one of ours, or one that was replaced."),
    ROW(COUNTER, "stead_dns_cookies_total", "kind=\"new\"", dns.cookies_new, ""),
    ROW(COUNTER, "stead_dns_client_subnets_total", NULL, dns.subnets,
        "Queries that told their client's network."),
    ROW(COUNTER, "stead_dns_connections_total", NULL, dns.connections, "DNS connections by TCP."),
    ROW(COUNTER, "stead_dns_connections_ended_total", "reason=\"evicted\"", dns.evicted,
        "DNS connections that were ended: for others, idle, or too long a query."),
    ROW(COUNTER, "stead_dns_connections_ended_total", "reason=\"idle\"", dns.idle, ""),
    ROW(COUNTER, "stead_dns_connections_ended_total", "reason=\"oversized\"", dns.oversized, ""),
    ROW(COUNTER, "stead_dns_views_total", "result=\"made\"", dns.views,
        "Tables of answers made from a new roster."),
    ROW(COUNTER, "stead_dns_views_total", "result=\"failed\"", dns.views_failed, ""),

    ROW(COUNTER, "stead_gate_calls_total", NULL, gate.calls,
        "Operations asked for by applications."),
    ROW(COUNTER, "stead_gate_denied_total", NULL, gate.denied,
        "Requests without the token or from a foreign Host."),
    ROW(COUNTER, "stead_gate_invalid_total", NULL, gate.invalid,
        "Requests refused before the store saw them."),
    ROW(COUNTER, "stead_gate_failed_total", NULL, gate.failed,
        "Operations answered by 503 or 507."),
    ROW(COUNTER, "stead_gate_unknown_total", NULL, gate.unknown,
        "Writes whose outcome is not known."),
    ROW(COUNTER, "stead_gate_busy_total", NULL, gate.busy,
        "Operations refused because too many waited."),
    ROW(COUNTER, "stead_gate_renewed_total", NULL, gate.renewed, "Sessions that got a new id."),
    ROW(GAUGE, "stead_gate_waiting", NULL, gate.waiting, "Operations that wait for the store."),
    ROW(GAUGE, "stead_gate_watching", NULL, gate.watching, "Of these: watches of a session."),
    ROW(COUNTER, "stead_gate_watch_dropped_total", NULL, gate.watch_dropped,
        "Streams of events whose client took nothing."),

    ROW(COUNTER, "stead_director_returns_total", NULL, director.returned,
        "Redirects of clients to the server that they had."),
    ROW(COUNTER, "stead_director_warmed_total", NULL, director.warmed,
        "Clients whose records were sent to the chosen server before them."),
    ROW(COUNTER, "stead_director_handoffs_total", "result=\"taken\"", director.handoffs_taken,
        "Tokens of clients that were handed over."),
    ROW(COUNTER, "stead_director_handoffs_total", "result=\"refused\"", director.handoffs_refused,
        ""),

#define CACHE_ROWS(type, name, field, help)                                                        \
    ROW(type, name, "protocol=\"memcached\"", memcached.field, help),                              \
        ROW(type, name, "protocol=\"redis\"", redis.field, "")
    CACHE_ROWS(GAUGE, "stead_cache_connections", connections,
               "Connections of clients of memcached and Redis."),
    CACHE_ROWS(COUNTER, "stead_cache_connections_total", accepted, "Connections accepted."),
    CACHE_ROWS(COUNTER, "stead_cache_refused_total", refused,
               "Connections closed at once: the node does not serve, or has too many."),
    CACHE_ROWS(COUNTER, "stead_cache_requests_total", requests, "Requests answered."),
    CACHE_ROWS(COUNTER, "stead_cache_hits_total", hits, "Values found."),
    CACHE_ROWS(COUNTER, "stead_cache_misses_total", misses, "Values asked for and not found."),
    CACHE_ROWS(COUNTER, "stead_cache_stores_total", stores, "Values stored."),
    CACHE_ROWS(COUNTER, "stead_cache_removals_total", removals, "Values deleted."),
    CACHE_ROWS(COUNTER, "stead_cache_failed_total", failed,
               "Requests answered with an error that is not the client's."),
    CACHE_ROWS(COUNTER, "stead_cache_malformed_total", malformed, "Commands not understood."),
    CACHE_ROWS(COUNTER, "stead_cache_denied_total", denied, "Requests without the password."),
    CACHE_ROWS(COUNTER, "stead_cache_slow_total", slow,
               "Times that a client's answers were held back."),
    ROW(COUNTER, "stead_tickets_written_total", NULL, tickets.written,
        "Sets of ticket keys for other programs, written for a period."),
    ROW(COUNTER, "stead_tickets_taken_up_total", NULL, tickets.taken_up,
        "Of these, told to the program."),
    ROW(COUNTER, "stead_tickets_failed_total", NULL, tickets.failed,
        "Failures to write them, or to tell the program."),
    ROW(GAUGE, "stead_key_active", NULL, keys.active,
        "Number of the generation of the farm's key that this node seals with."),
    ROW(GAUGE, "stead_key_accepted", NULL, keys.known, "Generations that are accepted here."),
    ROW(COUNTER, "stead_key_changes_total", NULL, keys.changes, "Changes of keys that took effect."),
    ROW(COUNTER, "stead_key_malformed_total", NULL, keys.malformed,
        "Messages about keys that were not understood."),
    ROW(COUNTER, "stead_key_store_failed_total", NULL, keys.store_failed,
        "Times the key file could not be written."),
    ROW(GAUGE, "stead_tickets_due", NULL, tickets.due,
        "Sets of ticket keys that are not written yet, or not told to their program."),
    ROW(COUNTER, "stead_sessiond_requests_total", NULL, sessiond.requests, "Datagrams of stunnel."),
    ROW(COUNTER, "stead_sessiond_hits_total", NULL, sessiond.hits, "TLS sessions found."),
    ROW(COUNTER, "stead_sessiond_elsewhere_total", NULL, sessiond.elsewhere,
        "Of these, at another node."),
    ROW(COUNTER, "stead_sessiond_misses_total", NULL, sessiond.misses,
        "TLS sessions asked for and not found."),
    ROW(COUNTER, "stead_sessiond_late_total", NULL, sessiond.late,
        "Of these, because no other node told in time."),
    ROW(COUNTER, "stead_sessiond_full_total", NULL, sessiond.full,
        "Of these, because too many waited for other nodes."),
    ROW(COUNTER, "stead_sessiond_stores_total", NULL, sessiond.stores, "TLS sessions to store."),
    ROW(COUNTER, "stead_sessiond_removals_total", NULL, sessiond.removals,
        "TLS sessions to remove."),
    ROW(COUNTER, "stead_sessiond_failed_total", NULL, sessiond.failed,
        "Stores and removals that came to nothing."),
    ROW(COUNTER, "stead_sessiond_malformed_total", NULL, sessiond.malformed,
        "Datagrams that are no requests."),
    ROW(COUNTER, "stead_sessiond_unsent_total", NULL, sessiond.unsent,
        "Answers that the socket did not take."),
    ROW(COUNTER, "stead_sessiond_dropped_total", NULL, sessiond.dropped,
        "Datagrams that the socket's queue had no room for."),
    ROW(COUNTER, "stead_auth_answers_total", "result=\"known\"", gate.known,
        "Answers to web servers that asked who sends a request."),
    ROW(COUNTER, "stead_auth_answers_total", "result=\"stranger\"", gate.strangers, ""),
    ROW(COUNTER, "stead_auth_claims_left_out_total", NULL, gate.claims_left_out,
        "Of these, logins whose claims did not all fit into the headers."),
    ROW(COUNTER, "stead_gate_reports_total", NULL, gate.reports,
        "Reports of applications on their users, load and state."),

    ROW(COUNTER, "stead_users_kernel_counts_total", NULL, own_parts.kernel_counts,
        "Counts of established connections by the kernel."),
    ROW(COUNTER, "stead_users_kernel_failed_total", NULL, own_parts.kernel_failed,
        "Counts that failed."),
    ROW(COUNTER, "stead_users_kernel_capped_total", NULL, own_parts.kernel_capped,
        "Counts that ended at the limit."),
    ROW(COUNTER, "stead_agent_asked_total", "result=\"told\"", own_parts.agent_told,
        "Questions to agents by how they ended."),
    ROW(COUNTER, "stead_agent_asked_total", "result=\"unreachable\"", own_parts.agent_unreachable,
        ""),
    ROW(COUNTER, "stead_agent_asked_total", "result=\"timeout\"", own_parts.agent_timeouts, ""),
    ROW(COUNTER, "stead_agent_asked_total", "result=\"malformed\"", own_parts.agent_malformed, ""),
    ROW(COUNTER, "stead_agent_unknown_words_total", NULL, own_parts.agent_unknown_words,
        "Words of agents that were passed over."),
    ROW(COUNTER, "stead_agent_answers_total", "result=\"answered\"", own_parts.door_answered,
        "Agent checks of HAProxy by how they ended."),
    ROW(COUNTER, "stead_agent_answers_total", "result=\"refused\"", own_parts.door_refused, ""),
    ROW(COUNTER, "stead_agent_answers_total", "result=\"unknown\"", own_parts.door_unknown, ""),

    ROW(COUNTER, "stead_director_requests_total", "verdict=\"redirect\"", director.redirected,
        "Requests at the public door by what was done."),
    ROW(COUNTER, "stead_director_requests_total", "verdict=\"handoff\"", director.handoffs, ""),
    ROW(COUNTER, "stead_director_requests_total", "verdict=\"forward\"", director.forwarded, ""),
    ROW(COUNTER, "stead_director_requests_total", "verdict=\"relay\"", director.relayed, ""),
    ROW(COUNTER, "stead_director_requests_total", "verdict=\"roster\"", director.roster, ""),
    ROW(COUNTER, "stead_director_requests_total", "verdict=\"misdirected\"", director.misdirected,
        ""),
    ROW(COUNTER, "stead_director_requests_total", "verdict=\"no_server\"", director.no_server, ""),
    ROW(COUNTER, "stead_director_requests_total", "verdict=\"not_found\"", director.not_found, ""),
    ROW(COUNTER, "stead_director_requests_total", "verdict=\"method\"", director.method, ""),
    ROW(COUNTER, "stead_director_requests_total", "verdict=\"bad\"", director.bad, ""),
    ROW(COUNTER, "stead_director_not_modified_total", NULL, director.not_modified,
        "Rosters that the client had already."),
    ROW(COUNTER, "stead_roster_denied_total", NULL, director.denied,
        "Requests for the roster without the token."),
    ROW(COUNTER, "stead_roster_rendered_total", NULL, director.rendered,
        "Times that the roster was written out; the rest was answered from what was kept."),
    ROW(GAUGE, "stead_roster_watchers", NULL, director.watchers, "Clients that watch the roster."),
    ROW(COUNTER, "stead_roster_watchers_total", NULL, director.watchers_opened,
        "Clients that began to watch the roster."),
    ROW(COUNTER, "stead_roster_watchers_refused_total", NULL, director.watchers_refused,
        "Clients that could not: as many as may, or no memory."),
    ROW(COUNTER, "stead_roster_watchers_resumed_total", NULL, director.watchers_resumed,
        "Clients that went on where they had stopped."),
    ROW(COUNTER, "stead_roster_watchers_skipped_total", NULL, director.watchers_skipped,
        "Times that a slow client was given a whole roster instead of what it had missed."),
    ROW(COUNTER, "stead_roster_watchers_dropped_total", NULL, director.watchers_dropped,
        "Clients closed because they took nothing."),
    ROW(COUNTER, "stead_roster_events_total", NULL, director.events,
        "Events that were made, each once for all who hear it."),
    ROW(COUNTER, "stead_roster_moves_total", NULL, director.moves,
        "Clients that were asked to move to another server."),
    ROW(GAUGE, "stead_forward_clients", NULL, exchange.clients,
        "Clients whose requests are forwarded one by one."),
    ROW(COUNTER, "stead_forward_clients_total", NULL, exchange.clients_total,
        "Clients that came to be."),
    ROW(COUNTER, "stead_forward_crowded_total", NULL, exchange.crowded,
        "Clients that were silent and gave way, for there was no room."),
    ROW(COUNTER, "stead_forward_returned_total", NULL, exchange.returned,
        "Times that a client's next request was for somebody else than a real server."),
    ROW(COUNTER, "stead_forward_answers_total", "class=\"none\"", exchange.answers[0],
        "Requests forwarded, by what was answered."),
    ROW(COUNTER, "stead_forward_answers_total", "class=\"1xx\"", exchange.answers[1], ""),
    ROW(COUNTER, "stead_forward_answers_total", "class=\"2xx\"", exchange.answers[2], ""),
    ROW(COUNTER, "stead_forward_answers_total", "class=\"3xx\"", exchange.answers[3], ""),
    ROW(COUNTER, "stead_forward_answers_total", "class=\"4xx\"", exchange.answers[4], ""),
    ROW(COUNTER, "stead_forward_answers_total", "class=\"5xx\"", exchange.answers[5], ""),
    ROW(COUNTER, "stead_forward_failed_total", "reason=\"timeout\"", exchange.timeouts,
        "Requests that were not answered, or not wholly."),
    ROW(COUNTER, "stead_forward_failed_total", "reason=\"malformed-answer\"", exchange.bad_answers,
        ""),
    ROW(COUNTER, "stead_forward_failed_total", "reason=\"client\"", exchange.client_breaks, ""),
    ROW(COUNTER, "stead_forward_failed_total", "reason=\"server\"", exchange.server_breaks, ""),
    ROW(COUNTER, "stead_forward_failed_total", "reason=\"unreachable\"", exchange.refused, ""),
    ROW(COUNTER, "stead_forward_failed_total", "reason=\"system\"", exchange.failed, ""),
    ROW(COUNTER, "stead_forward_failed_total", "reason=\"busy\"", exchange.busy, ""),
    ROW(COUNTER, "stead_forward_retries_total", NULL, exchange.retries,
        "Requests that were sent again: a kept connection had ended."),
    ROW(COUNTER, "stead_forward_connections_total", "how=\"new\"", exchange.connects,
        "Connections to real servers, by where they came from."),
    ROW(COUNTER, "stead_forward_connections_total", "how=\"kept\"", exchange.reuses, ""),
    ROW(GAUGE, "stead_forward_connections_kept", NULL, exchange.kept,
        "Connections to real servers that wait for a request."),
    ROW(COUNTER, "stead_forward_upgrades_total", NULL, exchange.upgraded,
        "Switches to another protocol: tunnels from then on."),
    ROW(COUNTER, "stead_forward_bytes_total", "direction=\"up\"", exchange.up_bytes,
        "Bytes of requests (up) and answers, heads too; counted when a request is done."),
    ROW(COUNTER, "stead_forward_bytes_total", "direction=\"down\"", exchange.down_bytes, ""),
    ROW(COUNTER, "stead_director_tunnels_total", NULL, director.tunnels_opened,
        "Tunnels to a real server: of mode tunnel, and after a switch of protocols."),
    ROW(GAUGE, "stead_director_tunnels", NULL, director.tunnels_open, "Tunnels that are open."),
    ROW(COUNTER, "stead_director_tunnels_failed_total", "reason=\"refused\"",
        director.tunnels_refused, "Forwarded connections that failed."),
    ROW(COUNTER, "stead_director_tunnels_failed_total", "reason=\"reset\"", director.tunnels_reset,
        ""),
    ROW(COUNTER, "stead_director_tunnels_failed_total", "reason=\"timeout\"",
        director.tunnels_timed_out, ""),
    ROW(COUNTER, "stead_director_tunnels_failed_total", "reason=\"busy\"", director.tunnels_busy,
        ""),
    ROW(COUNTER, "stead_director_tunnels_failed_total", "reason=\"system\"",
        director.tunnels_failed, ""),
    ROW(COUNTER, "stead_tcp_connections_total", "to=\"own\"", tcp.own,
        "Connections of services that are not HTTP, by where they were led."),
    ROW(COUNTER, "stead_tcp_connections_total", "to=\"backup\"", tcp.backup, ""),
    ROW(COUNTER, "stead_tcp_connections_total", "to=\"balanced\"", tcp.balanced, ""),
    ROW(COUNTER, "stead_tcp_connections_total", "to=\"http\"", tcp.handed, ""),
    ROW(GAUGE, "stead_tcp_open", NULL, tcp.open, "Such connections now open."),
    ROW(COUNTER, "stead_tcp_refused_total", "reason=\"nobody\"", tcp.nobody,
        "Such connections that were closed before they had a server."),
    ROW(COUNTER, "stead_tcp_refused_total", "reason=\"unnamed\"", tcp.unnamed, ""),
    ROW(COUNTER, "stead_tcp_refused_total", "reason=\"busy\"", tcp.busy, ""),
    ROW(COUNTER, "stead_tcp_refused_total", "reason=\"untrusted\"", tcp.untrusted, ""),
    ROW(COUNTER, "stead_tcp_refused_total", "reason=\"malformed\"", tcp.malformed, ""),
    ROW(COUNTER, "stead_tcp_refused_total", "reason=\"slow\"", tcp.slow, ""),
    ROW(COUNTER, "stead_tcp_refused_total", "reason=\"full\"", tcp.full, ""),
    ROW(COUNTER, "stead_tcp_failed_total", "reason=\"refused\"", tcp.refused,
        "Such connections that failed on the way to their server, or after."),
    ROW(COUNTER, "stead_tcp_failed_total", "reason=\"reset\"", tcp.resets, ""),
    ROW(COUNTER, "stead_tcp_failed_total", "reason=\"timeout\"", tcp.timeouts, ""),
    ROW(COUNTER, "stead_tcp_failed_total", "reason=\"system\"", tcp.failed, ""),
    ROW(GAUGE, "stead_takeover_held", NULL, tcp.addresses_held,
        "Addresses of servers whose hosts are gone that this node holds."),
    ROW(COUNTER, "stead_takeover_total", "outcome=\"taken\"", tcp.addresses_taken,
        "Addresses taken over."),
    ROW(COUNTER, "stead_takeover_total", "outcome=\"failed\"", tcp.addresses_failed, ""),
    ROW(COUNTER, "stead_tcp_proxied_total", NULL, tcp.proxied,
        "Such connections whose client a proxy told."),
    ROW(COUNTER, "stead_tcp_starved_total", NULL, tcp.starved,
        "Times that no descriptor was left to take connections with."),
    ROW(COUNTER, "stead_tcp_bytes_total", "direction=\"up\"", tcp.up_bytes,
        "Bytes of such connections: up is client to server; counted when one ends."),
    ROW(COUNTER, "stead_tcp_bytes_total", "direction=\"down\"", tcp.down_bytes, ""),
    ROW(COUNTER, "stead_director_proxied_total", NULL, director.proxied,
        "Connections at the public listener whose client a proxy told."),
    ROW(COUNTER, "stead_director_proxied_refused_total", "reason=\"untrusted\"", director.untrusted,
        "Connections at the public listener that were closed as no proxy's, or for their header."),
    ROW(COUNTER, "stead_director_proxied_refused_total", "reason=\"malformed\"", director.malformed,
        ""),
    ROW(COUNTER, "stead_director_proxied_refused_total", "reason=\"slow\"", director.slow, ""),
    ROW(COUNTER, "stead_tls_handshakes_total", NULL, tls.handshakes,
        "TLS handshakes of clients that were done."),
#define X(name, word)                                                                              \
    ROW(COUNTER, "stead_tls_resumed_total", "origin=\"" word "\"",                                 \
        tls.resumed_by[TLS_RESUMED_##name],                                                        \
        "Of these, those that went on with an old session, by what brought it."),
    TLS_RESUMED_TABLE(X)
#undef X
#define X(name, word)                                                                              \
    ROW(COUNTER, "stead_tls_missed_total", "reason=\"" word "\"", tls.missed[TLS_MISSED_##name],   \
        "Full handshakes of clients that brought a ticket or an id."),
        TLS_MISSED_TABLE(X)
#undef X
            ROW(COUNTER, "stead_tls_early_total", "result=\"taken\"", tls.early_taken,
                "TLS handshakes whose client sent early data (0-RTT)."),
    ROW(COUNTER, "stead_tls_early_total", "result=\"refused\"", tls.early_refused, ""),
    ROW(COUNTER, "stead_tls_renegotiations_total", NULL, tls.renegotiations,
        "Renegotiations that clients of TLS 1.2 wanted, and did not get."),
    ROW(COUNTER, "stead_tls_sessions_total", "result=\"kept\"", tls.kept,
        "TLS sessions that began and were to be kept in the store."),
    ROW(COUNTER, "stead_tls_sessions_total", "result=\"failed\"", tls.unkept, ""),
    ROW(COUNTER, "stead_tls_unasked_total", NULL, tls.unasked,
        "Clients' sessions that were not looked for, as too many were already."),
    ROW(GAUGE, "stead_tls_connections", NULL, tls.open,
        "Connections under TLS, handshakes included."),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"timeout\"", tls.failures[TLS_FAIL_TIMEOUT],
        "TLS handshakes that failed."),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"crowded\"", tls.failures[TLS_FAIL_CROWDED],
        ""),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"closed\"", tls.failures[TLS_FAIL_CLOSED],
        ""),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"not-tls\"", tls.failures[TLS_FAIL_NOT_TLS],
        ""),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"http\"", tls.failures[TLS_FAIL_HTTP], ""),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"no-common\"", tls.failures[TLS_FAIL_UNLIKE],
        ""),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"client-cert\"",
        tls.failures[TLS_FAIL_CERTIFICATE], ""),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"alert\"", tls.failures[TLS_FAIL_ALERT], ""),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"protocol\"", tls.failures[TLS_FAIL_PROTOCOL],
        ""),
    ROW(COUNTER, "stead_tls_failures_total", "reason=\"internal\"", tls.failures[TLS_FAIL_OWN], ""),
    ROW(COUNTER, "stead_tls_reloads_total", "result=\"loaded\"", tls.reloads,
        "Times that certificates were read again, because their files had changed."),
    ROW(COUNTER, "stead_tls_reloads_total", "result=\"kept_old\"", tls.reloads_failed, ""),
    ROW(COUNTER, "stead_director_answers_dropped_total", NULL, director.answers_dropped,
        "Clients whose server failed and that were closed without an answer."),
    ROW(COUNTER, "stead_director_tunnel_bytes_total", "direction=\"up\"", director.up_bytes,
        "Bytes forwarded: up is client to server; counted when a connection ends."),
    ROW(COUNTER, "stead_director_tunnel_bytes_total", "direction=\"down\"", director.down_bytes,
        ""),
};

static void add_head(struct text *t, const char *name, enum metric_type type, const char *help)
{
    text_add(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
             type == COUNTER ? "counter" : "gauge");
}

static void add_row(struct text *t, const struct metric *m, uint64_t value)
{
    const char *open = m->labels ? "{" : "", *close = m->labels ? "}" : "";
    text_add(t, "%s%s%s%s ", m->name, open, m->labels ? m->labels : "", close);
    if (m->unit == SECONDS)
        text_add(t, "%llu.%09llu\n", value / NS_PER_S, value % NS_PER_S);
    else
        text_add(t, "%" PRIu64 "\n", value);
}

static void add_metrics(struct text *t, const struct admin_snapshot *s)
{
    const char *last = "";
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        const struct metric *m = &metrics[i];
        uint64_t value;
        memcpy(&value, (const char *)s + m->offset, sizeof value);
        if (strcmp(last, m->name) != 0)
            add_head(t, m->name, m->type, m->help);
        last = m->name;
        add_row(t, m, value);
    }
}

/* How long forwarded requests took, from the head to the last byte of the answer. */
static void add_times(struct text *t, const struct admin_snapshot *s)
{
    static const char *const bounds[ADMIN_TIMES] = {"0.0005", "0.001", "0.0025", "0.005", "0.01",
                                                    "0.025",  "0.05",  "0.1",    "0.25",  "1",
                                                    "2.5",    "5",     "10",     "+Inf"};
    static const char name[] = "stead_forward_request_seconds";
    uint64_t sum = 0;
    text_add(t,
             "# HELP %s Time of forwarded requests, from their head to the end of the answer.\n"
             "# TYPE %s histogram\n",
             name, name);
    for (int i = 0; i < ADMIN_TIMES; i++) {
        sum += s->exchange.times[i];
        text_add(t, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, bounds[i], sum);
    }
    text_add(t, "%s_sum %" PRIu64 ".%06" PRIu64 "\n%s_count %" PRIu64 "\n", name,
             s->exchange.time_us / 1000000, s->exchange.time_us % 1000000, name, sum);
}

/* A label's value: names come from the configuration and from other nodes. */
static const char *escape(const char *value, char out[2 * URL_MAX_BYTES + 1])
{
    size_t n = 0;
    for (; *value && n + 2 < 2 * URL_MAX_BYTES; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            out[n++] = '\\';
        out[n++] = *value == '\n' ? 'n' : *value;
    }
    out[n] = '\0';
    return out;
}

/* A number for each kind, status or server, with its name as a label. */
static void add_kinds(struct text *t, const struct admin_snapshot *s, const char *name,
                      const char *help, const uint64_t *values)
{
    char node[2 * URL_MAX_BYTES + 1], label[2 * URL_MAX_BYTES + 1];
    add_head(t, name, GAUGE, help);
    escape(s->node, node);
    for (size_t i = 0; i < s->kinds.count; i++)
        text_add(t, "%s{kind=\"%s\"} %" PRIu64 "\n", name, escape(s->kinds.kind[i].name, label),
                 values[i]);
}

static void add_nodes(struct text *t, const struct admin_snapshot *s)
{
    add_head(t, "stead_nodes", GAUGE, "Nodes of the farm by status.");
    for (int i = 0; i <= STATUS_LEFT; i++)
        text_add(t, "stead_nodes{status=\"%s\"} %" PRIu64 "\n", status_name((enum status)i),
                 s->nodes[i]);
}

static void add_server(struct text *t, const struct admin_snapshot *s, const char *name,
                       const char *help, size_t offset)
{
    char node[2 * URL_MAX_BYTES + 1], label[2 * URL_MAX_BYTES + 1];
    add_head(t, name, GAUGE, help);
    escape(s->node, node);
    for (uint64_t i = 0; i < s->server_count && i < ENTRY_SERVERS_MAX; i++) {
        uint32_t value;
        memcpy(&value, (const char *)&s->servers[i] + offset, sizeof value);
        text_add(t, "%s{server=\"%s\",service=\"%s\"} %" PRIu32 "\n", name, node,
                 escape(s->servers[i].service, label), value);
    }
}

/* One 0 or 1, or other small number, a server. */
static void add_own(struct text *t, const struct admin_snapshot *s, const char *name,
                    const char *help, double (*value)(const struct admin_snapshot *, uint64_t))
{
    char node[2 * URL_MAX_BYTES + 1], label[2 * URL_MAX_BYTES + 1];
    escape(s->node, node);
    add_head(t, name, GAUGE, help);
    for (uint64_t i = 0; i < s->server_count && i < ENTRY_SERVERS_MAX; i++)
        text_add(t, "%s{server=\"%s\",service=\"%s\",from=\"%s\"} %g\n", name, node,
                 escape(s->servers[i].service, label), users_from_name(s->own[i].from),
                 value(s, i));
}

static double own_stale(const struct admin_snapshot *s, uint64_t i)
{
    return s->own[i].stale;
}

static double own_age(const struct admin_snapshot *s, uint64_t i)
{
    uint64_t age = s->own[i].age_ns;
    return age == TIME_NEVER ? -1 : (double)(age / NS_PER_MS) / 1000.0;
}

static double own_load(const struct admin_snapshot *s, uint64_t i)
{
    return s->own[i].load == LOAD_UNKNOWN ? -1 : (double)s->own[i].load / 1000.0;
}

static void add_healthy(struct text *t, const struct admin_snapshot *s)
{
    char node[2 * URL_MAX_BYTES + 1], label[2 * URL_MAX_BYTES + 1];
    escape(s->node, node);
    add_head(t, "stead_server_healthy", GAUGE, "Whether this node's own server answers.");
    for (uint64_t i = 0; i < s->server_count && i < ENTRY_SERVERS_MAX; i++)
        text_add(t, "stead_server_healthy{server=\"%s\",service=\"%s\"} %d\n", node,
                 escape(s->servers[i].service, label), s->servers[i].healthy);
}

static void add_certificates(struct text *t, const struct admin_tls *tls)
{
    char label[2 * URL_MAX_BYTES + 1];
    if (tls->certificate_count == 0)
        return;
    add_head(t, "stead_tls_certificate_not_after_seconds", GAUGE,
             "When a certificate ends, in seconds since 1970.");
    for (uint64_t i = 0; i < tls->certificate_count; i++)
        text_add(t, "stead_tls_certificate_not_after_seconds{name=\"%s\"} %" PRId64 "\n",
                 escape(tls->certificates[i].name, label), tls->certificates[i].not_after_s);
}

char *admin_metrics(const struct admin_snapshot *s, size_t *len)
{
    struct text t = {0};
    char version[2 * URL_MAX_BYTES + 1], node[2 * URL_MAX_BYTES + 1], farm[2 * URL_MAX_BYTES + 1];
    add_head(&t, "stead_build_info", GAUGE, "Always 1; version, node and farm are in the labels.");
    text_add(&t, "stead_build_info{version=\"%s\",node=\"%s\",farm=\"%s\"} 1\n",
             escape(s->version, version), escape(s->node, node), escape(s->farm, farm));
    add_head(&t, "stead_ready", GAUGE, "Whether this node takes clients.");
    text_add(&t, "stead_ready %d\n", s->ready);
    add_head(&t, "stead_maint", GAUGE, "Whether an operator took this node out.");
    text_add(&t, "stead_maint %d\n", s->maint);
    add_head(&t, "stead_drained", GAUGE,
             "Whether this node drains, and no record is left that other nodes should have.");
    text_add(&t, "stead_drained %d\n", s->drained);
    add_nodes(&t, s);
    add_times(&t, s);
    add_certificates(&t, &s->tls);
    add_kinds(&t, s, "stead_session_records", "Records here, owned and copies, by kind.",
              s->store.sessions.records_of_kind);
    add_kinds(&t, s, "stead_session_kind_memory_bytes", "Memory of the records of a kind.",
              s->store.sessions.memory_of_kind);
    add_server(&t, s, "stead_server_users", "Users connected to this node's own server.",
               offsetof(struct server, users));
    add_server(&t, s, "stead_server_capacity_users", "Users that it takes; 0 = no limit.",
               offsetof(struct server, capacity));
    add_server(&t, s, "stead_server_weight", "Weight that holds: configured, times its percentage.",
               offsetof(struct server, weight));
    add_healthy(&t, s);
    add_own(&t, s, "stead_server_users_stale", "Whether the source of the users is silent.",
            own_stale);
    add_own(&t, s, "stead_server_users_age_seconds", "Age of the number of users; -1 = none came.",
            own_age);
    add_own(&t, s, "stead_server_load_ratio", "Load by its own word, 0 to 1; -1 = not known.",
            own_load);
    add_metrics(&t, s);
    return text_take(&t, len);
}
