#include "plugin/trace.h"

#include "core/message.h"
#include "plugin/item.h"

#define REJECTED_LINES_PER_S 10

static const struct uuid no_room;

const char *trace_id(const struct trace *trace, char made[REQUEST_NUMBER_SIZE])
{
    if (trace->id[0] != '\0')
        return trace->id;
    if (trace->number.base == 0)
        return "-";
    request_number_format(trace->number, made);
    return made;
}

void trace_stored(const struct item *item, int64_t seq, bool replayed)
{
    char made[REQUEST_NUMBER_SIZE], room[UUID_TEXT_SIZE];
    if (!log_wanted(LOG_LEVEL_DEBUG))
        return;
    uuid_format(&item->room, room);
    log_debug("writer", "%s chat_room=%s seq=%lld user=%s request=%s", replayed ? "stored before" : "stored",
              room, (long long)seq, item->user, trace_id(&item->trace, made));
}

void trace_marked(const struct item *item, int64_t read_seq, int64_t delivered_seq)
{
    char made[REQUEST_NUMBER_SIZE], room[UUID_TEXT_SIZE];
    if (!log_wanted(LOG_LEVEL_DEBUG))
        return;
    uuid_format(&item->room, room);
    log_debug("receipts", "marked chat_room=%s read=%lld delivered=%lld user=%s request=%s", room,
              (long long)read_seq, (long long)delivered_seq, item->user, trace_id(&item->trace, made));
}

void trace_published(const struct result *result)
{
    char made[REQUEST_NUMBER_SIZE], room[UUID_TEXT_SIZE];
    if (!log_wanted(LOG_LEVEL_DEBUG))
        return;
    uuid_format(&result->room, room);
    log_debug("fanout", "published chat_room=%s seq=%lld request=%s", room, (long long)result->seq,
              trace_id(&result->trace, made));
}

/* An edited or deleted message has a seq, by which it is known to who changed it. */
void trace_event(const struct memberlog_event *event)
{
    char room[UUID_TEXT_SIZE];
    int64_t seq = 0;
    if (!log_wanted(LOG_LEVEL_DEBUG))
        return;
    uuid_format(&event->room, room);
    if (event->messages && message_read_seq(event->payload, event->payload_size, &seq))
        log_debug("outbox", "published a changed message chat_room=%s seq=%lld version=%lld", room,
                  (long long)seq, (long long)event->version);
    else
        log_debug("outbox", "published an event chat_room=%s user=%s version=%lld",
                  uuid_equal(&event->room, &no_room) ? "-" : room, event->user[0] != '\0' ? event->user : "-",
                  (long long)event->version);
}

void trace_refused(const char *room, const char *what, const struct item *item, const char *why)
{
    char made[REQUEST_NUMBER_SIZE];
    log_warn(room, "the server refused a %s of %s: %s request=%s", what, item->user, why,
             trace_id(&item->trace, made));
}

void trace_rejected(struct log_limit *limit, int64_t now_ns, const struct rejection *r)
{
    char made[REQUEST_NUMBER_SIZE], room[UUID_TEXT_SIZE] = "-";
    unsigned held;
    if (!log_wanted(LOG_LEVEL_INFO) || !log_limit_pass(limit, REJECTED_LINES_PER_S, now_ns, &held))
        return;
    if (r->room != NULL)
        uuid_format(r->room, room);
    log_info("fanout", "rejected user=%s what=%s chat_room=%s code=%s why=%.300s request=%s held=%u", r->user,
             r->what, room, r->code, r->why, trace_id(r->trace, made), held);
}

void trace_rejected_result(struct log_limit *limit, int64_t now_ns, const struct result *result)
{
    struct rejection rejection = {.user = result->user,
                                  .what = item_kind_name(result->item_kind),
                                  .room = uuid_equal(&result->room, &no_room) ? NULL : &result->room,
                                  .code = result->word,
                                  .why = result->body,
                                  .trace = &result->trace};
    if (!result->told)
        trace_rejected(limit, now_ns, &rejection);
}
