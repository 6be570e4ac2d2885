/* Good tokens of every algorithm, and the forgeries that must not pass; keys are made by OpenSSL here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "core/token.h"

#define NOW    INT64_C(1800000000)
#define SECRET "a-secret-of-more-than-thirty-two-bytes"
#define OTHER  "another-secret-of-more-than-thirty-two"
#define ISSUED "\"sub\":\"ann\",\"exp\":1800000060"

struct world {
    struct config config;
    struct token_keys *keys;
    char key_file[64];
    char pem[4096];
    EVP_PKEY *private_key;
};

static void *copy(const char *text)
{
    return strdup(text);
}

/* ---- Making tokens ---- */

static size_t encode(const void *bytes, size_t size, char *out)
{
    int length = EVP_EncodeBlock((unsigned char *)out, bytes, (int)size);
    while (length > 0 && out[length - 1] == '=')
        length--;
    out[length] = '\0';
    for (char *at = out; *at != '\0'; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    return (size_t)length;
}

/* Header and claims as they go under the signature. */
static size_t stem(const char *header, const char *claims, char out[TOKEN_TEXT_MAX * 2])
{
    size_t size = encode(header, strlen(header), out);
    out[size++] = '.';
    return size + encode(claims, strlen(claims), out + size);
}

static const char *sign_hmac(const char *header, const char *claims, const char *secret, const EVP_MD *md)
{
    static char out[TOKEN_TEXT_MAX * 2];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_size;
    size_t size = stem(header, claims, out);
    HMAC(md, secret, (int)strlen(secret), (unsigned char *)out, size, mac, &mac_size);
    out[size++] = '.';
    encode(mac, mac_size, out + size);
    return out;
}

static const char *hs256(const char *claims)
{
    return sign_hmac("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", claims, SECRET, EVP_sha256());
}

static size_t raw_ecdsa(unsigned char *signature, size_t size, int half)
{
    const unsigned char *at = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)size);
    assert_non_null(pair);
    unsigned char raw[132];
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, half);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + half, half);
    ECDSA_SIG_free(pair);
    memcpy(signature, raw, (size_t)half * 2);
    return (size_t)half * 2;
}

