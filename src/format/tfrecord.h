/* tfrecord: the event files that TensorBoard reads: TFRecord framing (tensorflow/core/lib/io/record_writer.h) around Event messages
 * (tensorflow/core/util/event.proto, framework/summary.proto) in protocol buffers' wire format. */
#ifndef RAPT_FORMAT_TFRECORD_H
#define RAPT_FORMAT_TFRECORD_H

#include "base/buf.h"

/* What every event file begins with. wall_time_s: seconds since 1970. */
void tfrecord_put_version(struct buf *out, double wall_time_s);

/* One event of several scalars: begin, put each, end. */
struct tfrecord_event {
    struct buf summary;
};
void tfrecord_put_scalar(struct tfrecord_event *e, const char *tag, size_t tag_size, float value);
/* Appends the event and empties e; nothing where it has no scalar. */
void tfrecord_end_event(struct buf *out, struct tfrecord_event *e, int64_t step, double wall_time_s);
void tfrecord_release_event(struct tfrecord_event *e);

/* CRC-32C (Castagnoli; RFC 3720, B.4) of the bytes. */
uint32_t tfrecord_crc(const void *data, size_t size);

#endif
