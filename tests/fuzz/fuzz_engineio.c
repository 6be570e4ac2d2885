/* Engine.IO batches: what is read and put again is read as the same. */
#include "bridge/engineio.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct engineio_batch batch, again;
    struct engineio_packet p, q;
    struct buf text = {0};
    int more;

    engineio_batch_open(&batch, (const char *)data, size);
    while ((more = engineio_batch_next(&batch, &p)) == 1) {
        struct buf one = {0};

        if (!p.binary)
            buf_put_byte(&one, (unsigned char)('0' + p.type));
        if (p.size > 0)
            buf_put(&one, p.data, p.size);
        buf_clear(&text);
        engineio_batch_put(&text, p.binary, one.size > 0 ? one.data : "", one.size);
        engineio_batch_open(&again, text.data, text.size);
        MUST(engineio_batch_next(&again, &q) == 1);
        MUST(p.type == q.type && p.binary == q.binary && p.size == q.size);
        MUST(p.size == 0 || memcmp(p.data, q.data, p.size) == 0);
        MUST(engineio_batch_next(&again, &q) == 0);
        engineio_batch_close(&again);
        buf_finish(&one);
    }
    MUST(more == 0 || more == -1);
    engineio_batch_close(&batch);
    buf_finish(&text);
    return 0;
}
