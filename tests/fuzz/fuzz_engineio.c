/* Engine.IO: any batch is read to its end or refused; packets that were read make a batch that reads the
 * same. */
#include "tests/fuzz/fuzz.h"

#include "bridge/engineio.h"

#include <string.h>

static void put_again(struct buf *out, const struct engineio_packet *packet)
{
    struct buf frame = {0};
    if (!packet->binary)
        buf_put_byte(&frame, (unsigned char)('0' + packet->type));
    buf_put(&frame, packet->data, packet->size);
    engineio_batch_put(out, packet->binary, frame.data, frame.size);
    buf_finish(&frame);
}

static size_t read_batch(const char *bytes, size_t size, struct buf *again, int *result)
{
    struct engineio_batch batch;
    struct engineio_packet packet;
    size_t count = 0;
    engineio_batch_open(&batch, bytes, size);
    while ((*result = engineio_batch_next(&batch, &packet)) == 1) {
        MUST(packet.type <= ENGINEIO_NOOP && (!packet.binary || packet.type == ENGINEIO_MESSAGE));
        count++;
        if (again != NULL)
            put_again(again, &packet);
    }
    engineio_batch_close(&batch);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct engineio_packet packet;
    int result, result_again;
    if (engineio_parse(false, bytes, size, &packet))
        MUST(packet.data >= bytes && packet.data + packet.size == bytes + size);
    (void)engineio_parse(true, bytes, size, &packet);
    struct buf again = {0};
    size_t count = read_batch(bytes, size, &again, &result);
    MUST(count <= size + 1);
    if (result == 0 && count != 0) {
        MUST(read_batch(again.data, again.size, NULL, &result_again) == count);
        MUST(result_again == 0);
    }
    buf_finish(&again);
    return 0;
}
