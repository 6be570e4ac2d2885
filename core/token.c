/* OpenSSL does the signatures, and nothing else here is foreign. libjwt 1.10 is of no use: it takes the
 * algorithm from the token (and so accepted an HS256 token signed with the text of an RSA public key), checks
 * no exp, parses the PEM each time, and brings jansson, whose json_string and json_integer are other
 * functions than ours.
 *
 * The order of a check is: form, header, key, signature, claims. Nothing of the claims is looked at before
 * the signature holds. */
#include "core/token.h"

#include "core/claims.h"
#include "core/json.h"
#include "core/token_cache.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KID_OPERATOR  "parlor-operator"
#define KID_SERVICE   "parlor-service"
#define KEYS_MAX      10 /* of the issuer: each algorithm once */
#define RSA_BITS_MIN  2048
#define SIGNATURE_MAX 1024 /* bytes: RSA of 8192 bits */
#define HEADER_MAX    1024 /* bytes of the first part that is remembered */

enum family { FAMILY_HMAC, FAMILY_RSA, FAMILY_PSS, FAMILY_EC, FAMILY_EDDSA };

struct algorithm {
    const char *name;
    enum family family;
    const char *digest;
    int bits; /* of the curve; of an HMAC */
};

static const struct algorithm algorithms[] = {
    {"HS256", FAMILY_HMAC, "SHA256", 256}, {"HS384", FAMILY_HMAC, "SHA384", 384},
    {"HS512", FAMILY_HMAC, "SHA512", 512}, {"RS256", FAMILY_RSA, "SHA256", 0},
    {"RS384", FAMILY_RSA, "SHA384", 0},    {"RS512", FAMILY_RSA, "SHA512", 0},
    {"PS256", FAMILY_PSS, "SHA256", 0},    {"ES256", FAMILY_EC, "SHA256", 256},
    {"ES384", FAMILY_EC, "SHA384", 384},   {"EdDSA", FAMILY_EDDSA, NULL, 0},
};

/* One algorithm with the one key that it may be used with. */
struct key {
    const struct algorithm *algorithm;
    enum token_signer signer;
    EVP_MAC_CTX *mac;     /* HMAC: holds the key's state, started again for each token */
    EVP_PKEY *public_key; /* the others */
    const char *secret;   /* HMAC: the config's */
};

struct token_keys {
    const struct config *config;
    struct key issuer[KEYS_MAX], operator_key, service_key;
    unsigned issuer_count;
    /* The first part of the last good token and its key: an issuer's tokens all begin alike. */
    char header[HEADER_MAX];
    size_t header_size;
    struct key *header_key;
    struct token_cache *cache;
    bool spare_memory; /* no HMAC in the cache */
};

static int refuse(struct error *e, const char *why)
{
    return error_set(e, ERROR_DENIED, "invalid_token", "%s", why);
}

/* ---- Keys ---- */

static void key_finish(struct key *key)
{
    EVP_MAC_CTX_free(key->mac);
    EVP_PKEY_free(key->public_key);
}

static int make_mac(struct key *key, struct error *e)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    key->mac = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    char digest[16];
    snprintf(digest, sizeof(digest), "%s", key->algorithm->digest);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    if (key->mac == NULL ||
        EVP_MAC_init(key->mac, (const unsigned char *)key->secret, strlen(key->secret), params) != 1)
        return error_set(e, ERROR_INTERNAL, "internal", "OpenSSL has no HMAC with %s", digest);
    return 0;
}

static int make_hmac_key(struct key *key, const struct algorithm *algorithm, enum token_signer signer,
                         const char *secret, const char *option, struct error *e)
{
    if (secret == NULL || secret[0] == '\0')
        return error_set(e, ERROR_INVALID, "bad_option", "%s is not set, and %s needs it", option,
                         algorithm->name);
    /* A public key is known to everybody: as a secret it would let anybody sign. */
    if (strstr(secret, "-----BEGIN ") != NULL)
        return error_set(e, ERROR_INVALID, "bad_option",
                         "%s is a PEM key: give it as jwt_public_key_file, with its own jwt_algorithms",
                         option);
    *key = (struct key){.algorithm = algorithm, .signer = signer, .secret = secret};
    return make_mac(key, e);
}

