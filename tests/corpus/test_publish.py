"""The one command that publishes a corpus, against a hub on this machine that speaks what it needs of the protocol."""

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from scalelaws.corpus.split import split
from scalelaws.workers import silent

from .conftest import prose, write_documents
from .test_split import SETTINGS


class Hub(ThreadingHTTPServer):
    """Keeps the files of one repository that are committed to it, and what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.files: dict[str, bytes] = {}
        self.created: dict = {}
        self.refuse = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        files = [{"type": "file", "path": path, "size": len(c), "oid": "0"} for path, c in self.server.files.items()]
        listing = "/tree/" in self.path
        siblings = [{"rfilename": path} for path in self.server.files]
        self.answer(files if listing else {"id": "me/docs", "sha": "0" * 40, "siblings": siblings})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refuse:
            self.answer({"error": "not yours"}, 403)
        elif self.path == "/api/repos/create":
            self.server.created = json.loads(body)
            self.answer({"url": f"{self.server.address}/datasets/me/docs", "name": "me/docs"})
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            self.answer({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    del self.server.files[line["value"]["path"]]
            self.answer({"commitUrl": f"{self.server.address}/datasets/me/docs/commit/1", "commitOid": "1" * 40})
        else:
            self.answer({})


@pytest.fixture
def hub():
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def push(hub: Hub, corpus: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scalelaws.cli", "push", str(corpus), "me/docs", *options]
    environment = os.environ | {"HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1"}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_one_command_puts_the_documents_and_their_card_on_the_hub(tmp_path, hub):
    datasets = pytest.importorskip("datasets")
    source = write_documents(tmp_path / "in", [prose(n) for n in range(60)])
    corpus = tmp_path / "mine"
    split(source, None, corpus / "documents", corpus / "documents.json", SETTINGS, 1, "r", 1, silent)
    (corpus / "card.md").write_text("# mine (train)\n\nWhat each step removed.\n")
    hub.files["train/of-an-earlier-push.parquet"] = b"old"
    done = push(hub, corpus)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{hub.address}/datasets/me/docs"
    assert hub.created["type"] == "dataset" and hub.created["visibility"] == "private"
    assert set(hub.files) == {"README.md", "train/train-00000.parquet", "test/test-00000.parquet"}
    assert "What each step removed." in hub.files["README.md"].decode()

    for path, content in hub.files.items():
        (tmp_path / "loaded" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "loaded" / path).write_bytes(content)
    loaded = datasets.load_dataset(str(tmp_path / "loaded"), cache_dir=str(tmp_path / "cache"))
    assert sum(len(part) for part in loaded.values()) == 60


def test_what_a_hub_refuses_and_a_folder_without_documents_is_one_line(tmp_path, hub):
    done = push(hub, tmp_path)
    assert done.returncode == 2 and "there are no finished documents here" in done.stderr
    source = write_documents(tmp_path / "in", [prose(n) for n in range(60)])
    split(source, None, tmp_path / "documents", tmp_path / "documents.json", SETTINGS, 1, "r", 1, silent)
    hub.refuse = True
    done = push(hub, tmp_path)
    assert done.returncode == 2 and "hf auth login" in done.stderr and len(done.stderr.splitlines()) == 1
