"""compose.yaml: a profile for each server, pinned images, health checks, ports for this machine only."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROFILES = {"serving": "cpu", "serving-gpu": "gpu", "openvino": "openvino", "page": "page",
            "orthanc": "orthanc"}  # fmt: skip
OWN = "mri_tf:page"  # built from the Dockerfile of the repository
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")
PORT = re.compile(r"127\.0\.0\.1:(\d+):(\d+)")


@pytest.fixture(scope="module")
def compose() -> dict:
    """The file as Compose reads it where no variable is set."""
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert "${" not in DEFAULT.sub("", text), "a variable without a default stops every profile"
    return yaml.safe_load(DEFAULT.sub(lambda found: found[1], text))


def test_every_server_has_a_profile_of_its_own(compose):
    assert {name: one["profiles"] for name, one in compose["services"].items()} == {
        name: [profile] for name, profile in PROFILES.items()
    }


def test_images_are_pinned_by_version(compose):
    for name, service in compose["services"].items():
        image = service["image"]
        assert image == OWN or re.search(r":\d+\.\d+(\.\d+)?(-gpu)?$", image), name
    first = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^FROM python:\d+\.\d+\.\d+-slim-\w+$", first, re.MULTILINE)


def test_ports_are_open_to_this_machine_only_and_profiles_can_run_side_by_side(compose):
    ports = {}
    for name, service in compose["services"].items():
        for text in service["ports"]:
            found = PORT.fullmatch(text)
            assert found, f"{name}: {text}"
            ports.setdefault(found[1], []).append(name)
    shared = {tuple(names) for names in ports.values() if len(names) > 1}
    assert shared == {("serving", "serving-gpu")}  # one or the other


def test_every_server_is_asked_for_its_health_in_time(compose):
    inside = {name: {PORT.fullmatch(text)[2] for text in service["ports"]}
              for name, service in compose["services"].items()}  # fmt: skip
    for name, service in compose["services"].items():
        health = service["healthcheck"]
        assert set(health) >= {"test", "interval", "timeout", "retries", "start_period"}, name
        asked = set(re.findall(r"127\.0\.0\.1[/:](\d+)", health["test"][-1]))
        assert asked and asked <= inside[name], name


def test_a_health_check_by_bash_tells_an_answer_from_none(compose, tmp_path):
    """As it is in the file, with the port of a server that answers, or answers that it cannot."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.code)
            self.end_headers()

        def log_message(self, *_):
            pass

    checks = {name: service["healthcheck"]["test"] for name, service in compose["services"].items()}
    for name in ("serving", "openvino", "orthanc", "page"):
        for code, healthy in ((200, True), (503, False)):
            with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
                server.code = code
                threading.Thread(target=server.serve_forever, daemon=True).start()
                kind, *command = checks[name]
                assert kind == "CMD"
                port = re.search(r"127\.0\.0\.1[/:](\d+)", command[-1])[1]
                command[-1] = command[-1].replace(port, str(server.server_port))
                environment = {**os.environ, "no_proxy": "*"}
                done = subprocess.run(command, capture_output=True, timeout=30, env=environment)
                server.shutdown()
            assert (done.returncode == 0) is healthy, (name, code, done.stderr)


def test_models_are_read_only_and_servers_have_no_rights(compose):
    for name, service in compose["services"].items():
        assert "no-new-privileges:true" in service["security_opt"], name
        if name == "orthanc":
            continue
        assert service["volumes"] == ["./saved_models:/models:ro"], name
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name


def test_the_page_is_built_with_a_lock_that_holds_what_serving_needs(compose):
    page = compose["services"]["page"]
    lock = page["build"]["args"]["LOCK"]
    assert lock in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert all(f"\n{name}==" in text for name in ("starlette", "uvicorn", "grpcio"))
    assert "--token-file=/run/secrets/page_token" in page["command"]  # other sites cannot ask it


@pytest.mark.skipif(not shutil.which("docker"), reason="Docker's client is not installed")
def test_compose_itself_takes_the_file():
    version = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=60)
    if version.returncode:
        pytest.skip("Docker's client has no compose")
    command = ["docker", "compose", "--profile", "*", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
