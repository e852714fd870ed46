"""What is read from documents of each kind, and what is said of those that can't be read."""

from __future__ import annotations

import io

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE

from llmspell_protocol.errors import InvalidRequest, LlmspellError, Unsupported
from llmspell_rag.documents.reading import read
from llmspell_rag.documents.text import Text
from tests.support.pdf_files import pdf


def headings(document: Text) -> list[tuple[int, str, str]]:
    """Level, title and first line of each section; all of them begin and end where they should."""
    for section in document.sections:
        assert 0 <= section.start < section.end <= len(document.text)
    return [
        (one.level, one.title, document.text[one.start : one.end].lstrip().split("\n")[0]) for one in document.sections
    ]


def at(document: Text, places: object) -> list[str]:
    """The first line at each place."""
    assert isinstance(places, (list, tuple))
    return [document.text[place:].split("\n")[0] for place in places]


def refusal(source: bytes, name: str, media_type: str | None = None) -> LlmspellError:
    """The error of a document that can't be read."""
    with pytest.raises(LlmspellError) as told:
        read(source, name, media_type)
    return told.value


# Text


@pytest.mark.parametrize(
    ("source", "encoding"),
    [
        ("Größe, 日本".encode(), "utf-8"),
        ("Größe, 日本".encode("utf-8-sig"), "utf-8"),
        ("Größe, 日本".encode("utf-16"), "utf-16"),
        ("Größe, 日本".encode("utf-32"), "utf-32"),
    ],
)
def test_text_is_read_by_its_mark_or_as_utf_8(source: bytes, encoding: str) -> None:
    document = read(source, "x.txt")
    assert (document.text, document.metadata["encoding"], document.media_type) == (
        *("Größe, 日本", encoding, "text/plain"),
    )


def test_text_in_an_older_encoding_is_recognized_or_read_as_its_sender_says() -> None:
    text = "Die Größe der Häuser läßt sich über die Straße hinweg schätzen. " * 5
    assert read(text.encode("cp1252"), "x.txt").text == text
    koi8 = read("Привет".encode("koi8-r"), "x.txt", "text/plain; charset=koi8-r")
    assert (koi8.text, koi8.metadata["encoding"]) == ("Привет", "koi8-r")
    assert read(text.encode(), "x.txt", "text/plain; charset=no-such").text == text


def test_utf_16_without_a_mark_is_text_and_other_nuls_are_binary() -> None:
    assert read("Plain words".encode("utf-16-le"), "x.txt").text == "Plain words"
    error = refusal(b"ab\0cd", "x.txt")
    assert (error.code, error.details["reason"]) == ("invalid_request", "binary")


def test_what_no_database_can_hold_is_replaced_and_nothing_moves() -> None:
    document = read(b'["a\\u0000b", "\\ud800"]', "x.json")
    assert document.text == "a\ufffdb\n\n\ufffd"


def test_a_kind_that_is_not_read_is_named() -> None:
    error = refusal(b"\x89PNG\r\n\x1a\n\0", "x.png", "image/png")
    assert type(error) is Unsupported
    assert error.message == "x.png can't be read: it is image/png"
    assert refusal(b"PK\x03\x04abc", "x").details["media_type"] == "application/zip"


@pytest.mark.parametrize(
    ("name", "said", "kind"),
    [
        ("a.md", None, "text/markdown"),
        ("a.md", "text/plain; charset=utf-8", "text/markdown"),
        ("a.md", "application/octet-stream", "text/markdown"),
        ("page", "text/html; charset=utf-8", "text/html"),
        ("page.php", "text/html", "text/html"),
        ("LICENSE", None, "text/plain"),
        ("a.unknown", None, "text/plain"),
        ("a.py", "text/x-python", "text/x-python"),
        ("feed", "application/atom+xml", "application/atom+xml"),
    ],
)
def test_the_kind_is_what_is_said_unless_that_is_said_of_everything(name: str, said: str | None, kind: str) -> None:
    assert read(b"<p>Words of a document</p>", name, said).media_type == kind


def test_a_page_without_a_name_is_known_by_its_beginning() -> None:
    assert read(b"\n<!DOCTYPE html><p>Hello", "https://host/").media_type == "text/html"


# Markdown


