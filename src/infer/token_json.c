#include "infer/token_json.h"

#include "base/utf8.h"
#include "format/json.h"

void token_json_put_string(struct buf *out, const char *text, size_t size) {
    struct buf clean = {0};
    utf8_put_clean(&clean, text, size);
    json_put_string(out, buf_text(&clean), clean.size);
    buf_release(&clean);
}

void token_json_put_logp(struct buf *out, float logp) { json_put_double(out, logp > -9999.0f ? (double)logp : -9999.0); }

/* Without the closing brace. */
static void put_token(struct buf *out, const struct tokenizer *t, int32_t id, float logp) {
    struct buf piece = {0};
    tokenizer_piece(t, &piece, id);
    buf_append_text(out, "{\"token\": ");
    token_json_put_string(out, buf_text(&piece), piece.size);
    buf_append_text(out, ", \"logprob\": ");
    token_json_put_logp(out, logp);
    buf_append_text(out, ", \"bytes\": [");
    for (size_t i = 0; i < piece.size; i++) buf_printf(out, "%s%u", i ? ", " : "", (unsigned)(unsigned char)piece.data[i]);
    buf_append_char(out, ']');
    buf_release(&piece);
}

void token_json_put(struct buf *out, const struct tokenizer *t, int32_t id, const struct decode_odds *o, size_t top) {
    put_token(out, t, id, o->logp);
    buf_append_text(out, ", \"top_logprobs\": [");
    for (size_t k = 0; k < top; k++) {
        if (k) buf_append_text(out, ", ");
        put_token(out, t, o->top_id[k], o->top_logp[k]);
        buf_append_char(out, '}');
    }
    buf_append_text(out, "]}");
}
