"""The process that reads files from strangers and answers; the page starts it, nobody else should.

It reads one job a line from standard input, as JSON, and tells of events on standard output, as JSON
too: what a damaged or hostile file does to this process reaches the one that serves by no other way. It
ends with its standard input.
"""

import json
import os
import queue
import sys
import threading
from collections import OrderedDict
from pathlib import Path

from mri_tf.core.system import end_first_without_memory

MOST_MODELS = 4  # kept loaded


def main() -> int:
    """Answers jobs until standard input ends."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no event
    end_first_without_memory()  # no core file holds a patient's image
    jobs: queue.Queue = queue.Queue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()
    from mri_tf.core.command_line import import_tensorflow

    import_tensorflow()
    import mri_tf.page.answering  # noqa: F401  # so that the first job does not wait for it

    def tell(event: dict) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    models: OrderedDict = OrderedDict()
    tell({"event": "ready"})
    while True:
        _answer(jobs.get(), models, tell)


def _read_jobs(jobs: queue.Queue) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)  # also in the middle of a job: the page has ended


def _answer(job: dict, models: OrderedDict, tell) -> None:
    """One job; every error becomes a sentence."""
    from mri_tf.core.command_line import TRACEBACK, is_disk_full
    from mri_tf.core.errors import InputError, RunFailed
    from mri_tf.page.answering import answer_study, sentence_of

    home = Path(job["input"])
    try:
        model, layout = _opened(job, models)
        tell({"event": "opened"})  # from here on the time of the cases counts
        answer_study(job, model, layout, tell)
    except (InputError, RunFailed) as error:
        tell({"event": "failed", "sentence": sentence_of(error, home)})
    except MemoryError:
        tell({"event": "failed", "sentence": "The study needs more memory than there is."})
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        full = is_disk_full(error)
        what = "The disk is full." if full else f"The study could not be read ({type(error).__name__})."
        tell({"event": "failed", "sentence": what})


def _opened(job: dict, models: OrderedDict):
    """The model of a job and its layout; those asked for last are kept."""
    from mri_tf.predict.model import ModelOptions, open_model

    key = (job["model"], job["server"])
    if key not in models:
        file = Path(job["token_file"]) if job["token_file"] else None
        options = ModelOptions(Path(job["model"]), job["server"], "", file, job["timeout_s"])
        models[key] = open_model(options, needs_segmenter=True)
        if len(models) > MOST_MODELS:
            models.popitem(last=False)
    models.move_to_end(key)
    return models[key]


if __name__ == "__main__":
    sys.exit(main())
