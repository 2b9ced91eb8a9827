"""Arguments that commands share: accepted values and error messages."""

import argparse

import pytest

from nmt import __version__
from nmt.commands.arguments import add_fields, add_machine_options, build_parser, given_fields, number, whole_number
from nmt.config.fields import Range
from nmt.search.options import SampleOptions, SearchOptions


def parse(*arguments: str) -> argparse.Namespace:
    parser = build_parser("nmt-x", "Does something.")
    group = parser.add_argument_group("group")
    add_fields(group, SearchOptions, {"beam": "K", "length_penalty": "A"})
    add_fields(group, SampleOptions, {"top_k": "K"})
    add_machine_options(group)
    return parser.parse_args(arguments)


def test_numbers_in_their_range() -> None:
    share, count = number(float, Range(0, 1)), whole_number(1)
    assert (share("0"), share("1"), share("1e-1"), count("1"), count("20")) == (0.0, 1.0, 0.1, 1, 20)
    assert isinstance(count("2"), int)


@pytest.mark.parametrize("text", ["-0.1", "1.1", "nan", "inf", "", "a", "0,5"])
def test_numbers_out_of_their_range(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^must be a number, from 0 to 1, not {text!r}$"):
        number(float, Range(0, 1))(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e3", "nan", ""])
def test_whole_numbers_that_are_too_small_or_not_whole(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^must be a whole number, at least 1, not {text!r}$"):
        whole_number(1)(text)


def test_only_given_fields_are_taken() -> None:
    options = parse("--length-penalty", "0", "--top-k", "3")
    assert given_fields(options, SearchOptions) == {"length_penalty": 0.0}
    assert given_fields(options, SampleOptions) == {"top_k": 3}
    assert given_fields(parse(), SearchOptions) == {}


def test_defaults_of_the_machine() -> None:
    options = parse()
    defaults = (options.precision, options.shortlist, options.batch_size, options.threads, options.device)
    assert defaults == ("auto", True, None, None, "auto")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--beam", "0"], "argument --beam: must be a whole number, from 1 to 1,000, not '0'"),
        (["--beam", "100000"], "argument --beam: must be a whole number, from 1 to 1,000, not '100000'"),
        (
            ["--batch-size", "1000000000"],
            "argument --batch-size: must be a whole number, from 1 to 100,000, not '1000000000'",
        ),
        (["--threads", "3000"], "argument --threads: must be a whole number, from 1 to 1,024, not '3000'"),
        (["--bea", "2"], "unrecognized arguments: --bea 2"),
        (["--threads", "0"], "argument --threads: must be a whole number, from 1 to 1,024, not '0'"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(*arguments)
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"nmt-x: error: {message}; see nmt-x --help\n")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--version")
    assert (ended.value.code, capsys.readouterr().out) == (0, f"nmt {__version__}\n")
