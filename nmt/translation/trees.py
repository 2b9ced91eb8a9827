"""Trees of HTML and XML: parsing and writing. Only this module imports lxml, a package of the extra `markup`."""

import codecs
import copy
import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from html.entities import html5
from typing import Any, Literal
from xml.parsers import expat

from nmt.errors import ConfigError, DataError

Format = Literal["html", "xml"]

MAX_DEPTH = 200  # more deeply nested text is not translated
VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
RAW = frozenset(("script", "style", "xmp", "iframe", "noembed", "noframes", "plaintext"))  # their text has no entities

_ROOT = "nmt-fragment"
_PREDEFINED = re.compile(rb"<!\[CDATA\[.*?\]\]>|<!--.*?-->|<\?.*?\?>|&(lt|gt|amp|quot|apos);", re.DOTALL)
_NUMBERS = {b"lt": b"&#60;", b"gt": b"&#62;", b"amp": b"&#38;", b"quot": b"&#34;", b"apos": b"&#39;"}


def is_too_deep(root: Any) -> bool:
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return False
    return True


@functools.cache
def _etree() -> Any:
    try:
        from lxml import etree
    except ImportError as error:
        raise ConfigError("markup needs lxml; install it with: pip install 'nmt[markup]'") from error
    return etree


def check_installed() -> None:
    """Raise ConfigError if lxml is not installed."""
    _etree()


def make_root() -> Any:
    """Return an element for the content of a fragment."""
    return _etree().Element(_ROOT)


def find_name(node: Any) -> str:
    """Return the name of an element in lower case, without its namespace. Comments have none."""
    tag = node.tag
    return _find_local_name(tag) if isinstance(tag, str) else ""


