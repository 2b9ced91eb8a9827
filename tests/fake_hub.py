"""A hub on this machine with the routes of the Hugging Face hub that uploads and downloads of models use."""

import base64
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class FakeHub:
    """Repositories in memory. A commit is the checksum of its files."""

    url: str = ""
    commits: dict[str, list[str]] = field(default_factory=dict)
    """The commits of each repository, the newest last."""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """The files of each commit."""
    large: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str | None] = field(default_factory=set)
    """All tokens that clients have sent."""
    refuse: bool = False
    """Whether uploads are refused."""

    def commit(self, repository: str, files: dict[str, bytes]) -> str:
        """Add a commit with these files."""
        content = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in files.items())
        commit = hashlib.sha1(repr(content).encode()).hexdigest()
        self.files[commit] = files
        self.commits[repository].append(commit)
        return commit

    def find(self, repository: str, revision: str) -> str | None:
        commits = self.commits[repository]
        if revision == "main":
            return commits[-1] if commits else None
        return revision if revision in commits else None

    async def answer(self, request: Request) -> Response:
        self.tokens.add(request.headers.get("authorization"))
        path, body = request.url.path, await request.body()
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if self.refuse:
                return JSONResponse({"error": "Forbidden"}, 403)
            self.commits.setdefault(name, [])
            return JSONResponse({"url": f"{self.url}/{name}", "id": name})
        if path == "/api/validate-yaml":
            return JSONResponse({"errors": [], "warnings": []})
        if parts[:2] == ["api", "models"]:
            return self._answer_api("/".join(parts[2:4]), parts[4:], body)
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.url}/lfs/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            return JSONResponse({"transfer": "basic", "objects": objects})
        if parts[0] == "lfs":
            assert hashlib.sha256(body).hexdigest() == parts[1]
            self.large[parts[1]] = body
            return Response()
        if parts[2:3] == ["resolve"]:
            return self._send("/".join(parts[:2]), parts[3], "/".join(parts[4:]), request.method)
        return JSONResponse({"error": f"unknown {path}"}, 404)

    def _answer_api(self, repository: str, rest: list[str], body: bytes) -> Response:
        if repository not in self.commits:
            return JSONResponse({"error": "Repository not found"}, 404, headers={"X-Error-Code": "RepoNotFound"})
        if rest[:1] == ["preupload"]:
            kinds = [
                {"path": file["path"], "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular"}
                for file in json.loads(body)["files"]
            ]
            return JSONResponse({"files": [{**kind, "shouldIgnore": False, "oid": None} for kind in kinds]})
        if rest[:1] == ["commit"]:
            newest = self.find(repository, "main")
            files = dict(self.files[newest]) if newest else {}
            for entry in map(json.loads, body.decode().splitlines()):
                value = entry["value"]
                if entry["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                if entry["key"] == "lfsFile":
                    files[value["path"]] = self.large[value["oid"]]
            commit = self.commit(repository, files)
            return JSONResponse({"success": True, "commitOid": commit, "commitUrl": f"{self.url}/{repository}"})
        if not rest or rest[0] in ("revision", "tree"):
            commit_found = self.find(repository, rest[1] if rest else "main")
            if commit_found is None:
                return JSONResponse({"error": "Revision"}, 404, headers={"X-Error-Code": "RevisionNotFound"})
            files = self.files[commit_found]
            if rest[:1] == ["tree"]:
                tree = [{"type": "file", "path": name, "size": len(data), "oid": ""} for name, data in files.items()]
                return JSONResponse(tree)
            siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            known = {"id": repository, "modelId": repository, "sha": commit_found, "private": False, "tags": []}
            return JSONResponse({**known, "siblings": siblings, "downloads": 0, "likes": 0})
        return JSONResponse({"error": "unknown"}, 404)

    def _send(self, repository: str, revision: str, name: str, method: str) -> Response:
        commit = self.find(repository, revision) if repository in self.commits else None
        if commit is None or name not in self.files[commit]:
            return JSONResponse({"error": "Entry not found"}, 404, headers={"X-Error-Code": "EntryNotFound"})
        data = self.files[commit][name]
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "Content-Length": str(len(data)),
        }
        return Response(data if method == "GET" else b"", headers=headers)


@contextlib.contextmanager
def run_hub() -> Iterator[FakeHub]:
    """Run a hub in a thread."""
    hub = FakeHub()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        hub.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = Starlette(routes=[Route("/{path:path}", hub.answer, methods=["GET", "HEAD", "POST", "PUT"])])
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield hub
        finally:
            server.should_exit = True
            thread.join()
