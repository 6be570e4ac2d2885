/* Requests of the `api` topic that a parlord has and has not answered yet: each gets one answer, also when
 * the parlord goes away or hangs.
 *
 * Flow:   api_request -> asked_note; api_reply -> asked_take; a node's end and the clock -> asked_give_up.
 * Thread: the broker's.
 * Owns:   copies of users and request ids, at most ASKED_MAX. */
#ifndef PARLOR_PLUGIN_ASKED_H
#define PARLOR_PLUGIN_ASKED_H

#include "core/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASKED_MAX       16384
#define ASKED_WAIT_NS   INT64_C(30000000000)
#define ASKED_TEXT_SIZE 129 /* a user, or a request id, with its zero */

/* Zeroed: none. */
struct asked {
    struct table table;
    struct asked_request *oldest, *newest;
    size_t count;
};

void asked_finish(struct asked *asked);

/* A request went to the node of this link. False at ASKED_MAX, or when a text is too long. */
bool asked_note(struct asked *asked, uint32_t link, const char *user, const char *request_id, int64_t now_ns);

/* Forgets the oldest such request; false when there is none: it was answered already. */
bool asked_take(struct asked *asked, const char *user, const char *request_id);

typedef void (*asked_fn)(void *context, const char *user, const char *request_id);

/* Takes out what went to `link`, whenever that was; link 0: what has waited for ASKED_WAIT_NS. Tells each to
 * fn, the oldest first; fn calls nothing of this. */
void asked_give_up(struct asked *asked, uint32_t link, int64_t now_ns, asked_fn fn, void *context);

#endif