@functools.lru_cache(maxsize=1024)
def _find_local_name(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def find_character(node: Any) -> str:
    """Return the character of a node that is an entity of HTML, such as &nbsp;. Other nodes have none."""
    name = "" if isinstance(node.tag, str) else getattr(node, "name", None)
    return html5.get(f"{name};", "")


def list_content(element: Any) -> list[Any]:
    """Return the content of an element: texts and nodes, without empty texts."""
    content = [element.text or ""]
    for child in element:
        content += [child, child.tail or ""]
    return [node for node in content if not isinstance(node, str) or node]


def fill(element: Any, content: Sequence[Any]) -> None:
    """Replace the content of an element."""
    for child in list(element):
        element.remove(child)
    element.text = None
    for node in content:
        if isinstance(node, str):
            append_text(element, node)
        else:
            node.tail = None
            element.append(node)


def append_text(element: Any, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    elif text:
        element.text = (element.text or "") + text


def append_shell(parent: Any, element: Any) -> Any:
    """Append a copy of an element without its content, and return it."""
    if not element.nsmap and all(map(str.isidentifier, (element.tag, *element.keys()))):  # the fast way
        return _etree().SubElement(parent, element.tag, element.attrib)
    shell = copy.copy(element)
    del shell[:]
    shell.text = shell.tail = None
    parent.append(shell)
    return shell


def parse(text: str, kind: Format, document: bool) -> tuple[Any, bool]:
    """Return the root element of a text, or None if a document has none, and whether the text is well-formed XML."""
    etree = _etree()
    data = text.encode() if document else f"<{_ROOT}>{text}</{_ROOT}>".encode()
    options = {"encoding": "utf-8", "resolve_entities": False, "no_network": True, "strip_cdata": False}
    if not (kind == "html" and ("<![CDATA[" in text or (document and not text.lstrip().startswith("<?xml")))):
        try:
            root = etree.fromstring(data, etree.XMLParser(**options))
            if kind == "xml" or not any(
                set(element.text or "") & set("<>&") for element in root.iter("*") if find_name(element) in RAW
            ):
                _mark_open_elements(root, data)
                return root, True
        except etree.XMLSyntaxError:
            parser = etree.XMLParser(**options, recover=True)
            root = etree.fromstring(_PREDEFINED.sub(_write_number, data), parser)
            harmless = {etree.ErrorTypes.WAR_UNDECLARED_ENTITY, etree.ErrorTypes.ERR_UNDECLARED_ENTITY}
            if (
                kind == "xml"
                and root is not None
                and all(
                    error.domain == etree.ErrorDomains.NAMESPACE or error.type in harmless for error in parser.error_log
                )
            ):
                _mark_open_elements(root, data)
                return root, True
    if not document:
        data = f"<html><body>{data.decode()}</body></html>".encode()
    root = etree.fromstring(data, etree.HTMLParser(encoding="utf-8", default_doctype=False, huge_tree=True))
    if document:
        return root, False
    # Text after </body> is outside of the fragment.
    fragment, content = etree.Element(_ROOT), list[Any]()
    waiting = list(reversed(list_content(root)))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, str) and find_name(node) in ("html", "head", "body", _ROOT):
            waiting += reversed(list_content(node))
        else:
            content.append(node)
    fill(fragment, content)
    return fragment, False


def _write_number(match: re.Match[bytes]) -> bytes:
    """Write a predefined entity as a number. While it recovers, libxml2 loses names after an undeclared entity."""
    return _NUMBERS.get(match[1], match[0])


def _mark_open_elements(root: Any, data: bytes, encoding: str | None = "utf-8") -> None:
    """Keep the form of empty elements: <x></x> or <x/>. lxml forgets it, and expat tells it."""
    empty = [element for element in root.iter("*") if element.text is None and not len(element)]
    if encoding == "utf-8" and (b"/>" not in data or b"></" not in data):  # all have the same form
        for element in empty if b"/>" not in data else ():
            element.text = ""
        return
    if not empty:
        return
    starts: list[int] = []
    closed: set[int] = set()  # the numbers of elements like <x/>
    waiting: list[int] = []

    def start(*_: object) -> None:
        waiting.append(len(starts))
        starts.append(parser.CurrentByteIndex)

    def end(_: str) -> None:
        number = waiting.pop()
        place = parser.CurrentByteIndex  # after the tag <x/>, or before the tag </x>
        if place == starts[number] or data[place - 2 : place] == b"/>":
            closed.add(number)

    parser = expat.ParserCreate(encoding)
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        return
    for number, element in enumerate(root.iter("*")):
        if number not in closed and not len(element) and element.text is None:
            element.text = ""


def write(root: Any, kind: Format, document: bool, well_formed: bool) -> str:
    if kind == "xml" or well_formed:
        etree = _etree()
        if document:
            tree = root.getroottree()
            return str(etree.tostring(tree, encoding="unicode"))
        text = etree.tostring(root, encoding="unicode", with_tail=False)
        return str(text[len(_ROOT) + 2 : -len(_ROOT) - 3]) if text.endswith(f"</{_ROOT}>") else ""
    doctype = root.getroottree().docinfo.doctype if document else ""
    nodes = [root] if document else list_content(root)
    return doctype + "\n" * bool(doctype) + "".join(itertools.chain.from_iterable(map(_write_html, nodes)))


def _write_html(node: Any, raw: bool = False) -> Iterator[str]:
    """Yield the parts of a node in HTML. lxml would also change addresses in attributes, such as {{url}}."""
    if isinstance(node, str):
        yield node if raw else escape(node, quote=False)
    elif not isinstance(node.tag, str):
        yield _etree().tostring(node, encoding="unicode", with_tail=False)
    else:
        yield f"<{node.tag}" + "".join(f' {name}="{escape(value)}"' for name, value in node.items()) + ">"
        if find_name(node) not in VOID:
            for child in list_content(node):
                yield from _write_html(child, find_name(node) in RAW)
            yield f"</{node.tag}>"


@dataclass(frozen=True, kw_only=True)
class XmlForm:
    """What an XML file has around its root element."""

    before: bytes
    after: bytes
    encoding: str
    line_break: bytes


def parse_xml(data: bytes, name: str) -> tuple[Any, XmlForm]:
    """Parse an XML file of a stranger: without entities, the network, or excessive sizes.

    Returns:
        The root element, and what `write_xml` needs.

    Raises:
        DataError: the file is not well-formed, declares entities, or is nested too deeply.
        ConfigError: lxml is not installed.
    """
    etree = _etree()
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, strip_cdata=False)
        tree = etree.fromstring(data, parser).getroottree()
    except etree.XMLSyntaxError as error:
        reason = (error.msg or "empty").replace("\n", "")
        raise DataError(f"{name}: not well-formed XML ({reason}); repair the file") from error
    root, info = tree.getroot(), tree.docinfo
    if info.internalDTD is not None and any(True for _ in info.internalDTD.iterentities()):
        raise DataError(f"{name}: declares entities, which is not allowed in a document; write their text instead")
    if is_too_deep(root):
        raise DataError(f"{name}: elements are nested more than {MAX_DEPTH} deep; simplify the file")
    encoding = (info.encoding or "utf-8").lower()
    start, end = _find_root(data)
    if encoding.startswith(("utf-16", "utf16", "ucs")) or start < 0 or end < 0:
        whole = etree.tostring(tree, encoding=info.encoding, xml_declaration=True)
        content = etree.tostring(root, encoding=info.encoding, xml_declaration=False, with_tail=False)
        mark = codecs.BOM_UTF16_LE if content.startswith(codecs.BOM_UTF16_LE) else b""
        start = whole.rfind(content[len(mark) :])
        before, after, line_break = whole[:start], whole[start + len(content) - len(mark) :], b"\n"
    else:
        _mark_open_elements(root, data, None)  # the encoding is declared
        before, after = data[:start], data[end:]
        line_break = b"\r\n" if b"\r\n" in data and data.count(b"\r\n") == data.count(b"\n") else b"\n"
    return root, XmlForm(before=before, after=after, encoding=encoding, line_break=line_break)


def _find_root(data: bytes) -> tuple[int, int]:
    """Return the places where the root element starts and ends in a well-formed file, or -1."""
    depth, start, end = 0, -1, -1
    parser = expat.ParserCreate()

    def open_element(*_: object) -> None:
        nonlocal depth, start
        start = parser.CurrentByteIndex if start < 0 else start
        depth += 1

    def close_element(_: str) -> None:
        nonlocal depth, end
        depth -= 1
        if not depth:
            end = max(parser.CurrentByteIndex, start)

    parser.StartElementHandler, parser.EndElementHandler = open_element, close_element
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        return -1, -1
    closed = data[end - 2 : end] == b"/>"  # <root/> ends before the place of its end
    return start, end if closed else data.find(b">", end) + 1


def write_xml(root: Any, form: XmlForm) -> bytes:
    """Return the bytes of an XML file. The bytes before and after the root element do not change."""
    data = _etree().tostring(root, encoding=form.encoding, xml_declaration=False, with_tail=False)
    if form.encoding.startswith("utf-16"):
        data = data.removeprefix(codecs.BOM_UTF16_LE)
    return bytes(form.before + data.replace(b"\n", form.line_break) + form.after)