def test_markdown_stays_its_source_with_sections_blocks_and_metadata() -> None:
    source = (
        b'---\ntitle: "Tides"\nauthor: Jo\n---\n\nBefore.\n\n# The *sea*\r\n\r\n- one\n- two\n\n'
        b"### Deep `down` [link](http://x)\n\n```\n# no heading\n\n```\n\n"
        b"| a | b |\n|---|---|\n| 1 | 2 |\n\nSetext\n======\n"
    )
    document = read(source, "x.md")
    assert document.text == source.decode()
    assert (document.title, document.metadata["author"]) == ("Tides", "Jo")
    assert headings(document) == [
        (1, "The sea", "# The *sea*\r"),
        (2, "Deep down link", "### Deep `down` [link](http://x)"),
        (1, "Setext", "Setext"),
    ]
    assert at(document, document.blocks) == [
        *("Before.", "# The *sea*\r", "- one", "- two", "### Deep `down` [link](http://x)", "```"),
        *("| a | b |", "| 1 | 2 |", "Setext"),
    ]


# HTML


PAGE = """<!DOCTYPE html><html lang="en-GB"><head><title>Tides &amp; more</title><meta name="author" content="Jo">
<meta name="description" content="About the sea"><style>p{}</style></head><body><header>Site</header><nav>Menu</nav>
<main><header><h1>Tides <b>of</b> the sea</h1></header><p>High water comes <i>twice</i>
a<br>day.<!-- no --></p><h2>Ports</h2><ul><li>Dover<li><p>Calais</p></ul>
<table><tr><th>Port<th>Hour</tr><tr><td><p>Dover</p></td><td>11</td></tr></table><pre>x = 1
  y = 2</pre><p hidden>no</p><script>alert(1)</script></main><footer>Imprint</footer></body></html>"""


def test_a_page_is_its_main_text_with_headings_lists_tables_and_code() -> None:
    document = read(PAGE.encode(), "x.html")
    assert document.text == (
        "Tides of the sea\n\nHigh water comes twice a\nday.\n\nPorts\n\n- Dover\n\n- Calais\n\n"
        "Port | Hour\n\nDover | 11\n\nx = 1\n  y = 2"
    )
    assert (document.title, document.metadata) == (
        "Tides & more",
        {"encoding": "utf-8", "author": "Jo", "description": "About the sea", "language": "en-GB"},
    )
    assert headings(document) == [(1, "Tides of the sea", "Tides of the sea"), (2, "Ports", "Ports")]
    assert at(document, document.blocks)[:3] == ["Tides of the sea", "High water comes twice a", "Ports"]


def test_a_page_without_main_leaves_out_what_is_around() -> None:
    page = b"<body><header>Site</header><nav>Menu</nav><div><p>Text</p><aside>Ad</aside></div><footer>Imprint</footer>"
    assert read(page, "x.html").text == "Text"
    assert read(b"<body><form><p>In a form</p></form>", "x.html").text == "In a form"
    assert read(b"loose words", "x.html").text == "loose words"


def test_a_page_is_read_in_the_encoding_that_it_names() -> None:
    page = '<meta charset="iso-8859-1"><p>Größe</p>'
    assert read(page.encode("iso-8859-1"), "x.html").text == "Größe"


def test_a_page_that_scripts_make_is_refused() -> None:
    error = refusal(b"<html><body><div id=app></div><script>run()</script></body></html>", "x.html")
    assert error.details["reason"] == "empty"
    assert "made by scripts" in error.message


# PDF


def test_a_pdf_keeps_its_pages_title_and_author() -> None:
    document = read(pdf(["First page", "Second page"], {"Title": "Tides", "Author": "Jo"}), "x.pdf")
    assert at(document, document.pages) == ["First page", "Second page"]
    assert (document.title, document.metadata) == ("Tides", {"pages": 2, "author": "Jo"})


def test_the_outline_of_a_pdf_is_its_sections() -> None:
    import pypdf

    writer = pypdf.PdfWriter(io.BytesIO(pdf(["Cover of it", "Before. Causes of tides", "Ports"])))
    top = writer.add_outline_item(title="Causes", page_number=1)
    writer.add_outline_item(title="Ports", page_number=2, parent=top)
    file = io.BytesIO()
    writer.write(file)
    document = read(file.getvalue(), "x.pdf")
    assert headings(document) == [(1, "Causes", "Causes of tides"), (2, "Ports", "Ports")]


