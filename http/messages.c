/* A message goes in by the broker as every other door's does: checked here so that all that is wrong is said
 * at once, stored by the plugin's writer, answered by its ack. */
#include "http/messages.h"

#include "core/config.h"
#include "core/message.h"
#include "core/queries.h"
#include "http/rooms.h"
#include "http/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_DEFAULT     50
#define PAGE_MAX         100
#define NUMBER_TEXT_SIZE 24

/* ---- Sending ---- */

static void on_answer(struct exchange *x, const struct broker_answer *answer)
{
    if (answer->stored)
        exchange_json(x, 201, answer->message, answer->message_size);
    else
        exchange_refuse(x, &answer->error);
}

/* The Idempotency-Key as clientMessageId; false when it breaks the rule or says something else than the body.
 */
static bool read_key(struct exchange *x, struct draft *draft, bool *only_key_out)
{
    const char *key = x->request->header(x->request, "Idempotency-Key");
    *only_key_out = key != NULL && draft->client_message_id[0] == '\0';
    if (key == NULL)
        return true;
    if (!client_message_id_valid(key, strlen(key)))
        problems_add(&x->problems, "Idempotency-Key must be 1 to %d bytes of UTF-8", CLIENT_MESSAGE_ID_MAX);
    else if (!*only_key_out && strcmp(key, draft->client_message_id) != 0)
        problems_add(&x->problems, "Idempotency-Key must equal clientMessageId when both are given");
    else
        snprintf(draft->client_message_id, sizeof draft->client_message_id, "%s", key);
    return x->problems.count == 0;
}

/* The draft again as the payload of `send`, with the key in it. */
static void print_draft(struct buf *out, const struct draft *draft)
{
    buf_put_text(out, "{\"clientMessageId\":");
    json_put_text(out, draft->client_message_id);
    buf_put_text(out, ",\"type\":");
    json_put_text(out, draft->type);
    buf_put_text(out, ",\"content\":");
    if (draft->content != NULL)
        json_put_string(out, draft->content, draft->content_size);
    else
        buf_put_text(out, "null");
    buf_put_text(out, ",\"mentions\":");
    buf_put(out, draft->mentions.data, draft->mentions.size);
    if (draft->has_reply) {
        char reply_to[UUID_TEXT_SIZE];
        uuid_format(&draft->reply_to, reply_to);
        buf_printf(out, ",\"replyToId\":\"%s\"", reply_to);
    }
    buf_put_text(out, ",\"attachmentIds\":");
    buf_put(out, draft->attachments.data, draft->attachments.size);
    buf_put_byte(out, '}');
}

static void send_draft(struct exchange *x, const struct draft *draft, bool print)
{
    const struct request *request = x->request;
    struct broker_send send = {
        .user = x->who.user, .room = x->id, .payload = request->body, .payload_size = request->body_size};
    if (print) {
        print_draft(&x->text, draft);
        send.payload = x->text.data;
        send.payload_size = x->text.size;
    }
    exchange_send(x, &send, on_answer);
}

void messages_create(struct exchange *x)
{
    const struct request *request = x->request;
    exchange_id(x, 0, "id");
    if (exchange_refuse_problems(x) || !rooms_admit(x, OPERATION_SEND))
        return;
    struct draft draft;
    struct error e = {0};
    bool only_key;
    if (draft_parse(request->body != NULL ? request->body : "", request->body_size, x->ports->config, &draft,
                    &e) != 0)
        exchange_refuse(x, &e);
    else if (!read_key(x, &draft, &only_key))
        exchange_refuse_problems(x);
    else
        send_draft(x, &draft, only_key);
    draft_finish(&draft);
}

/* ---- Reading ---- */

struct message_page {
    int64_t limit;
    bool rising; /* after a seq; else the page below a seq, which comes newest first and is turned round */
};

static void on_page(struct exchange *x, const struct db_answer *answer)
{
    const struct message_page *page = x->state;
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return;
    }
    bool more;
    int rows = exchange_begin_list(x, answer, page->limit, &more);
    for (int i = 0; i < rows; i++) {
        if (i > 0)
            buf_put_byte(&x->text, ',');
        query_put_message(&x->text, answer, page->rising ? i : rows - 1 - i, &x->id);
    }
    buf_put_text(&x->text, "],\"meta\":{\"nextCursor\":");
    if (more)
        json_put_int(&x->text, query_message_seq(answer, rows - 1));
    else
        buf_put_text(&x->text, "null");
    buf_put_text(&x->text, more ? ",\"hasMore\":true}}" : ",\"hasMore\":false}}");
    exchange_json(x, 200, x->text.data, x->text.size);
}

