"""Sentences: every character belongs to one, and the ends that people write are found."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.sentences import split_sentences

PARTS = [
    *("A dog runs", "Ein Hund", "狗", "कुत्ता", "Dr", "3", "M. ", "z. B. ", " ", "\n", "\t", "\u3000"),
    *(".", ". ", "... ", "…", '"', "“", "”", "(", ") ", "] ", "。", "！", "।", "? ", "! "),
]
TEXTS = st.text() | st.lists(st.sampled_from(PARTS), max_size=25).map("".join)


@given(TEXTS, st.sampled_from(["en", "de", "fr", "zh", "zh-TW", "ja", "hi", "km", "xx", ""]))
def test_every_character_belongs_to_a_sentence(text: str, language: str) -> None:
    sentences = split_sentences(text, language)
    assert "".join(sentences) == text
    assert all(sentence.strip() for sentence in sentences) or len(sentences) == 1


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["A man rides a horse. ", '"A dog runs." ', "A woman sings."]),
        ("en", ["A man rides a horse. ", "(A dog runs.) ", "A woman sings."]),
        ("en", ["A man rides a horse.  ", "A dog runs. ", "A woman sings."]),
        ("en", ["She left. ", "[He stayed!] ", "“Why?” ", "“Because.”"]),
        ("en", ["It rained (see fig. 3). ", "We stayed."]),
        ("en", ["“‘A dog runs.’” ", "(“A cat sits.”) ", "A woman sings."]),
        ("en", ["A dog runs.) ", "A woman sings."]),
        ("en", ["He said: “A dog runs. ", "A cat sits.” ", "A woman sings."]),
        ("en", ['"Dr. Smith left. ', 'It is 3.50 now." ', "'A dog runs. ", "A cat sits.' ", "A woman sings."]),
        ("en", ["A man sings. ", "(A dog runs. ", "A cat sits.) ", "[A bird. ", "A cow.]"]),
        ("en", ['"Stop!" he said. ', 'He asked "Why?" and left.']),
        ("en", ["Dr. Smith rides a horse at 5 p.m. on a street."]),
        ("en", ["Mr. and Mrs. Jones live in St. Louis. ", "They like it."]),
        ("en", ["It costs 3.50 dollars. ", "Version 2.0.1 of node.js is out."]),
        ("en", ["Well… ", "I do not know."]),
        ("en", ["I waited ... and waited. ", "Nobody came."]),
        ("en", ["1. One. ", "2. Two."]),
        ("en", ["What?! ", "No! ", "Yes."]),
        ("en", ["he was tired. ", "he slept."]),
        ("de", ["Das kostet z. B. 3,50 Euro. ", "Dr. Müller kommt am 3. Oktober."]),
        ("de", ["Er sagte: „Ich komme.“ ", "(Er lachte.) ", "Dann ging er."]),
        ("de", ["Ein Mann reitet. ", "‚Ein Hund rennt.‘ ", "Eine Frau singt."]),
        ("sv", ["En man. ", "”En hund.” ", "En kvinna."]),
        ("fr", ["« Un chat. ", "Un chien. » ", "Une femme."]),
        ("fr", ["M. Dupont habite à Paris. ", "Il a dit : « Bonjour ! » ", "Puis il est parti."]),
        ("es", ["¿Dónde estás? ", "¡Ven aquí!"]),
        ("zh", ["我是学生。", "他说：“你好。”", "再见！"]),
        ("zh", ["一个人骑马。", "（狗在跑。）", "女人唱歌。", "“你好。", "再见！”", "他走了。"]),
        ("zh", ["你呢?", "我走!", "再见!!"]),
        ("zh_Hant", ["我是學生。", "你呢？"]),
        ("ja", ["「はい。」と彼は言った。", "行こう！"]),
        ("hi", ["मैं घर जा रहा हूँ। ", "तुम कहाँ हो?"]),
        ("ur", ["میں جا رہا ہوں۔ ", "تم کہاں ہو؟"]),
        ("km", ["ខ្ញុំទៅផ្ទះ។ ", "អ្នកទៅណា?"]),
    ],
)
def test_ends_of_sentences(language: str, sentences: list[str]) -> None:
    assert split_sentences("".join(sentences), language) == sentences


def test_the_splitter_is_imported_for_lines_of_several_sentences_only() -> None:
    code = (
        "import sys; from nmt.data.sentences import split_sentences; "
        "print(split_sentences('A dog (3.5 kg) runs.', 'en'), 'sentencex' in sys.modules); "
        "print(split_sentences('A. Dog. Runs.', 'en') and 'sentencex' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == ["['A dog (3.5 kg) runs.'] False", "True"]