def test_pages_without_text_are_told_and_nothing_but_pictures_is_refused() -> None:
    assert read(pdf(["Words", ""]), "x.pdf").metadata["warnings"] == [
        "1 of 2 pages have no text: pictures are not read"
    ]
    error = refusal(pdf(["", ""]), "x.pdf")
    assert (error.message, error.details["reason"]) == ("x.pdf has no text: its 2 pages are a picture", "pictures")
    assert error.hint is not None
    assert "ocrmypdf" in error.hint


def test_an_encrypted_and_a_damaged_pdf_are_refused_with_what_to_do() -> None:
    import pypdf

    writer = pypdf.PdfWriter(io.BytesIO(pdf(["Secret"])))
    writer.encrypt("password", algorithm="AES-256")
    file = io.BytesIO()
    writer.write(file)
    error = refusal(file.getvalue(), "x.pdf")
    assert (error.details["reason"], "qpdf --decrypt" in (error.hint or "")) == ("encrypted", True)
    error = refusal(b"%PDF-1.7\nnothing", "x.pdf")
    assert (error.details["reason"], "repair" in (error.hint or "")) == ("damaged", True)


def test_a_pdf_that_opens_without_its_owners_password_is_read() -> None:
    import pypdf

    writer = pypdf.PdfWriter(io.BytesIO(pdf(["Open to all"])))
    writer.encrypt("", "owner", algorithm="AES-256")
    file = io.BytesIO()
    writer.write(file)
    assert read(file.getvalue(), "x.pdf").text == "Open to all"


# DOCX


def test_a_docx_keeps_headings_lists_and_tables_in_their_order() -> None:
    document = docx.Document()
    document.add_heading("The sea", 0)
    document.add_heading("Tides", 1)
    document.add_paragraph("High water.")
    document.add_paragraph("one", style="List Bullet")
    document.add_heading("Ports", 2)
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ("Port", "Hour", "Dover", "11"), strict=True
    ):
        cell.text = text
    table.rows[1].cells[1].add_table(rows=1, cols=1).rows[0].cells[0].text = "or 12"
    own = document.styles.add_style("Überschrift 3", WD_STYLE_TYPE.PARAGRAPH)
    document.add_paragraph("Eigene", style=own)
    document.core_properties.author = "Jo"
    file = io.BytesIO()
    document.save(file)
    read_ = read(file.getvalue(), "x.docx")
    assert read_.text == (
        "The sea\n\nTides\n\nHigh water.\n\n- one\n\nPorts\n\nPort | Hour\n\nDover | 11 or 12\n\nEigene"
    )
    assert headings(read_) == [
        (1, "The sea", "The sea"),
        (1, "Tides", "Tides"),
        (2, "Ports", "Ports"),
        (3, "Eigene", "Eigene"),
    ]
    assert (read_.title, read_.metadata["author"]) == ("The sea", "Jo")


def test_what_is_no_docx_is_refused() -> None:
    assert refusal(b"PK\x03\x04nothing", "x.docx").details["reason"] == "damaged"
    assert refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1old", "x.docx").details["reason"] == "encrypted"
    file = io.BytesIO()
    docx.Document().save(file)
    assert refusal(file.getvalue(), "x.docx").details["reason"] == "empty"


# Tables and JSON


def test_each_row_of_a_table_says_what_its_values_are() -> None:
    document = read(b'name;size\nDover;"11\n12"\nCalais;\n\nParis;3;extra\n', "x.csv")
    assert document.text == "name: Dover\nsize: 11\n12\n\nname: Calais\n\nname: Paris\nsize: 3\ncolumn 3: extra"
    assert at(document, document.records) == ["name: Dover", "name: Calais", "name: Paris"]
    assert document.metadata == {"encoding": "utf-8", "columns": ["name", "size"], "rows": 3}
    assert read(b"a\tb\n1,5\t2\n", "x.tsv").text == "a: 1,5\nb: 2"
    assert refusal(b"a,b\n", "x.csv").details["reason"] == "empty"


def test_json_is_lines_of_paths_and_values() -> None:
    document = read(
        b'{"title": "Ports", "ports": [{"name": "Dover", "tags": ["a", 1]}, {"name": null}], "x": {"y": true}}',
        "x.json",
    )
    assert document.text == "title: Ports\n\nports[0].name: Dover\nports[0].tags: a, 1\n\nx.y: true"
    assert (document.title, len(document.records)) == ("Ports", 3)
    assert read(b'{"a": 1}\n\n{"a": [{"b": 2}]}\n', "x.jsonl").text == "a: 1\n\na[0].b: 2"