static bool key_fits(const EVP_PKEY *pkey, const struct algorithm *algorithm)
{
    int kind = EVP_PKEY_get_base_id(pkey), bits = EVP_PKEY_get_bits(pkey);
    switch (algorithm->family) {
    case FAMILY_RSA:
        return kind == EVP_PKEY_RSA && bits >= RSA_BITS_MIN;
    case FAMILY_PSS:
        return (kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS) && bits >= RSA_BITS_MIN;
    case FAMILY_EC: {
        char curve[32] = "";
        EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL);
        return kind == EVP_PKEY_EC && strcmp(curve, algorithm->bits == 256 ? "prime256v1" : "secp384r1") == 0;
    }
    case FAMILY_EDDSA:
        return kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448;
    default:
        return false;
    }
}

static int make_public_key(struct key *key, const struct algorithm *algorithm, const char *path,
                           struct error *e)
{
    if (path == NULL)
        return error_set(e, ERROR_INVALID, "bad_option", "jwt_public_key_file is not set, and %s needs it",
                         algorithm->name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set(e, ERROR_INVALID, "bad_option", "jwt_public_key_file %s: %s", path, strerror(errno));
    EVP_PKEY *pkey = PEM_read_PUBKEY(file, NULL, NULL, NULL);
    fclose(file);
    ERR_clear_error();
    if (pkey == NULL)
        return error_set(e, ERROR_INVALID, "bad_option",
                         "jwt_public_key_file %s holds no public key in PEM (-----BEGIN PUBLIC KEY-----)",
                         path);
    if (!key_fits(pkey, algorithm)) {
        EVP_PKEY_free(pkey);
        return error_set(
            e, ERROR_INVALID, "bad_option",
            "the key in jwt_public_key_file %s does not fit %s of jwt_algorithms (RS and PS: RSA of "
            "at least %d bits; ES256: P-256; ES384: P-384; EdDSA: Ed25519)",
            path, algorithm->name, RSA_BITS_MIN);
    }
    *key = (struct key){.algorithm = algorithm, .signer = TOKEN_BY_ISSUER, .public_key = pkey};
    return 0;
}

static int make_issuer_keys(struct token_keys *keys, struct error *e)
{
    const struct config *config = keys->config;
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        const struct algorithm *algorithm = &algorithms[i];
        if (config->jwt_algorithms == NULL || !config_list_has(config->jwt_algorithms, algorithm->name))
            continue;
        struct key *key = &keys->issuer[keys->issuer_count++];
        int failed = algorithm->family == FAMILY_HMAC
                         ? make_hmac_key(key, algorithm, TOKEN_BY_ISSUER, config->jwt_secret, "jwt_secret", e)
                         : make_public_key(key, algorithm, config->jwt_public_key_file, e);
        if (failed != 0)
            return -1;
    }
    if (keys->issuer_count == 0)
        return error_set(e, ERROR_INVALID, "bad_option",
                         "jwt_algorithms names none of HS256, HS384, HS512, "
                         "RS256, RS384, RS512, PS256, ES256, ES384, EdDSA");
    return 0;
}

/* The keys of our own, each optional. */
static int make_own_keys(struct token_keys *keys, struct error *e)
{
    const struct config *config = keys->config;
    const struct algorithm *hs256 = &algorithms[0];
    if (config->operator_secret != NULL && make_hmac_key(&keys->operator_key, hs256, TOKEN_BY_OPERATOR,
                                                         config->operator_secret, "operator_secret", e) != 0)
        return -1;
    if (config->service_secret != NULL && make_hmac_key(&keys->service_key, hs256, TOKEN_BY_SERVICE,
                                                        config->service_secret, "service_secret", e) != 0)
        return -1;
    return 0;
}

int token_keys_create(const struct config *config, struct token_keys **out, struct error *e)
{
    struct token_keys *keys = mem_zalloc(1, sizeof(*keys));
    keys->config = config;
    keys->cache = token_cache_create();
    if (make_issuer_keys(keys, e) != 0 || make_own_keys(keys, e) != 0) {
        token_keys_destroy(&keys);
        return -1;
    }
    *out = keys;
    return 0;
}

void token_keys_destroy(struct token_keys **keys)
{
    if (keys == NULL || *keys == NULL)
        return;
    for (unsigned i = 0; i < (*keys)->issuer_count; i++)
        key_finish(&(*keys)->issuer[i]);
    key_finish(&(*keys)->operator_key);
    key_finish(&(*keys)->service_key);
    token_cache_destroy(&(*keys)->cache);
    free(*keys);
    *keys = NULL;
}

/* ---- base64url, RFC 4648 section 5, without padding ---- */

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* True when every byte is of the alphabet, the length can be, and the last character has no bits left over:
 * each run of bytes has one form. `out` has room for size * 3 / 4 bytes. */
