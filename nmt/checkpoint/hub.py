"""Models on the Hugging Face hub: downloads by address, and uploads. No other file imports huggingface_hub.

An address is `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION`. Only the files of the manifest are downloaded, after a
look at their sizes. Their checksums guard against damage. Against a change by the owner of the repository, only a
revision guards: a commit of 40 digits always has the same files.
"""

import functools
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt import __version__
from nmt.checkpoint.manifest import MANIFEST, verify_folder
from nmt.errors import DataError, MachineError, ModelError, NmtError
from nmt.system.files import CHECKSUMS, check_new, temporary_folder, whole_folder
from nmt.system.opening import read_file

logger = logging.getLogger(__name__)

README, SOURCE = "README.md", "hub.json"
"""The card of a model, and the file in which `pull` writes down where a model comes from."""

_ADDRESS = re.compile(r"hf:/{1,2}(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_FILES = (CHECKSUMS, README, *(name for name, file in MANIFEST.items() if file.reader in ("translation", "packing")))
_MAX_README_BYTES = 1 << 20
_SECONDS = 10  # until a hub that does not answer counts as out of reach


@dataclass(frozen=True, kw_only=True)
class HubAddress:
    """The address of a model on the hub."""

    repository: str
    """OWNER/NAME."""
    revision: str | None = None
    """A branch, a tag or a commit. None is the main branch."""


def parse_address(text: str) -> HubAddress:
    """Parse an address. Raises DataError: the text is not an address."""
    match = _ADDRESS.fullmatch(text)
    if not match:
        raise DataError(f"{text}: is not an address of the hub; write hf://OWNER/NAME or hf://OWNER/NAME@REVISION")
    return HubAddress(repository=match["repository"], revision=match["revision"])


@functools.cache
def fetch(address: str) -> Path:
    """Download a model into the cache of the hub, and return its folder. Without a network, the cache is used.

    In a process, an address always means the same commit.

    Raises:
        DataError: the text is not an address.
        ModelError: the repository or the revision does not exist, is not accessible, or has no model.
        MachineError: the hub cannot be reached and the cache does not have the model, or huggingface_hub is missing.
    """
    asked = parse_address(address)
    hub, endpoint, revision = _import_hub(), os.environ.get("HF_ENDPOINT"), asked.revision
    with _explain(address):
        try:
            api = hub.HfApi(endpoint=endpoint, library_name="nmt", library_version=__version__)
            known = api.model_info(asked.repository, revision=revision, files_metadata=True, timeout=_SECONDS)
            _check_sizes(address, {file.rfilename: file.size for file in known.siblings or ()})
            offline = False
        except Exception as error:
            if not _is_unreachable(error):
                raise
            offline = True
        folder = Path(
            hub.snapshot_download(
                asked.repository,
                revision=revision,
                endpoint=endpoint,
                allow_patterns=list(_FILES),
                local_files_only=offline,
                library_name="nmt",
            )
        )
        if not offline and folder.name != known.sha:  # of which the sizes were not checked
            raise ModelError(f"{address}: changed while it was downloaded; try again")
    logger.info("%s: commit %s%s", address, folder.name, ", from the cache" if offline else "")
    return folder


def _check_sizes(address: str, sizes: dict[str, int | None]) -> None:
    limits = {name: file.max_bytes for name, file in MANIFEST.items()} | {README: _MAX_README_BYTES}
    for name in sizes.keys() & set(_FILES):
        size, limit = sizes[name], limits.get(name, 1 << 20)
        if size is None or size > limit:
            told = "an unknown number of" if size is None else f"{size:,}"
            raise ModelError(f"{address}: {name} has {told} bytes, more than a model has; choose another model")
    if CHECKSUMS not in sizes:
        raise ModelError(f"{address}: has no {CHECKSUMS}, so it is not a model of nmt; choose another model")


def read_source(folder: Path) -> dict[str, str]:
    """Return the repository and the revision from which `pull` has copied a model, or nothing.

    Raises:
        ModelError: the file that says so is damaged.
    """
    if not (folder / SOURCE).is_file():
        return {}
    try:
        source = json.loads(read_file(folder / SOURCE, 1 << 20))
        return {key: str(source[key]) for key in ("repository", "revision")}
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder / SOURCE}: is damaged; pull the model again, or remove the file") from error


