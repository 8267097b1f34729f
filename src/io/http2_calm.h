/* http2_calm.h - how much work a client may make that brings it nothing: frames counted within
 * windows of time.
 *
 * Two sums: streams that are reset (by the client, or by us for its faults; CVE-2023-44487 and its
 * kin), and frames that only cost (SETTINGS, PING, PRIORITY, WINDOW_UPDATE, DATA without
 * data; nghttp2 bounds CONTINUATION, and skips unknown ones). Of the latter more is allowed to who
 * asks and is sent more: a busy connection has its share of window updates and pings. Pure: time
 * comes in.
 */
#ifndef IO_HTTP2_CALM_H
#define IO_HTTP2_CALM_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP2_CALM_WINDOW_MS 10000u
#define HTTP2_CALM_CONTROL_MAX 1000u /* frames in a window, and */
#define HTTP2_CALM_CONTROL_SHARE 10u /* for each request and each frame of data sent */

struct http2_calm {
    uint64_t since_ms; /* when the window began */
    uint32_t resets, control, useful;
};

/* Each true: still within bounds. resets_max: in a window. */
bool http2_calm_reset(struct http2_calm *c, uint64_t now_ms, uint32_t resets_max);
bool http2_calm_control(struct http2_calm *c, uint64_t now_ms);
/* A request came, or a frame of data goes out. */
void http2_calm_useful(struct http2_calm *c, uint64_t now_ms);

#endif
