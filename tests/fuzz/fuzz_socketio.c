/* Socket.IO packets: every slice lies within the text. */
#include "bridge/socketio.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void within(struct slice s, const char *text, size_t size)
{
    MUST(s.size == 0 || (s.text >= text && s.text + s.size <= text + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_alloc(size); /* of its own, so that a byte too far is seen */
    struct socketio_packet p;

    if (size > 0)
        memcpy(text, data, size);
    if (socketio_parse(text, size, &p)) {
        MUST(p.attachments <= SOCKETIO_ATTACHMENTS_MAX && p.ack.size <= SOCKETIO_ACK_DIGITS_MAX);
        MUST(p.nsp.size <= SOCKETIO_NAMESPACE_MAX);
        if (!slice_is(p.nsp, "/"))
            within(p.nsp, text, size);
        within(p.ack, text, size);
        within(p.payload, text, size);
        within(p.name, text, size);
        within(p.args, text, size);
        socketio_is_reserved(p.name.size > 0 ? p.name : (struct slice){"", 0});
    }
    free(text);
    return 0;
}