void messages_list(struct exchange *x)
{
    struct message_page *page = exchange_alloc(x, sizeof *page);
    x->state = page;
    page->limit = PAGE_DEFAULT;
    int64_t from = INT64_MAX;
    exchange_id(x, 0, "id");
    args_integer(&x->args, "limit", 1, PAGE_MAX, &page->limit, &x->problems);
    args_integer(&x->args, "before", 1, INT64_MAX, &from, &x->problems);
    page->rising = args_get(&x->args, "after") != NULL;
    if (page->rising && args_get(&x->args, "before") != NULL)
        problems_add(&x->problems, "before and after must not be given together");
    args_integer(&x->args, "after", 0, INT64_MAX, &from, &x->problems);
    if (exchange_refuse_problems(x) || !rooms_admit(x, OPERATION_READ))
        return;
    if (args_get(&x->args, "search") != NULL) {
        search_list(x, from, page->limit);
        return;
    }
    char from_text[NUMBER_TEXT_SIZE], limit_text[NUMBER_TEXT_SIZE];
    snprintf(from_text, sizeof from_text, "%lld", (long long)from);
    snprintf(limit_text, sizeof limit_text, "%lld", (long long)page->limit + 1);
    const char *values[] = {x->id_text, x->who.user, from_text, limit_text};
    exchange_query(x, page->rising ? QUERY_PAGE_AFTER : QUERY_PAGE_BEFORE, 4, values, on_page);
}

/* ---- One message, of the routes that name it alone ---- */

void messages_refuse_unknown(struct exchange *x)
{
    exchange_refuse_status(x, 404, "message_not_found",
                           "no message has this id, or it is not for you to see");
}

void messages_refuse_right(struct exchange *x, const struct verdict *verdict)
{
    x->hint = rule_hint(verdict->rule);
    exchange_refuse_status(x, 403, "forbidden", "%s", rule_text(verdict->rule));
}

void messages_find(struct exchange *x, exchange_db_fn done)
{
    const char *values[] = {x->id_text, x->who.user};
    exchange_query(x, QUERY_MESSAGE_FACTS, 2, values, done);
}

enum facts_column {
    FACTS_ROOM,
    FACTS_ROOM_TYPE,
    FACTS_ROLE,
    FACTS_SEQ,
    FACTS_SENDER,
    FACTS_TYPE,
    FACTS_MEDIA,
    FACTS_VISIBLE
};

static bool read_facts(const struct exchange *x, const struct db_answer *answer, struct message_facts *out)
{
    const char *room = answer->cell(answer, 0, FACTS_ROOM);
    const char *type = answer->cell(answer, 0, FACTS_TYPE);
    *out = (struct message_facts){
        .seq = strtoll(answer->cell(answer, 0, FACTS_SEQ), NULL, 10),
        .own = strcmp(answer->cell(answer, 0, FACTS_SENDER), x->who.user) == 0,
        .by_a_person = strcmp(type, "text") == 0 || strcmp(type, "media") == 0,
        .has_attachments = strcmp(answer->cell(answer, 0, FACTS_MEDIA), "t") == 0,
        .role = answer->cell(answer, 0, FACTS_ROLE),
    };
    return uuid_parse(room, strlen(room), &out->room) &&
           room_type_parse(answer->cell(answer, 0, FACTS_ROOM_TYPE), &out->room_type) &&
           (out->role == NULL || member_role_parse(out->role, &out->member));
}

bool messages_facts(struct exchange *x, const struct db_answer *answer, struct message_facts *out)
{
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return false;
    }
    if (answer->rows == 0 || !read_facts(x, answer, out)) {
        messages_refuse_unknown(x);
        return false;
    }
    struct verdict verdict =
        access_room(OPERATION_READ, out->room_type, out->member, x->who.role, MEMBER_NONE);
    bool visible = strcmp(answer->cell(answer, 0, FACTS_VISIBLE), "t") == 0;
    if (verdict.allowed && visible)
        return true;
    if (verdict.allowed || verdict.rule == RULE_NOT_MEMBER)
        messages_refuse_unknown(x);
    else
        messages_refuse_right(x, &verdict);
    return false;
}
