"""What a browser may ask of the page: sizes, counts and times, with the flags that change them."""

from dataclasses import dataclass

MB = 10**6  # bytes, as the browser counts them


@dataclass(frozen=True)
class Limits:
    """The limits of the page's server."""

    file_bytes: int = 1024 * MB  # of one uploaded file
    study_bytes: int = 4096 * MB  # of a study's files, archives unpacked
    total_bytes: int = 16384 * MB  # of all sessions together
    free_bytes: int = 512 * MB  # that stay free on the disk
    files: int = 20_000  # of a study
    unpacked_ratio: int = 200  # unpacked bytes of an archive for each of its own, beyond `ratio_from`
    ratio_from: int = 64 * MB
    sessions: int = 32
    studies: int = 1000  # of a session
    waiting: int = 20  # studies of a session that wait or are answered
    uploads: int = 8  # of a session at a time
    json_bytes: int = 8 * MB  # of a request in JSON
    stall_s: float = 10.0  # without a byte of an upload
    least_bytes_s: float = 16_384.0  # mean speed of an upload, once `stall_s` are over
    drain_bytes: int = 256 * MB  # of a refused body that are read on, and for how long
    drain_s: float = 3.0
    unpack_s: float = 120.0
    case_s: float = 300.0  # until the next case is answered
    worker_bytes: int = 8192 * MB  # memory of the process that reads files and answers
    worker_studies: int = 500  # after which that process is replaced
    heartbeat_s: float = 20.0  # between the signs of life of a tab
    silence_s: float = 90.0  # after which a tab is taken for closed
    head_s: float = 10.0  # until the head of a request is complete
    timeout_s: float = 600.0  # for one request
    max_connections: int = 500
