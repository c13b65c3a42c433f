#include "format/proto.h"

#include <string.h>

struct proto proto_begin(const char *data, size_t size) { return (struct proto){data, data, data + size}; }

static size_t where(const struct proto *p) { return (size_t)(p->at - p->start) + 1; }

static status read_varint(struct proto *p, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (p->at == p->end) return FAIL(ST_FORMAT, "byte %zu: a number is cut off", where(p));
        const unsigned char c = (unsigned char)*p->at++;
        *out |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) return ST_OK;
    }
    return FAIL(ST_FORMAT, "byte %zu: a number of more than 64 bits", where(p));
}

static status read_fixed(struct proto *p, uint64_t *out, size_t size) {
    if ((size_t)(p->end - p->at) < size) return FAIL(ST_FORMAT, "byte %zu: %zu bytes are cut off", where(p), size);
    *out = 0;
    for (size_t i = 0; i < size; i++) *out |= (uint64_t)(unsigned char)p->at[i] << (8 * i);
    p->at += size;
    return ST_OK;
}

status proto_next(struct proto *p, struct proto_field *field, bool *more) {
    uint64_t tag;
    *more = p->at < p->end;
    if (!*more) return ST_OK;
    const size_t at = where(p);
    TRY(read_varint(p, &tag));
    if (tag >> 3 == 0 || tag >> 32) return FAIL(ST_FORMAT, "byte %zu: expected a field, found tag %llu", at, (unsigned long long)tag);
    *field = (struct proto_field){.number = (uint32_t)(tag >> 3), .wire = (enum proto_wire)(tag & 7)};
    switch (field->wire) {
    case PROTO_VARINT: return read_varint(p, &field->value);
    case PROTO_64: return read_fixed(p, &field->value, 8);
    case PROTO_32: return read_fixed(p, &field->value, 4);
    case PROTO_BYTES: break;
    default: return FAIL(ST_FORMAT, "byte %zu: field %u: wire type %llu is not known", at, field->number, (unsigned long long)(tag & 7));
    }
    TRY(read_varint(p, &field->value));
    if (field->value > (uint64_t)(p->end - p->at))
        return FAIL(ST_FORMAT, "byte %zu: field %u needs %llu bytes, but only %zu are left", at, field->number,
                    (unsigned long long)field->value, (size_t)(p->end - p->at));
    field->sub = (struct proto){p->start, p->at, p->at + field->value};
    p->at += field->value;
    return ST_OK;
}

float proto_float(const struct proto_field *field) {
    const uint32_t bits = (uint32_t)field->value;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
