/* Topics and filters: parts lie within the text, names are never wild, what was parsed prints as it was. */
#include "tests/fuzz/fuzz.h"

#include "core/buf.h"
#include "core/topic.h"

#include <string.h>

static void check_part(const struct topic_part *part, const char *text, size_t size)
{
    if (part->text == NULL)
        return;
    MUST(part->text >= text && part->size <= size && part->text + part->size <= text + size);
}

static void check_parts(const struct topic *topic, const char *text)
{
    size_t size = strlen(text);
    check_part(&topic->owner, text, size);
    check_part(&topic->speaker, text, size);
    check_part(&topic->request, text, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const prefixes[] = {"chat/v1", "a"};
    char *text = mem_dup(data, size);
    for (size_t i = 0; i < 2; i++) {
        struct topic topic = topic_parse(prefixes[i], text);
        check_parts(&topic, text);
        MUST(!topic.wild && !topic.id_wild && !topic.shared);
        if (topic.kind != TOPIC_OUTSIDE && topic.kind != TOPIC_PRIVATE)
            MUST(strncmp(text, prefixes[i], strlen(prefixes[i])) == 0);
        if (topic.kind == TOPIC_ROOM_SEND || topic.kind == TOPIC_CALL_SIGNAL)
            MUST(user_id_valid(topic.speaker.text, topic.speaker.size));
        if (topic.kind == TOPIC_ROOM_MESSAGES) {
            char again[TOPIC_TEXT_MAX];
            MUST(topic_format_room(again, prefixes[i], &topic.id, topic.kind, NULL) == strlen(text));
            MUST(strcmp(again, text) == 0);
        }
        struct topic filter = filter_parse(prefixes[i], text);
        check_parts(&filter, text);
    }
    free(text);
    return 0;
}
