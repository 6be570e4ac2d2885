#include "bridge/engineio.h"

#include <stdint.h>
#include <string.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool engineio_parse(bool binary, const char *bytes, size_t size, struct engineio_packet *out)
{
    if (binary) {
        *out = (struct engineio_packet){ENGINEIO_MESSAGE, true, bytes, size};
        return true;
    }
    if (size == 0 || bytes[0] < '0' || bytes[0] > '6')
        return false;
    *out = (struct engineio_packet){(enum engineio_type)(bytes[0] - '0'), false, bytes + 1, size - 1};
    return true;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static bool is_blank(char c)
{
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

/* As generous as official servers where clients differ: the Java client breaks its lines and ends with a line
 * break, padding may be left out, and the alphabet may be that for URLs (RFC 4648, section 5). */
static bool base64_decode(struct buf *out, const char *text, size_t size)
{
    uint32_t bits = 0;
    unsigned count = 0, digits = 0, padding = 0;

    for (size_t i = 0; i < size; i++) {
        int value = base64_value(text[i]);

        if (is_blank(text[i]))
            continue;
        padding += text[i] == '=';
        if (text[i] == '=' && padding <= 2)
            continue;
        if (value < 0 || padding > 0)
            return false;
        digits++;
        bits = (bits << 6) | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_put_byte(out, (unsigned char)(bits >> count));
        }
    }
    return digits % 4 != 1;
}

static void base64_encode(struct buf *out, const char *bytes, size_t size)
{
    const unsigned char *in = (const unsigned char *)bytes;

    buf_reserve(out, size / 3 * 4 + 4);
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)in[i] << 16;
        char text[4];

        if (left > 1)
            bits |= (uint32_t)in[i + 1] << 8;
        if (left > 2)
            bits |= in[i + 2];
        text[0] = ALPHABET[bits >> 18];
        text[1] = ALPHABET[(bits >> 12) & 63];
        text[2] = left > 1 ? ALPHABET[(bits >> 6) & 63] : '=';
        text[3] = left > 2 ? ALPHABET[bits & 63] : '=';
        buf_put(out, text, sizeof text);
    }
}

bool engineio_parse_text(const char *text, size_t size, struct buf *scratch, struct engineio_packet *out)
{
    if (size == 0 || *text != 'b')
        return engineio_parse(false, text, size, out);
    buf_reserve(scratch, 1);
    return base64_decode(scratch, text + 1, size - 1) &&
           engineio_parse(true, scratch->data, scratch->size, out);
}

void engineio_batch_open(struct engineio_batch *batch, const char *bytes, size_t size)
{
    *batch = (struct engineio_batch){.at = size > 0 ? bytes : NULL, .end = bytes + size};
}

int engineio_batch_next(struct engineio_batch *batch, struct engineio_packet *out)
{
    const char *start = batch->at, *stop;

    if (start == NULL)
        return 0;
    stop = memchr(start, ENGINEIO_SEPARATOR, (size_t)(batch->end - start));
    if (stop != NULL) {
        batch->at = stop + 1;
    } else {
        stop = batch->end;
        batch->at = NULL;
    }
    buf_clear(&batch->scratch);
    return engineio_parse_text(start, (size_t)(stop - start), &batch->scratch, out) ? 1 : -1;
}

void engineio_batch_close(struct engineio_batch *batch)
{
    buf_finish(&batch->scratch);
}

void engineio_batch_put(struct buf *batch, bool binary, const char *bytes, size_t size)
{
    if (batch->size > 0)
        buf_put_byte(batch, ENGINEIO_SEPARATOR);
    if (binary) {
        buf_put_byte(batch, 'b');
        base64_encode(batch, bytes, size);
    } else {
        buf_put(batch, bytes, size);
    }
}
