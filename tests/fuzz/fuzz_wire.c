/* The packed link: any packet is read to its end or refused; what is read lies within it and can be written
 * again. */
#include "tests/fuzz/fuzz.h"

#include "core/wire.h"

static void check_text(const char *text, size_t size, const uint8_t *data, size_t whole)
{
    if (text == NULL)
        return;
    const uint8_t *at = (const uint8_t *)text;
    MUST(at >= data && size <= whole && at + size <= data + whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader reader;
    struct wire_record record;
    if (!wire_open(&reader, data, size))
        return 0;
    struct buf packet = {0};
    wire_begin(&packet, reader.number);
    size_t records = 0, again = 0;
    int result;
    while ((result = wire_next(&reader, &record)) == 1) {
        records++;
        check_text(record.user, record.user_size, data, size);
        check_text(record.word, record.word_size, data, size);
        check_text(record.fallback_id, record.fallback_id_size, data, size);
        check_text(record.payload, record.payload_size, data, size);
        check_text(record.request_id, record.request_id_size, data, size);
        wire_put(&packet, &record);
    }
    MUST(records <= size);
    MUST(wire_open(&reader, packet.data, packet.size));
    while ((result = wire_next(&reader, &record)) == 1)
        again++;
    MUST(result == 0 && again == records);
    buf_finish(&packet);
    return 0;
}
