#include "model/hf_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static status open_folder(struct checkpoint *c, const char *path) {
    char *config_path = file_join(path, "config.json");
    struct buf text = {0};
    struct json config;
    status s = file_read(&text, config_path);
    if (s == ST_OK) {
        s = json_parse(&config, buf_text(&text), text.size);
        if (s == ST_OK) s = model_config_from_json(&c->config, config);
        if (s != ST_OK) status_note(s, "%s: ", config_path);
    }
    buf_release(&text);
    free(config_path);
    TRY(s);
    return safetensors_open(&c->st, path);
}

static status open_gguf(struct checkpoint *c, const char *path) {
    TRY(gguf_open(&c->gguf, path));
    status s = model_config_from_gguf(&c->config, &c->gguf);
    return s == ST_OK ? s : status_note(s, "%s: ", path);
}

status checkpoint_open(struct checkpoint *c, const char *path) {
    *c = (struct checkpoint){.path = mem_text(path), .is_gguf = text_ends_with(path, ".gguf")};
    status s;
    if (c->is_gguf)
        s = open_gguf(c, path);
    else if (file_is_dir(path))
        s = open_folder(c, path);
    else
        s = FAIL(ST_IO, "%s: not found as a model (a folder with config.json and *.safetensors, or a .gguf file)", path);
    if (s != ST_OK) checkpoint_release(c);
    return s;
}

void checkpoint_release(struct checkpoint *c) {
    if (c->is_gguf)
        gguf_release(&c->gguf);
    else
        safetensors_release(&c->st);
    free(c->path);
    *c = (struct checkpoint){0};
}

status checkpoint_check(struct checkpoint *c) {
    if (c->is_gguf && !c->checked) TRY(gguf_check_scales(&c->gguf));
    c->checked = true;
    return ST_OK;
}

void checkpoint_drop_pages(const struct checkpoint *c) {
    if (c->is_gguf) file_map_drop_pages(&c->gguf.map);
    for (size_t i = 0; i < c->st.map_count && !c->is_gguf; i++) file_map_drop_pages(&c->st.maps[i]);
}

size_t gguf_row_of(size_t r, size_t rows, size_t heads) {
    if (!heads) return r;
    const size_t d = rows / heads, head = r / d, in_head = r % d;
    return head * d + (in_head % (d / 2)) * 2 + in_head / (d / 2);
}

size_t gguf_row_from(size_t at, size_t rows, size_t heads) {
    if (!heads) return at;
    const size_t d = rows / heads, head = at / d, in_head = at % d;
    return head * d + in_head % 2 * (d / 2) + in_head / 2;
}

size_t gguf_permuted_heads(const struct model_config *c, enum tensor_role role) {
    if (!c->family->gguf_permutes_qk) return 0;
    return role == TENSOR_Q ? c->heads : role == TENSOR_K ? c->kv_heads : 0;
}

static status find_tensor(struct tensor_view *out, const struct checkpoint *c, enum tensor_role role, const char *suffix, size_t layer,
                          size_t rows, size_t cols) {
    char base[TENSOR_NAME_SIZE], name[TENSOR_NAME_SIZE + 8];
    family_tensor_name(base, c->config.family, role, layer, c->is_gguf);
    snprintf(name, sizeof name, "%s.%s", base, suffix);
    *out = (struct tensor_view){0};
    if (c->is_gguf) {
        const struct gguf_tensor *t = gguf_tensor_find(&c->gguf, name);
        if (t) *out = (struct tensor_view){.type = t->type, .rows = t->rows, .cols = t->cols, .data = t->data};
        out->heads = gguf_permuted_heads(&c->config, role);
    } else {
        const struct st_tensor *t = safetensors_find(&c->st, name);
        if (t) *out = (struct tensor_view){.type = t->type, .rows = t->rows, .cols = t->cols, .data = t->data};
    }
    if (!out->data) return FAIL(ST_FORMAT, "%s: tensor '%s' is missing", c->path, name);
    if (out->rows != rows || out->cols != cols)
        return FAIL(ST_FORMAT, "%s: tensor '%s' has shape [%zu, %zu], expected [%zu, %zu]", c->path, name, out->rows, out->cols, rows,
                    cols);
    out->row_bytes = dtype_row_bytes(out->type, cols);
    if (!out->row_bytes)
        return FAIL(ST_FORMAT, "%s: tensor '%s': rows of %zu do not fit type %s", c->path, name, cols, dtype_table[out->type].name);
    return ST_OK;
}

status checkpoint_tensor(struct tensor_view *out, const struct checkpoint *c, enum tensor_role role, size_t layer, size_t rows,
                         size_t cols) {
    return find_tensor(out, c, role, "weight", layer, rows, cols);
}

status checkpoint_bias(float *out, const struct checkpoint *c, enum tensor_role role, size_t layer, size_t n) {
    struct tensor_view v;
    float *stored;
    TRY(find_tensor(&v, c, role, "bias", layer, 1, n));
    TRY(mem_try_alloc(&stored, n, sizeof *stored, "bias"));
    dtype_table[v.type].expand(stored, v.data, n);
    for (size_t r = 0; r < n; r++) out[r] = stored[gguf_row_of(r, n, v.heads)];
    free(stored);
    return ST_OK;
}

void tensor_view_row(float *out, const struct tensor_view *v, size_t r) {
    const size_t at = gguf_row_of(r, v->rows, v->heads);
    dtype_table[v->type].expand(out, v->data + at * v->row_bytes, v->cols);
}

void tensor_view_rows(float *out, const struct tensor_view *v) {
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < v->rows; r++) tensor_view_row(out + r * v->cols, v, r);
}
