import hashlib
import http.server
import threading

import pytest

from grainsmith.errors import ModelError
from grainsmith.models.download import SAM_SHA256, SAM_URL, download_sam, sam_path
from grainsmith.models.registry import SAM_NAMES, add_model, find_model, load_model

CONTENT = bytes(range(256)) * 12_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self):
        type(self).requests += 1
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path.startswith("/broken"):
            self.wfile.write(CONTENT[:1000])
        elif self.path.startswith("/altered"):
            self.wfile.write(b"\xff" + CONTENT[1:])
        else:
            self.wfile.write(CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "models"))
    Server.requests = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def left_behind():
    folder = sam_path("cpsam_v2").parent
    return list(folder.glob("*")) if folder.exists() else []


def test_download_is_complete_and_reports_progress(url):
    calls = []
    path = download_sam(
        "cpsam_v2", url=url, sha256=SHA256, on_progress=lambda *call: calls.append(call)
    )
    assert path == sam_path("cpsam_v2")
    assert path.read_bytes() == CONTENT
    assert calls[-1] == (2, 2)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_a_verified_file_is_not_downloaded_again(url):
    for _ in range(2):
        download_sam("cpsam_v2", url=url, sha256=SHA256)
    assert Server.requests == 1


def test_a_damaged_file_is_downloaded_again(url):
    path = download_sam("cpsam_v2", url=url, sha256=SHA256)
    path.write_bytes(CONTENT[:-1])
    download_sam("cpsam_v2", url=url, sha256=SHA256)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("broken/", "could not be downloaded|checksum"),
        ("missing/", "Not Found"),
        ("altered/", "SHA-256 checksum"),
    ],
)
def test_a_failed_download_leaves_nothing_behind(url, folder, reason):
    with pytest.raises(ModelError, match=reason):
        download_sam("cpsam_v2", url=url + folder, sha256=SHA256)
    assert not left_behind()


def test_every_published_model_has_a_checksum():
    assert set(SAM_SHA256) == set(SAM_NAMES)
    assert all(len(value) == 64 for value in SAM_SHA256.values())
    assert SAM_URL.startswith("https://")


def test_offline_message_names_the_remedy(url):
    with pytest.raises(ModelError, match=r"could not be downloaded.*connect to the internet"):
        download_sam("cpsam_v2", url="http://127.0.0.1:9/")


def test_a_cancelled_download_leaves_nothing_behind(url):
    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_sam("cpsam_v2", url=url, sha256=SHA256, on_progress=cancel)
    assert not left_behind()


def test_loading_a_model_that_is_not_downloaded_names_its_licence(url):
    with pytest.raises(ModelError, match="CC-BY-NC"):
        load_model("cpsam_v2")


def test_unknown_models_and_invalid_names_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAINSMITH_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="there is no model 'nobody'"):
        find_model("nobody")
    weights = tmp_path / "x.bin"
    weights.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is not a valid name"):
        add_model(weights, name="../evil")
    with pytest.raises(ModelError, match="not a readable model file"):
        add_model(weights, name="fine")
    assert not (tmp_path / "fine.pt").exists()
