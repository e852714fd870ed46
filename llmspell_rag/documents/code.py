"""Source code: the text stays the source; definitions are sections, found by a grammar where there is one.

A definition begins with the comments, decorators and attributes above it. What stands within a function is not looked
at. Where there is no grammar for a language, what is not indented and follows a blank line begins a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmspell_rag.documents.encodings import decoded
from llmspell_rag.documents.media_types import language_of
from llmspell_rag.documents.text import Section, Text, whole_characters
from llmspell_rag.libraries import library

_GRAMMARS: Mapping[str, tuple[str, str]] = {
    "sh": ("tree_sitter_bash", "language"),
    "c": ("tree_sitter_c", "language"),
    "c-sharp": ("tree_sitter_c_sharp", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "go": ("tree_sitter_go", "language"),
    "java": ("tree_sitter_java", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "lua": ("tree_sitter_lua", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "python": ("tree_sitter_python", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
}
"""The module of each language's grammar, and its function that gives it."""
_FUNCTIONS = frozenset(
    (
        *("constructor_declaration", "destructor_declaration", "function_declaration", "function_definition"),
        *("function_item", "function_signature", "generator_function_declaration", "macro_definition", "method"),
        *("method_declaration", "method_definition", "operator_declaration", "property_declaration"),
        *("singleton_method", "type_alias_declaration", "type_item", "const_item", "static_item"),
    )
)
_HOLDERS = frozenset(
    (
        *("abstract_class_declaration", "class", "class_declaration", "class_definition", "class_specifier"),
        *("enum_declaration", "enum_item", "enum_specifier", "impl_item", "interface_declaration", "internal_module"),
        *("mod_item", "module", "namespace_declaration", "namespace_definition", "record_declaration"),
        *("struct_declaration", "struct_item", "struct_specifier", "trait_declaration", "trait_item"),
        *("type_declaration", "union_specifier"),
    )
)
"""Definitions that have others in them."""
_WRAPPERS = frozenset({"decorated_definition", "export_statement", "template_declaration"})
"""What belongs to the definition in it."""
_ASSIGNED = frozenset({"arrow_function", "function", "function_definition", "function_expression", "class"})
_ASSIGNMENTS = frozenset({"assignment_statement", "lexical_declaration", "variable_declaration"})
_THROUGH = frozenset(
    (
        *("block", "body_statement", "class_body", "compound_statement", "declaration_list", "enum_body"),
        *("expression_statement", "field_declaration_list", "file_scoped_namespace_declaration"),
        *("interface_body", "linkage_specification", "preproc_else", "preproc_if", "preproc_ifdef", "statement_block"),
    )
)
"""What may have definitions in it without being one."""
_BEFORE = frozenset({"attribute_item", "block_comment", "comment", "decorator", "doc_comment", "line_comment"})
_DEEPEST = 24
_LONGEST_NAME = 120
_OUTER_LINE = re.compile(r"(?:\A|(?<=\n))[ \t]*\r?\n(?=\S)")


def read(source: bytes, name: str, media_type: str, charset: str | None) -> Text:
    """The source with its definitions; metadata has `programming_language`, and `parsed`: whether there was a grammar.

    Raises:
        InvalidRequest: it is no text.
        Unsupported: a grammar that belongs to the extra isn't installed.
    """
    text, encoding = decoded(source, name, charset)
    text = whole_characters(text)
    language = language_of(media_type) or ""
    metadata: dict[str, Any] = {"encoding": encoding, "programming_language": language, "parsed": language in _GRAMMARS}
    if language not in _GRAMMARS:
        blocks = [match.end() for match in _OUTER_LINE.finditer(text)]
        return Text(text=text, media_type=media_type, blocks=blocks, metadata=metadata)
    return Text(text=text, media_type=media_type, sections=_sections(text, language), metadata=metadata)


