import http.server
import threading

import pytest

from grainsmith.errors import ModelError
from grainsmith.models.download import download_sam, sam_path
from grainsmith.models.registry import add_model, find_model, load_model

CONTENT = bytes(range(256)) * 12_000


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000] if self.path.startswith("/broken") else CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "models"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_is_whole_and_says_how_far_it_is(address):
    seen = []
    path = download_sam("cpsam_v2", address=address, on_progress=lambda *s: seen.append(s))
    assert path == sam_path("cpsam_v2")
    assert path.read_bytes() == CONTENT
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize(
    ("folder", "reason"), [("broken/", "broke off|IncompleteRead"), ("missing/", "Not Found")]
)
def test_a_broken_download_leaves_nothing_behind(address, folder, reason):
    with pytest.raises(ModelError, match=reason):
        download_sam("cpsam_v2", address=address + folder)
    assert not sam_path("cpsam_v2").exists()
    assert not list(sam_path("cpsam_v2").parent.glob("*"))


def test_offline_is_one_clear_sentence(address):
    with pytest.raises(ModelError, match=r"could not be downloaded.*connect to the internet"):
        download_sam("cpsam_v2", address="http://127.0.0.1:9/")


def test_stopping_a_download_leaves_nothing_behind(address):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_sam("cpsam_v2", address=address, on_progress=stop)
    assert not list(sam_path("cpsam_v2").parent.glob("*"))


def test_a_model_that_is_not_there_yet_says_how_to_get_it(address):
    with pytest.raises(ModelError, match="CC-BY-NC"):
        load_model("cpsam_v2")


def test_unknown_models_and_bad_names_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAINSMITH_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="there is no model 'nobody'"):
        find_model("nobody")
    weights = tmp_path / "x.bin"
    weights.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is no name for a model"):
        add_model(weights, name="../evil")
    with pytest.raises(ModelError, match="not a readable model file"):
        add_model(weights, name="fine")
    assert not (tmp_path / "fine.pt").exists()
