"""tfevents.py FOLDER: the event file of tests/unit/test_tfrecord.c, written by tensorboard (2.x); tests/golden/tfevents holds its result.
tfevents.py --read FOLDER: what tensorboard's EventAccumulator reads from an event folder, as JSON {tag: [[step, value, wall_time], ...]}."""
import json
import pathlib
import sys

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter


def events():
    yield event_pb2.Event(wall_time=1700000000.25, file_version="brain.Event:2")
    for step, wall, values in ((0, 1700000000.25, {"train/loss": 0.5}), (3, 1700000001.5, {"train/loss": 0.25, "eval/rewards/margins": -1.5}),
                               (123456789, 1700000300.0, {"train/größe": 3.4e38})):
        yield event_pb2.Event(wall_time=wall, step=step, summary=summary_pb2.Summary(
            value=[summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]))


if sys.argv[1] == "--read":
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    accumulator = EventAccumulator(sys.argv[2], size_guidance={"scalars": 0})
    accumulator.Reload()
    print(json.dumps({tag: [[e.step, e.value, e.wall_time] for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}))
else:
    folder = pathlib.Path(sys.argv[1]) / "tfevents"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "events", "wb") as f:
        writer = RecordWriter(f)
        for event in events():
            writer.write(event.SerializeToString())
        writer.flush()
