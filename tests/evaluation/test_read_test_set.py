"""Public test sets, with a file in the place where sacreBLEU stores its download."""

from pathlib import Path

import pytest
import sacrebleu

from nmt.errors import DataError, MachineError
from nmt.evaluation import test_sets
from nmt.evaluation.test_sets import read_test_set


def test_test_sets_are_read_by_our_own_splitter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are in the place where sacreBLEU stores its download. U+2028 does not split its line."""
    monkeypatch.setattr(sacrebleu.DATASETS["wmt17"], "_outdir", str(tmp_path))
    (tmp_path / "wmt17.en-de.src").write_text("one\u2028 still one\ntwo\n", encoding="utf-8")
    for name in ("ref", "docid", "genre", "origlang"):
        (tmp_path / f"wmt17.en-de.{name}").write_text("eins\nzwei\n", encoding="utf-8")
    source, references = read_test_set("wmt17", "en-de")
    assert source == ("wmt17, source", ["one\u2028 still one", "two"])
    assert references == [("wmt17, references 1", ["eins", "zwei"])]


def test_unknown_test_sets_and_pairs_are_reported() -> None:
    with pytest.raises(DataError, match=r"wmt177: sacrebleu has no such test set; it has wmt17"):
        read_test_set("wmt177", "en-de")
    with pytest.raises(DataError, match=r"wmt17: no language pair 'en-fr'; this test set has .*en-de"):
        read_test_set("wmt17", "en-fr")


@pytest.mark.parametrize("error", [OSError(101, "Network is unreachable"), SystemExit(1), EOFError("cut short")])
def test_a_failed_download_is_one_clear_line(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr(test_sets, "get_source_file", fail)
    with pytest.raises(MachineError, match=r"wmt17: sacrebleu cannot download this test set .*check the network"):
        read_test_set("wmt17", "en-de")
