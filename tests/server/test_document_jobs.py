"""Files: jobs, their states, and files that cannot be translated."""

import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import server_tools
from starlette.testclient import TestClient

from nmt import Request, Term
from nmt.server.files import FileJobs, FileRequest
from nmt.server.limits import Client

MODEL = server_tools.load_model()
BACK = server_tools.load_model("back", "de", "en")
SOURCE = server_tools.SOURCE
ONE, TWO = MODEL.translator.translate(SOURCE[:2])
PAGE = f"<html><body><p>{SOURCE[0]}</p><p>{SOURCE[1]}</p><pre>code &lt;x&gt;</pre></body></html>"


@pytest.fixture
def client() -> Iterator[TestClient]:
    with server_tools.serve(MODEL, BACK) as client:
        yield client


def start(client: TestClient, name: str = "page.html", content: str | bytes = PAGE, **fields: str) -> Any:
    data = {"source": "en", "target": "de", **fields}
    return client.post("/translate_file", files={"file": (name, content)}, data=data)


def test_a_file_of_libretranslate(client: TestClient) -> None:
    response = start(client, "my page ü.html")
    assert response.status_code == 200, response.text
    url = response.json()["translatedFileUrl"]
    assert url.startswith("http://testserver/download_file/")
    for _ in range(2):
        response = client.get(url)
        assert ONE in response.text
        assert TWO in response.text
        assert "code &lt;x&gt;" in response.text
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''my%20page%20%C3%BC.html"


def test_the_language_of_a_file_is_detected(client: TestClient) -> None:
    text = "the dog is here\nwhere is the house\n"
    url = start(client, "a.txt", text, source="auto").json()["translatedFileUrl"]
    assert client.get(url).text == "\n".join(MODEL.translator.translate(text.splitlines())) + "\n"
    url = start(client, "a.txt", "wo ist das Haus und der Garten", source="auto").json()["translatedFileUrl"]
    assert client.get(url).text == "wo ist das Haus und der Garten"


def test_a_pivot() -> None:
    back = server_tools.load_model("back", "fr", "en")
    with server_tools.serve(MODEL, back, pivot="en") as client:
        url = start(client, "a.txt", SOURCE[0], source="fr").json()["translatedFileUrl"]
        between = back.translator.translate(SOURCE[0])
        assert client.get(url).text == MODEL.translator.translate(between)[0]


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("a.exe", {}, "Invalid request: file format not supported"),
        ("a.html", {"source": ""}, "Invalid request: missing source parameter"),
        ("a.html", {"target": "zz"}, "zz is not supported"),
    ],
)
def test_errors(client: TestClient, name: str, fields: dict[str, str], message: str) -> None:
    response = start(client, name, **fields)
    assert (response.status_code, response.json()) == (400, {"error": message})


def test_files_that_cannot_be_read(client: TestClient) -> None:
    assert client.post("/translate_file", data={"source": "en", "target": "de"}).status_code == 400
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * (300 << 20))
    for name, content in (("a.docx", b"no archive"), ("a.docx", bomb.getvalue()), ("a.epub", b"")):
        response = client.get(start(client, name, content).json()["translatedFileUrl"])
        assert response.status_code == 400
        assert "internal" not in response.json()["error"]
    assert client.get("/download_file/none.txt").status_code == 404
    assert client.get("/download_file/..%2f..%2fetc%2fpasswd").status_code == 404


def test_forms_that_are_not_valid(client: TestClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"--x\r\nNone--x--\r\n", b"", b"--x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'):
        assert client.post("/translate_file", content=body, headers=headers).status_code == 400
    assert (
        client.post("/translate_file", content=b"a", headers={"Content-Type": "multipart/form-data"}).status_code == 400
    )


def test_large_files_and_no_files() -> None:
    with server_tools.serve(MODEL, max_file_bytes=70_000, max_body_bytes=2_000) as client:
        assert start(client, "a.txt", "a " * 20_000).status_code == 200
        assert start(client, "a.txt", "a " * 80_000).status_code == 413
        assert client.post("/translate", json={"q": "a" * 5_000}).status_code == 413
    with server_tools.serve(MODEL, max_file_bytes=0) as client:
        response = start(client)
        assert response.status_code == 403
        assert response.json() == {"error": "Files translation are disabled on this server."}
        assert client.get("/frontend/settings").json()["filesTranslation"] is False


def test_documents_of_deepl(client: TestClient) -> None:
    glossary = {"name": "own", "source_lang": "EN", "target_lang": "DE", "entries": "sister\tNonne"}
    number = client.post("/v2/glossaries", json=glossary).json()["glossary_id"]
    fields = {"target_lang": "DE", "source_lang": "EN", "glossary_id": number}
    response = client.post("/v2/document", files={"file": ("a.txt", SOURCE[1])}, data=fields)
    assert response.status_code == 200, response.text
    document = response.json()
    path, key = f"/v2/document/{document['document_id']}", {"document_key": document["document_key"]}
    states: list[str] = []
    while not states or states[-1] not in ("done", "error"):
        states.append(client.post(path, data=key).json()["status"])
    assert client.post(path, data=key).json() == {
        "document_id": document["document_id"],
        "status": "done",
        "billed_characters": len(SOURCE[1]),
    }
    assert client.post(path, data={"document_key": "wrong"}).status_code == 404
    expected = MODEL.translator.translate(SOURCE[1], terms=[Term("sister", "Nonne")])[0]
    assert client.post(f"{path}/result", json=key).text == expected
    assert client.post(f"{path}/result", json=key).status_code == 404
    fields["source_lang"], fields["target_lang"] = "DE", "DE"
    del fields["glossary_id"]
    document = client.post("/v2/document", files={"file": ("a.txt", b"a")}, data=fields).json()
    path, key = f"/v2/document/{document['document_id']}", {"document_key": document["document_key"]}
    while (answer := client.post(path, data=key).json())["status"] not in ("done", "error"):
        pass
    assert answer["error_message"] == "Source and target language are equal."
    response = client.post("/v2/document", files={"file": ("a.exe", b"a")}, data=fields)
    assert response.json() == {"message": "Invalid file: the file extension is not supported."}
    fields["target_lang"] = "XX"
    assert client.post("/v2/document", files={"file": ("a.txt", b"a")}, data=fields).status_code == 400


def test_a_job_waits_for_room_in_the_queue() -> None:
    service = server_tools.make_service(MODEL, max_queue_characters=50)
    free: Future[None] = Future()
    (other,) = service.pool.call([free.result], [50], "other")  # occupies the queue
    files = service.files
    assert isinstance(files, FileJobs)
    asked = FileRequest(data=SOURCE[0].encode(), name="a.txt", source="en", target="de", template=Request(""))
    job = files.start(asked, service.models, Client(name="ann"))
    free.set_result(None)
    other.result(timeout=60)
    job.ended.result(timeout=60)
    assert files.read_result(job).decode() == ONE
    server_tools.close(service)
    assert not files._folder.exists()
