/* Socket.IO: slices lie within the text, their bounds hold, and the packet printed from them reads the same.
 */
#include "tests/fuzz/fuzz.h"

#include "bridge/socketio.h"

#include <string.h>

static void check_slice(struct slice slice, const char *text, size_t size)
{
    if (slice.size == 0)
        return;
    MUST(slice.text >= text && slice.size <= size && slice.text + slice.size <= text + size);
}

static bool same(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.text, b.text, a.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct socketio_packet packet, again;
    if (!socketio_parse(text, size, &packet))
        return 0;
    check_slice(packet.ack, text, size);
    check_slice(packet.payload, text, size);
    check_slice(packet.name, text, size);
    check_slice(packet.args, text, size);
    MUST(packet.attachments <= SOCKETIO_ATTACHMENTS_MAX && packet.ack.size <= SOCKETIO_ACK_DIGITS_MAX);
    MUST(packet.nsp.size >= 1 && packet.nsp.size <= SOCKETIO_NAMESPACE_MAX && packet.nsp.text[0] == '/');
    (void)socketio_is_reserved(packet.name);
    if (memchr(packet.nsp.text, '\0', packet.nsp.size) != NULL)
        return 0; /* as a C string it would be another one */
    char *nsp = mem_dup(packet.nsp.text, packet.nsp.size);
    struct buf out = {0};
    socketio_put(&out, packet.type, packet.attachments, nsp, packet.ack);
    buf_put(&out, packet.payload.text, packet.payload.size);
    MUST(socketio_parse(out.data, out.size, &again));
    MUST(again.type == packet.type && again.attachments == packet.attachments);
    MUST(same(again.nsp, packet.nsp) && same(again.ack, packet.ack) && same(again.payload, packet.payload));
    buf_finish(&out);
    free(nsp);
    return 0;
}
