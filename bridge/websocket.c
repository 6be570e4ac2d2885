/* wslay's frame parser works out headers and masks; what frames may follow each other, how long they may be
 * and what text may hold is checked here. Its context is opaque, so whether it keeps an unfinished header is
 * known by counting: bytes given to it against bytes of the frames that it gave back. */
#include "bridge/websocket.h"

#include "core/buf.h"
#include "core/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#define CONTROL_MAX      125
#define SPARE_MAX        8
#define SPARE_BUFFER_MAX ((size_t)16 * 1024) /* a spare reader keeps no larger one */

struct websocket_reader {
    wslay_frame_context_ptr frames;
    const uint8_t *at, *end; /* given to the parser as it asks */
    size_t held;             /* bytes taken by the parser beyond the frames it gave back */
    uint64_t left;           /* payload bytes of the current frame still to come */
    bool in_frame, fin;
    uint8_t opcode;  /* of the current frame */
    uint8_t message; /* opcode of the message in part, 0 for none */
    uint8_t control_size;
    char control[CONTROL_MAX];
    struct buf text; /* the message so far */
    struct websocket_reader *next;
};

struct websocket_pool {
    struct websocket_reader *spare;
    unsigned spare_count;
};

static ssize_t on_recv(uint8_t *out, size_t size, int flags, void *context)
{
    struct websocket_reader *r = context;
    size_t ready = (size_t)(r->end - r->at);

    (void)flags;
    if (ready == 0)
        return -1;
    if (size > ready)
        size = ready;
    memcpy(out, r->at, size);
    r->at += size;
    r->held += size;
    return (ssize_t)size;
}

struct websocket_pool *websocket_pool_create(void)
{
    return mem_zalloc(1, sizeof(struct websocket_pool));
}

static void reader_free(struct websocket_reader *r)
{
    wslay_frame_context_free(r->frames);
    buf_finish(&r->text);
    free(r);
}

void websocket_pool_destroy(struct websocket_pool **pool)
{
    if (*pool == NULL)
        return;
    while ((*pool)->spare != NULL) {
        struct websocket_reader *r = (*pool)->spare;

        (*pool)->spare = r->next;
        reader_free(r);
    }
    free(*pool);
    *pool = NULL;
}

static struct websocket_reader *borrow(struct websocket_pool *pool)
{
    const struct wslay_frame_callbacks callbacks = {NULL, on_recv, NULL};
    struct websocket_reader *r = pool->spare;

    if (r != NULL) {
        pool->spare = r->next;
        pool->spare_count--;
        return r;
    }
    r = mem_zalloc(1, sizeof *r);
    if (wslay_frame_context_init(&r->frames, &callbacks, r) != 0)
        abort();
    return r;
}

static bool is_clean(const struct websocket_reader *r)
{
    return r->held == 0 && !r->in_frame && r->message == 0;
}

void websocket_release(struct websocket_pool *pool, struct websocket_reader **reader)
{
    struct websocket_reader *r = *reader;

    *reader = NULL;
    if (r == NULL)
        return;
    if (!is_clean(r) || pool->spare_count >= SPARE_MAX) {
        reader_free(r);
        return;
    }
    buf_clear(&r->text);
    if (r->text.capacity > SPARE_BUFFER_MAX)
        buf_finish(&r->text);
    r->next = pool->spare;
    pool->spare = r;
    pool->spare_count++;
}

/* A message may hold U+0000, which utf8_check refuses. */
static bool is_text(const char *bytes, size_t size)
{
    const char *end = bytes + size;

    while (bytes < end) {
        const char *stop = memchr(bytes, 0, (size_t)(end - bytes));

        if (stop == NULL)
            stop = end;
        if (!utf8_check(bytes, (size_t)(stop - bytes)))
            return false;
        bytes = stop + 1;
    }
    return true;
}

/* What a new frame may be, given what came before it. Returns 0 or a status. */
static int frame_begin(struct websocket_reader *r, const struct wslay_frame_iocb *io, size_t message_max)
{
    size_t header = 2 + 4 + (size_t)(io->payload_length > 65535 ? 8 : io->payload_length > 125 ? 2 : 0);
    bool control = wslay_is_ctrl_frame(io->opcode);

    if (io->rsv != 0 || !io->mask)
        return WEBSOCKET_PROTOCOL;
    if (control ? io->opcode > WSLAY_PONG : io->opcode > WSLAY_BINARY_FRAME)
        return WEBSOCKET_PROTOCOL;
    if (!control && (io->opcode == WSLAY_CONTINUATION_FRAME) != (r->message != 0))
        return WEBSOCKET_PROTOCOL;
    if (!control && io->payload_length > message_max - r->text.size)
        return WEBSOCKET_TOO_BIG;
    assert(r->held >= header);
    r->held -= header;
    r->in_frame = true;
    r->fin = io->fin;
    r->opcode = io->opcode;
    r->left = io->payload_length;
    r->control_size = 0;
    if (!control && io->opcode != WSLAY_CONTINUATION_FRAME)
        r->message = io->opcode;
    return 0;
}

