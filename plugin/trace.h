/* The lines of the log by which one request is followed from its door to those who hear of it: each carries
 * the request's id.
 *
 * What parlord sends for a user brings the id of the request or event that asked for it. What a client
 * publishes has a number of ours, which becomes a text only when a line is written.
 *
 * Flow:   ingress gives each item its trace -> writer -> result -> fanout; each writes its lines here.
 * Thread: any; a log_limit belongs to one.
 * Owns:   nothing. */
#ifndef PARLOR_PLUGIN_TRACE_H
#define PARLOR_PLUGIN_TRACE_H

#include "core/ids.h"
#include "core/log.h"
#include "core/memberlog.h"
#include "core/request_id.h"

struct item;
struct result;

struct trace {
    const char *id;               /* "": the number is it */
    struct request_number number; /* zero: there is none, as of a parlord that sends no ids */
};

/* The id as text: trace->id, or `made` with the number in it; "-" when there is none. */
const char *trace_id(const struct trace *trace, char made[REQUEST_NUMBER_SIZE]);

/* At level debug: nothing is made when that is not written. */
void trace_stored(const struct item *item, int64_t seq, bool replayed);
void trace_marked(const struct item *item, int64_t read_seq, int64_t delivered_seq);
void trace_published(const struct result *result);
void trace_event(const struct memberlog_event *event);

/* The server refused the data of a message or mark (`what`): a warning. `why` is its message. */
void trace_refused(const char *room, const char *what, const struct item *item, const char *why);

/* What a client wanted and was refused, at level info, so many a second. */
struct rejection {
    const char *user;
    const char *what;        /* send, read, delivered, publish or api */
    const struct uuid *room; /* NULL: none */
    const char *code, *why;
    const struct trace *trace;
};
void trace_rejected(struct log_limit *limit, int64_t now_ns, const struct rejection *rejection);
/* Of a RESULT_REJECTED; nothing when its line was written before. */
void trace_rejected_result(struct log_limit *limit, int64_t now_ns, const struct result *result);

#endif
