"""Language codes, and the languages that scores split into characters."""

import pytest

from nmt.config.languages import SCORED_BY_CHARACTERS, WITHOUT_SPACES, language_code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("de", "de"),
        ("DE", "de"),
        ("zh-CN", "zh"),
        ("zh_Hant", "zh"),
        ("zho", "zh"),
        ("cmn-Hans", "zh"),
        ("jpn", "ja"),
        ("KOR", "ko"),
        ("tha", "th"),
        ("deu", "deu"),
    ],
)
def test_codes_as_sacrebleu_knows_them(name: str, code: str) -> None:
    assert language_code(name) == code


def test_chinese_has_a_tokenizer_in_sacrebleu() -> None:
    assert set(WITHOUT_SPACES) - set(SCORED_BY_CHARACTERS) == {"zh"}
    assert {language_code(code) for code in WITHOUT_SPACES} == set(WITHOUT_SPACES)
