/* Drafts: any payload is taken or refused; a draft that is taken keeps its bounds and prints as valid JSON.
 */
#include "tests/fuzz/fuzz.h"

#include "core/message.h"

#include <string.h>

static const struct config *limits(void)
{
    static struct config *config;
    if (config == NULL)
        MUST(config_load(NULL, CONFIG_CTL, &config, NULL) == 0);
    return config;
}

static void print(const struct draft *draft)
{
    struct buf out = {0};
    const struct message message = {
        .seq = 1,
        .sender = "ann",
        .client_message_id = draft->client_message_id,
        .type = draft->type,
        .content = draft->content,
        .content_size = draft->content_size,
        .mentions = draft->mentions.data,
        .attachments = "[]",
        .has_reply = draft->has_reply,
        .reply_to = draft->reply_to,
    };
    message_print(&out, &message);
    MUST(json_check(out.data, out.size, NULL) == 0);
    buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct draft draft;
    struct error e = {0};
    if (draft_parse((const char *)data, size, limits(), &draft, &e) == 0) {
        MUST(draft.type != NULL && draft.content_size <= (size_t)limits()->content_bytes_max);
        MUST(draft.attachment_count <= ATTACHMENTS_MAX);
        MUST(json_check(draft.mentions.data, draft.mentions.size, NULL) == 0);
        MUST(json_check(draft.attachments.data, draft.attachments.size, NULL) == 0);
        print(&draft);
    } else {
        MUST(e.code != ERROR_NONE && utf8_check(e.text, strlen(e.text)));
    }
    size_t id_size = strlen(draft.client_message_id);
    MUST(id_size == 0 || client_message_id_valid(draft.client_message_id, id_size));
    draft_finish(&draft);
    return 0;
}
