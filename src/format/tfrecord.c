#include "format/tfrecord.h"

#include <immintrin.h>
#include <string.h>

#include "format/proto.h"

/* ---- protocol buffers ---- */

static void put_varint(struct buf *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) buf_append_char(out, (char)(value | 0x80));
    buf_append_char(out, (char)value);
}

static void put_key(struct buf *out, uint32_t number, enum proto_wire wire) { put_varint(out, (uint64_t)number << 3 | wire); }

static void put_little(struct buf *out, uint64_t bits, size_t size) {
    for (size_t i = 0; i < size; i++) buf_append_char(out, (char)(bits >> (8 * i)));
}

static void put_bytes(struct buf *out, uint32_t number, const void *data, size_t size) {
    put_key(out, number, PROTO_BYTES);
    put_varint(out, size);
    buf_append(out, data, size);
}

static void put_double(struct buf *out, uint32_t number, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(out, number, PROTO_64);
    put_little(out, bits, 8);
}

/* ---- records ---- */

uint32_t tfrecord_crc(const void *data, size_t size) {
    const unsigned char *p = data;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) crc = _mm_crc32_u8(crc, p[i]);
    return ~crc;
}

/* A CRC of data that hold CRCs is a poor check, so it is turned and moved (tensorflow/core/lib/hash/crc32c.h). */
static uint32_t masked(const void *data, size_t size) {
    const uint32_t crc = tfrecord_crc(data, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_record(struct buf *out, const struct buf *message) {
    const size_t at = out->size;
    put_little(out, message->size, 8);
    put_little(out, masked(out->data + at, 8), 4);
    buf_append(out, message->data, message->size);
    put_little(out, masked(message->data, message->size), 4);
}

/* Event: wall_time = 1, step = 2, file_version = 3, summary = 5. */
void tfrecord_put_version(struct buf *out, double wall_time_s) {
    static const char version[] = "brain.Event:2";
    struct buf event = {0};
    put_double(&event, 1, wall_time_s);
    put_bytes(&event, 3, version, sizeof version - 1);
    put_record(out, &event);
    buf_release(&event);
}

/* Summary: value = 1; Summary.Value: tag = 1, simple_value = 2. */
void tfrecord_put_scalar(struct tfrecord_event *e, const char *tag, size_t tag_size, float value) {
    struct buf item = {0};
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_bytes(&item, 1, tag, tag_size);
    put_key(&item, 2, PROTO_32);
    put_little(&item, bits, 4);
    put_bytes(&e->summary, 1, item.data, item.size);
    buf_release(&item);
}

void tfrecord_end_event(struct buf *out, struct tfrecord_event *e, int64_t step, double wall_time_s) {
    struct buf event = {0};
    if (!e->summary.size) return;
    put_double(&event, 1, wall_time_s);
    if (step) { /* proto3 leaves zeros out */
        put_key(&event, 2, PROTO_VARINT);
        put_varint(&event, (uint64_t)step);
    }
    put_bytes(&event, 5, e->summary.data, e->summary.size);
    put_record(out, &event);
    buf_release(&event);
    buf_clear(&e->summary);
}

void tfrecord_release_event(struct tfrecord_event *e) { buf_release(&e->summary); }