def _sections(text: str, language: str) -> list[Section]:
    module, function = _GRAMMARS[language]
    what = f"reading {language} source code"
    tree_sitter = library("tree_sitter", "tree-sitter", what)
    grammar = getattr(library(module, module.replace("_", "-"), what), function)()
    data = text.encode()
    tree = tree_sitter.Parser(tree_sitter.Language(grammar)).parse(data)
    found = sorted(_definitions(tree.root_node, data), key=lambda one: (one[0], -one[1]))
    characters = _characters(data, {place for start, end, _ in found for place in (start, end)})
    sections: list[Section] = []
    ends: list[int] = []
    for start, end, title in found:
        while ends and ends[-1] <= start:
            ends.pop()
        # What overlaps without lying within belongs to the one that began first.
        end = min(end, ends[-1]) if ends else end
        ends.append(end)
        sections.append(Section(start=characters[start], end=characters[end], level=len(ends), title=title))
    return sections


def _definitions(root: Any, data: bytes) -> Iterator[tuple[int, int, str]]:
    """Beginning and end in bytes, and the name, of each definition outside of functions."""
    waiting = [(child, 0) for child in root.named_children]
    while waiting:
        node, depth = waiting.pop()
        kind = node.type
        is_assigned = kind in _ASSIGNMENTS and _is_assigned(node)
        if kind in _FUNCTIONS or kind in _HOLDERS or is_assigned:
            outer = node
            while outer.parent is not None and outer.parent.type in _WRAPPERS:
                outer = outer.parent
            yield _begin(outer, data), outer.end_byte, _name(node)
        if depth < _DEEPEST and (kind in _HOLDERS or kind in _THROUGH or kind in _WRAPPERS):
            waiting += [(child, depth + 1) for child in node.named_children]


def _begin(node: Any, data: bytes) -> int:
    """Where the comments above a definition begin, at the beginning of their line if nothing else is on it."""
    first = node
    while True:
        before = first.prev_named_sibling
        if (
            before is None
            or before.type not in _BEFORE
            or first.start_point[0] - before.end_point[0] > 1
            or _line_begin(before.start_byte, data) is None
        ):
            break
        first = before
    begin = _line_begin(first.start_byte, data)
    return first.start_byte if begin is None else begin


def _line_begin(at: int, data: bytes) -> int | None:
    """Where the line of a place begins; None where something else stands before it."""
    begin = data.rfind(b"\n", 0, at) + 1
    return begin if not data[begin:at].strip() else None


def _is_assigned(node: Any) -> bool:
    """Whether a variable gets a function or a class."""
    for child in node.named_children:
        value = child.child_by_field_name("value")
        if value is not None and value.type in _ASSIGNED:
            return True
        if child.type == "expression_list" and any(one.type in _ASSIGNED for one in child.named_children):
            return True
        if child.type in _ASSIGNMENTS and _is_assigned(child):
            return True
    return False


def _name(node: Any) -> str:
    """The name of a definition; what it is for one without."""
    for _ in range(8):
        named = node.child_by_field_name("name")
        if named is not None:
            return _shown(named)
        inner = node.child_by_field_name("declarator") or node.child_by_field_name("type")
        if inner is None:
            inner = next(
                (one for one in node.named_children if one.type.endswith(("declarator", "spec", "list"))), None
            )
        if inner is None or inner.type.endswith("identifier"):
            node = inner or node
            break
        node = inner
    return _shown(node) if node.type.endswith(("identifier", "constant", "word")) else node.type.replace("_", " ")


def _shown(node: Any) -> str:
    return " ".join(bytes(node.text or b"").decode(errors="replace").split())[:_LONGEST_NAME]


def _characters(data: bytes, places: set[int]) -> dict[int, int]:
    """The offset in characters of each place in bytes."""
    found: dict[int, int] = {}
    at = count = 0
    for place in sorted(places):
        count += len(data[at:place].decode(errors="replace"))
        at = place
        found[place] = count
    return found
