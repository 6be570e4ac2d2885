#include "http/search.h"

#include "core/log.h"
#include "core/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH_MAX       200 /* bytes of the text */
#define SPACES           " \t\r\n"
#define MARK_SIZE        17
#define NUMBER_TEXT_SIZE 24
#define FEED_FROM        1024 /* messages that are not indexed: as many are read in a few milliseconds */
#define FEED_BLOCKS      "16" /* of 32 messages: a statement holds up others on its connection for some 10 ms */
#define FEEDS_MAX        2    /* rooms at a time */

struct search {
    int64_t limit;
    char mark[MARK_SIZE]; /* stands around matches; nobody can have written it before */
};

/* ---- Indexing behind the answer ---- */

struct feed {
    struct db_port *db;
    char room[UUID_TEXT_SIZE];
};

static unsigned feeds; /* under way */

static void on_fed(void *context, const struct db_answer *answer);

static void feed_on(struct feed *feed)
{
    feed->db->query(feed->db, QUERY_SEARCH_FEED, 2, (const char *const[]){feed->room, FEED_BLOCKS}, on_fed,
                    feed);
}

static void on_fed(void *context, const struct db_answer *answer)
{
    struct feed *feed = context;
    if (answer->ok && strtoll(answer->cell(answer, 0, 0), NULL, 10) > 0) {
        feed_on(feed);
        return;
    }
    if (!answer->ok)
        log_warn("http", "a room's messages are not indexed for search chat_room=%s msg=\"%s\"", feed->room,
                 answer->error.text);
    feeds--;
    free(feed);
}

static void feed_begin(const struct exchange *x)
{
    if (feeds >= FEEDS_MAX)
        return;
    struct feed *feed = mem_zalloc(1, sizeof *feed);
    feed->db = x->ports->db;
    uuid_format(&x->id, feed->room);
    feeds++;
    feed_on(feed);
}

/* ---- The answer ---- */

/* Walks the content beside itself with marks in it. */
static void put_matches(struct buf *out, const char *content, const char *marked, const char *mark)
{
    int64_t units = 0, start = -1;
    const char *comma = "";
    buf_put_text(out, ",\"matches\":[");
    while (*marked != '\0') {
        if (strncmp(marked, mark, MARK_SIZE - 1) == 0) {
            marked += MARK_SIZE - 1;
            if (start >= 0) {
                buf_printf(out, "%s[%lld,%lld]", comma, (long long)start, (long long)(units - start));
                comma = ",";
            }
            start = start < 0 ? units : -1;
        } else if (*marked == *content) {
            unsigned char byte = (unsigned char)*content;
            units += byte >= 0xF0 ? 2 : (byte & 0xC0) != 0x80;
            marked++, content++;
        } else {
            break; /* the two have parted: what is past here can't be told */
        }
    }
    buf_put_byte(out, ']');
}

static void put_found(struct exchange *x, const struct db_answer *answer, int row)
{
    const struct search *s = x->state;
    if (row > 0)
        buf_put_byte(&x->text, ',');
    query_put_message(&x->text, answer, row, &x->id);
    x->text.size--; /* its closing brace comes behind the matches */
    put_matches(&x->text, query_message_content(answer, row), query_message_beside(answer, row), s->mark);
    buf_put_byte(&x->text, '}');
}

static void on_found(struct exchange *x, const struct db_answer *answer)
{
    const struct search *s = x->state;
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return;
    }
    if (answer->rows == 0) {
        exchange_refuse_room(x);
        return;
    }
    int end = answer->rows - 1;
    int rows = end > s->limit ? (int)s->limit : end;
    int64_t next = end > s->limit ? query_message_seq(answer, rows - 1) : query_message_seq(answer, end);
    if (query_message_rev(answer, end) >= FEED_FROM)
        feed_begin(x);
    buf_put_text(&x->text, "{\"data\":[");
    for (int row = 0; row < rows; row++)
        put_found(x, answer, row);
    if (next > 0)
        buf_printf(&x->text, "],\"meta\":{\"nextCursor\":%lld,\"hasMore\":true}}", (long long)next);
    else
        buf_put_text(&x->text, "],\"meta\":{\"nextCursor\":null,\"hasMore\":false}}");
    exchange_json(x, 200, x->text.data, x->text.size);
}

/* ---- The question ---- */

/* Cuts the text before its last word, spaces at the end apart. */
static const char *cut_last_word(char *text)
{
    size_t size = strlen(text);
    while (size > 0 && strchr(SPACES, text[size - 1]) != NULL)
        text[--size] = '\0';
    while (size > 0 && strchr(SPACES, text[size - 1]) == NULL)
        size--;
    if (size == 0)
        return NULL;
    text[size - 1] = '\0';
    return text + size;
}

void search_list(struct exchange *x, int64_t below, int64_t limit)
{
    struct search *s = exchange_alloc(x, sizeof *s);
    x->state = s;
    s->limit = limit;
    const char *text = args_get(&x->args, "search");
    if (text[strspn(text, SPACES)] == '\0' || strlen(text) > SEARCH_MAX)
        problems_add(&x->problems, "search must have 1 to %d bytes, and not spaces alone", SEARCH_MAX);
    if (args_get(&x->args, "after") != NULL)
        problems_add(&x->problems, "search and after must not be given together");
    if (exchange_refuse_problems(x))
        return;
    uint64_t random;
    random_bytes(&random, sizeof random);
    snprintf(s->mark, sizeof s->mark, "%016llx", (unsigned long long)random);
    char *head = exchange_copy(x, text, strlen(text));
    const char *tail = cut_last_word(head);
    char below_text[NUMBER_TEXT_SIZE], count[NUMBER_TEXT_SIZE];
    snprintf(below_text, sizeof below_text, "%lld", (long long)below);
    snprintf(count, sizeof count, "%lld", (long long)limit + 1);
    const char *values[] = {
        x->id_text, x->who.user, tail != NULL ? head : "", tail != NULL ? tail : head, below_text,
        count,      s->mark};
    exchange_query(x, QUERY_SEARCH, 7, values, on_found);
}
