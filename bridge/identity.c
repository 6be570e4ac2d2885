#include "bridge/identity.h"

#include "core/config.h"
#include "core/json.h"
#include "core/log.h"

#include <string.h>
#include <strings.h>

#define DAY_S 86400

static const char *without_scheme(const char *text)
{
    if (strncasecmp(text, "Bearer ", 7) != 0)
        return text;
    text += 7;
    return text + strspn(text, " ");
}

bool identity_check(const struct ports *ports, struct slice auth, const char *authorization,
                    struct token *out)
{
    struct error e = {0};
    struct json *tree = json_parse(auth.text, auth.size, &e);
    const char *text = json_string(json_get(tree, "token"));
    int64_t now_s = ports->clock->wall_ms(ports->clock) / 1000;
    bool valid = false;

    if (text == NULL)
        text = authorization;
    if (text != NULL) {
        text = without_scheme(text);
        valid = token_verify(ports->tokens, text, strlen(text), now_s, out, &e) == 0;
    }
    json_destroy(&tree);
    if (valid && out->role == ROLE_SERVICE)
        valid = false;
    if (!valid)
        log_debug("bridge", "socket refused: %s", text == NULL ? "no token" : e.text);
    return valid;
}

int64_t identity_left_ms(const struct ports *ports, int64_t expires_at_s)
{
    int64_t end_s = expires_at_s + ports->config->jwt_leeway_s;
    int64_t now_ms = ports->clock->wall_ms(ports->clock);

    if (end_s > now_ms / 1000 + DAY_S)
        return (int64_t)DAY_S * 1000;
    return end_s * 1000 > now_ms ? end_s * 1000 - now_ms : 0;
}