static bool decode(const char *text, size_t size, unsigned char *out, size_t *size_out)
{
    uint32_t bits = 0;
    unsigned held = 0;
    unsigned char *at = out;
    for (size_t i = 0; i < size; i++) {
        int value = base64_value(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *at++ = (unsigned char)(bits >> held);
            bits &= (1U << held) - 1;
        }
    }
    *size_out = (size_t)(at - out);
    return size % 4 != 1 && bits == 0;
}

struct parts {
    const char *header, *claims, *signature;
    size_t header_size, claims_size, signature_size;
    size_t signed_size; /* header, dot and claims */
};

static bool split(const char *text, size_t size, struct parts *out)
{
    if (size == 0) /* an empty payload is NULL */
        return false;
    const char *end = text + size;
    const char *first = memchr(text, '.', size);
    const char *second = first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
        return false;
    *out = (struct parts){.header = text,
                          .header_size = (size_t)(first - text),
                          .claims = first + 1,
                          .claims_size = (size_t)(second - first - 1),
                          .signature = second + 1,
                          .signature_size = (size_t)(end - second - 1),
                          .signed_size = (size_t)(second - text)};
    return out->header_size > 0 && out->claims_size > 0;
}

bool token_looks_like(const char *text, size_t size)
{
    struct parts parts;
    if (!split(text, size, &parts) || parts.header_size < 2)
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] != '.' && base64_value(text[i]) < 0)
            return false;
    /* A header is an object: its first byte is `{`, 0x7b. */
    return text[0] == 'e' && base64_value(text[1]) >> 4 == 3;
}

/* ---- Signatures ---- */

static bool make_hmac(const struct key *key, const char *text, size_t size,
                      unsigned char mac[EVP_MAX_MD_SIZE], size_t *mac_size_out)
{
    return EVP_MAC_init(key->mac, NULL, 0, NULL) == 1 &&
           EVP_MAC_update(key->mac, (const unsigned char *)text, size) == 1 &&
           EVP_MAC_final(key->mac, mac, mac_size_out, EVP_MAX_MD_SIZE) == 1;
}

static bool verify_hmac(const struct key *key, const struct parts *parts, const unsigned char *signature,
                        size_t size)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t mac_size = 0;
    return make_hmac(key, parts->header, parts->signed_size, mac, &mac_size) && mac_size == size &&
           CRYPTO_memcmp(mac, signature, size) == 0;
}

/* JWS has r and s side by side, each as long as the curve's field (RFC 7518, 3.4); OpenSSL wants DER. */
static unsigned char *ecdsa_to_der(const unsigned char *raw, size_t size, size_t *size_out)
{
    int half = (int)(size / 2);
    unsigned char *der = NULL;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, half, NULL), *s = BN_bin2bn(raw + half, half, NULL);
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(signature);
        return NULL;
    }
    int der_size = i2d_ECDSA_SIG(signature, &der);
    ECDSA_SIG_free(signature);
    *size_out = der_size > 0 ? (size_t)der_size : 0;
    return der_size > 0 ? der : NULL;
}