def pull(address: str, output: Path) -> str:
    """Copy a model from the hub into a new folder, and write down its commit. Return the commit.

    Raises:
        DataError: `output` exists already.
        UserError: as in `fetch`.
    """
    check_new(output)
    folder = fetch(address)
    files = [*verify_folder(folder), *([README] if (folder / README).is_file() else [])]
    source = {"repository": parse_address(address).repository, "revision": folder.name}
    with whole_folder(output) as draft:
        for name in files:
            limit = MANIFEST[name].max_bytes if name in MANIFEST else _MAX_README_BYTES
            (draft / name).write_bytes(read_file(folder / name, limit))
        (draft / SOURCE).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")
    return folder.name


def push(folder: Path, repository: str, write_card: Callable[[str | None], str], *, private: bool = False) -> str:
    """Upload a model with its card. The repository is created if it does not exist. Return the commit.

    Only the files that translation reads are uploaded. A second commit replaces the card by one that names the first,
    because a commit cannot contain its own name. The token is that of the environment variable HF_TOKEN, or of the
    login of huggingface_hub.

    Args:
        folder: the model folder.
        repository: OWNER/NAME.
        write_card: a function that writes the card. Its argument is the commit, or None if it is not yet known.
        private: whether a new repository can be read by its owner only.

    Raises:
        ModelError: the folder is damaged, or the repository cannot be written with this token.
        MachineError: the hub cannot be reached, or huggingface_hub is missing.
    """
    hub, names = _import_hub(), verify_folder(folder)
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="nmt", library_version=__version__)
    with temporary_folder() as parent, _explain(repository):
        with whole_folder(parent / "model") as draft:
            for name in names:
                shutil.copyfile(folder / name, draft / name)
        (parent / "model" / README).write_text(write_card(None), encoding="utf-8")
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            done = api.upload_folder(
                repo_id=repository, folder_path=parent / "model", commit_message=f"Upload a model of nmt {__version__}"
            )
            commit = str(done.oid)
            api.upload_file(
                repo_id=repository,
                path_or_fileobj=write_card(commit).encode(),
                path_in_repo=README,
                commit_message="Name the commit in the card",
            )
        except Exception as error:
            if not _is_unreachable(error):
                raise
            raise MachineError(f"{repository}: the hub cannot be reached; check the network, and HF_ENDPOINT") from None
    return commit


def _import_hub() -> Any:
    try:
        import huggingface_hub  # slow to import
    except ImportError as error:
        raise MachineError("the hub needs the package huggingface_hub; install it: pip install 'nmt[hub]'") from error
    return huggingface_hub


def _is_unreachable(error: Exception) -> bool:
    """Return whether an error means that the hub does not answer. Versions of huggingface_hub use different clients."""
    hub = _import_hub()
    if isinstance(error, hub.errors.HfHubHTTPError):
        return False
    client = type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "requests")
    return client or isinstance(error, (hub.errors.OfflineModeIsEnabled, ConnectionError, TimeoutError))


@contextmanager
def _explain(name: str) -> Iterator[None]:
    """Turn the errors of huggingface_hub into one line. Their own texts can show addresses with secrets."""
    hub = _import_hub()
    explanations: dict[type[Exception], Callable[[], NmtError]] = {
        hub.errors.LocalEntryNotFoundError: lambda: MachineError(
            f"{name}: the hub cannot be reached, and the cache does not have this model; check the network"
        ),
        hub.errors.GatedRepoError: lambda: ModelError(
            f"{name}: its owner gives access on request; ask on its page, and log in (HF_TOKEN)"
        ),
        hub.errors.RepositoryNotFoundError: lambda: ModelError(
            f"{name}: the hub has no such repository, or you have no access; check the name, and log in (HF_TOKEN)"
        ),
        hub.errors.RevisionNotFoundError: lambda: ModelError(
            f"{name}: the repository has no such revision; name a branch, a tag or a commit"
        ),
        hub.errors.HfHubHTTPError: lambda: ModelError(
            f"{name}: the hub refuses; check the name and the rights of your token (HF_TOKEN)"
        ),
        hub.errors.HFValidationError: lambda: DataError(f"{name}: is not a name of the hub; write OWNER/NAME"),
    }
    try:
        yield
    except tuple(explanations) as error:
        raise next(explain() for kind, explain in explanations.items() if isinstance(error, kind)) from None