static const char *sign_private(const char *alg, const char *claims, EVP_PKEY *key, bool leave_der)
{
    static char out[TOKEN_TEXT_MAX * 2];
    char header[64];
    unsigned char signature[1024];
    size_t signature_size = sizeof(signature);
    snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", alg);
    size_t size = stem(header, claims, out);
    const EVP_MD *md = strcmp(alg, "EdDSA") == 0 ? NULL
                       : strstr(alg, "384")      ? EVP_sha384()
                       : strstr(alg, "512")      ? EVP_sha512()
                                                 : EVP_sha256();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    assert_int_equal(EVP_DigestSignInit(context, &options, md, NULL, key), 1);
    if (alg[0] == 'P') {
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    assert_int_equal(EVP_DigestSign(context, signature, &signature_size, (unsigned char *)out, size), 1);
    EVP_MD_CTX_free(context);
    if (alg[0] == 'E' && alg[1] == 'S' && !leave_der)
        signature_size = raw_ecdsa(signature, signature_size, alg[2] == '2' ? 32 : 48);
    out[size++] = '.';
    encode(signature, signature_size, out + size);
    return out;
}

/* ---- The world ---- */

static void start(struct world *w)
{
    struct error e = {0};
    if (token_keys_create(&w->config, &w->keys, &e) != 0)
        fail_msg("%s", e.text);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->config.jwt_algorithms = copy("HS256");
    w->config.jwt_secret = copy(SECRET);
    w->config.trusted_roles = copy("agent");
    w->config.operator_secret = copy("the-operator-secret-of-thirty-two-bytes");
    w->config.service_secret = copy("the-service-secret-of-thirty-two-bytes!");
    w->config.service_addresses = copy("127.0.0.1, ::1");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    token_keys_destroy(&w->keys);
    free(w->config.jwt_algorithms);
    free(w->config.jwt_secret);
    free(w->config.trusted_roles);
    free(w->config.operator_secret);
    free(w->config.service_secret);
    free(w->config.service_addresses);
    free(w->config.jwt_issuer);
    free(w->config.jwt_audience);
    EVP_PKEY_free(w->private_key);
    if (w->key_file[0] != '\0')
        unlink(w->key_file);
    free(w);
    return 0;
}

static void use_key(struct world *w, EVP_PKEY *key, const char *algorithms)
{
    assert_non_null(key);
    token_keys_destroy(&w->keys);
    EVP_PKEY_free(w->private_key);
    w->private_key = key;
    if (w->key_file[0] == '\0') {
        strncpy(w->key_file, "/tmp/parlor-test-key-XXXXXX", sizeof(w->key_file) - 1);
        close(mkstemp(w->key_file));
    }
    FILE *file = fopen(w->key_file, "w+");
    assert_non_null(file);
    assert_int_equal(PEM_write_PUBKEY(file, key), 1);
    rewind(file);
    w->pem[fread(w->pem, 1, sizeof(w->pem) - 1, file)] = '\0';
    fclose(file);
    w->config.jwt_public_key_file = w->key_file;
    free(w->config.jwt_algorithms);
    w->config.jwt_algorithms = copy(algorithms);
}

static void expect_at(struct world *w, const char *text, const char *word, int64_t wall_s, int line)
{
    struct token token;
    struct error e = {0};
    /* An exact copy: reading past its end is an error that the sanitizer sees. */
    size_t size = strlen(text);
    char *exact = malloc(size > 0 ? size : 1);
    memcpy(exact, text, size);
    /* Twice: the second answer may come from the cache, and must be the same. */
    for (int i = 0; i < 2; i++) {
        int result = token_verify(w->keys, exact, size, wall_s, &token, &e);
        const char *got = result == 0 ? "ok" : e.word;
        if (strcmp(got, word) != 0)
            fail_msg("line %d: %s (%s), expected %s", line, got, e.text, word);
        if (result != 0)
            assert_int_equal(e.code, ERROR_DENIED);
    }
    free(exact);
}

#define expect(w, text, word) expect_at((w), (text), (word), NOW, __LINE__)

/* ---- Tests ---- */

static void test_claims(void **state)
{
    struct world *w = *state;
    start(w);
    static const struct {
        const char *claims, *word;
    } cases[] = {
        {"{" ISSUED "}", "ok"},
        {"{\"sub\":\"ann\"}", "invalid_token"},
        {"{\"sub\":\"ann\",\"exp\":null}", "invalid_token"},
        {"{\"sub\":\"ann\",\"exp\":\"1800000060\"}", "invalid_token"},
        {"{\"sub\":\"ann\",\"exp\":1e300}", "invalid_token"},
        {"{\"sub\":\"ann\",\"exp\":1799999999}", "token_expired"},
        {"{\"sub\":\"ann\",\"exp\":1800000000}", "token_expired"},
        {"{\"sub\":\"ann\",\"exp\":1800000000.9}", "token_expired"},
        {"{\"sub\":\"ann\",\"exp\":1800000001.5}", "ok"},
        {"{\"sub\":\"ann\",\"exp\":-5}", "token_expired"},
        {"{" ISSUED ",\"nbf\":1800000000}", "ok"},
        {"{" ISSUED ",\"nbf\":1800000001}", "invalid_token"},
        {"{" ISSUED ",\"nbf\":1e300}", "invalid_token"},
        {"{" ISSUED ",\"nbf\":\"x\"}", "invalid_token"},
        {"{" ISSUED ",\"iat\":true}", "invalid_token"},
        {"{\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":7,\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":\"\",\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":\".\",\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":\"..\",\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":\"a/b\",\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":\"+\",\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":\"#\",\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":\"$parlord\",\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":\"ann\\u0000x\",\"exp\":1800000060}", "invalid_token"},
        {"{\"sub\":\"bob\"," ISSUED "}", "invalid_token"},
        {"{" ISSUED ",\"exp\":1900000000}", "invalid_token"},
        {"[" ISSUED "]", "invalid_token"},
        {"[]", "invalid_token"},
        {"", "invalid_token"},
        {"{" ISSUED "} ", "ok"},
        {"{" ISSUED "}x", "invalid_token"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct token token;
        struct error e = {0};
        const char *text = hs256(cases[i].claims);
        int result = token_verify(w->keys, text, strlen(text), NOW, &token, &e);
        if (strcmp(result == 0 ? "ok" : e.word, cases[i].word) != 0)
            fail_msg("%s: %s %s, expected %s", cases[i].claims, e.word, e.text, cases[i].word);
        if (result == 0)
            assert_string_equal(token.user, "ann");
    }
}

static void test_headers(void **state)
{
    struct world *w = *state;
    start(w);
    static const struct {
        const char *header, *word;
    } cases[] = {
        {"{\"alg\":\"HS256\"}", "ok"},
        {"{\"typ\":\"JWT\",\"alg\":\"HS256\",\"kid\":\"any\"}", "ok"},
        {"{\"alg\":\"HS512\"}", "invalid_token"},
        {"{\"alg\":\"hs256\"}", "invalid_token"},
        {"{\"alg\":\"none\"}", "invalid_token"},
        {"{\"alg\":\"\"}", "invalid_token"},
        {"{\"alg\":null}", "invalid_token"},
        {"{\"alg\":[\"HS256\"]}", "invalid_token"},
        {"{\"ALG\":\"HS256\"}", "invalid_token"},
        {"{}", "invalid_token"},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "invalid_token"},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "invalid_token"},
        {"{\"alg\":\"HS256\",\"crit\":null}", "invalid_token"},
        {"{\"alg\":\"HS256\",\"kid\":\"parlor-operator\"}", "invalid_token"},
        {"{\"alg\":\"HS256\",\"kid\":\"parlor-service\"}", "invalid_token"},
        {"\"HS256\"", "invalid_token"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_at(w, sign_hmac(cases[i].header, "{" ISSUED "}", SECRET, EVP_sha256()), cases[i].word, NOW,
                  (int)i);
    expect(w, sign_hmac("{\"alg\":\"HS256\"}", "{" ISSUED "}", OTHER, EVP_sha256()), "invalid_token");
    expect(w, sign_hmac("{\"alg\":\"HS256\"}", "{" ISSUED "}", SECRET, EVP_sha512()), "invalid_token");
}

static void test_forms(void **state)
{
    struct world *w = *state;
    char text[1024], cut[1024];
    start(w);
    strncpy(text, hs256("{" ISSUED "}"), sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    size_t size = strlen(text);
    expect(w, text, "ok");
    for (size_t i = 0; i < size; i++) {
        memcpy(cut, text, i);
        cut[i] = '\0';
        expect_at(w, cut, "invalid_token", NOW, (int)i);
    }
    /* Every byte changed once; also the last one's spare bits, which would make a second form of the same
     * token. */
    for (size_t i = 0; i < size; i++) {
        memcpy(cut, text, size + 1);
        cut[i] = cut[i] == 'A' ? 'B' : 'A';
        expect_at(w, cut, "invalid_token", NOW, (int)i);
    }
    for (const char *last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; *last != '\0';
         last++) {
        memcpy(cut, text, size + 1);
        cut[size - 1] = *last;
        expect_at(w, cut, *last == text[size - 1] ? "ok" : "invalid_token", NOW, *last);
    }
    static const char *const tails[] = {"=", ".", "A", ".AAAA", "\n", " "};
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        snprintf(cut, sizeof(cut), "%s%s", text, tails[i]);
        expect(w, cut, "invalid_token");
    }
    expect(w, "", "invalid_token");
    expect(w, "..", "invalid_token");
    expect(w, "a.b.c", "invalid_token");
    char *huge = malloc(TOKEN_TEXT_MAX + 2);
    memset(huge, 'e', TOKEN_TEXT_MAX + 1);
    huge[TOKEN_TEXT_MAX + 1] = '\0';
    expect(w, huge, "invalid_token");
    huge[10] = huge[TOKEN_TEXT_MAX - 10] = '.';
    expect(w, huge, "invalid_token");
    huge[TOKEN_TEXT_MAX] = '\0';
    expect(w, huge, "invalid_token");
    free(huge);
}

static void test_looks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool like;
    } cases[] = {{"eyJhbGciOiJub25lIn0.e30.", true},
                 {"eyJhbGciOiJIUzI1NiJ9.e30.AAAA", true},
                 {"ey.e30", false},
                 {"a.b.c", false},
                 {"correct.horse.staple", false},
                 {"", false},
                 {"..", false},
                 {"ey.e30.A.B", false},
                 {"ey.e 30.AAAA", false},
                 {"ey.e30=.AAAA", false},
                 {"secret", false},
                 {"ey..", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(token_looks_like(cases[i].text, strlen(cases[i].text)), cases[i].like);
}

static void test_issuer_and_audience(void **state)
{
    struct world *w = *state;
    w->config.jwt_issuer = copy("https://id.example");
    w->config.jwt_audience = copy("chat");
    start(w);
#define ISS ",\"iss\":\"https://id.example\""
    expect(w, hs256("{" ISSUED ISS ",\"aud\":\"chat\"}"), "ok");
    expect(w, hs256("{" ISSUED ISS ",\"aud\":[\"mail\",\"chat\"]}"), "ok");
    expect(w, hs256("{" ISSUED ISS ",\"aud\":[\"mail\"]}"), "invalid_token");
    expect(w, hs256("{" ISSUED ISS ",\"aud\":[]}"), "invalid_token");
    expect(w, hs256("{" ISSUED ISS ",\"aud\":{\"chat\":1}}"), "invalid_token");
    expect(w, hs256("{" ISSUED ISS ",\"aud\":\"chat2\"}"), "invalid_token");
    expect(w, hs256("{" ISSUED ISS "}"), "invalid_token");
    expect(w, hs256("{" ISSUED ",\"aud\":\"chat\"}"), "invalid_token");
    expect(w, hs256("{" ISSUED ",\"iss\":[\"https://id.example\"],\"aud\":\"chat\"}"), "invalid_token");
    expect(w, hs256("{" ISSUED ",\"iss\":\"https://id.example.evil\",\"aud\":\"chat\"}"), "invalid_token");
#undef ISS
}

static void test_time(void **state)
{
    struct world *w = *state;
    struct token token;
    w->config.jwt_leeway_s = 5;
    start(w);
    char text[1024];
    snprintf(text, sizeof(text), "%s", hs256("{" ISSUED ",\"nbf\":1800000000}"));
    expect_at(w, text, "invalid_token", NOW - 6, __LINE__);
    expect_at(w, text, "ok", NOW - 5, __LINE__);
    expect_at(w, text, "ok", NOW + 64, __LINE__);
    /* Now it is in the cache, and is judged by the clock all the same. */
    expect_at(w, text, "token_expired", NOW + 65, __LINE__);
    expect_at(w, text, "invalid_token", NOW - 6, __LINE__);
    assert_int_equal(token_verify(w->keys, text, strlen(text), NOW, &token, NULL), 0);
    assert_int_equal(token.expires_at_s, NOW + 65);
}

static void test_life_cap(void **state)
{
    struct world *w = *state;
    struct token token;
    w->config.jwt_ttl_max_s = 10;
    start(w);
    const char *text = hs256("{" ISSUED ",\"iat\":1799999995}");
    assert_int_equal(token_verify(w->keys, text, strlen(text), NOW, &token, NULL), 0);
    assert_int_equal(token.expires_at_s, NOW + 5);
    expect_at(w, text, "token_expired", NOW + 5, __LINE__);
    text = hs256("{" ISSUED "}");
    assert_int_equal(token_verify(w->keys, text, strlen(text), NOW, &token, NULL), 0);
    assert_int_equal(token.expires_at_s, NOW + 10);
    expect(w, hs256("{" ISSUED ",\"iat\":1799999990}"), "token_expired");
    text = hs256("{" ISSUED ",\"iat\":1900000000}");
    assert_int_equal(token_verify(w->keys, text, strlen(text), NOW, &token, NULL), 0);
    assert_int_equal(token.expires_at_s, NOW + 10);
    /* From when it is first seen, not from each time that it comes; the broker's too. */
    token_keys_spare_memory(w->keys);
    text = hs256("{" ISSUED ",\"nbf\":1}");
    assert_int_equal(token_verify(w->keys, text, strlen(text), NOW, &token, NULL), 0);
    assert_int_equal(token_verify(w->keys, text, strlen(text), NOW + 9, &token, NULL), 0);
    assert_int_equal(token.expires_at_s, NOW + 10);
    expect_at(w, text, "token_expired", NOW + 10, __LINE__);
}

static void expect_role(struct world *w, const char *text, enum role role)
{
    struct token token;
    struct error e = {0};
    if (token_verify(w->keys, text, strlen(text), NOW, &token, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(token.role, role);
}

static void test_roles(void **state)
{
    struct world *w = *state;
    start(w);
    expect_role(w, hs256("{" ISSUED "}"), ROLE_USER);
    expect_role(w, hs256("{" ISSUED ",\"role\":\"agent\"}"), ROLE_AGENT);
    expect_role(w, hs256("{" ISSUED ",\"role\":\"operator\"}"), ROLE_USER);
    expect_role(w, hs256("{" ISSUED ",\"role\":\"service\"}"), ROLE_USER);
    expect_role(w, hs256("{" ISSUED ",\"role\":\"Agent\"}"), ROLE_USER);
    expect_role(w, hs256("{" ISSUED ",\"role\":[\"agent\"]}"), ROLE_USER);
    token_keys_destroy(&w->keys);
    free(w->config.trusted_roles);
    w->config.trusted_roles = copy("operator");
    start(w);
    expect_role(w, hs256("{" ISSUED ",\"role\":\"agent\"}"), ROLE_USER);
    expect_role(w, hs256("{" ISSUED ",\"role\":\"operator\"}"), ROLE_OPERATOR);
    expect_role(w, hs256("{" ISSUED ",\"role\":\"service\"}"), ROLE_USER);
}

/* Our own keys: each verifies what it signed and nothing that another signed. */
static void test_own_keys(void **state)
{
    struct world *w = *state;
    w->config.jwt_issuer = copy("https://id.example");
    start(w);
    static const struct {
        enum token_signer signer;
        enum role asked, got;
        const char *user;
    } cases[] = {{TOKEN_BY_ISSUER, ROLE_USER, ROLE_USER, "ann"},
                 {TOKEN_BY_ISSUER, ROLE_AGENT, ROLE_AGENT, "ann"},
                 {TOKEN_BY_ISSUER, ROLE_OPERATOR, ROLE_USER, "ann"},
                 {TOKEN_BY_OPERATOR, ROLE_USER, ROLE_USER, "ann"},
                 {TOKEN_BY_OPERATOR, ROLE_OPERATOR, ROLE_OPERATOR, "ann"},
                 {TOKEN_BY_SERVICE, ROLE_SERVICE, ROLE_SERVICE, SERVICE_USER}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = {0};
        struct token token;
        struct error e = {0};
        assert_int_equal(token_issue(w->keys, cases[i].signer, "ann", cases[i].asked, NOW, 60, &text, &e), 0);
        assert_true(token_looks_like(text.data, text.size));
        if (token_verify(w->keys, text.data, text.size, NOW, &token, &e) != 0)
            fail_msg("case %zu: %s", i, e.text);
        assert_string_equal(token.user, cases[i].user);
        assert_int_equal(token.role, cases[i].got);
        assert_int_equal(token.expires_at_s, NOW + 60);
        expect_at(w, text.data, "token_expired", NOW + 60, (int)i);
        buf_finish(&text);
    }
    struct buf text = {0};
    assert_int_equal(token_issue(w->keys, TOKEN_BY_ISSUER, "a/b", ROLE_USER, NOW, 60, &text, NULL), -1);
    assert_int_equal(text.size, 0);
    /* A service token needs the service's subject, and the issuer's secret signs for no key of ours. */
#define SERVICE_HEADER "{\"alg\":\"HS256\",\"kid\":\"parlor-service\"}"
    expect(w, sign_hmac(SERVICE_HEADER, "{" ISSUED "}", w->config.service_secret, EVP_sha256()),
           "invalid_token");
    expect(w, sign_hmac(SERVICE_HEADER, "{\"sub\":\"$parlord\",\"exp\":1800000060}", SECRET, EVP_sha256()),
           "invalid_token");
    expect(w, sign_hmac("{\"alg\":\"HS256\"}", "{" ISSUED "}", w->config.service_secret, EVP_sha256()),
           "invalid_token");
    token_keys_destroy(&w->keys);
    free(w->config.operator_secret);
    w->config.operator_secret = NULL;
    start(w);
    struct error e = {0};
    assert_int_equal(token_issue(w->keys, TOKEN_BY_OPERATOR, "ann", ROLE_USER, NOW, 60, &text, &e), -1);
    assert_int_equal(e.code, ERROR_INVALID);
    expect(w, sign_hmac("{\"alg\":\"HS256\",\"kid\":\"parlor-operator\"}", "{" ISSUED "}", "", EVP_sha256()),
           "invalid_token");
}

static void test_public_keys(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *alg, *others;
        const char *curve; /* NULL: RSA */
    } cases[] = {{"RS256", "RS384", NULL},     {"RS384", "RS256", NULL},    {"RS512", "RS256", NULL},
                 {"PS256", "RS256", NULL},     {"ES256", "HS256", "P-256"}, {"ES384", "HS256", "P-384"},
                 {"EdDSA", "HS256", "ED25519"}};
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *alg = cases[i].alg, *curve = cases[i].curve;
        if (curve == NULL)
            EVP_PKEY_up_ref(rsa);
        EVP_PKEY *key = curve == NULL     ? rsa
                        : curve[0] == 'P' ? EVP_EC_gen(curve)
                                          : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        use_key(w, key, alg);
        start(w);
        char text[4096];
        snprintf(text, sizeof(text), "%s", sign_private(alg, "{" ISSUED "}", key, false));
        expect(w, text, "ok");
        text[strlen(text) - 8] = text[strlen(text) - 8] == 'A' ? 'B' : 'A';
        expect(w, text, "invalid_token");
        /* The public PEM is everybody's: as an HMAC secret it must open nothing. */
        expect(w, sign_hmac("{\"alg\":\"HS256\"}", "{" ISSUED "}", w->pem, EVP_sha256()), "invalid_token");
        char header[64];
        snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", alg);
        expect(w, sign_hmac(header, "{" ISSUED "}", w->pem, EVP_sha256()), "invalid_token");
        expect(w, sign_hmac("{\"alg\":\"none\"}", "{" ISSUED "}", "", EVP_sha256()), "invalid_token");
        if (curve == NULL)
            expect(w, sign_private(cases[i].others, "{" ISSUED "}", key, false), "invalid_token");
        if (alg[0] == 'E' && alg[1] == 'S')
            expect(w, sign_private(alg, "{" ISSUED "}", key, true), "invalid_token");
    }
    EVP_PKEY_free(rsa);
}

/* r = s = 0 was once taken for a signature of anything. */
static void test_zero_signature(void **state)
{
    struct world *w = *state;
    use_key(w, EVP_EC_gen("P-256"), "ES256");
    start(w);
    char text[TOKEN_TEXT_MAX * 2];
    unsigned char zero[64] = {0};
    size_t size = stem("{\"alg\":\"ES256\"}", "{" ISSUED "}", text);
    text[size++] = '.';
    encode(zero, sizeof(zero), text + size);
    expect(w, text, "invalid_token");
    text[size] = '\0';
    expect(w, text, "invalid_token");
}

static void refuse_options(struct world *w, const char *what)
{
    struct error e = {0};
    if (token_keys_create(&w->config, &w->keys, &e) == 0)
        fail_msg("taken: %s", what);
    assert_int_equal(e.code, ERROR_INVALID);
    assert_string_equal(e.word, "bad_option");
    assert_null(w->keys);
}

static void test_options(void **state)
{
    struct world *w = *state;
    use_key(w, EVP_RSA_gen(2048), "ES256");
    refuse_options(w, "ES256 with an RSA key");
    use_key(w, EVP_EC_gen("P-256"), "RS256");
    refuse_options(w, "RS256 with an EC key");
    use_key(w, EVP_EC_gen("P-256"), "ES384");
    refuse_options(w, "ES384 with P-256");
    use_key(w, EVP_RSA_gen(1024), "RS256");
    refuse_options(w, "RSA of 1024 bits");
    use_key(w, EVP_EC_gen("P-256"), "HS256");
    free(w->config.jwt_secret);
    w->config.jwt_secret = copy(w->pem);
    refuse_options(w, "a PEM as an HMAC secret");
    free(w->config.jwt_secret);
    w->config.jwt_secret = NULL;
    refuse_options(w, "HS256 without a secret");
    use_key(w, EVP_EC_gen("P-256"), "none");
    refuse_options(w, "none");
    use_key(w, EVP_EC_gen("P-256"), "ES256");
    w->config.jwt_public_key_file = "/nonexistent/key.pem";
    refuse_options(w, "a file that is not there");
}

static void test_cache_full(void **state)
{
    struct world *w = *state;
    start(w);
    for (unsigned i = 0; i < TOKEN_CACHE_MAX + 5000; i++) {
        char claims[128], user[32];
        struct token token;
        snprintf(user, sizeof(user), "user-%u", i);
        snprintf(claims, sizeof(claims), "{\"sub\":\"%s\",\"exp\":%lld}", user, (long long)NOW + 60 + i % 7);
        const char *text = hs256(claims);
        assert_int_equal(token_verify(w->keys, text, strlen(text), NOW, &token, NULL), 0);
        assert_string_equal(token.user, user);
        assert_int_equal(token.expires_at_s, NOW + 60 + i % 7);
    }
}

static void test_service_address(void **state)
{
    struct world *w = *state;
    assert_true(token_service_address(&w->config, "127.0.0.1"));
    assert_true(token_service_address(&w->config, "::1"));
    assert_true(token_service_address(&w->config, "::ffff:127.0.0.1"));
    assert_false(token_service_address(&w->config, "127.0.0.11"));
    assert_false(token_service_address(&w->config, "10.0.0.1"));
    assert_false(token_service_address(&w->config, ""));
    assert_false(token_service_address(&w->config, NULL));
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(test_claims),
        in_world(test_headers),
        in_world(test_forms),
        cmocka_unit_test(test_looks),
        in_world(test_issuer_and_audience),
        in_world(test_time),
        in_world(test_life_cap),
        in_world(test_roles),
        in_world(test_own_keys),
        in_world(test_public_keys),
        in_world(test_zero_signature),
        in_world(test_options),
        in_world(test_cache_full),
        in_world(test_service_address),
    };
    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