static bool start_verify(EVP_MD_CTX *md, const struct key *key)
{
    EVP_PKEY_CTX *context = NULL;
    if (EVP_DigestVerifyInit_ex(md, &context, key->algorithm->digest, NULL, NULL, key->public_key, NULL) != 1)
        return false;
    if (key->algorithm->family != FAMILY_PSS)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool verify_public(const struct key *key, const struct parts *parts, const unsigned char *signature,
                          size_t size)
{
    unsigned char *der = NULL;
    if (key->algorithm->family == FAMILY_EC) {
        if (size != (size_t)key->algorithm->bits / 4)
            return false;
        der = ecdsa_to_der(signature, size, &size);
        if (der == NULL)
            return false;
    }
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool holds = md != NULL && start_verify(md, key) &&
                 EVP_DigestVerify(md, der != NULL ? der : signature, size,
                                  (const unsigned char *)parts->header, parts->signed_size) == 1;
    EVP_MD_CTX_free(md);
    OPENSSL_free(der);
    ERR_clear_error();
    return holds;
}

static int check_signature(const struct key *key, const struct parts *parts, struct error *e)
{
    unsigned char signature[SIGNATURE_MAX];
    size_t size;
    if (parts->signature_size > SIGNATURE_MAX ||
        !decode(parts->signature, parts->signature_size, signature, &size))
        return refuse(e, "the signature is not base64url");
    bool holds = key->algorithm->family == FAMILY_HMAC ? verify_hmac(key, parts, signature, size)
                                                       : verify_public(key, parts, signature, size);
    return holds ? 0 : refuse(e, "the signature does not hold");
}

/* ---- Header: which key ---- */

/* The part as a JSON object; NULL with e filled. */
static struct json *read_object(const char *part, size_t size, const char *name, struct error *e)
{
    unsigned char bytes[TOKEN_TEXT_MAX];
    size_t bytes_size;
    if (!decode(part, size, bytes, &bytes_size)) {
        error_set(e, ERROR_DENIED, "invalid_token", "the %s is not base64url", name);
        return NULL;
    }
    struct json *tree = json_parse((const char *)bytes, bytes_size, NULL);
    if (json_kind(tree) == JSON_OBJECT)
        return tree;
    json_destroy(&tree);
    error_set(e, ERROR_DENIED, "invalid_token", "the %s is not a JSON object without duplicate names", name);
    return NULL;
}

/* Our own keys are asked for by their kid and by nothing else; a token that names one is never tried with
 * another key, nor a token of the issuer's with ours. */
static struct key *key_for(struct token_keys *keys, const char *kid, const char *alg)
{
    struct key *own = NULL;
    if (kid != NULL && strcmp(kid, KID_OPERATOR) == 0)
        own = &keys->operator_key;
    else if (kid != NULL && strcmp(kid, KID_SERVICE) == 0)
        own = &keys->service_key;
    if (own != NULL)
        return own->algorithm != NULL && strcmp(own->algorithm->name, alg) == 0 ? own : NULL;
    for (unsigned i = 0; i < keys->issuer_count; i++)
        if (strcmp(keys->issuer[i].algorithm->name, alg) == 0)
            return &keys->issuer[i];
    return NULL;
}

static struct key *read_header(struct token_keys *keys, const struct parts *parts, struct error *e)
{
    struct json *header = read_object(parts->header, parts->header_size, "header", e);
    if (header == NULL)
        return NULL;
    const char *alg = json_string(json_get(header, "alg"));
    struct key *key = alg != NULL ? key_for(keys, json_string(json_get(header, "kid")), alg) : NULL;
    if (json_get(header, "crit") != NULL) {
        refuse(e, "the header has crit, and no extension is known here");
        key = NULL;
    } else if (key == NULL) {
        refuse(e, "no key is configured for the header's alg and kid");
    }
    json_destroy(&header);
    return key;
}

static struct key *find_key(struct token_keys *keys, const struct parts *parts, struct error *e)
{
    if (keys->header_key != NULL && keys->header_size == parts->header_size &&
        memcmp(keys->header, parts->header, parts->header_size) == 0)
        return keys->header_key;
    return read_header(keys, parts, e);
}

static void remember_header(struct token_keys *keys, const struct parts *parts, struct key *key)
{
    if (parts->header_size > HEADER_MAX)
        return;
    memcpy(keys->header, parts->header, parts->header_size);
    keys->header_size = parts->header_size;
    keys->header_key = key;
}

static int check_claims(const struct token_keys *keys, const struct key *key, const struct parts *parts,
                        int64_t wall_s, struct token *out, int64_t *not_before_out, struct error *e)
{
    struct json *claims = read_object(parts->claims, parts->claims_size, "claims part", e);
    if (claims == NULL)
        return -1;
    int result = claims_check(keys->config, key->signer, claims, wall_s, out, not_before_out, e);
    json_destroy(&claims);
    return result;
}

/* ---- All of it ---- */

int token_verify(struct token_keys *keys, const char *text, size_t size, int64_t wall_s, struct token *out,
                 struct error *e)
{
    if (size > TOKEN_TEXT_MAX)
        return refuse(e, "the token is longer than 8192 bytes");
    uint64_t hash = bytes_hash(text, size);
    int64_t not_before_s;
    if (token_cache_find(keys->cache, text, size, hash, out, &not_before_s))
        return claims_check_now(out, not_before_s, wall_s, e);
    struct parts parts;
    if (!split(text, size, &parts))
        return refuse(e, "the token does not have three parts");
    struct key *key = find_key(keys, &parts, e);
    if (key == NULL || check_signature(key, &parts, e) != 0 ||
        check_claims(keys, key, &parts, wall_s, out, &not_before_s, e) != 0)
        return -1;
    remember_header(keys, &parts, key);
    /* With a cap on its life it must be known when it was first seen. */
    if (!keys->spare_memory || key->algorithm->family != FAMILY_HMAC || keys->config->jwt_ttl_max_s > 0)
        token_cache_put(keys->cache, text, size, hash, out, not_before_s);
    return 0;
}

void token_keys_spare_memory(struct token_keys *keys)
{
    keys->spare_memory = true;
}

bool token_service_address(const struct config *config, const char *address)
{
    if (address == NULL || config->service_addresses == NULL)
        return false;
    /* An IPv4 client of a socket that listens on both. */
    if (strncmp(address, "::ffff:", 7) == 0 && strchr(address, '.') != NULL)
        address += 7;
    return config_list_has(config->service_addresses, address);
}

/* ---- Issuing ---- */

static const struct key *signing_key(const struct token_keys *keys, enum token_signer signer)
{
    if (signer == TOKEN_BY_OPERATOR)
        return &keys->operator_key;
    if (signer == TOKEN_BY_SERVICE)
        return &keys->service_key;
    for (unsigned i = 0; i < keys->issuer_count; i++)
        if (keys->issuer[i].algorithm->family == FAMILY_HMAC)
            return &keys->issuer[i];
    return NULL;
}

static void put_encoded(struct buf *out, const void *bytes, size_t size)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *at = bytes;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | at[i];
        for (held += 8; held >= 6; held -= 6)
            buf_put_byte(out, (unsigned char)alphabet[bits >> (held - 6) & 63]);
    }
    if (held > 0)
        buf_put_byte(out, (unsigned char)alphabet[bits << (6 - held) & 63]);
}