def test_json_that_is_none_is_refused_with_the_line() -> None:
    assert "line 2, column 1" in refusal(b'{"a":\n]', "x.json").message
    assert "line 2, column" in refusal(b'{"a": 1}\n{"a"}\n', "x.jsonl").message
    assert refusal(b"[[[]]]", "x.json").details["reason"] == "empty"
    assert "nested too deep" in refusal(b"[" * 200_000, "x.json").message
    assert refusal(b"9" * 10_000, "x.json").details["reason"] == "damaged"


# Source code


CODE = {
    "x.py": (
        "# größer 😀\n\nimport os\n\n# Adds.\n@cached\ndef add(a):\n    return a\n\n"
        "class A:\n    x = 1\n\n    async def m(self):\n        pass\n",
        ["1 add: # Adds.", "1 A: class A:", "2 m: async def m(self):"],
    ),
    "x.js": (
        "const f = () => 1;\n// c\nexport class A { m() {} }\n",
        ["1 f: const f = () => 1;", "1 A: // c", "2 m: m() {}"],
    ),
    "x.ts": (
        "interface I { a: number }\nnamespace Q {\nexport function z() {}\n}\n",
        ["1 I: interface I { a: number }", "1 Q: namespace Q {", "2 z: export function z() {}"],
    ),
    "x.tsx": ("const C = () => <a/>;\n", ["1 C: const C = () => <a/>;"]),
    "x.rs": (
        "/// Doc\n#[derive(X)]\nimpl Foo { fn bar() {} }\nstruct S;\n",
        ["1 Foo: /// Doc", "2 bar: fn bar() {}", "1 S: struct S;"],
    ),
    "x.go": (
        "package x\n\n// Does.\nfunc (a *A) F() {}\ntype T struct {}\n",
        ["1 F: // Does.", "1 T: type T struct {}"],
    ),
    "x.java": ("class A {\n  void f() {}\n}", ["1 A: class A {", "2 f: void f() {}"]),
    "x.c": (
        "int main(int a) { return 0; }\nstruct s { int x; };\n",
        ["1 main: int main(int a) { return 0; }", "1 s: struct s { int x; }"],
    ),
    "x.cpp": (
        "namespace n {\nclass A {}; }\nint A::g() {}\n",
        ["1 n: namespace n {", "2 A: class A {}", "1 A::g: int A::g() {}"],
    ),
    "x.cs": ("class A {\n  void F() {}\n}", ["1 A: class A {", "2 F: void F() {}"]),
    "x.rb": ("class A\n  def f\n  end\nend\n", ["1 A: class A", "2 f: def f"]),
    "x.php": ("<?php\nclass A {\n  function f() {}\n}", ["1 A: class A {", "2 f: function f() {}"]),
    "x.sh": ("f() { echo; }\n", ["1 f: f() { echo; }"]),
    "x.lua": (
        "local function f() end\nM.h = function() end\n",
        ["1 f: local function f() end", "1 M.h: M.h = function() end"],
    ),
}
"""Source code of each language that has a grammar: level, name and first line of its definitions."""


@pytest.mark.parametrize("name", CODE)
def test_definitions_of_source_code_are_its_sections(name: str) -> None:
    source, found = CODE[name]
    document = read(source.encode(), name)
    assert [f"{level} {title}: {line}" for level, title, line in headings(document)] == found
    assert document.metadata["parsed"] is True


def test_source_code_without_a_grammar_is_cut_where_lines_begin_at_the_left() -> None:
    document = read(b"fun a() {\n\n  b\n}\n\nfun c() {}\n", "x.kt")
    assert (at(document, document.blocks), document.metadata["parsed"]) == (["fun c() {}"], False)


def test_a_syntax_error_does_not_hide_what_is_around() -> None:
    document = read(b"def a():\n    pass\n\ndef (:\n\nclass B:\n    pass\n", "x.py")
    assert headings(document)[0][1] == "a"
    assert "B" in [title for _, title, _ in headings(document)]


def test_an_empty_document_is_refused() -> None:
    for name in ("x.txt", "x.md", "x.py", "x.csv", "x.html"):
        error = refusal(b" \n ", name)
        assert isinstance(error, InvalidRequest)