static int message_end(struct websocket_reader *r, const char *bytes, size_t size, websocket_fn fn,
                       void *context)
{
    enum websocket_opcode opcode = (enum websocket_opcode)r->message;

    if (opcode == WEBSOCKET_TEXT && !is_text(bytes, size))
        return WEBSOCKET_BAD_TEXT;
    if (!fn(context, opcode, bytes, size))
        return WEBSOCKET_NORMAL;
    r->message = 0;
    buf_clear(&r->text);
    return 0;
}

/* Takes the bytes of the current frame that came; a message in one piece is not copied. */
static int frame_data(struct websocket_reader *r, const struct wslay_frame_iocb *io, websocket_fn fn,
                      void *context)
{
    const char *bytes = (const char *)io->data;
    bool control = wslay_is_ctrl_frame(r->opcode), last;

    assert(r->held >= io->data_length && r->left >= io->data_length);
    r->held -= io->data_length;
    r->left -= io->data_length;
    last = r->left == 0;
    r->in_frame = !last;
    if (control) {
        if (io->data_length > 0)
            memcpy(r->control + r->control_size, bytes, io->data_length);
        r->control_size = (uint8_t)(r->control_size + io->data_length);
        if (last && !fn(context, (enum websocket_opcode)r->opcode, r->control, r->control_size))
            return WEBSOCKET_NORMAL;
        return 0;
    }
    if (last && r->fin && r->text.size == 0)
        return message_end(r, io->data_length > 0 ? bytes : "", io->data_length, fn, context);
    if (io->data_length > 0)
        buf_put(&r->text, bytes, io->data_length);
    if (!last || !r->fin)
        return 0;
    return message_end(r, r->text.size > 0 ? r->text.data : "", r->text.size, fn, context);
}

static int read_frames(struct websocket_reader *r, size_t message_max, websocket_fn fn, void *context)
{
    for (;;) {
        struct wslay_frame_iocb io = {0};
        ssize_t got = wslay_frame_recv(r->frames, &io);
        int status;

        if (got == WSLAY_ERR_WANT_READ) {
            if (r->at == r->end)
                return 0;
            continue;
        }
        if (got < 0)
            return WEBSOCKET_PROTOCOL;
        status = r->in_frame ? 0 : frame_begin(r, &io, message_max);
        if (status == 0)
            status = frame_data(r, &io, fn, context);
        if (status != 0)
            return status;
    }
}

int websocket_feed(struct websocket_pool *pool, struct websocket_reader **reader, const uint8_t *bytes,
                   size_t size, size_t message_max, websocket_fn fn, void *context)
{
    struct websocket_reader *r = *reader;
    int status;

    if (r == NULL)
        r = *reader = borrow(pool);
    r->at = bytes;
    r->end = bytes + size;
    status = read_frames(r, message_max, fn, context);
    if (status != 0)
        r->held = 1; /* whatever the parser still has, it is not to be used again */
    if (status != 0 || is_clean(r))
        websocket_release(pool, reader);
    return status;
}

size_t websocket_header(uint8_t out[WEBSOCKET_HEADER_MAX], enum websocket_opcode opcode, size_t size)
{
    out[0] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        out[1] = (uint8_t)size;
        return 2;
    }
    if (size < 65536) {
        out[1] = 126;
        out[2] = (uint8_t)(size >> 8);
        out[3] = (uint8_t)size;
        return 4;
    }
    out[1] = 127;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
    return 10;
}

struct shared *websocket_frame(enum websocket_opcode opcode, const void *bytes, size_t size)
{
    uint8_t header[WEBSOCKET_HEADER_MAX];
    size_t header_size = websocket_header(header, opcode, size);
    struct shared *frame = shared_make(NULL, header_size + size);

    memcpy(frame->data, header, header_size);
    if (bytes != NULL && size > 0)
        memcpy(frame->data + header_size, bytes, size);
    return frame;
}

struct shared *websocket_close_frame(enum websocket_status status)
{
    const uint8_t payload[2] = {(uint8_t)(status >> 8), (uint8_t)status};

    return websocket_frame(WEBSOCKET_CLOSE, payload, sizeof payload);
}

enum websocket_status websocket_close_reply(const char *payload, size_t size)
{
    unsigned code = size >= 2 ? (unsigned)(uint8_t)payload[0] << 8 | (uint8_t)payload[1] : WEBSOCKET_NORMAL;
    bool known = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
                 (code >= 3000 && code <= 4999);

    if (size == 1 || !known)
        return WEBSOCKET_PROTOCOL;
    if (size > 2 && !is_text(payload + 2, size - 2))
        return WEBSOCKET_BAD_TEXT;
    return (enum websocket_status)code;
}

enum websocket_opcode websocket_payload(const struct shared *frame, const char **bytes_out, size_t *size_out)
{
    uint8_t length = (uint8_t)frame->data[1];
    size_t header = length < 126 ? 2 : length == 126 ? 4 : 10;

    *bytes_out = frame->data + header;
    *size_out = frame->size - header;
    return (enum websocket_opcode)(frame->data[0] & 0x0f);
}
