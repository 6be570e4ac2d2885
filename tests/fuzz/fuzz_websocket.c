/* WebSocket frames: bytes that come at once and the same in pieces say the same. */
#include "bridge/websocket.h"
#include "core/buf.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define MESSAGE_MAX 2000

static bool on_message(void *context, enum websocket_opcode opcode, const char *bytes, size_t size)
{
    struct buf *heard = context;

    MUST(size <= MESSAGE_MAX);
    buf_printf(heard, "%d:%zu:", (int)opcode, size);
    if (size > 0)
        buf_put(heard, bytes, size);
    return true;
}

static int feed(const uint8_t *data, size_t size, size_t step, struct buf *heard)
{
    struct websocket_pool *pool = websocket_pool_create();
    struct websocket_reader *reader = NULL;
    int status = 0;

    for (size_t at = 0; at < size && status == 0; at += step)
        status = websocket_feed(pool, &reader, data + at, size - at < step ? size - at : step, MESSAGE_MAX,
                                on_message, heard);
    websocket_release(pool, &reader);
    websocket_pool_destroy(&pool);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, pieces = {0};
    int status = feed(data, size, size + 1, &whole);

    MUST(feed(data, size, 3, &pieces) == status);
    MUST(whole.size == pieces.size);
    MUST(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
    buf_finish(&whole);
    buf_finish(&pieces);
    return 0;
}
