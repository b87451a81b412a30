"""The queue of studies where the system does not do what is asked of it."""

import asyncio
import errno
from pathlib import Path

from mri_tf.page import jobs
from mri_tf.page.limits import Limits
from mri_tf.page.sessions import FAILED, Study


def test_a_process_that_cannot_be_started_fails_the_study_and_the_queue_goes_on(monkeypatch):
    async def refused(*arguments, **named):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refused)
    studies = [Study(str(number), Path("nowhere"), None, None) for number in range(2)]

    async def answered():
        queue = jobs.Jobs(Limits(), jobs.Asked())
        running = asyncio.create_task(queue.run())
        for study in studies:
            queue.add(study)
            while study.state != FAILED:
                await asyncio.sleep(0.01)
            assert not running.done()
        running.cancel()

    asyncio.run(asyncio.wait_for(answered(), 20))
    assert all("Received: Cannot allocate memory." in study.sentence for study in studies)


def test_a_program_that_holds_the_output_open_does_not_hold_up_the_end_of_the_process(monkeypatch):
    monkeypatch.setattr(jobs, "END_S", 0.3)

    async def killed():
        queue = jobs.Jobs(Limits(), jobs.Asked())
        queue._process = await asyncio.create_subprocess_exec(
            "sh", "-c", "setsid sleep 5 & sleep 5", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        await asyncio.sleep(0.2)  # the shell has started the program
        began = asyncio.get_running_loop().time()
        await queue._kill()
        assert asyncio.get_running_loop().time() - began < 3

    asyncio.run(asyncio.wait_for(killed(), 20))
