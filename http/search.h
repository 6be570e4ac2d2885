/* GET /api/v1/chat/rooms/:id/messages?search=text: messages that have all the words, newest first.
 *
 * Words as PostgreSQL's configuration `simple` has them (no language, any case); the last one may be the
 * beginning of a word. Each message has `matches` beside its other keys: where in its content they are, as
 * pairs of start and length in UTF-16 code units, which is how JavaScript counts. A page may be shorter than
 * the limit, even empty, with hasMore true: one request looks at so many messages and no more.
 *
 * Flow:   messages_list -> search_list -> parlor_search -> page; a room with many messages that are not
 * indexed is indexed behind the answer, some at a time. Thread: the service's loop. Owns:   the indexing
 * under way, until its statement is answered. */
#ifndef PARLOR_HTTP_SEARCH_H
#define PARLOR_HTTP_SEARCH_H

#include "http/exchange.h"

/* The room is x->id, for a member; below: the seq to look below. Adds to x->problems what is wrong with
 * `search`. */
void search_list(struct exchange *x, int64_t below, int64_t limit);

#endif
