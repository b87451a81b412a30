"""What a tab asks about its studies: upload, answer, look, read, keep, delete."""

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from mri_tf.page.bodies import SHOWN, flag, read_json, reader_name
from mri_tf.page.catalogue import Catalogue
from mri_tf.page.jobs import Jobs
from mri_tf.page.keep import keep_study
from mri_tf.page.limits import Limits
from mri_tf.page.readings import Readings, agreement
from mri_tf.page.refused import Refused, unknown
from mri_tf.page.sessions import AT_WORK, DONE, UPLOADING, Session, Sessions, Study, no_space
from mri_tf.page.shown import case_of, is_answered, study_of
from mri_tf.page.uploads import FULL, Uploads

STUDY, CASE = r"/api/studies/([0-9a-f]{16})", r"/cases/(c[1-9]\d{0,5})"
VOLUME = r"/(image|map|labels)\.nii\.gz"


class StudyRequests:
    """Answers them; `routes` are (method, pattern of the path, handler).

    Args:
        catalogue: of the models.
        sessions: of the tabs.
        jobs: the queue.
        limits: of everything.
        keep: folder for what users ask to keep; None: nothing is kept.
    """

    def __init__(
        self, catalogue: Catalogue, sessions: Sessions, jobs: Jobs, limits: Limits, keep: Path | None
    ):
        self._catalogue, self._sessions, self._jobs = catalogue, sessions, jobs
        self._limits, self._keep, self._uploads = limits, keep, Uploads(sessions, limits)
        self.routes = (
            ("POST", r"/api/studies", self._add),
            ("GET", STUDY, self._show),
            ("DELETE", STUDY, self._delete),
            ("PUT", STUDY + "/files", self._upload),
            ("POST", STUDY + "/run", self._run),
            ("POST", STUDY + "/keep", self._copy),
            ("GET", STUDY + CASE + VOLUME, self._volume),
            ("PUT", STUDY + CASE + "/reading", self._read),
            ("GET", r"/api/readings\.csv", self._readings),
            ("POST", r"/api/agreement", self._agreement),
        )

    async def _add(self, request: Request) -> Response:
        session, values = self._session(request), await read_json(request, self._limits)
        served, readings = self._catalogue.find(values.get("model")), None
        if served is None:
            raise Refused(400, "There is no such model.", repr(values.get("model"))[:SHOWN],
                          "Choose one of the list.")  # fmt: skip
        if flag(values, "reading"):
            if not served.classifies:
                raise Refused(400, "Reading mode is for models that classify.", served.name,
                              "Choose another model, or look at the answers at once.")  # fmt: skip
            readings = Readings(reader_name(values))
        study = self._sessions.add(session, served, readings)
        return JSONResponse({"study": study.study_id}, 201)

    async def _show(self, request: Request, study_id: str) -> Response:
        return JSONResponse(study_of(self._session(request).study(study_id)))

    async def _delete(self, request: Request, study_id: str) -> Response:
        session = self._session(request)
        await self._sessions.remove(session, session.study(study_id))
        return Response(status_code=204)

    async def _upload(self, request: Request, study_id: str) -> Response:
        session = self._session(request)
        await self._uploads.receive(request, session, session.study(study_id))
        return Response(status_code=204)

    async def _run(self, request: Request, study_id: str) -> Response:
        session = self._session(request)
        study = session.study(study_id)
        if study.state != UPLOADING or study.uploading:
            raise Refused(409, "The study is being answered, or its files are still on their way.",
                          study.state, "Wait for it.")  # fmt: skip
        if not study.files:
            raise Refused(400, "The study has no files.", "no upload", "Drop files first.")
        waiting = sum(one.state in AT_WORK for one in session.studies.values())
        if waiting >= self._limits.waiting:
            raise Refused(429, f"At most {self._limits.waiting} studies of a tab can wait.", "one more",
                          "Wait until one is answered.")  # fmt: skip
        self._jobs.add(study)
        return JSONResponse({"state": study.state}, 202)

    async def _copy(self, request: Request, study_id: str) -> Response:
        study = self._session(request).study(study_id)
        if self._keep is None:
            raise Refused(404, "Nothing is kept here.", "a page without --keep",
                          "Start the page with --keep DIR.")  # fmt: skip
        if study.state != DONE:
            raise Refused(409, "The study is not answered.", study.state, "Wait until it is.")
        try:
            folder = await asyncio.to_thread(keep_study, study, self._keep)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise no_space("the disk of --keep is full") from None
        return JSONResponse({"folder": folder}, 201)

    async def _volume(self, request: Request, study_id: str, case_id: str, kind: str) -> Response:
        study = self._session(request).study(study_id)
        case, name = _case(study, case_id), kind
        if kind != "image" and not (is_answered(study, case_id) and case[kind]):
            raise unknown(kind)
        if kind == "image":
            channel = request.query_params.get("channel", "0")
            if channel not in map(str, range(case["channels"])):
                raise unknown("channel")
            name = f"image_{channel}"
        elif kind == "labels" and request.query_params.get("grid") == "source":
            name = "labels_source"
        path = study.out / f"{case_id}_{name}.nii.gz"
        if path.is_symlink() or not path.is_file():
            raise unknown(kind)
        return FileResponse(path, media_type="application/gzip")

    async def _read(self, request: Request, study_id: str, case_id: str) -> Response:
        study = self._reading_study(request, study_id)
        _case(study, case_id)
        values = await read_json(request, self._limits)
        study.readings.read(case_id, values, study.model.exported.task.class_names)
        return JSONResponse(case_of(study, case_id))

    async def _readings(self, request: Request) -> Response:
        study = self._reading_study(request, request.query_params.get("study", ""))
        headers = {"content-disposition": 'attachment; filename="readings.csv"'}
        data = study.readings.as_csv(study.cases)
        return Response(data, media_type="text/csv; charset=utf-8", headers=headers)

    async def _agreement(self, request: Request) -> Response:
        study = self._reading_study(request, request.query_params.get("study", ""))
        others = (await read_json(request, self._limits)).get("readers", [])
        task = study.model.exported.task
        found = await asyncio.to_thread(agreement, study.readings, study.cases, task, others)
        return JSONResponse(found)

    def _session(self, request: Request) -> Session:
        return self._sessions.get(request.headers.get("x-session"))

    def _reading_study(self, request: Request, study_id: str) -> Study:
        study = self._session(request).study(study_id)
        if study.readings is None:
            raise Refused(409, "This study is not in reading mode.", "a reading",
                          "Drop it in reading mode.")  # fmt: skip
        return study


def _case(study: Study, case_id: str) -> dict:
    if case_id not in study.cases:
        raise unknown("case")
    return study.cases[case_id]
