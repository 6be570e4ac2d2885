/* Who may is decided here, by the role that the database has for the asker; the change then holds only if
 * that role is still the same under the room's lock. When it is not, all is looked at again. */
#include "http/edits.h"

#include "core/config.h"
#include "core/log.h"
#include "core/queries.h"
#include "http/messages.h"

#include <string.h>

#define LOOKS_MAX 3 /* a role that changes more often than this within one request is not waited for */

struct edit {
    bool deletes;
    const char *content; /* NULL: none */
    unsigned looks;
    struct uuid room; /* of the message, and its seq there */
    int64_t seq;
};

static void look(struct exchange *x);

static void note_changed(const struct exchange *x)
{
    const struct edit *edit = x->state;
    char room[UUID_TEXT_SIZE];
    if (!log_wanted(LOG_LEVEL_DEBUG))
        return;
    uuid_format(&edit->room, room);
    log_debug("http", "message changed chat_room=%s seq=%lld request=%s", room, (long long)edit->seq,
              x->request->request_id);
}

static void on_changed(struct exchange *x, const struct db_answer *answer)
{
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return;
    }
    const char *outcome = answer->cell(answer, 0, 0);
    if (strcmp(outcome, "moved") == 0) {
        look(x);
    } else if (strcmp(outcome, "deleted") == 0) {
        exchange_refuse_status(x, 409, "message_deleted", "a deleted message can't be edited");
    } else {
        note_changed(x);
        exchange_json(x, 200, answer->cell(answer, 0, 1), answer->cell_size(answer, 0, 1));
    }
}

/* Nobody edits for another; what a call or the system said is nobody's to edit. */
static struct verdict judge(const struct exchange *x, const struct edit *edit, const struct message_facts *m)
{
    enum operation operation = !edit->deletes ? OPERATION_EDIT_OWN
                               : m->own       ? OPERATION_DELETE_OWN
                                              : OPERATION_DELETE_OTHERS;
    struct verdict verdict = access_room(operation, m->room_type, m->member, x->who.role, MEMBER_NONE);
    if (!edit->deletes && !(m->own && m->by_a_person))
        verdict = (struct verdict){.allowed = false, .rule = RULE_SENDER};
    return verdict;
}

static void on_facts(struct exchange *x, const struct db_answer *answer)
{
    struct edit *edit = x->state;
    struct message_facts m;
    if (!messages_facts(x, answer, &m))
        return;
    edit->room = m.room;
    edit->seq = m.seq;
    struct verdict verdict = judge(x, edit, &m);
    if (!verdict.allowed) {
        messages_refuse_right(x, &verdict);
        return;
    }
    if (!edit->deletes && edit->content == NULL && !m.has_attachments)
        problems_add(&x->problems, "content must not be empty in a message without attachments");
    if (exchange_refuse_problems(x))
        return;
    const char *values[] = {x->id_text, x->who.user, m.role, edit->content, edit->deletes ? "t" : "f"};
    exchange_query(x, QUERY_MESSAGE_CHANGE, 5, values, on_changed);
}

static void look(struct exchange *x)
{
    struct edit *edit = x->state;
    if (edit->looks++ < LOOKS_MAX)
        messages_find(x, on_facts);
    else
        exchange_refuse_status(x, 503, "busy", "your role in the room is changing");
}

/* Content as in a draft, but the key must be there: an edit that says nothing changes nothing. */
static bool read_content(struct exchange *x, struct edit *edit)
{
    const struct json *value = json_get(x->tree, "content");
    const char *text = json_string(value);
    int64_t max = x->ports->config->content_bytes_max;
    if (text == NULL && json_kind(value) != JSON_NULL) {
        problems_add(&x->problems, "content must be a string of at most %lld bytes", (long long)max);
    } else if (text != NULL && strlen(text) > (size_t)max && x->problems.count == 0) {
        exchange_refuse_status(x, 413, "content_too_large", "content must be a string of at most %lld bytes",
                               (long long)max);
        return false;
    } else if (text != NULL && *text != '\0') {
        edit->content = text;
    }
    return !exchange_refuse_problems(x);
}

static void begin(struct exchange *x, bool deletes)
{
    struct edit *edit = exchange_alloc(x, sizeof *edit);
    edit->deletes = deletes;
    x->state = edit;
    if (!deletes && !exchange_body(x))
        return;
    exchange_id(x, 0, "id");
    if (deletes ? !exchange_refuse_problems(x) : read_content(x, edit))
        look(x);
}

void edits_edit(struct exchange *x)
{
    begin(x, false);
}

void edits_delete(struct exchange *x)
{
    begin(x, true);
}