static void put_header(struct buf *out, const struct key *key)
{
    struct buf header = {0};
    buf_printf(&header, "{\"alg\":\"%s\",\"typ\":\"JWT\"", key->algorithm->name);
    if (key->signer != TOKEN_BY_ISSUER)
        buf_printf(&header, ",\"kid\":\"%s\"", key->signer == TOKEN_BY_OPERATOR ? KID_OPERATOR : KID_SERVICE);
    buf_put_byte(&header, '}');
    put_encoded(out, header.data, header.size);
    buf_finish(&header);
}

static void put_claim(struct buf *claims, const char *name, const char *text)
{
    buf_printf(claims, ",\"%s\":", name);
    json_put_text(claims, text);
}

static void put_claims(struct buf *out, const struct config *config, const struct key *key, const char *user,
                       enum role role, int64_t wall_s, int64_t ttl_s)
{
    struct buf claims = {0};
    buf_printf(&claims, "{\"iat\":%lld,\"exp\":%lld", (long long)wall_s, (long long)(wall_s + ttl_s));
    put_claim(&claims, "sub", user);
    if (role != ROLE_USER && role != ROLE_SERVICE)
        put_claim(&claims, "role", role_name(role));
    if (key->signer == TOKEN_BY_ISSUER && config->jwt_issuer != NULL)
        put_claim(&claims, "iss", config->jwt_issuer);
    if (key->signer == TOKEN_BY_ISSUER && config->jwt_audience != NULL)
        put_claim(&claims, "aud", config->jwt_audience);
    buf_put_byte(&claims, '}');
    put_encoded(out, claims.data, claims.size);
    buf_finish(&claims);
}

int token_issue(struct token_keys *keys, enum token_signer signer, const char *user, enum role role,
                int64_t wall_s, int64_t ttl_s, struct buf *out, struct error *e)
{
    static const char *const options[] = {[TOKEN_BY_ISSUER] = "jwt_secret (with HS256 in jwt_algorithms)",
                                          [TOKEN_BY_OPERATOR] = "operator_secret",
                                          [TOKEN_BY_SERVICE] = "service_secret"};
    const struct key *key = signing_key(keys, signer);
    if (key == NULL || key->secret == NULL)
        return error_set(e, ERROR_INVALID, "bad_option", "%s is not set: no key to sign with",
                         options[signer]);
    if (signer == TOKEN_BY_SERVICE)
        user = SERVICE_USER;
    else if (!user_id_valid(user, strlen(user)))
        return error_set(e, ERROR_INVALID, "invalid_user",
                         "a user id is 1 to %d of A-Z a-z 0-9 . _ @ | = -, but not . or ..", USER_ID_MAX);
    struct buf token = {0};
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t mac_size = 0;
    put_header(&token, key);
    buf_put_byte(&token, '.');
    put_claims(&token, keys->config, key, user, role, wall_s, ttl_s);
    bool signed_well = make_hmac(key, token.data, token.size, mac, &mac_size);
    if (signed_well) {
        buf_put(out, token.data, token.size);
        buf_put_byte(out, '.');
        put_encoded(out, mac, mac_size);
    }
    buf_finish(&token);
    return signed_well ? 0 : error_set(e, ERROR_INTERNAL, "internal", "OpenSSL could not sign a token");
}
